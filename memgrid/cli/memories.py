"""Commands on memories: add, job, search, context, profile, list, get, history, delete, erase."""

from __future__ import annotations

import sys
from json import JSONDecodeError, loads
from typing import Annotated, Any, Literal, cast

import typer

from memgrid._requests import Whose
from memgrid.cli.options import Agent, ApiKey, App, Json, Run, Session, Url, User, When, Yes, connect, whose
from memgrid.cli.output import moment, one_line, plain, print_json, print_table, say
from memgrid.errors import InvalidInput
from memgrid.models import AddResult, Job, MemoryKind, MemoryOut, ResultType, Strategy

app = typer.Typer()

_SIGNS = {"ADD": "+", "UPDATE": "~", "SUPERSEDE": "↻", "DELETE": "-", "EXPIRE": "-"}
Question = Annotated[str, typer.Argument(help="What to look for.", show_default=False)]
MemoryId = Annotated[str, typer.Argument(help="The memory's id.", show_default=False)]


@app.command()
def add(
    text: Annotated[str, typer.Argument(help="What was said; - reads it from stdin.", show_default=False)],
    user: User = None,
    agent: Agent = None,
    app_id: App = None,
    run: Run = None,
    session: Session = None,
    role: Annotated[str, typer.Option(help="Who said it: user, assistant, …")] = "user",
    name: Annotated[str | None, typer.Option(help="The speaker, where a role has several.")] = None,
    meta: Annotated[
        list[str] | None, typer.Option("--meta", metavar="KEY=VALUE", help="Metadata; may be repeated.")
    ] = None,
    infer: Annotated[
        bool, typer.Option("--infer/--no-infer", help="Distil memories, or keep the text as a note.")
    ] = True,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the memories a while, and show them.")
    ] = False,
    url: Url = None,
    api_key: ApiKey = None,
    json: Json = False,
) -> None:
    """Keep a message, and let memgrid distil memories from it.

    \b
    memgrid add "我叫张三，我喜欢打羽毛球" --user zhangsan --wait
    git log -1 --format=%B | memgrid add - --user me --session work
    """
    ids = whose(user, agent, app_id, run)
    said = sys.stdin.read() if text == "-" else text
    if not said.strip():
        raise typer.BadParameter("there is no text")
    message = {"role": role, "content": said} | ({"name": name} if name else {})
    with connect(url, api_key) as client:
        result = client.add(
            message, session_id=session, metadata=_metadata(meta), infer=infer, wait=wait, **ids
        )
    if json:
        print_json(result)
    else:
        _say_added(result, wait=wait)


def _metadata(pairs: list[str] | None) -> dict[str, Any] | None:
    if not pairs:
        return None
    split = [pair.partition("=") for pair in pairs]
    for key, equals, _ in split:
        if not key or not equals:
            raise typer.BadParameter("metadata is written KEY=VALUE", param_hint="--meta")
    return {key: value for key, _, value in split}


def _say_added(result: AddResult, *, wait: bool) -> None:
    if result.duplicates:
        say("it was there already", "dim")
    if wait or result.status in ("done", "parked"):
        _say_outcome(result)
    else:
        say(f"kept (job {result.job_id})", "dim")


def _say_outcome(result: AddResult | Job) -> None:
    for change in result.results:
        say(f"{_SIGNS[change.event]} {one_line(change.memory or change.old_memory or '')}", "green")
    if result.status == "parked":
        say("kept, but the extraction failed and is parked: see the runs of this subject", "red")
    elif result.status != "done":
        say(f"kept; the extraction goes on: memgrid job {result.job_id} tells how far it is", "dim")
    elif not result.results:
        say("kept; nothing to remember in it", "dim")


@app.command()
def job(
    job_id: Annotated[str, typer.Argument(help="What an add said.", show_default=False)],
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it is done.")] = False,
    url: Url = None,
    api_key: ApiKey = None,
    json: Json = False,
) -> None:
    """How far an add has come, and the memories that it made."""
    with connect(url, api_key) as client:
        found = client.wait_for_job(job_id) if wait else client.job(job_id)
    if json:
        print_json(found)
    else:
        _say_outcome(found)


