"""The `memgrid` command.

Commands that talk to a server live here; those that are one (`serve`, `keys`, `config`, `doctor`) are
found through the entry-point group `memgrid.commands`, so that nothing here imports upward.
"""

from __future__ import annotations

import io
import sys
from importlib.metadata import entry_points
from typing import Annotated

import typer

from memgrid._http import sdk_version
from memgrid.cli import kinds, memories, runs, transfer
from memgrid.cli.output import MemgridGroup

COMMANDS = "memgrid.commands"
"""Entry-point group: each names a `typer.Typer` whose commands join these."""


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"memgrid {sdk_version()}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Memory for LLM agents: conversations in, memories out.

    \b
    memgrid serve                                    start a server on this machine
    memgrid add "My name is Li Lei" -u lilei --wait  keep a message
    memgrid search "what is his name?" -u lilei      find it again
    """


def build() -> typer.Typer:
    """The whole command line, those commands included that other packages bring."""
    app = typer.Typer(
        name="memgrid",
        cls=MemgridGroup,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    app.add_typer(memories.app)
    app.add_typer(kinds.app)
    app.add_typer(runs.app)
    app.add_typer(transfer.app)
    for entry in sorted(entry_points(group=COMMANDS), key=lambda entry: entry.name):
        app.add_typer(entry.load())
    return app


def main() -> None:
    """Run the command line: exit code 0 when it worked, 1 when it did not, 2 when it was not understood."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character shows its code; it is no reason to fail.
            stream.reconfigure(errors="backslashreplace")
    build()()
