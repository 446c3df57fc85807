"""Commands on extraction runs: what was made of which messages, by what, why, and what it cost."""

from __future__ import annotations

from typing import Annotated

import typer

from memgrid.cli.options import Agent, ApiKey, App, Json, Run, Url, User, connect, whose
from memgrid.cli.output import moment, note, print_json, print_table, say
from memgrid.extraction import RunDetail
from memgrid.models import ProcessResult, RunOut, RunStatus

app = typer.Typer()


@app.command()
def runs(
    run_id: Annotated[
        str | None,
        typer.Argument(help="Show this one with its calls, decisions and reasons.", show_default=False),
    ] = None,
    user: User = None,
    agent: Agent = None,
    app_id: App = None,
    run: Run = None,
    status: Annotated[RunStatus | None, typer.Option(help="Only these.", show_default="all")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Where to go on: the last page says it.")] = None,
    drive: Annotated[bool, typer.Option("--drive", help="Extract a parked one again.")] = False,
    url: Url = None,
    api_key: ApiKey = None,
    json: Json = False,
) -> None:
    """What extraction did: the runs of a subject, newest first, or one of them in full.

    \b
    memgrid runs --user lilei --status parked
    memgrid runs 01936d5e-8a10-7c55-8e02-4b1f0c9d7e21
    memgrid runs 01936d5e-8a10-7c55-8e02-4b1f0c9d7e21 --drive
    """
    if run_id is None:
        if drive:
            raise typer.BadParameter("which run? Give its id")
        ids = whose(user, agent, app_id, run)
        with connect(url, api_key) as client:
            page = client.runs_page(status=status, limit=limit, cursor=cursor, **ids)
        if json:
            print_json(page)
            return
        columns = ["when", "status", "by", "tokens", "cost", "took", "messages", "memories", "id", "error"]
        print_table(columns, map(_row, page.runs), empty="no runs")
        if page.cursor is not None:
            note(f"more with --cursor {page.cursor}", "dim")
        return
    if any((user, agent, app_id, run, status, cursor)):
        raise typer.BadParameter("the id of a run names it: give nothing else")
    with connect(url, api_key) as client:
        driven = client.drive_run(run_id) if drive else None
        detail = client.get_run(run_id)
    if json:
        print_json(detail)
        return
    if driven is not None:
        _show_driven(driven)
    _show(detail)


def _row(run: RunOut) -> list[str]:
    return [
        moment(run.created_at),
        run.status,
        run.model or run.extractor,
        f"{run.input_tokens}+{run.output_tokens}",
        _cost(run.cost),
        _seconds(run.duration_ms),
        str(len(run.message_ids)),
        str(len(run.memory_ids)),
        run.id,
        run.error or "",
    ]


def _show_driven(result: ProcessResult) -> None:
    say(f"driven again: {result.status}, {len(result.results)} changes", "green")


def _show(run: RunDetail) -> None:
    facts = [
        ("run", run.id),
        ("status", run.status),
        ("when", moment(run.created_at)),
        ("by", run.extractor),
        ("model", run.model),
        ("prompt", run.prompt_version),
        ("tokens", f"{run.input_tokens} in, {run.output_tokens} out"),
        ("cost", _cost(run.cost) or None),
        ("took", f"{_seconds(run.duration_ms)}, {run.attempts} attempts, {run.llm_calls} calls"),
        ("input", f"{len(run.message_ids)} messages"),
        ("error", run.error),
    ]
    print_table(["", ""], [[name, value] for name, value in facts if value], empty="")
    for title, columns, rows in (
        (
            "messages",
            ["when", "who", "text", "id"],
            [[moment(m.event_time), m.name or m.role, m.content, m.id] for m in run.messages],
        ),
        (
            "calls",
            ["for", "model", "prompt", "tokens", "cost", "took", "error"],
            [
                [
                    call.purpose,
                    call.model,
                    call.prompt_version,
                    f"{call.input_tokens}+{call.output_tokens}",
                    _cost(call.cost),
                    _seconds(call.duration_ms),
                    call.error or "",
                ]
                for call in run.calls
            ],
        ),
        (
            "decisions",
            ["done", "claim", "why", "memory"],
            [[each.action, each.claim, each.reason, each.memory_id or ""] for each in run.decisions],
        ),
        ("not believed", ["claim", "why"], [[each.claim, each.reason] for each in run.dropped]),
    ):
        if rows:
            say(f"\n{title}", "bold")
            print_table(columns, rows, empty="")
    if not run.recorded:
        note("nothing more is recorded of it, or what it rested on was forgotten", "dim")


def _cost(cost: float | None) -> str:
    return "" if cost is None else f"{cost:.6f}".rstrip("0").rstrip(".")


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.2f} s"