@app.command()
def search(
    query: Question,
    user: User = None,
    agent: Agent = None,
    app_id: App = None,
    run: Run = None,
    everyone: Annotated[
        bool, typer.Option("--everyone", help="All of the project.", rich_help_panel="Whose memory")
    ] = False,
    session: Session = None,
    top_k: Annotated[int, typer.Option("--top-k", "-k", min=1, max=1000, help="How many.")] = 10,
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Lowest score.")] = 0.0,
    strategy: Annotated[Strategy, typer.Option(help="How to look.")] = "hybrid",
    only: Annotated[
        ResultType | None, typer.Option("--only", help="Memories or messages.", show_default="both")
    ] = None,
    filters: Annotated[
        str | None, typer.Option("--filter", metavar="JSON", help="Only what passes it.", show_default=False)
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show what each score is made of.")] = False,
    url: Url = None,
    api_key: ApiKey = None,
    json: Json = False,
) -> None:
    """Find what fits a question, best first.

    \b
    memgrid search "他喜欢什么运动？" --user zhangsan
    memgrid search "allergies" --user lilei --only memory -k 3 --explain
    memgrid search "who plays badminton?" --everyone
    memgrid search "trips" --user lilei --filter '{"created_at": {"gte": "2026-01-01"}}'
    """
    if everyone and (user or agent or app_id or run):
        raise typer.BadParameter("--everyone names nobody")
    ids = Whose() if everyone else whose(user, agent, app_id, run)
    with connect(url, api_key) as client:
        found = client.search(
            query,
            everyone=everyone,
            session_id=session,
            top_k=top_k,
            threshold=threshold,
            strategy=strategy,
            types=[only] if only else None,
            filters=_filters(filters),
            explain=explain,
            **ids,
        )
    if json:
        print_json(found)
        return
    others = any(hit.subject for hit in found.results)
    rows = [
        [
            f"{hit.score:.3f}",
            hit.type,
            moment(hit.event_time or hit.created_at),
            hit.content,
            *([hit.subject or ""] if others else []),
            *([_parts(hit.explain)] if explain else []),
        ]
        for hit in found.results
    ]
    columns = ["score", "what", "when", "text"]
    columns += [*(["whose"] if others else []), *(["made of"] if explain else [])]
    print_table(columns, rows, empty="nothing found")
    if found.degraded:
        typer.echo(f"without: {', '.join(found.degraded)}", err=True)


def _filters(written: str | None) -> dict[str, Any] | None:
    if written is None:
        return None
    try:
        read: object = loads(written)
    except JSONDecodeError as error:
        raise typer.BadParameter(f"no JSON: {error}", param_hint="--filter") from error
    if not isinstance(read, dict):
        raise typer.BadParameter("a filter is a JSON object", param_hint="--filter")
    return cast("dict[str, Any]", read)


def _parts(explain: dict[str, float] | None) -> str:
    return " ".join(f"{name}={value:.3f}" for name, value in (explain or {}).items())


@app.command()
def context(
    message: Annotated[str, typer.Argument(help="What the next turn is about.")] = "",
    user: User = None,
    agent: Agent = None,
    app_id: App = None,
    run: Run = None,
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", min=1, help="Room for the block.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="At most so many memories.")] = 3,
    language: Annotated[Literal["zh", "en"] | None, typer.Option(help="Of the block's own words.")] = None,
    listed: Annotated[
        bool, typer.Option("--plain/--sections", help="A list of memories, or profile, events, facts, …")
    ] = True,
    template: Annotated[
        str | None,
        typer.Option(help="With {profile}, {events}, {facts}, {summary}, {recent}.", show_default=False),
    ] = None,
    since: When = None,
    until: When = None,
    url: Url = None,
    api_key: ApiKey = None,
    json: Json = False,
) -> None:
    """The block of text to put into a prompt before answering MESSAGE.

    \b
    memgrid context "周末有什么活动推荐？" --user zhangsan
    memgrid context "Any plans?" --user lilei --sections --since 2026-11-01
    """
    ids = whose(user, agent, app_id, run)
    with connect(url, api_key) as client:
        block = client.context(
            message=message,
            max_tokens=max_tokens,
            limit=limit,
            language=language,
            plain=listed,
            template=template,
            since=since,
            until=until,
            **ids,
        )
    if json:
        print_json(block)
    else:
        say(block.context)


@app.command()
def profile(
    user: User = None,
    agent: Agent = None,
    app_id: App = None,
    run: Run = None,
    url: Url = None,
    api_key: ApiKey = None,
    json: Json = False,
) -> None:
    """Who a user is, from memories and messages.

    \b
    memgrid profile --user zhangsan
    """
    ids = whose(user, agent, app_id, run)
    with connect(url, api_key) as client:
        known = client.profile(**ids)
    if json:
        print_json(known)
        return
    say(known.profile_summary, "bold")
    if known.key_interests:
        say("interests: " + ", ".join(known.key_interests))
    say(f"memories: {known.total_memories}")
    rows = [
        [topic, subtopic, entry.content]
        for topic, subtopics in known.topics.items()
        for subtopic, entries in subtopics.items()
        for entry in entries
    ]
    if rows:
        print_table(["topic", "subtopic", "text"], rows, empty="")


