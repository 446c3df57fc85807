"""A search of a large subject that no owner holds yet: what the index names is ranked while it is taken up.

Taking up ten thousand memories is some hundred milliseconds' work, more on a busy machine; reading them is a
part of that. So the index proposes, and what it proposes is taken from the rows that were just read, together
with all that is so new that the index may not know it: a search sees every acknowledged write, here too.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import numpy as np
from numpy.typing import NDArray

from actors.indexing import Indexing
from actors.resident import Read, Resident, Residents, vector_of
from cluster.ids import Clock
from cluster.logs import get_log
from cluster.search_index.port import IndexQuery
from cluster.wide_store.port import WideStore
from memgrid.errors import MemgridError
from memgrid.models import SearchQuery
from memgrid.subject import Subject

_log = get_log()
WARMING: Final = "warming"
"""What such an answer says of itself: only what the index named, and what is new, was ranked."""
_LARGE: Final = 1000
"""Memories and messages from which on it is worth it; fewer are taken up sooner than the index answers."""
_PROPOSALS: Final = 100
_AT_MOST: Final = 1000
"""Of what is ranked so: taking up more is no less work than taking up everything."""
_LATELY_MS: Final = 10 * 60_000
"""What is younger is ranked whether the index names it or not: it knows things within seconds as a rule, and
where that takes longer, it is known to be behind."""


class ColdSearch:
    """Finds candidates of subjects that are being taken up."""

    def __init__(
        self,
        *,
        store: WideStore,
        residents: Residents,
        indexing: Indexing,
        dimension: int,
        clock: Clock,
    ) -> None:
        self._store = store
        self._residents = residents
        self._indexing = indexing
        self._dimension = dimension
        self._clock = clock

    @asynccontextmanager
    async def read_of(self, subject: Subject, query: SearchQuery) -> AsyncGenerator[Read | None]:
        """What was read of a subject that is worth searching before it is ready; else None.

        Filters may leave out all that the index names, pages go on from all there is, and a long list wants
        more than it names: they wait.
        """
        waits = query.filters or query.cursor is not None or query.top_k > _PROPOSALS // 2
        if waits or not self._indexing.knows(subject):
            yield None
            return
        async with self._residents.early(subject) as read:
            large = read is not None and len(read.loaded.memories) + len(read.newest) >= _LARGE
            yield read if large else None

    async def candidates(
        self, subject: Subject, read: Read, query: SearchQuery, vector: NDArray[np.float32] | None
    ) -> Resident | None:
        """A subject with only what may be among the best; None when that cannot be known."""
        try:
            found = await self._indexing.search(
                IndexQuery(
                    tenant=subject.tenant,
                    subject=subject,
                    session=query.session_id,
                    text=None if query.strategy == "vector" and vector is not None else query.query,
                    vector=vector,
                    limit=_PROPOSALS,
                )
            )
        except MemgridError as error:
            _log.warning("a cold subject is not searched before it is ready", error=error.message)
            return None
        loaded = read.loaded
        page = await self._store.tail(subject, loaded.tail)
        if page.head.revision != loaded.head.revision or page.head.generation != loaded.head.generation:
            return None  # what was read is no longer so
        resident = Resident(subject, loaded, self._dimension)
        named = {hit.id for hit in found.hits}
        since = self._clock() - _LATELY_MS
        messages = [each for each in read.newest if each[0].id in named or each[0].created_at >= since]
        # what was said often is named in all its copies: the memory that stands for them comes along
        shown = named.union(message.id for message, _ in messages)
        memories = [
            m
            for m in loaded.memories
            if m.id in named or m.updated_at >= since or not shown.isdisjoint(m.sources)
        ]
        if len(memories) + len(messages) > _AT_MOST:
            return None  # so much is new that nothing would be gained
        resident.hot.put_memories((m, vector_of(m, read.vectors.get(m.id))) for m in memories)
        resident.hot.put_messages((m, None if stored is None else stored.vector) for m, stored in messages)
        resident.put_messages(loaded.pending)
        late = [message.id for message in page.messages if message.id not in resident.pending]
        resident.pending.update(set(late) - await self._residents.settled_among(subject, late))
        resident.put_messages(page.messages)
        await self._residents.bring(resident, (hit.id for hit in found.hits if hit.kind == "message"))
        return resident
