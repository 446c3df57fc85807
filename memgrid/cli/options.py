"""Options that several commands share, and the client they lead to."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from memgrid._requests import Whose
from memgrid._sync.client import Memgrid
from memgrid.cli.output import JSON_KEY


def _want_json(ctx: typer.Context, value: Any) -> Any:
    # The group that turns errors into messages runs outside the command and cannot see its options.
    if value:
        ctx.meta[JSON_KEY] = True
    return value


_SERVER = "Server"
_WHOSE = "Whose memory"
_SETTINGS = "Settings"

Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="MEMGRID_URL",
        help="Address of the server.",
        show_default="http://127.0.0.1:8005",
        rich_help_panel=_SERVER,
    ),
]
ApiKey = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        envvar="MEMGRID_API_KEY",
        help="API key, where the server has keys.",
        show_default=False,
        rich_help_panel=_SERVER,
    ),
]
Json = Annotated[
    bool, typer.Option("--json", callback=_want_json, help="Print JSON, and errors as JSON on stderr.")
]
User = Annotated[
    str | None,
    typer.Option("--user", "-u", help="User id.", rich_help_panel=_WHOSE),
]
Agent = Annotated[str | None, typer.Option("--agent", help="Agent id.", rich_help_panel=_WHOSE)]
App = Annotated[str | None, typer.Option("--app", help="Application id.", rich_help_panel=_WHOSE)]
Run = Annotated[str | None, typer.Option("--run", help="Run id.", rich_help_panel=_WHOSE)]
Session = Annotated[str | None, typer.Option("--session", "-s", help="Session: the conversation's name.")]
When = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="Settings file.",
        show_default="config.yaml, if there is one",
        rich_help_panel=_SETTINGS,
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Where the embedded stores live.", rich_help_panel=_SETTINGS),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def whose(user: str | None, agent: str | None, app: str | None, run: str | None) -> Whose:
    """The ids given. A usage error when there is none."""
    ids = Whose(user_id=user, agent_id=agent, app_id=app, run_id=run)
    if not any(ids.values()):
        raise typer.BadParameter("whose memory is meant? Give --user (or --agent, --app, --run)")
    return ids


def connect(url: str | None, api_key: str | None) -> Memgrid:
    """A client of the server at `url`."""
    return Memgrid(url, api_key, language=language_of_terminal())


def language_of_terminal() -> Literal["zh", "en"]:
    """Chinese where the environment's language is, else English."""
    name = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return "zh" if name.startswith("zh") else "en"