@app.command("list")
def list_memories(
    user: User = None,
    agent: Agent = None,
    app_id: App = None,
    run: Run = None,
    kind: Annotated[MemoryKind | None, typer.Option("--kind", help="Only these.")] = None,
    everything: Annotated[bool, typer.Option("--all-versions", help="Superseded memories too.")] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="At most so many.", show_default="all")
    ] = None,
    url: Url = None,
    api_key: ApiKey = None,
    json: Json = False,
) -> None:
    """All memories of a subject, newest first.

    \b
    memgrid list --user zhangsan --kind profile
    memgrid list --user zhangsan --json | jq -r '.[].memory'
    """
    ids = whose(user, agent, app_id, run)
    memories: list[MemoryOut] = []
    with connect(url, api_key) as client:
        for memory in client.list(kinds=[kind] if kind else None, latest_only=not everything, **ids):
            memories.append(memory)
            if len(memories) == limit:
                break
    if json:
        print_json(memories)
        return
    rows = [[m.id, m.kind, m.profile_type or m.topic or "", moment(m.updated_at), m.memory] for m in memories]
    print_table(["id", "kind", "about", "updated", "text"], rows, empty="no memories")


@app.command()
def get(memory_id: MemoryId, url: Url = None, api_key: ApiKey = None, json: Json = False) -> None:
    """One memory, with all that is known about it."""
    with connect(url, api_key) as client:
        memory = client.get(memory_id)
    if json:
        print_json(memory)
        return
    say(memory.memory, "bold")
    for field, value in memory.model_dump(mode="json", exclude={"memory"}, exclude_defaults=True).items():
        say(f"{field}: {value if isinstance(value, str) else plain(str(value))}")


@app.command()
def history(memory_id: MemoryId, url: Url = None, api_key: ApiKey = None, json: Json = False) -> None:
    """Every change of one memory, oldest first."""
    with connect(url, api_key) as client:
        changes = client.history(memory_id)
    if json:
        print_json(changes)
        return
    rows = [
        [moment(c.at), c.event, c.actor, c.old_memory or "", c.new_memory or "", c.reason or ""]
        for c in changes
    ]
    print_table(["when", "what", "by", "before", "after", "why"], rows, empty="no changes")


@app.command()
def delete(
    memory_ids: Annotated[
        list[str] | None, typer.Argument(help="Ids of memories.", metavar="[ID]...", show_default=False)
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All memories of --user (…); the messages stay.")
    ] = False,
    user: User = None,
    agent: Agent = None,
    app_id: App = None,
    run: Run = None,
    yes: Yes = False,
    url: Url = None,
    api_key: ApiKey = None,
    json: Json = False,
) -> None:
    """Forget memories: by id, or all of a subject.

    \b
    memgrid delete 0193a1c2-…
    memgrid delete --all --user zhangsan
    """
    if everything == bool(memory_ids):
        raise typer.BadParameter("give ids, or --all with --user")
    with connect(url, api_key) as client:
        if everything:
            ids = whose(user, agent, app_id, run)
            _confirm(yes, f"Forget all memories of {_names(ids)}?")
            count = client.delete_all(**ids)
        else:
            for memory_id in memory_ids or ():
                client.delete(memory_id)
            count = len(memory_ids or ())
    if json:
        print_json({"count": count})
    else:
        say(f"forgotten: {count}")


@app.command()
def erase(
    user: User = None,
    agent: Agent = None,
    app_id: App = None,
    run: Run = None,
    yes: Yes = False,
    url: Url = None,
    api_key: ApiKey = None,
    json: Json = False,
) -> None:
    """Forget everything of a user, for good: messages, memories, profile, runs."""
    ids = whose(user, agent, app_id, run)
    _confirm(yes, f"Forget everything of {_names(ids)}, for good?")
    with connect(url, api_key) as client:
        erased = client.erase(**ids)
    if json:
        print_json(erased)
    else:
        say(f"erased: {erased.memories} memories, {erased.messages} messages")


def _names(ids: Whose) -> str:
    return ", ".join(str(name) for name in ids.values() if name)


def _confirm(yes: bool, question: str) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidInput("nobody is there to confirm it", remedy="say --yes")
    typer.confirm(question, abort=True, err=True)


@app.command()
def health(url: Url = None, api_key: ApiKey = None, json: Json = False) -> None:
    """Whether the server and each of its components is well; exit code 1 when it is not."""
    with connect(url, api_key) as client:
        state = client.health()
        address = client.base_url
    if json:
        print_json(state)
    else:
        say(f"{address}: {state.overall}", "green" if state.overall == "healthy" else "red")
        rows = [
            [name, component.status, f"{component.latency:.1f} ms", component.error or ""]
            for name, component in state.components.items()
        ]
        print_table(["component", "status", "latency", "error"], rows, empty="no components")
    if state.overall == "unhealthy":
        raise typer.Exit(1)
