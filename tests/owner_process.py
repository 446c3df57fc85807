"""An owner in a process of its own, to be killed: `python -m tests.owner_process <folder> <variant>`.

It reads one call a line from stdin and writes one reply a line to stdout, in JSON. Variants:

    real              as it is
    append-after-ack  `append` returns at once, and writes 50 ms later: the defect that the checker must find
    die-after-append, die-before-commit, die-after-commit
                      kills itself (SIGKILL) at that point of the first add whose text says so
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cluster.logs import configure_logs
from cluster.model import Changes, Head, Message
from cluster.settings import Settings
from cluster.wide_store.sqlite import SqliteStore
from memgrid.operations import OPERATIONS
from memgrid.subject import Subject
from tests.owners import Asking, running_owner

SUBJECT = Subject("default", "user", "li")
DEADLY = "deadly"
"""A message with this word in it makes the variants kill themselves."""


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class LateStore(SqliteStore):
    """The defect: it says that the messages are kept before they are."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._late: set[asyncio.Task[bool]] = set()

    async def append(self, subject: Subject, generation: int, messages: Sequence[Message]) -> bool:
        async def later() -> bool:
            await asyncio.sleep(0.05)
            return await super(LateStore, self).append(subject, generation, messages)

        task = asyncio.create_task(later())
        self._late.add(task)
        task.add_done_callback(self._late.discard)
        return True


class DeadlyStore(SqliteStore):
    """Kills its process at a point of the work on a deadly message."""

    def __init__(self, path: Path, point: str) -> None:
        super().__init__(path)
        self._point = point
        self._deadly: set[str] = set()

    async def append(self, subject: Subject, generation: int, messages: Sequence[Message]) -> bool:
        kept = await super().append(subject, generation, messages)
        self._deadly.update(m.id for m in messages if DEADLY in m.content)
        if self._deadly and self._point == "die-after-append":
            die()
        return kept

    async def commit(self, subject: Subject, head: Head, changes: Changes) -> Head:
        deadly = any(self._deadly.intersection(run.input_ids) for run in changes.runs)
        if deadly and self._point == "die-before-commit":
            die()
        after = await super().commit(subject, head, changes)
        if deadly and self._point == "die-after-commit":
            die()
        return after


def store_of(folder: Path, variant: str) -> SqliteStore:
    """The store of a variant."""
    if variant == "real":
        return SqliteStore(folder)
    if variant == "append-after-ack":
        return LateStore(folder)
    return DeadlyStore(folder, variant)


async def serve(folder: Path, variant: str) -> None:
    """Answer calls until stdin ends. Each is answered when it is done, in any order."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    store = store_of(folder, variant)
    await store.open(shards=4)
    async with running_owner(store=store, buffer_idle_seconds=0.02) as ask, asyncio.TaskGroup() as calls:
        print(json.dumps({"ready": True}), flush=True)
        while line := await reader.readline():
            calls.create_task(answer(ask, json.loads(line)))


async def answer(ask: Asking, call: dict[str, Any]) -> None:
    """One call and its reply."""
    model = OPERATIONS[call["operation"]][0].model_validate(call["fields"])
    ok, reply = await ask.owner.call(
        call["operation"],
        (SUBJECT.tenant, SUBJECT.kind, SUBJECT.id),
        call["request_id"],
        model.model_dump_json(exclude_unset=True).encode(),
    )
    print(json.dumps({"id": call["request_id"], "ok": ok, "reply": json.loads(reply)}), flush=True)


if __name__ == "__main__":
    configure_logs(Settings())  # to stderr: stdout is for replies
    asyncio.run(serve(Path(sys.argv[1]), sys.argv[2]))
