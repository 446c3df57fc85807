"""`memgrid import` and `memgrid export`: JSONL in, JSONL out."""

from __future__ import annotations

import asyncio
import json as json_module
import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, BinaryIO, TextIO

import typer
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from memgrid._requests import Whose
from memgrid.cli.conversations import Conversations
from memgrid.cli.exporting import export as export_lines
from memgrid.cli.importing import Importer, Progress, Totals, dry_run
from memgrid.cli.options import Agent, ApiKey, App, Json, Run, Session, Url, User, connect, whose
from memgrid.cli.output import console, note, print_json
from memgrid.client import AsyncMemgrid
from memgrid.errors import InvalidInput, MemgridError

app = typer.Typer()

RETRIES = 8
"""An import outlives the restart of a server."""
SHOWN_PROBLEMS = 20


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="JSONL; - reads stdin.", show_default=False)],
    user: User = None,
    agent: Agent = None,
    app_id: App = None,
    run: Run = None,
    session: Session = None,
    infer: Annotated[
        bool, typer.Option("--infer/--no-infer", help="Distil memories, or keep each message as a note.")
    ] = True,
    dry: Annotated[bool, typer.Option("--dry-run", help="Only check the file.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Forget how far an earlier run came.")] = False,
    url: Url = None,
    api_key: ApiKey = None,
    json: Json = False,
) -> None:
    """Import conversations, one a line; importing a file twice changes nothing.

    A line is {"messages": [{"role", "content", …}, …]}, as OpenAI writes it.
    It may hold user_id (or agent_id, app_id, run_id), session_id, metadata,
    timestamp and infer; --user and the like stand in where it names nobody.
    A message may carry id, timestamp, name and marks.

    What `export` wrote is read back: its conversations. Its memories are
    counted and left out, as they follow from the conversations.

    Lines that cannot be read are reported with their number and do not stop
    the others (exit code 1). An interrupted import goes on where it was: how
    far it came is kept in FILE.memgrid-progress.

    \b
    memgrid import chats.jsonl --user zhangsan
    zcat chats.jsonl.gz | memgrid import - --user zhangsan
    memgrid import chats.jsonl --dry-run
    """
    ids = Whose(user_id=user, agent_id=agent, app_id=app_id, run_id=run)
    conversations = Conversations(ids, session_id=session, infer=infer)
    with _open_input(file) as source:
        if dry:
            totals = dry_run(conversations, source)
        else:
            given = {**ids, "session": session, "infer": infer, "url": url}
            progress = None if str(file) == "-" else Progress(file, target=json_module.dumps(given))
            if restart and progress is not None:
                progress.clear()
            totals = _import(source, conversations, progress, url=url, api_key=api_key)
    if json:
        print_json(totals)
    else:
        _report(totals, dry=dry)
    if totals.bad_lines:
        raise typer.Exit(1)


@contextmanager
def _open_input(file: Path) -> Generator[BinaryIO]:
    if str(file) == "-":
        yield sys.stdin.buffer
        return
    try:
        source = file.open("rb")
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}", field="FILE") from error
    with source:
        yield source


def _import(
    source: BinaryIO,
    conversations: Conversations,
    progress: Progress | None,
    *,
    url: str | None,
    api_key: str | None,
) -> Totals:
    done_lines = 0 if progress is None else progress.load()
    if done_lines:
        note(f"going on after line {done_lines} (--restart begins anew)", "dim")
    size = None if progress is None else os.fstat(source.fileno()).st_size
    importer: Importer | None = None

    async def work(on_advance: Callable[[int, Totals], None]) -> Totals:
        nonlocal importer
        async with AsyncMemgrid(url, api_key, max_retries=RETRIES) as client:
            importer = Importer(
                client, conversations, progress=progress, done_lines=done_lines, on_advance=on_advance
            )
            return await importer.run(source)

    try:
        with _bar("importing", size) as on_advance:
            return asyncio.run(work(on_advance))
    except (MemgridError, KeyboardInterrupt) as error:
        if importer is not None:
            _report(importer.totals, dry=False)
        note("stopped; the same command goes on from here", "yellow")
        if isinstance(error, KeyboardInterrupt):
            raise typer.Exit(130) from None
        raise


@contextmanager
def _bar(what: str, size: int | None) -> Generator[Callable[[int, Totals], None]]:
    """A progress bar on stderr where that is a terminal, in bytes of the input."""
    err = console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}% {task.fields[messages]} messages"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(what, total=size, messages=0)

        def advance(offset: int, totals: Totals) -> None:
            bar.update(task, completed=offset, messages=totals.messages)

        yield advance


def _report(totals: Totals, *, dry: bool) -> None:
    for problem in totals.problems[:SHOWN_PROBLEMS]:
        note(problem, "red")
    if totals.bad_lines > SHOWN_PROBLEMS:
        note(f"… and {totals.bad_lines - SHOWN_PROBLEMS} more lines that cannot be imported", "red")
    verb = "would import" if dry else "imported"
    note(f"{verb} {totals.messages} messages of {totals.conversations} conversations")
    if totals.already_there:
        note(f"{totals.already_there} of them were there already", "dim")
    if totals.memories_skipped:
        note(f"{totals.memories_skipped} memories left out: they follow from the conversations", "dim")


@app.command()
def export(
    user: User = None,
    agent: Agent = None,
    app_id: App = None,
    run: Run = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File.", show_default="stdout")
    ] = None,
    url: Url = None,
    api_key: ApiKey = None,
    json: Json = False,
) -> None:
    """Write everything of a subject as JSONL: its conversations, its memories.

    {"type": "conversation"} lines hold the messages word for word with ids,
    times and marks, and are what `import` reads back. {"type": "memory"} lines
    show what was distilled from them; `import` leaves them out.
    With --output the file is there only when it is complete.

    \b
    memgrid export --user zhangsan -o zhangsan.jsonl
    memgrid export --user zhangsan | gzip > zhangsan.jsonl.gz
    """
    ids = whose(user, agent, app_id, run)
    counts = {"messages": 0, "memories": 0}
    with connect(url, api_key) as client, _open_output(output) as target, _counter(counts) as advance:
        for line in export_lines(client, ids):
            if line["type"] == "memory":
                counts["memories"] += 1
            else:
                counts["messages"] += len(line["messages"])
            target.write(json_module.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
            advance()
    if json and output is not None:
        print_json({**counts, "file": str(output)})
    else:
        note(f"exported {counts['messages']} messages and {counts['memories']} memories")


@contextmanager
def _counter(counts: dict[str, int]) -> Generator[Callable[[], None]]:
    """How many there are so far, on stderr where that is a terminal."""
    err = console(stderr=True)
    with err.status("exporting") if err.is_terminal else nullcontext() as status:

        def advance() -> None:
            if status is not None:
                status.update(f"exporting: {counts['messages']} messages, {counts['memories']} memories")

        yield advance


@contextmanager
def _open_output(path: Path | None) -> Generator[TextIO]:
    """The file, which takes its name when all is written; stdout for None."""
    if path is None:
        yield sys.stdout
        return
    part = path.with_name(path.name + ".part")
    try:
        with part.open("w", encoding="utf-8") as file:
            yield file
        part.replace(path)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror}", field="--output") from error
    finally:
        part.unlink(missing_ok=True)
