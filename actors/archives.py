"""`memgrid export --all`, `memgrid import` of what it wrote, and `memgrid verify`, on the store itself.

The first two are hidden commands, to which those of `memgrid.cli.transfer` hand over.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, cast

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from actors.opening import need_store, settings_from, with_store
from cluster.settings import Settings
from memgrid.cli.options import ConfigFile, DataDir, Json
from memgrid.cli.output import console, note, print_json
from memgrid.cli.transfer import ARCHIVE_EXPORT, ARCHIVE_IMPORT, open_input
from memgrid.errors import InvalidInput, Overloaded, Unavailable
from memgrid.subject import DEFAULT_TENANT, Subject, SubjectKind

if TYPE_CHECKING:
    from cluster.archive.importing import OnSubject, Report
    from cluster.archive.lines import End, Header
    from cluster.wide_store.port import WideStore

app = typer.Typer()

SHOWN_PROBLEMS = 20
File = Annotated[Path, typer.Argument(help="The archive; - is stdin.", show_default=False)]


@app.command(ARCHIVE_EXPORT, hidden=True)
def export_archive(
    file: Path,
    tenant: str | None = None,
    kind: str | None = None,
    id_: str | None = None,
    vectors: bool = False,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """What `memgrid export --all` does."""
    from cluster.archive.exporting import export_archive as export

    settings = settings_from(config, data_dir=data_dir)
    need_store(settings, otherwise="export one user over HTTP: memgrid export --user …")
    subject = None
    if kind is not None and id_ is not None:
        subject = Subject(tenant or DEFAULT_TENANT, cast(SubjectKind, kind), id_)

    async def work(store: WideStore) -> End:
        total = 1 if subject else None
        with _bar("exporting", total) as on_subject, _open_output(file) as out:
            return await export(
                store, out, tenant=tenant, subject=subject, vectors=vectors, on_subject=on_subject
            )

    try:
        end = asyncio.run(with_store(settings, work))
    except KeyboardInterrupt:
        left = "what is out is not whole" if str(file) == "-" else "no file was written"
        note(f"stopped; {left}", "yellow")
        raise typer.Exit(130) from None
    if json and str(file) != "-":
        print_json({"file": str(file), "subjects": end.subjects, "rows": end.counts, "sha256": end.sha256})
    else:
        note(f"exported {_counted(end.subjects, end.counts)}")


@app.command(ARCHIVE_IMPORT, hidden=True)
def import_archive(
    file: Path,
    dry: bool = False,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """What `memgrid import` does with an archive."""
    from cluster.archive.importing import import_archive as import_

    if dry:
        _check(file, json=json)
        return
    settings = settings_from(config, data_dir=data_dir)

    async def work(store: WideStore, stream: BinaryIO, on_subject: OnSubject) -> Report:
        return await import_(store, stream, on_subject=on_subject)

    try:
        report = _with_archive(settings, file, "importing", work)
    except (KeyboardInterrupt, Unavailable, Overloaded) as error:
        note("stopped; the same command goes on from here", "yellow")
        if isinstance(error, KeyboardInterrupt):
            raise typer.Exit(130) from None
        raise
    _show(report, file, json=json, verb="imported")


@app.command()
def verify(
    file: File,
    file_only: Annotated[
        bool, typer.Option("--file-only", help="Check the file alone, without a store.")
    ] = False,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Check an archive, and that the store has all of it: both ends counted and hashed, nothing changed.

    Exit code 1 when anything is not the same; each is named.

    \b
    memgrid verify everything.jsonl.gz
    MEMGRID_WIDE_STORE=cassandra memgrid verify everything.jsonl.gz
    """
    from cluster.archive.importing import verify_archive

    if file_only:
        _check(file, json=json)
        return
    settings = settings_from(config, data_dir=data_dir)
    need_store(settings)

    async def work(store: WideStore, stream: BinaryIO, on_subject: OnSubject) -> Report:
        return await verify_archive(store, stream, on_subject=on_subject)

    _show(_with_archive(settings, file, "comparing", work), file, json=json, verb="verified")


def _check(file: Path, *, json: bool) -> None:
    header, end = _checked(file)
    if json:
        print_json({"file": str(file), "subjects": end.subjects, "rows": end.counts, "sha256": end.sha256})
    else:
        note(f"the archive of {header.created_at} is whole: {_counted(end.subjects, end.counts)}")


def _checked(file: Path) -> tuple[Header, End]:
    from cluster.archive.reading import check_archive

    with open_input(file) as stream:
        return check_archive(stream)


Work = Callable[["WideStore", BinaryIO, "OnSubject"], Awaitable["Report"]]


def _with_archive(settings: Settings, file: Path, what: str, work: Work) -> Report:
    """`work` on an archive that is whole. What comes through a pipe is checked as it comes."""
    subjects = None if str(file) == "-" else _checked(file)[1].subjects

    async def run(store: WideStore) -> Report:
        with open_input(file) as stream, _bar(what, subjects) as on_subject:
            return await work(store, stream, on_subject)

    return asyncio.run(with_store(settings, run))


def _show(report: Report, file: Path, *, json: bool, verb: str) -> None:
    if json:
        print_json(
            {
                "file": str(file),
                "subjects": report.subjects,
                "copied": len(report.copied),
                "already_there": report.already_there,
                "rows": report.rows,
                "vectors": report.vectors,
                "vectors_left_out": report.vectors_left_out,
                "not_announced": report.not_announced,
                "problems": [{"what": each.what, "why": each.why} for each in report.problems],
            }
        )
    else:
        for problem in report.problems[:SHOWN_PROBLEMS]:
            note(f"{problem.what}: {problem.why}", "red")
        if len(report.problems) > SHOWN_PROBLEMS:
            note(f"… and {len(report.problems) - SHOWN_PROBLEMS} more (--json lists them all)", "red")
        whole = report.subjects - sum(each.subject is not None for each in report.problems)
        note(f"{verb} {_counted(whole, report.rows)}")
        if report.already_there and verb == "imported":
            note(f"{report.already_there} subjects were there already", "dim")
        if report.not_announced:
            note("servers that run do not know of it: import it again when the store answers", "yellow")
            note(report.not_announced, "dim")
        if report.vectors_left_out:
            note(f"vectors were left out: {report.vectors_left_out}", "yellow")
    if report.problems:
        raise typer.Exit(1)


_SHOWN = ("message", "memory", "change", "run", "vector", "api_key")
_PLURALS = {"memory": "memories", "api_key": "API keys"}


def _counted(subjects: int, rows: dict[str, int]) -> str:
    listed = [f"{rows[what]} {_PLURALS.get(what, f'{what}s')}" for what in _SHOWN if rows.get(what)]
    return ", ".join([f"{subjects} subjects", *listed])


@contextmanager
def _bar(what: str, subjects: int | None) -> Generator[OnSubject]:
    """Progress in subjects on stderr, where that is a terminal."""
    err = console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed} subjects, {task.fields[rows]} rows"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(what, total=subjects, rows=0)

        def advance(done: int, rows: int) -> None:
            bar.update(task, completed=done, rows=rows)

        yield advance


@contextmanager
def _open_output(path: Path) -> Generator[BinaryIO]:
    """The file, which takes its name when all is written; compressed when it is called .gz; - is stdout."""
    if str(path) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    part = path.with_name(path.name + ".part")
    try:
        # Everything of everyone is in it: for its owner's eyes only.
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            if path.suffix == ".gz":
                with gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as squeezed:
                    yield cast(BinaryIO, squeezed)
            else:
                yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror}", field="FILE") from error
    finally:
        part.unlink(missing_ok=True)
