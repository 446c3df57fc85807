"""Recall over HTTP: real conversations go in as a client would send them, and each labelled question is asked
once. `python -m benchmarks.retrieval --data DIR [--url http://127.0.0.1:8005]`

The metric is that of `benchmarks.datasets`: results in rank order, each expanded into the messages it comes
from, the first k distinct turns. Without --url a server is started for the run. `--keep` leaves the users
there; a second run with it sends everything again and changes nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.datasets import DATASETS, Conversation, DatasetName, load, recall
from benchmarks.server import Server
from memgrid import AsyncMemgrid
from memgrid.models import Strategy

CUTOFFS = (1, 3, 5, 10, 20)
STRATEGIES: tuple[Strategy, ...] = ("full_text", "vector", "hybrid")
_RESULTS = 50
_BATCH = 200
_AT_A_TIME = 8


def user_of(dataset: DatasetName, conversation: Conversation) -> str:
    return f"recall-{dataset}-{conversation.user}"


async def ingest(client: AsyncMemgrid, dataset: DatasetName, conversation: Conversation) -> dict[str, str]:
    """Send every message; the turn of each by the server's id. Raises when one is not there afterwards."""
    user = user_of(dataset, conversation)
    for start in range(0, len(conversation.messages), _BATCH):
        by_session: dict[str, list[dict]] = {}
        for said in conversation.messages[start : start + _BATCH]:
            by_session.setdefault(said.session, []).append(
                {
                    "id": said.id,
                    "role": said.role,
                    "name": said.name,
                    "content": said.content,
                    "timestamp": said.time.isoformat(),
                }
            )
        for session, messages in by_session.items():
            await client.add(messages, user_id=user, session_id=session)
    turn_of = {said.id: said.turn for said in conversation.messages}
    stored = [message async for message in client.messages(user_id=user)]
    if len(stored) != len(conversation.messages):
        raise SystemExit(f"{user}: sent {len(conversation.messages)} messages, {len(stored)} are there")
    return {message.id: turn_of[message.client_id or ""] for message in stored}


async def embedded(client: AsyncMemgrid, users: Sequence[str], seconds: float = 1800) -> None:
    """Wait until everything of these users is extracted and can be found by its meaning."""
    async with asyncio.timeout(seconds):
        for user in users:
            await client.process(user_id=user)
            while (await client.buffer(user_id=user)).embedding_backlog:  # noqa: ASYNC110 - over HTTP
                await asyncio.sleep(1)


async def ask(
    client: AsyncMemgrid,
    dataset: DatasetName,
    conversations: Sequence[tuple[Conversation, dict[str, str]]],
    strategy: Strategy,
) -> list[float]:
    """Mean recall at each cut-off."""
    gate = asyncio.Semaphore(_AT_A_TIME)

    async def one(conversation: Conversation, turns: dict[str, str], text: str, evidence: frozenset[str]):
        async with gate:
            found = await client.search(
                text, user_id=user_of(dataset, conversation), strategy=strategy, top_k=_RESULTS
            )
        ranked = [[turns[i] for i in hit.message_ids if i in turns] for hit in found.results]
        return recall(ranked, evidence, CUTOFFS)

    rows = await asyncio.gather(
        *(
            one(conversation, turns, question.text, question.evidence)
            for conversation, turns in conversations
            for question in conversation.questions
        )
    )
    return [sum(column) / len(rows) for column in zip(*rows, strict=True)]


async def run(url: str, data: Path, *, keep: bool) -> None:
    console = Console()
    async with AsyncMemgrid(url, timeout=300) as client:
        loaded: dict[DatasetName, list[tuple[Conversation, dict[str, str]]]] = {}
        for dataset in DATASETS:
            loaded[dataset] = [
                (conversation, await ingest(client, dataset, conversation))
                for conversation in track(load(dataset, data), description=f"{dataset} in", console=console)
            ]
        users = [user_of(dataset, c) for dataset, rows in loaded.items() for c, _ in rows]
        console.print("waiting for extraction and embeddings")
        await embedded(client, users)
        for dataset, rows in loaded.items():
            count = sum(len(conversation.questions) for conversation, _ in rows)
            table = Table("strategy", *(f"@{k}" for k in CUTOFFS), title=f"{dataset}, {count} questions")
            for strategy in STRATEGIES:
                values = await ask(client, dataset, rows, strategy)
                table.add_row(strategy, *(f"{value:.3f}" for value in values))
            console.print(table)
        if not keep:
            for user in users:
                await client.erase(user)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the folder with the data sets")
    parser.add_argument("--url", help="a running memgrid; one is started if this is left out")
    parser.add_argument("--keep", action="store_true", help="do not erase the users afterwards")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        url = arguments.url
        if url is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            url = stack.enter_context(Server(Path(folder))).url
        asyncio.run(run(url, arguments.data, keep=arguments.keep))


if __name__ == "__main__":
    main()
