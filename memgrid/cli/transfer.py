"""`memgrid import` and `memgrid export`: JSONL in, JSONL out.

Conversations go through a server, over HTTP. Archives of a whole store go to the store itself: that is the
server's side of the house, whose hidden commands are found by name.
"""

from __future__ import annotations

import asyncio
import json as json_module
import os
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any, BinaryIO, TextIO

import typer
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from memgrid._requests import Whose, subject_of
from memgrid.archives import is_archive
from memgrid.cli.conversations import Conversations
from memgrid.cli.exporting import export as export_lines
from memgrid.cli.importing import Importer, Progress, Totals, dry_run
from memgrid.cli.options import (
    Agent,
    ApiKey,
    App,
    ConfigFile,
    DataDir,
    Json,
    Run,
    Session,
    Url,
    User,
    connect,
    whose,
)
from memgrid.cli.output import console, note, print_json
from memgrid.client import AsyncMemgrid
from memgrid.errors import InvalidInput, MemgridError

app = typer.Typer()

RETRIES = 8
"""An import outlives the restart of a server."""
SHOWN_PROBLEMS = 20
ARCHIVE_EXPORT = "archive-export"
ARCHIVE_IMPORT = "archive-import"
"""Names of the server's commands for archives."""
_OF_CONVERSATIONS = ("user", "agent", "app_id", "run", "session", "infer", "restart", "url", "api_key")
_OF_ARCHIVES = ("tenant", "vectors", "data_dir", "config")


@app.command("import")
def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="JSONL or an archive; - reads stdin.", show_default=False)],
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
    data_dir: DataDir = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Import conversations, one a line, or an archive; importing a file twice changes nothing.

    A line is {"messages": [{"role", "content", …}, …]}, as OpenAI writes it.
    It may hold user_id (or agent_id, app_id, run_id), session_id, metadata,
    timestamp and infer; --user and the like stand in where it names nobody.
    A message may carry id, timestamp, name and marks.

    What `export` wrote is read back: its conversations. Its memories are
    counted and left out, as they follow from the conversations.

    Lines that cannot be read are reported with their number and do not stop
    the others (exit code 1). An interrupted import goes on where it was: how
    far it came is kept in FILE.memgrid-progress.

    An archive (`memgrid export --all`) goes, whole, into the store of the
    settings, without a server in between. A subject of which that store has
    anything else is left as it is, and named (exit code 1).

    \b
    memgrid import chats.jsonl --user zhangsan
    zcat chats.jsonl.gz | memgrid import - --user zhangsan
    memgrid import chats.jsonl --dry-run
    memgrid import everything.jsonl.gz
    """
    with open_input(file) as source:
        archive = is_archive(source)
    if archive:
        _only_for("conversations", ctx, _OF_CONVERSATIONS)
        _on_the_store(ctx, ARCHIVE_IMPORT, file=file, dry=dry, data_dir=data_dir, config=config, json=json)
        return
    _only_for("archives", ctx, _OF_ARCHIVES)
    ids = Whose(user_id=user, agent_id=agent, app_id=app_id, run_id=run)
    conversations = Conversations(ids, session_id=session, infer=infer)
    with open_input(file) as source:
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


def _only_for(what: str, ctx: typer.Context, names: Sequence[str]) -> None:
    """These options mean nothing here. What comes from the environment is for other commands, too."""
    for parameter in ctx.command.params:
        source = ctx.get_parameter_source(parameter.name or "")
        if parameter.name in names and source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter(f"{parameter.opts[0]} is for {what} only")


def _on_the_store(ctx: typer.Context, name: str, **options: Any) -> None:
    """Hand over to a command of the server's side."""
    root: Any = ctx.find_root().command
    command = root.get_command(ctx, name)
    if command is None:
        raise InvalidInput(
            "archives need memgrid's server, which is not installed here",
            remedy="run it where memgrid runs, or export one user over HTTP: memgrid export --user …",
        )
    ctx.invoke(command.callback, **options)


@contextmanager
def open_input(file: Path) -> Generator[BinaryIO]:
    """The file, or stdin for -. Raises InvalidInput."""
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
    ctx: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="File; - is stdout.", show_default="stdout")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="An archive: the whole store, or all of --tenant or --user.")
    ] = False,
    tenant: Annotated[
        str | None, typer.Option(help="With --all: only this tenant.", show_default=False)
    ] = None,
    user: User = None,
    agent: Agent = None,
    app_id: App = None,
    run: Run = None,
    vectors: Annotated[
        bool, typer.Option("--vectors", help="With --all: embeddings, too; else they are made anew.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="As FILE.", show_default=False)
    ] = None,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Write everything of a subject, or of the whole store.

    Of one subject, over HTTP: {"type": "conversation"} lines hold the
    messages word for word with ids, times, marks and labels, and are what
    `import` reads back. {"type": "memory"} lines show what was distilled
    from them; `import` leaves them out.

    With --all, from the store of the settings, without a server in between:
    an archive with memories, history, runs and keys (their hashes), which
    `import` takes into any other store as it was. FILE.gz is compressed.

    The file is there only when it is complete.

    \b
    memgrid export --user zhangsan zhangsan.jsonl
    memgrid export --all everything.jsonl.gz
    memgrid export --all --tenant acme --vectors acme.jsonl.gz
    """
    if file is not None and output is not None:
        raise typer.BadParameter("FILE and --output say the same: give one of them")
    target = output if file is None else file
    if everything:
        _only_for("an export over HTTP", ctx, ("url", "api_key"))
        if target is None:
            raise typer.BadParameter("an archive needs a FILE; - is stdout")
        kind, id_ = subject_of(user_id=user, agent_id=agent, app_id=app_id, run_id=run) or (None, None)
        options = {"file": target, "tenant": tenant, "kind": kind, "id_": id_, "vectors": vectors}
        _on_the_store(ctx, ARCHIVE_EXPORT, **options, data_dir=data_dir, config=config, json=json)
        return
    _only_for("archives (--all)", ctx, _OF_ARCHIVES)
    target = None if str(target) == "-" else target
    ids = whose(user, agent, app_id, run)
    counts = {"messages": 0, "memories": 0}
    with connect(url, api_key) as client, _open_output(target) as out, _counter(counts) as advance:
        for line in export_lines(client, ids):
            if line["type"] == "memory":
                counts["memories"] += 1
            else:
                counts["messages"] += len(line["messages"])
            out.write(json_module.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
            advance()
    if json and target is not None:
        print_json({**counts, "file": str(target)})
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
