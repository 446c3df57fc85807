"""What the commands print: JSON for programs, tables on a terminal, tab-separated lines in a pipe."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import typer
from pydantic import BaseModel, TypeAdapter
from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from memgrid.errors import MemgridError
from memgrid.models import ErrorDetail

JSON_KEY = "memgrid.json"
_ANY: TypeAdapter[Any] = TypeAdapter(Any)


def console(*, stderr: bool = False) -> Console:
    """The terminal, or the pipe, as it is now: text from memories is never read as markup."""
    return Console(stderr=stderr, markup=False, highlight=False, emoji=False, soft_wrap=True)


def as_json(value: object) -> str:
    """Models, and lists and dicts of them, as JSON with their own characters."""
    if isinstance(value, BaseModel):
        return value.model_dump_json(indent=2)
    return _ANY.dump_json(value, indent=2).decode()


def print_json(value: object) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(as_json(value) + "\n")


def plain(text: str) -> str:
    """Without control characters: a stored text must not drive the terminal it is shown on."""
    return "".join(c if c in "\n\t" or (ord(c) >= 32 and not 127 <= ord(c) < 160) else "�" for c in text)


def one_line(text: str) -> str:
    """The text on one line, for a row."""
    return " ".join(plain(text).split())


def moment(at: datetime | None) -> str:
    """A time to the second, UTC."""
    return "" if at is None else at.strftime("%Y-%m-%d %H:%M:%S")


def say(text: str, style: str = "") -> None:
    """A line of text on stdout."""
    console().print(Text(plain(text), style=style))


def note(text: str, style: str = "") -> None:
    """A line of text on stderr: about the work, not its result."""
    console(stderr=True).print(Text(plain(text), style=style))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
    """A table on a terminal, else tab-separated lines without a heading; `empty` on stderr for no rows."""
    out = console()
    listed = [[one_line(cell) for cell in row] for row in rows]
    if not listed:
        note(empty, "dim")
    elif not out.is_terminal:
        for row in listed:
            sys.stdout.write("\t".join(row) + "\n")
    else:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in listed:
            table.add_row(*(Text(cell) for cell in row))
        out.print(table, soft_wrap=False)


def print_error(error: MemgridError, *, json_wanted: bool) -> None:
    """What happened, where, and what to do, on stderr."""
    if json_wanted:
        detail = ErrorDetail(
            code=error.code,
            message=error.message,
            field=error.field,
            remedy=error.remedy,
            retry_after=error.retry_after,
        )
        document = {"error": detail.model_dump(mode="json", exclude_none=True)}
        sys.stderr.write(json.dumps(document, ensure_ascii=False) + "\n")
        return
    err = console(stderr=True)
    err.print(Text.assemble(("error: ", "bold red"), plain(error.message)))
    if error.field:
        err.print(Text.assemble(("field: ", "dim"), plain(error.field)))
    if error.remedy:
        err.print(Text.assemble(("  fix: ", "green"), plain(error.remedy)))
    if error.retry_after is not None:
        err.print(Text(f"retry: in {error.retry_after:g} s", "dim"))


class MemgridGroup(TyperGroup):
    """The command group: an error of memgrid is a message and exit code 1, never a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except MemgridError as error:
            print_error(error, json_wanted=bool(ctx.meta.get(JSON_KEY)))
            raise typer.Exit(1) from None
