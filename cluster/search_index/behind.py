"""Shards whose search index lacks or keeps something: a plain row each, which outlives its owner."""

from __future__ import annotations

import msgspec

from cluster.wide_store.port import WideStore
from memgrid.subject import Subject

INDEX_BEHIND = "index_behind"
"""The table of these rows; the key is the shard's number."""


class Behind(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done about a shard before its index is what the store says."""

    behind: bool = True
    """False once it was done: a row is never removed."""
    whole: bool = True
    """Everything of the shard has to be put."""
    unclean: frozenset[Subject] | None = frozenset()
    """Subjects of which the index may hold what is gone; None: any of the shard."""

    def united(self, other: Behind) -> Behind:
        """Both."""
        if not other.behind:
            return self
        if not self.behind:
            return other
        unclean = None
        if self.unclean is not None and other.unclean is not None:
            unclean = self.unclean | other.unclean
        return Behind(whole=self.whole or other.whole, unclean=unclean)


DONE = Behind(behind=False, whole=False)


async def read_behind(store: WideStore, shard: int) -> Behind:
    """What an earlier owner of the shard left."""
    row = await store.get_row(INDEX_BEHIND, str(shard))
    return DONE if row is None else msgspec.convert(row, Behind)


async def write_behind(store: WideStore, shard: int, behind: Behind) -> None:
    """Last writer wins."""
    await store.put_row(INDEX_BEHIND, str(shard), msgspec.to_builtins(behind))
