"""A conversation in, memories out: `make demo`.

Uses the memgrid at MEMGRID_URL, or else the one at 127.0.0.1:8005, or else starts one of its own with a
data folder that is gone afterwards. What it adds belongs to users that it makes up, and is erased.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import httpx
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from memgrid import Memgrid
from tests.cluster.server import Server

DEFAULT_URL = "http://127.0.0.1:8005"


class Story(NamedTuple):
    """What is said, first and later, and what is asked about it."""

    user: str
    first: list[dict[str, str]]
    later: list[dict[str, str]]
    questions: tuple[str, ...]
    next_turn: str


def _said(*texts: str) -> list[dict[str, str]]:
    roles = ("user", "assistant")
    return [{"role": roles[at % 2], "content": text} for at, text in enumerate(texts)]


STORIES = (
    Story(
        "zhangsan",
        _said(
            "我叫张三，我喜欢打羽毛球",
            "你好张三！平时在哪里打球？",
            "我住在杭州，在一家银行做工程师。对了，我对花生过敏",
            "好的，我记住了。",
        ),
        _said("我上个月搬到北京了"),
        ("他喜欢什么运动？", "他住在哪里？"),
        "晚饭吃什么好？",
    ),
    Story(
        "lilei",
        _said(
            "My name is Li Lei, I live in Hangzhou and I'm allergic to peanuts.",
            "Nice to meet you! What do you do?",
            "I work as a nurse. I like hiking, and I have a cat called Momo.",
        ),
        _said("I moved to Beijing."),
        ("Where does he live?", "what pet does he have?"),
        "Where should we have dinner?",
    ),
)


@contextmanager
def memgrid_url(console: Console) -> Generator[str]:
    """The address of a memgrid that runs: the caller's, or one that ends with this block."""
    named = os.environ.get("MEMGRID_URL")
    if named is not None or _answers(DEFAULT_URL):
        yield named or DEFAULT_URL
        return
    with tempfile.TemporaryDirectory(prefix="memgrid-demo-") as folder:
        server = Server(Path(folder))
        with console.status("no memgrid runs here: starting one for the demo"):
            server.start()
        try:
            yield server.url
        finally:
            with console.status("stopping it"):
                server.stop()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/ready", timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def tell(console: Console, client: Memgrid, story: Story) -> None:
    """One user's story, and what memgrid makes of it."""
    user = f"demo-{story.user}-{uuid4().hex[:8]}"
    try:
        _add(console, client, user, story.first, "first conversation")
        _add(console, client, user, story.later, "later")
        _memories(console, client, user)
        for question in story.questions:
            _search(console, client, user, question)
        console.print(Panel(client.profile(user).profile_summary, title="profile", title_align="left"))
        # The text around the memories is in the language of the question.
        language = "en" if story.next_turn.isascii() else "zh"
        block = client.context(user, story.next_turn, max_tokens=200, language=language)
        title = f"context for: {story.next_turn} ({block.tokens} tokens)"
        console.print(Panel(block.context, title=title, title_align="left"))
    finally:
        gone = client.erase(user)
        console.print(f"[dim]erased {gone.messages} messages and {gone.memories} memories[/]\n")


def _add(console: Console, client: Memgrid, user: str, messages: list[dict[str, str]], session: str) -> None:
    console.rule(f"{user}: {session}", align="left")
    for message in messages:
        console.print(f"[bold]{message['role']:>9}[/]  {message['content']}")
    started = time.perf_counter()
    added = client.add(messages, user_id=user, session_id=session, wait=True)
    took = (time.perf_counter() - started) * 1000
    for change in added.results:
        was = f"  [dim](was: {change.old_memory})[/]" if change.old_memory else ""
        console.print(f"[green]{change.event:>9}[/]  {change.memory}{was}")
    console.print(f"[dim]kept and extracted in {took:.0f} ms[/]")


def _memories(console: Console, client: Memgrid, user: str) -> None:
    table = Table("memory", "topic", "type", "valid until", title="memories", title_justify="left")
    for memory in client.list(user_id=user, latest_only=False):
        until = f"{memory.valid_to:%Y-%m-%d}, superseded" if memory.valid_to else ""
        topic = f"{memory.topic}/{memory.subtopic}" if memory.topic else ""
        style = "dim strike" if memory.superseded_by else ""
        table.add_row(memory.memory, topic, memory.profile_type or memory.kind, until, style=style)
    console.print(table)


def _search(console: Console, client: Memgrid, user: str, question: str) -> None:
    started = time.perf_counter()
    found = client.search(question, user_id=user, top_k=3)
    took = (time.perf_counter() - started) * 1000
    title = f"search: {question} ({took:.0f} ms)"
    table = Table("score", "", "found", title=title, title_justify="left")
    for hit in found.results:
        table.add_row(f"{hit.score:.2f}", hit.type, hit.content)
    console.print(table)


def main() -> None:
    """Tell the stories."""
    console = Console()
    with memgrid_url(console) as url, Memgrid(url, api_key=os.environ.get("MEMGRID_API_KEY")) as client:
        console.print(f"memgrid at {url}\n")
        for story in STORIES:
            tell(console, client, story)


if __name__ == "__main__":
    main()
