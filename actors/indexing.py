"""Telling the search index, and what becomes of that while the index is away.

The ack never waits for the index, and no add fails with it. What an index that is away has not been told is
owed: kept here by ids, in bounds, and delivered when it is back. Before anything is owed, a row of the wide
store says that the shard's index is behind. So what does not fit here, and what dies with this process, is
found again by putting the whole shard (`actors/reindex.py`); external versions make that harmless.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from actors.reindex import Refill, documents_of, put_all, reindex_subject
from actors.resident import Residents
from cluster.logs import get_log
from cluster.search_index.behind import INDEX_BEHIND
from cluster.search_index.port import IndexDocument, IndexHit, IndexQuery, SearchIndex
from cluster.wide_store.port import WideStore
from memgrid.errors import MemgridError
from memgrid.subject import Subject, shard_of

_log = get_log()
_T = TypeVar("_T")

_CHECK_SECONDS = 5.0
"""How soon an index that was lost, or is away, is noticed when nobody uses it."""
_AWAY_SECONDS = 1.0
"""How soon one that is back is noticed."""
MAX_OWED = 100_000
"""Units and deletions kept by id; beyond it whole shards are put again."""
MAX_UNCLEAN = 2_000
"""Subjects of one shard that are remembered to have lost documents; beyond it every subject is compared."""
_BATCH = 200


class _Gone(NamedTuple):
    subject: Subject
    generation: int
    ids: tuple[tuple[str, int], ...]
    """Pairs of an id and a version; none: everything below `generation`."""


class Indexing:
    """What one owner tells the search index about its shards."""

    def __init__(
        self,
        store: WideStore,
        index: SearchIndex,
        residents: Residents,
        *,
        shards: Sequence[int],
        of: int,
        model: str,
    ) -> None:
        """`shards` of `of` shards are this owner's; `model` names the embeddings."""
        self._store = store
        self._index = index
        self._residents = residents
        self._shards = frozenset(shards)
        self._of = of
        self._model = model
        self._units: OrderedDict[Subject, dict[str, None]] = OrderedDict()
        self._gone: deque[_Gone] = deque()
        self._owed = 0
        self._refill: set[int] = set()
        """Shards to put again as a whole."""
        self._unclean: dict[int, set[Subject] | None] = {}
        """By shard, subjects of which the index may hold what is gone; None: any of them."""
        self._rows: dict[int, set[Subject] | None] = {}
        """Shards whose row says that they are behind, and the unclean subjects it names; None: any."""
        self._marking = asyncio.Lock()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._checked = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self._filling: asyncio.Task[None] | None = None
        self.down: str | None = None
        """Why the index cannot be used; None when it can, as far as is known."""
        self.failures = 0
        self.refused = 0
        """Documents that the index does not take."""

    @property
    def owed(self) -> int:
        """Units and deletions that the index has not been told."""
        return self._owed

    def start(self) -> None:
        """Find out what an earlier process owed, and begin the background work."""
        self._tasks = [asyncio.create_task(self._run())]

    async def close(self) -> None:
        """Stop; what is owed then is put again by the next owner of the shard."""
        tasks = [*self._tasks, *([self._filling] if self._filling else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def settled(self) -> None:
        """Wait until nothing is owed and every shard is filled."""
        while True:
            self._idle.clear()
            if self._checked and self._nothing_owed() and not (self._rows or self.down or self._filling):
                return
            self._wake.set()
            await self._idle.wait()

    # what is told

    async def tell(self, subject: Subject, documents: Sequence[IndexDocument]) -> None:
        """Put these into the index, or remember that they are owed.

        When it returns, the index or the wide store knows. Raises Unavailable when neither does.
        """
        if self.down is None:
            try:
                await self._ask(self._put(subject, documents))
                return
            except MemgridError:
                pass
        async with self._marking:
            await self._mark(self._shard(subject), set())
            self._owe_units(subject, (document.id for document in documents))

    def forget(self, subject: Subject, generation: int, gone: tuple[tuple[str, int], ...]) -> None:
        """Remove (id, version) pairs from the index; no pairs: all below `generation`.

        Hydration keeps what is forgotten out of every answer meanwhile.
        """
        if self._owed + len(gone) >= MAX_OWED:
            self._drop_details()
        self._gone.append(_Gone(subject, generation, gone))
        self._owed += max(1, len(gone))
        self._wake.set()

    async def search(self, query: IndexQuery) -> Sequence[IndexHit]:
        """Ask the index. Raises what the index raises, and is `down` then until it answers again."""
        return await self._ask(self._index.search(query))

    # the background

    async def _run(self) -> None:
        known = False
        while True:
            pause = _CHECK_SECONDS
            try:
                if not known:
                    await self._recall()
                    known = True
                await self._round()
            except MemgridError as error:
                self.failures += 1
                pause = _AWAY_SECONDS
                _log.warning("index delayed", error=error.message, owed=self._owed, retry_seconds=pause)
                await self._record_owed()
            self._idle.set()
            if self.down is not None or not known:
                await asyncio.sleep(pause)
                continue
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _round(self) -> None:
        self._wake.clear()
        if self.down is not None or time.monotonic() - self._checked >= _CHECK_SECONDS:
            filling = await self._ask(self._index.filling(self._shards))
            self._checked = time.monotonic()
            if not filling.rebuilding:  # whoever makes an index anew fills it
                self._refill |= self._shards - filling.filled
        await self._deliver_gone()
        await self._deliver_units()
        if (self._refill or self._unclean) and self._filling is None:
            self._filling = asyncio.create_task(self._fill())
        await self._clear_marks()

    async def _deliver_gone(self) -> None:
        while self._gone:
            subject, generation, ids = each = self._gone[0]
            if ids:
                await self._ask(self._index.delete(subject, generation, ids))
            else:
                await self._ask(self._index.delete_subject(subject, generation))
            if self._gone and self._gone[0] is each:
                self._gone.popleft()
                self._owed -= max(1, len(ids))

    async def _deliver_units(self) -> None:
        while self._units:
            subject, ids = self._units.popitem(last=False)
            self._owed -= len(ids)
            batch = list(ids)[:_BATCH]
            try:
                resident = self._residents.peek(subject)
                if resident is None:  # evicted since: as it is in the store
                    batch = list(ids)
                    await self._ask(reindex_subject(self._store, self._index, subject, self._model))
                else:
                    await self._ask(self._put(subject, documents_of(resident, batch)))
            except BaseException:
                self._restore(subject, ids)
                raise
            self._restore(subject, ids.keys() - set(batch))

    async def _fill(self) -> None:
        """Put the shards that need it, one after another."""
        refill = Refill(self._store, self._index, self._model)
        empty: list[int] = []
        try:
            for shard in sorted(self._refill | self._unclean.keys()):
                self._refill.discard(shard)
                unclean = self._unclean.pop(shard, set[Subject]())
                try:
                    documents = await self._ask(refill.shard(shard, clean=unclean))
                    if documents:
                        await self._ask(self._index.set_filled([shard]))
                    else:
                        empty.append(shard)
                except BaseException:
                    self._refill.add(shard)
                    if unclean is None or unclean:
                        self._unclean[shard] = None if unclean is None else unclean | self._named(shard)
                    raise
            await self._ask(self._index.set_filled(empty))
            _log.info("index filled", documents=refill.documents)
        except MemgridError as error:
            self.failures += 1
            _log.warning("filling the index delayed", error=error.message)
            await asyncio.sleep(_AWAY_SECONDS)
        finally:
            self._filling = None
            self._wake.set()

    def _named(self, shard: int) -> set[Subject]:
        return self._unclean.get(shard) or set()

    async def _put(self, subject: Subject, documents: Sequence[IndexDocument]) -> None:
        self.refused += await put_all(self._index, subject, documents)

    async def _ask(self, work: Awaitable[_T]) -> _T:
        try:
            answer = await work
        except MemgridError as error:
            self.down = error.message
            self._wake.set()
            raise
        self.down = None
        return answer

    # what is owed

    def _nothing_owed(self) -> bool:
        return not (self._units or self._gone or self._refill or self._unclean)

    def _shard(self, subject: Subject) -> int:
        return shard_of(subject, self._of)

    def _owe_units(self, subject: Subject, ids: Iterable[str]) -> None:
        if self._owed >= MAX_OWED:
            self._drop_details()
        self._restore(subject, ids)

    def _restore(self, subject: Subject, ids: Iterable[str]) -> None:
        fresh = dict.fromkeys(ids)
        if fresh:
            known = self._units.setdefault(subject, {})
            self._owed += len(fresh.keys() - known.keys())
            known.update(fresh)

    def _drop_details(self) -> None:
        """There is no room for more: whole shards will be put again, and some subjects compared."""
        _log.warning("index is far behind: its shards will be filled again", owed=self._owed)
        self._refill.update(map(self._shard, self._units))
        for each in self._gone:
            self._unclean[self._shard(each.subject)] = self._with(self._unclean, each.subject)
        self._units.clear()
        self._gone.clear()
        self._owed = 0

    def _with(self, known: dict[int, set[Subject] | None], subject: Subject) -> set[Subject] | None:
        unclean = known.get(self._shard(subject), set[Subject]())
        if unclean is None or len(unclean) >= MAX_UNCLEAN:
            return None
        return {*unclean, subject}

    # the rows that outlive this process

    async def _record_owed(self) -> None:
        """Say in the wide store what of it is behind; if the store is away as well, the next round tries."""
        owed = self._unclean.copy()
        for shard in (*map(self._shard, self._units), *self._refill):
            owed.setdefault(shard, set())
        for each in self._gone:
            owed[self._shard(each.subject)] = self._with(owed, each.subject)
        try:
            async with self._marking:
                for shard, unclean in owed.items():
                    await self._mark(shard, unclean)
        except MemgridError as error:
            _log.warning("what the index is owed is not recorded", error=error.message)

    async def _mark(self, shard: int, unclean: set[Subject] | None) -> None:
        """For who holds `_marking`."""
        known = self._rows.get(shard, set[Subject]())
        wanted = None if known is None or unclean is None else known | unclean
        if shard in self._rows and wanted == known:
            return
        subjects = None if wanted is None else [list(subject) for subject in wanted]
        await self._store.put_row(INDEX_BEHIND, str(shard), {"behind": True, "unclean": subjects})
        self._rows[shard] = wanted

    async def _clear_marks(self) -> None:
        if not self._rows:
            return
        async with self._marking:
            if self._nothing_owed() and self._filling is None:
                for shard in list(self._rows):
                    await self._store.put_row(INDEX_BEHIND, str(shard), {"behind": False})
                    del self._rows[shard]

    async def _recall(self) -> None:
        """What an earlier owner of these shards died owing."""
        for shard in sorted(self._shards):
            row = await self._store.get_row(INDEX_BEHIND, str(shard))
            if row is None or not row["behind"]:
                continue
            self._refill.add(shard)
            named = row.get("unclean", ())
            subjects = None if named is None else {Subject(*each) for each in named}
            self._rows[shard] = subjects
            if subjects is None or subjects:
                self._unclean[shard] = subjects
