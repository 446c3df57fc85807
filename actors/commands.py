"""Commands of the server's side, found by `memgrid.cli` through the entry point `memgrid.commands`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer

from actors import archives, index_command, migration
from actors.opening import settings_from, with_store
from cluster.security import Role
from cluster.settings import Settings
from cluster.wide_store.port import ApiKeyRow
from memgrid.cli.options import ConfigFile, DataDir, Json
from memgrid.cli.output import note, print_json, print_table, say

# What opens a store, loads a model or starts Ray is imported by the command that does it: `memgrid search`
# must not pay for it.

app = typer.Typer()
keys = typer.Typer(no_args_is_help=True)
app.add_typer(archives.app)
app.add_typer(migration.app)
app.add_typer(index_command.app)
app.add_typer(keys, name="keys", help="API keys: who may come in from the network.")


@app.command()
def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; anything but loopback needs API keys.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port to listen on.", show_default="8005")
    ] = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Start a server on this machine, until Ctrl-C or SIGTERM.

    \b
    memgrid serve
    memgrid serve --port 9000 --data-dir /var/lib/memgrid
    """
    from actors.runtime import run
    from cluster.security import check_bind, has_keys

    settings = settings_from(config, host=host, port=port, data_dir=data_dir)
    keyed = asyncio.run(with_store(settings, has_keys))
    check_bind(settings.host, keyed)
    note(f"starting memgrid on port {settings.port} ...")
    run(settings, lambda: note(banner(settings, keyed=keyed)))


def banner(settings: Settings, *, keyed: bool) -> str:
    """What whoever starts a server wants to know."""
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::", "localhost") else settings.host  # noqa: S104
    url = f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
    access = (
        "API keys are required"
        if keyed
        else "no API keys: only this machine can reach it (memgrid keys create)"
    )
    extractor = f"LLM {settings.llm_model}" if settings.uses_llm else "rules (no LLM configured)"
    header = "-H 'Authorization: Bearer <key>' " if keyed else ""
    return "\n".join(
        (
            f"memgrid     {url}",
            f"access      {access}",
            f"data        {_where(settings)}",
            f"extraction  {extractor}",
            f"docs        {url}/docs",
            "",
            f"try  curl {url}/api/v1/memories {header}-H 'Content-Type: application/json' \\",
            '       -d \'{"user_id": "zhangsan", "wait": true, "messages":'
            ' [{"role": "user", "content": "我叫张三，我喜欢打羽毛球"}]}\'',
        )
    )


def _where(settings: Settings) -> str:
    """The stores, as whoever starts a server knows them."""
    if settings.wide_store == "cassandra":
        store = f"Cassandra {settings.cassandra_contact_points}, keyspace {settings.cassandra_keyspace}"
    else:
        store = str(settings.data_dir.resolve())
    if settings.search_index == "opensearch":
        return f"{store}; OpenSearch {settings.opensearch_url}"
    return store


@keys.command("create")
def create_key(
    tenant: Annotated[str, typer.Option(help="Whose data the key opens.")] = "default",
    role: Annotated[Role, typer.Option(help="What it may do.")] = "writer",
    label: Annotated[str, typer.Option(help="What the key is for.")] = "",
    data_dir: DataDir = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Create an API key. Its text is shown once and stored nowhere.

    \b
    memgrid keys create --role admin --label "my laptop"
    """
    from cluster.security import create_key as create

    settings = settings_from(config, data_dir=data_dir)
    text, row = asyncio.run(
        with_store(settings, lambda store: create(store, tenant=tenant, role=role, label=label))
    )
    if json:
        print_json({"key": text, **_key_row(row)})
        return
    say(text)
    note("keep it: it is not shown again. From now on every request needs a key.", "yellow")


@keys.command("list")
def list_keys(
    tenant: Annotated[str | None, typer.Option(help="Only these.", show_default="all")] = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """All keys, revoked ones too; never their text."""
    from cluster.security import list_keys as listed

    settings = settings_from(config, data_dir=data_dir)
    rows = [_key_row(row) for row in asyncio.run(with_store(settings, lambda store: listed(store, tenant)))]
    if json:
        print_json(rows)
        return
    columns = ["id", "tenant", "role", "label", "created", "revoked"]
    cells = [[str(row[name] or "") for name in ("id", "tenant", "role", "label")] for row in rows]
    times = [[row["created_at"] or "", row["revoked_at"] or ""] for row in rows]
    print_table(columns, [[*c, *t] for c, t in zip(cells, times, strict=True)], empty="no keys")


@keys.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(help="The id, as `keys list` shows it.", show_default=False)],
    data_dir: DataDir = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """End a key: within seconds no server accepts it."""
    from cluster.security import CACHE_SECONDS
    from cluster.security import revoke_key as revoke

    settings = settings_from(config, data_dir=data_dir)
    row = asyncio.run(with_store(settings, lambda store: revoke(store, key_id)))
    if json:
        print_json(_key_row(row))
    else:
        say(f"revoked {row.id}: it stops working within {CACHE_SECONDS:g} s")


def _key_row(row: ApiKeyRow) -> dict[str, str | None]:
    revoked = None if row.revoked_at is None else _iso(row.revoked_at)
    return {
        "id": row.id,
        "tenant": row.tenant,
        "role": row.role,
        "label": row.label,
        "created_at": _iso(row.created_at),
        "revoked_at": revoked,
    }


def _iso(millis: int) -> str:
    return datetime.fromtimestamp(millis / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@app.command("config")
def show_config(
    config: ConfigFile = None,
    validate: Annotated[bool, typer.Option("--validate", help="Only check.")] = False,
    changed: Annotated[bool, typer.Option("--changed", help="Only what is not the default.")] = False,
    json: Json = False,
) -> None:
    """The settings in effect, where each comes from, and what it does; secrets are masked."""
    from cluster.configuration import describe

    rows = describe(settings_from(config))
    if changed:
        rows = [row for row in rows if row.source != "default"]
    if validate:
        note(f"{len(rows)} settings are valid")
    elif json:
        print_json([row._asdict() for row in rows])
    else:
        print_table(
            ["setting", "value", "from", "what it is"],
            ([row.name, row.value, row.source, row.description] for row in rows),
            empty="every setting has its default",
        )


@app.command()
def doctor(
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port to listen on.", show_default="8005")
    ] = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Check everything memgrid needs on this machine, and name the fix; exit code 1 when something fails."""
    from actors.doctor import examine

    findings = asyncio.run(examine(lambda: settings_from(config, port=port, data_dir=data_dir)))
    if json:
        print_json([finding._asdict() for finding in findings])
    else:
        signs = {"ok": "✓", "warning": "!", "failed": "✗"}
        print_table(
            ["", "check", "found", "fix"],
            ([signs[f.state], f.name, f.found, f.fix or ""] for f in findings),
            empty="",
        )
    if any(finding.state == "failed" for finding in findings):
        raise typer.Exit(1)
