"""`memgrid migrate`: bring the store's schema up to date before anything serves it."""

from __future__ import annotations

import asyncio

import typer

from actors.opening import settings_from
from cluster.settings import Settings
from memgrid.cli.options import ConfigFile, DataDir, Json
from memgrid.cli.output import print_json, say

app = typer.Typer()


@app.command()
def migrate(data_dir: DataDir = None, config: ConfigFile = None, json: Json = False) -> None:
    """Create the store's schema, or bring it up to date. A server does so when it starts, too.

    \b
    MEMGRID_WIDE_STORE=cassandra MEMGRID_CASSANDRA_CONTACT_POINTS=10.0.0.1,10.0.0.2 memgrid migrate
    """
    settings = settings_from(config, data_dir=data_dir)
    version = asyncio.run(_migrate(settings))
    if json:
        print_json({"wide_store": settings.wide_store, "schema_version": version})
    else:
        at = "up to date" if version is None else f"at {version}"
        say(f"{settings.wide_store}: the schema is {at}")


async def _migrate(settings: Settings) -> int | None:
    """The version it has now; None for a store of several files, which have one each."""
    if settings.wide_store == "cassandra":
        from cluster.composition import build_cassandra_connection
        from cluster.wide_store.cassandra_schema import migrate as apply

        connection = build_cassandra_connection(settings)
        await connection.open()
        try:
            return await apply(connection)
        finally:
            await connection.close()
    from cluster.composition import open_store

    await (await open_store(settings)).close()
    return None
