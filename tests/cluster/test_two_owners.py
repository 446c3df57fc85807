"""Two shard actors that both believe they own the same subjects, in a real Ray."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
from ray.exceptions import RayError

from actors.shard_actor import ShardActor
from cluster.ids import new_id
from cluster.settings import Settings
from memgrid.errors import error_from_code
from memgrid.models import ErrorDetail
from memgrid.operations import OPERATIONS
from memgrid.subject import Subject

pytestmark = [pytest.mark.ray, pytest.mark.timeout(240)]
USERS = [Subject("default", "user", f"user{n}") for n in range(4)]
ROUNDS = 12


@pytest.fixture(scope="module")
def owners(folder: Path) -> Iterator[list[Any]]:
    # Loopback only, as `memgrid serve` has it; before Ray reads its environment.
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    ray.init(include_dashboard=False, namespace="two-owners", log_to_driver=False)
    settings = Settings.model_validate(
        {
            "data_dir": folder,
            "shards": 4,
            "buffer_idle_seconds": 0.1,
            "extraction_backoff_seconds": 0.05,
        }
    )
    actor = ray.remote(ShardActor).options(num_cpus=0, max_concurrency=200)
    yield [actor.remote(settings, 0, name) for name in ("first", "second")]
    ray.shutdown()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("two-owners")


@pytest.fixture(scope="module")
def store_file(folder: Path) -> Path:
    return folder / "store-0.sqlite"


async def stand_still(pid: int, store_file: Path) -> None:
    """SIGSTOP, but not inside a transaction: SQLite's lock would stand still with it."""
    async with asyncio.timeout(30):
        while True:
            os.kill(pid, signal.SIGSTOP)
            while psutil.Process(pid).status() != psutil.STATUS_STOPPED:  # noqa: ASYNC110 - the kernel's condition
                await asyncio.sleep(0.001)
            try:
                connection = sqlite3.connect(store_file, timeout=0)
                with contextlib.closing(connection):
                    connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError:
                os.kill(pid, signal.SIGCONT)
                await asyncio.sleep(0.01)


async def ask(owner: Any, operation: str, subject: Subject, **fields: Any) -> Any:
    request, answer = OPERATIONS[operation]
    body = request.model_validate(fields).model_dump_json(exclude_unset=True).encode()
    ok, reply = await owner.call.remote(operation, tuple(subject), new_id(), body)
    if ok:
        return answer.model_validate_json(reply)
    detail = ErrorDetail.model_validate_json(reply)
    raise error_from_code(detail.code, detail.message, field=detail.field)


async def add(owner: Any, subject: Subject, fact: str, **fields: Any) -> None:
    message = {"content": f"I like {fact}."}
    await ask(owner, "add", subject, messages=[message], user_id=subject.id, **fields)


class Traffic:
    """One client that goes to either owner, whichever; what it has written it must read from both."""

    def __init__(self, owners: list[Any], subject: Subject, name: str) -> None:
        self.owners = owners
        self.subject = subject
        self.name = name
        self.facts: set[str] = set()
        self.variables: dict[str, str] = {}

    async def go(self) -> None:
        for n in range(ROUNDS):
            one, other = self.owners if n % 2 else self.owners[::-1]
            fact = f"soup {self.name}n{n}q"
            await add(one, self.subject, fact, wait=n % 4 == 3, idempotency_key=f"{self.name}-{n}")
            self.facts.add(fact)
            await self.sees(other, fact)
            # A repeat that goes to the other owner changes nothing.
            await add(other, self.subject, fact, idempotency_key=f"{self.name}-{n}")
            await self.edits(one, other, n)

    async def sees(self, owner: Any, fact: str) -> None:
        word = fact.split()[1]
        found = await ask(owner, "search", self.subject, query=word, strategy="full_text", top_k=5)
        assert any(word in hit.content for hit in found.results), f"{fact} is not found by the other owner"

    async def edits(self, one: Any, other: Any, n: int) -> None:
        name = f"{self.name}-{n % 3}"
        self.variables[name] = str(n)
        await ask(one, "set_variables", self.subject, variables={name: str(n)})
        assert (await ask(other, "variables", self.subject)).variables[name] == str(n)
        if n % 5 == 4:
            gone = f"soup {self.name}n{n}gone"
            await add(one, self.subject, gone)
            page = await ask(other, "messages", self.subject, limit=5, newest_first=True)
            ids = [m.id for m in page.messages if gone in m.content]
            if not ids:  # many write at once: it is further back
                page = await ask(other, "messages", self.subject, limit=1000)
                ids = [m.id for m in page.messages if gone in m.content]
            assert len(ids) == 1
            await ask(other, "delete_messages", self.subject, ids=ids, memories=True)
            found = await ask(one, "search", self.subject, query=f"{self.name}n{n}gone", strategy="full_text")
            assert not any(gone in hit.content for hit in found.results if hit.type == "message")


