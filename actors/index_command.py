"""`memgrid reindex`: make the search index anew from the store, while serving."""

from __future__ import annotations

import asyncio
import time

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from actors.opening import need_store, settings_from, with_store
from cluster.logs import configure_logs
from cluster.settings import Settings
from cluster.wide_store.port import WideStore
from memgrid.cli.options import ConfigFile, DataDir, Json
from memgrid.cli.output import console, note, print_json

app = typer.Typer()


@app.command()
def reindex(data_dir: DataDir = None, config: ConfigFile = None, json: Json = False) -> None:
    """Make the search index anew from the store, while serving.

    Searches and writes go on meanwhile: a new index is filled beside the old
    one and takes its place at the end. Interrupted, the same command goes on
    where it was.

    \b
    memgrid reindex
    MEMGRID_SEARCH_INDEX=opensearch memgrid reindex --json
    """
    settings = settings_from(config, data_dir=data_dir)
    need_store(settings)
    # stdout is for the answer, and what went well is said there
    configure_logs(settings.model_copy(update={"log_level": "warning"}))
    started = time.monotonic()
    try:
        documents = asyncio.run(with_store(settings, lambda store: _reindex(settings, store)))
    except KeyboardInterrupt:
        note("stopped; the same command goes on from here", "yellow")
        raise typer.Exit(130) from None
    seconds = round(time.monotonic() - started, 1)
    if json:
        print_json({"shards": settings.shards, "documents": documents or 0, "seconds": seconds})
    elif documents is None:
        note("this store has served nobody yet: the first server that starts fills its index")
    else:
        note(f"indexed {documents} memories and messages in {seconds} s")


async def _reindex(settings: Settings, store: WideStore) -> int | None:
    """How many documents; None while no embedding model is known, of whose vectors the index would be."""
    from actors.reindex import rebuild
    from cluster.composition import open_index

    info = await store.info()
    if info.embedding_model is None:
        return None
    index = await open_index(settings, info.embedding_dimension)
    err = console(stderr=True)
    columns = (
        TextColumn("shards"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}, {task.fields[documents]} documents"),
        TimeElapsedColumn(),
    )
    try:
        with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
            task = bar.add_task("", total=settings.shards, documents=0)
            return await rebuild(
                store,
                index,
                shards=settings.shards,
                model=info.embedding_model,
                progress=lambda done, documents: bar.update(task, completed=done, documents=documents),
            )
    finally:
        await index.close()
