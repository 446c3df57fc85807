"""Commands on events, experience with tasks, entities and sharing."""

from __future__ import annotations

from typing import Annotated

import typer

from memgrid.cli.options import Agent, ApiKey, App, Json, Run, Url, User, When, connect, whose
from memgrid.cli.output import moment, print_json, print_table, say
from memgrid.kinds import Outcome

app = typer.Typer()

Id = Annotated[str, typer.Argument(help="The id.", show_default=False)]


@app.command()
def events(
    query: Annotated[str | None, typer.Argument(help="What they are about.", show_default=False)] = None,
    user: User = None,
    agent: Agent = None,
    app_id: App = None,
    run: Run = None,
    since: When = None,
    until: When = None,
    tag: Annotated[list[str] | None, typer.Option(help="Any of these; may be repeated.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 20,
    url: Url = None,
    api_key: ApiKey = None,
    json: Json = False,
) -> None:
    """What happened when.

    \b
    memgrid events --user zhangsan --since 2026-11-01
    memgrid events 旅行 --user zhangsan
    """
    ids = whose(user, agent, app_id, run)
    with connect(url, api_key) as client:
        page = client.events(query=query, since=since, until=until, tags=tag, limit=limit, **ids)
    if json:
        print_json(page)
        return
    rows = [[moment(event.at), event.gist, ", ".join(event.tags), event.id] for event in page.events]
    print_table(["when", "what", "tags", "id"], rows, empty="no events")


@app.command()
def tasks(
    task: Annotated[str | None, typer.Argument(help="What is to be done.", show_default=False)] = None,
    user: User = None,
    agent: Agent = None,
    app_id: App = None,
    run: Run = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 10,
    url: Url = None,
    api_key: ApiKey = None,
    json: Json = False,
) -> None:
    """Experience that helps with a task, the best first.

    \b
    memgrid tasks "deploy the service" --agent ops
    """
    ids = whose(user, agent, app_id, run)
    with connect(url, api_key) as client:
        page = client.tasks(task, limit=limit, **ids)
    if json:
        print_json(page)
        return
    rows = [
        [each.when_to_use, each.what_to_do, each.outcome, f"{each.successes}/{each.uses}", each.id]
        for each in page.tasks
    ]
    print_table(["when to use", "what to do", "outcome", "helped", "id"], rows, empty="no experience")


@app.command("record-task")
def record_task(
    task: Annotated[str, typer.Argument(help="What was to be done.", show_default=False)],
    user: User = None,
    agent: Agent = None,
    app_id: App = None,
    run: Run = None,
    step: Annotated[list[str] | None, typer.Option(help="What was done; may be repeated.")] = None,
    do: Annotated[str | None, typer.Option(help="What to do next time.")] = None,
    outcome: Annotated[Outcome, typer.Option(help="How it ended.")] = "unknown",
    url: Url = None,
    api_key: ApiKey = None,
    json: Json = False,
) -> None:
    """Keep how a task was worked on.

    \b
    memgrid record-task "deploy" --step "run the migrations" --step restart --outcome success --agent ops
    """
    ids = whose(user, agent, app_id, run)
    with connect(url, api_key) as client:
        kept = client.record_task(
            task, steps=[{"action": each} for each in step or ()], what_to_do=do, outcome=outcome, **ids
        )
    if json:
        print_json(kept)
    else:
        say(f"kept as {kept.id}", "green")


@app.command()
def entities(
    user: User = None,
    agent: Agent = None,
    app_id: App = None,
    run: Run = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 100,
    url: Url = None,
    api_key: ApiKey = None,
    json: Json = False,
) -> None:
    """People, places, organisations, products and pets that the memories name."""
    ids = whose(user, agent, app_id, run)
    with connect(url, api_key) as client:
        page = client.entities(limit=limit, **ids)
    if json:
        print_json(page)
        return
    rows = [[each.name, each.type, str(each.memories)] for each in page.entities]
    print_table(["name", "type", "memories"], rows, empty="no entities")


@app.command()
def share(
    memory_id: Id,
    user: User = None,
    agent: Agent = None,
    app_id: App = None,
    run: Run = None,
    undo: Annotated[bool, typer.Option("--undo", help="No longer share it.")] = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Let another user, agent, app or run see a memory.

    \b
    memgrid share 01936d5e-7c2a-7f3b-9a41-2f8f6f6f0b1c --agent helper
    """
    ids = whose(user, agent, app_id, run)
    with connect(url, api_key) as client:
        shares = client.unshare(memory_id, **ids) if undo else client.share(memory_id, **ids)
    say(f"shared with {', '.join(shares)}" if shares else "shared with nobody", "green")