async def quiet(owner: Any, subject: Subject) -> None:
    async with asyncio.timeout(60):
        while (buffer := await ask(owner, "buffer_status", subject)).message_ids or buffer.running:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def check(owner: Any, subject: Subject, facts: set[str], variables: dict[str, str]) -> None:
    """Once each: every message, every extraction's effect, every edit."""
    await quiet(owner, subject)
    messages = (await ask(owner, "messages", subject, limit=1000)).messages
    assert Counter(m.content for m in messages) == Counter(f"I like {fact}." for fact in facts)
    memories = (await ask(owner, "list_memories", subject, limit=1000)).memories
    likes = Counter(m.memory for m in memories if m.kind != "variable" and "gone" not in m.memory)
    assert likes == Counter(f"User likes {fact}" for fact in facts)
    assert (await ask(owner, "variables", subject)).variables == variables
    runs = (await ask(owner, "runs", subject, limit=1000)).runs
    assert {run.status for run in runs} <= {"done"}
    inputs = Counter(i for run in runs for i in run.message_ids)
    assert not [i for i, times in inputs.items() if times > 1], "messages in two runs"
    assert {m.id for m in messages} <= inputs.keys(), "messages in no run"


async def test_two_owners_at_once_lose_and_double_nothing(owners: list[Any]) -> None:
    traffic = [Traffic(owners, user, f"{user.id}c{c}") for user in USERS for c in range(2)]
    async with asyncio.TaskGroup() as clients:
        for each in traffic:
            clients.create_task(each.go())
    for user in USERS:
        mine = [each for each in traffic if each.subject == user]
        facts = set[str]().union(*(each.facts for each in mine))
        variables = {name: value for each in mine for name, value in each.variables.items()}
        for owner in owners:
            await check(owner, user, facts, variables)


async def test_late_writes_of_an_orphan_do_no_harm(owners: list[Any], store_file: Path) -> None:
    """One owner stands still in the middle of its work, the other goes on, and then the first one wakes."""
    user = Subject("default", "user", "orphan")
    orphan, other = owners
    pid = await orphan.pid.remote()
    facts = {f"soup start{n}q" for n in range(5)}
    await asyncio.gather(*(add(orphan, user, fact) for fact in facts))
    late = {f"soup late{n}q" for n in range(20)}
    held = [asyncio.ensure_future(add(orphan, user, fact)) for fact in late]
    await asyncio.wait(held, return_when=asyncio.FIRST_COMPLETED)
    await stand_still(pid, store_file)
    try:
        middle = {f"soup middle{n}q" for n in range(10)}
        for fact in middle:
            await add(other, user, fact, wait=True)
        await ask(other, "set_variables", user, variables={"who": "other"})
    finally:
        os.kill(pid, signal.SIGCONT)
    await asyncio.gather(*held)
    for owner in owners:
        await check(owner, user, facts | late | middle, {"who": "other"})


async def test_what_was_erased_while_an_owner_stood_still_stays_erased(
    owners: list[Any], store_file: Path
) -> None:
    user = Subject("default", "user", "erased")
    orphan, other = owners
    pid = await orphan.pid.remote()
    await add(orphan, user, "soup beforeq")
    await stand_still(pid, store_file)
    try:
        await ask(other, "erase", user)
        await add(other, user, "soup afterq")
    finally:
        os.kill(pid, signal.SIGCONT)
    await add(orphan, user, "soup againq")
    for owner in owners:
        await check(owner, user, {"soup afterq", "soup againq"}, {})


async def test_a_killed_owner_leaves_its_messages_to_the_other(owners: list[Any]) -> None:
    user = Subject("default", "user", "left")
    dying, other = owners
    # The other one has seen the subject before the messages came.
    assert (await ask(other, "buffer_status", user)).message_ids == []
    facts = {f"soup left{n}q" for n in range(10)}
    await asyncio.gather(*(add(dying, user, fact) for fact in facts))
    os.kill(await dying.pid.remote(), signal.SIGKILL)
    with pytest.raises(RayError):
        await dying.pid.remote()
    await check(other, user, facts, {})
