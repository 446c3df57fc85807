"""Real conversations, in both languages, go in over HTTP while searches run: no error, no loss."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator, Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import pytest

from benchmarks.datasets import DATASETS, Conversation, Said, load
from memgrid import AsyncMemgrid, Memgrid
from memgrid.models import MessageOut
from tests.cluster.server import Server

pytestmark = [pytest.mark.ray, pytest.mark.data, pytest.mark.timeout(600)]

AT_A_TIME = 4
"""Users who talk at the same time."""
PIECE = 20
"""Messages in one add: a session comes in pieces, as a chat does."""


class Kept(NamedTuple):
    """What of a message must come back as it was sent."""

    client_id: str | None
    session: str
    role: str
    name: str | None
    content: str
    time: datetime


def sent(said: Said) -> Kept:
    return Kept(said.id, said.session, said.role, said.name, said.content, said.time)


def came_back(message: MessageOut) -> Kept:
    return Kept(
        message.client_id,
        message.session_id,
        message.role,
        message.name,
        message.content,
        message.event_time,
    )


@pytest.fixture(scope="module")
def talks(server: Server, data: Path) -> Generator[dict[str, Conversation]]:
    """Every conversation by the user it is kept for, sent to the server while searches ran."""
    found = {f"{dataset}/{talk.user}": talk for dataset in DATASETS for talk in load(dataset, data)}
    asyncio.run(talk_all_in(server, found))
    yield found
    with Memgrid(server.url) as client:
        for user, talk in found.items():
            assert client.erase(user).messages == len(talk.messages)


@pytest.fixture
async def talking(server: Server) -> AsyncIterator[AsyncMemgrid]:
    async with AsyncMemgrid(server.url, max_retries=0) as client:
        yield client


async def talk_all_in(server: Server, talks: dict[str, Conversation]) -> None:
    """Send all of it, several users at a time, and search meanwhile. An error of either fails it."""
    questions = [(user, question.text) for user, talk in talks.items() for question in talk.questions]
    gate = asyncio.Semaphore(AT_A_TIME)
    done = asyncio.Event()

    async def one(user: str, talk: Conversation) -> None:
        async with gate:
            await talk_in(client, user, talk)

    async with AsyncMemgrid(server.url, max_retries=0) as client, asyncio.TaskGroup() as group:
        searching = group.create_task(search_on(client, questions, done))
        async with asyncio.TaskGroup() as all_talks:
            for user, talk in talks.items():
                all_talks.create_task(one(user, talk))
        done.set()
    assert searching.result() > 20


async def talk_in(client: AsyncMemgrid, user: str, talk: Conversation) -> None:
    """Send a conversation piece by piece; each piece must be readable and found as soon as it is acked."""
    for session, said in groupby(talk.messages, key=lambda one: one.session):
        turns = list(said)
        for start in range(0, len(turns), PIECE):
            piece = turns[start : start + PIECE]
            added = await client.add(
                [
                    {
                        "id": one.id,
                        "role": one.role,
                        "name": one.name,
                        "content": one.content,
                        "timestamp": one.time.isoformat(),
                    }
                    for one in piece
                ],
                user_id=user,
                session_id=session,
            )
            assert len(added.message_ids) == len(piece)
            assert added.duplicates == 0
        newest = await client.messages_page(user_id=user, session_id=session, newest_first=True, limit=1)
        assert came_back(newest.messages[0]) == sent(turns[-1])
        longest = max(turns, key=lambda one: len(set(one.content)))
        found = await client.search(
            longest.content,
            user_id=user,
            session_id=session,
            strategy="full_text",
            types=["message"],
            top_k=3,
        )
        assert longest.content in [hit.content for hit in found.results]


async def search_on(client: AsyncMemgrid, questions: Sequence[tuple[str, str]], done: asyncio.Event) -> int:
    """Ask one question after the other until all is in; how many there were."""
    asked = 0
    while not done.is_set():
        user, question = questions[asked * 37 % len(questions)]
        found = await client.search(question, user_id=user)
        assert found.degraded == []
        assert all(0 <= hit.score <= 1 for hit in found.results)
        asked += 1
    return asked


async def test_nothing_is_lost(talking: AsyncMemgrid, talks: dict[str, Conversation]) -> None:
    assert len(talks) == 21
    for user, talk in talks.items():
        expected = [sent(said) for said in talk.messages]
        assert [came_back(message) async for message in talking.messages(user_id=user)] == expected
        sessions = {one.session_id: one.messages async for one in talking.sessions(user_id=user)}
        assert sessions == {
            session: sum(said.session == session for said in talk.messages)
            for session in {said.session for said in talk.messages}
        }


async def test_sending_it_again_changes_nothing(
    talking: AsyncMemgrid, talks: dict[str, Conversation]
) -> None:
    user, talk = next((user, talk) for user, talk in talks.items() if user.startswith("memorybank-zh"))
    before = [message async for message in talking.messages(user_id=user)]
    batch = await talking.add_batch(
        [
            {
                "user_id": user,
                "session_id": said.session,
                "messages": [{"id": said.id, "role": said.role, "name": said.name, "content": said.content}],
            }
            for said in talk.messages
        ]
    )
    assert batch.failed == 0
    assert all(item.result is not None and item.result.duplicates == 1 for item in batch.results)
    after = [message async for message in talking.messages(user_id=user)]
    assert [message.id for message in after] == [message.id for message in before]


async def test_every_message_is_extracted_and_no_run_is_parked(
    talking: AsyncMemgrid, talks: dict[str, Conversation]
) -> None:
    for user, talk in talks.items():
        await talking.process(user_id=user)
        runs = [run async for run in talking.runs(user_id=user)]
        assert {run.status for run in runs} == {"done"}
        inputs = [message for run in runs for message in run.message_ids]
        assert len(inputs) == len(set(inputs)) == len(talk.messages)
        assert {message.status async for message in talking.messages(user_id=user)} == {"extracted"}


@pytest.mark.parametrize("dataset", sorted(DATASETS))
async def test_its_questions_find_their_evidence(
    talking: AsyncMemgrid, talks: dict[str, Conversation], dataset: str
) -> None:
    """A sample, by words: how well everything is found is for `benchmarks/retrieval.py` to say."""
    hits = asked = 0
    for user, talk in talks.items():
        if not user.startswith(dataset):
            continue
        turn_of = {said.id: said.turn for said in talk.messages}
        client_ids = {m.id: m.client_id async for m in talking.messages(user_id=user)}
        for question in talk.questions[::10]:
            found = await talking.search(question.text, user_id=user, strategy="full_text", top_k=20)
            turns = {turn_of[client_ids[m] or ""] for hit in found.results for m in hit.message_ids}
            hits += bool(turns & question.evidence)
            asked += 1
    assert asked >= 5
    assert hits / asked > 0.5
