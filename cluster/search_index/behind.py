"""Shards whose search index lacks something: a plain row each, which their owner reads when it starts."""

from __future__ import annotations

from collections.abc import Iterable

from cluster.wide_store.port import WideStore
from memgrid.subject import Subject, shard_of

INDEX_BEHIND = "index_behind"
"""The table of these rows; the key is the shard's number."""


async def mark_behind(store: WideStore, subjects: Iterable[Subject]) -> None:
    """Have the index filled with these subjects, which come into the store behind their owners' backs."""
    shards = (await store.info()).shards
    for shard in sorted({shard_of(subject, shards) for subject in subjects}):
        row = await store.get_row(INDEX_BEHIND, str(shard))
        if row is None or not row["behind"]:
            await store.put_row(INDEX_BEHIND, str(shard), {"behind": True, "unclean": []})
