"""The rounds of a shard actor when the store fails in the middle of one."""

from __future__ import annotations

from pathlib import Path

from cluster.wide_store.port import Loaded
from cluster.wide_store.sqlite import SqliteStore
from memgrid.errors import Unavailable
from memgrid.subject import Subject, shard_of
from tests.owners import running_owner

LI = Subject("default", "user", "li")


class FlakyStore(SqliteStore):
    """Cannot load subjects while it is `down`."""

    down = True

    async def load(self, subject: Subject) -> Loaded:
        if self.down:
            raise Unavailable("scripted")
        return await super().load(subject)


async def test_a_round_that_could_not_load_a_subject_is_not_complete(tmp_path: Path) -> None:
    async with running_owner(folder=tmp_path, buffer_idle_seconds=3600) as ask:
        await ask.add(LI, "I live in Hangzhou")
    store = FlakyStore(tmp_path)
    await store.open(shards=4)
    shard = shard_of(LI, 4)
    async with running_owner(store=store, buffer_idle_seconds=3600) as ask:
        assert not await ask.owner.sweep.resume()
        assert await store.swept_through(shard) == 0
        assert not await ask.owner.sweep.clean_up()

        store.down = False
        assert await ask.owner.sweep.resume()
        assert await store.swept_through(shard) == 0, "its message still waits for extraction"
        await ask("process", LI)
        assert await ask.owner.sweep.resume()
        assert await store.swept_through(shard) > 0
        assert await ask.owner.sweep.clean_up()
