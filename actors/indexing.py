"""Telling the search index, and what becomes of that while the index is away.

The ack never waits for the index, and no add fails with it. What an index that is away has not been told is
owed: kept here by ids, in bounds, and delivered when it is back. Before anything is owed, a row of the wide
store says that the shard's index is behind. So what does not fit here, and what dies with this process, is
found again by putting the whole shard (`actors/reindex.py`); external versions make that harmless.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple, TypeVar

from actors.reindex import Refill, documents_of, put_all, reindex_subject
from actors.resident import Residents
from cluster.logs import get_log
from cluster.search_index.behind import DONE, Behind, read_behind, write_behind
from cluster.search_index.imported import Imported, bell, unput, write_put
from cluster.search_index.port import IndexDocument, IndexQuery, Proposed, SearchIndex
from cluster.wide_store.port import StaleRevision, WideStore
from memgrid.errors import MemgridError
from memgrid.subject import Subject, shard_of

_log = get_log()
_T = TypeVar("_T")

_CHECK_SECONDS = 5.0
"""How soon an index that was lost, or is away, is noticed when nobody uses it, and an import that ended."""
_AWAY_SECONDS = 1.0
"""How soon one that is back is noticed."""
MAX_OWED = 100_000
"""Units and deletions kept by id; beyond it whole shards are put again."""
MAX_UNCLEAN = 500
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
        on_imported: Callable[[], None] = lambda: None,
    ) -> None:
        """`shards` of `of` shards are this owner's; `model` names the embeddings; `on_imported` is told when
        an import has brought something into them."""
        self._store = store
        self._index = index
        self._residents = residents
        self._shards = frozenset(shards)
        self._of = of
        self._model = model
        self._on_imported = on_imported
        self._units: OrderedDict[Subject, dict[str, None]] = OrderedDict()
        self._gone: deque[_Gone] = deque()
        self._owed = 0
        self._refill: set[int] = set()
        """Shards to put again as a whole."""
        self._unclean: dict[int, frozenset[Subject] | None] = {}
        """By shard, subjects of which the index may hold what is gone; None: any of them."""
        self._imported: dict[int, Imported] = {}
        """By shard, what an import has brought and is to be put."""
        self._bell: str | None = None
        """As it was last looked at."""
        self._deleting: Counter[Subject] = Counter()
        """Subjects with a commit under way that deletes something."""
        self._rows: dict[int, Behind] = {}
        """What the store's rows say of these shards, where it says that they are behind."""
        self._marking = asyncio.Lock()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._checked = 0.0
        self._listened = 0.0
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

    def knows(self, subject: Subject) -> bool:
        """Whether the index has been told what there is of the subject, but for the last minutes perhaps."""
        shard = self._shard(subject)
        behind = (self._refill, self._unclean, self._imported, self._rows)
        filled = self._checked and self.down is None and not any(shard in each for each in behind)
        return bool(filled) and subject not in self._units

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
            await self._mark(self._shard(subject), Behind())
            self._owe_units(subject, (document.id for document in documents))

    def change(self, subject: Subject, ids: Iterable[str]) -> None:
        """These units have changed, and what is embedded of them has not."""
        self._owe_units(subject, ids)
        self._wake.set()

    @asynccontextmanager
    async def deleting(self, subject: Subject) -> AsyncGenerator[None]:
        """Around a commit that deletes something: should this process die before the index is told, the
        next owner of the shard knows which subject to look at."""
        shard = self._shard(subject)
        async with self._marking:
            await self._mark(shard, _unclean(subject))
            self._deleting[subject] += 1
        try:
            yield
        except StaleRevision:
            raise
        except BaseException:
            self._suspect(shard, [subject])  # it may have landed all the same
            raise
        finally:
            self._deleting[subject] -= 1
            if not self._deleting[subject]:
                del self._deleting[subject]
            self._wake.set()

    def forget(self, subject: Subject, generation: int, gone: tuple[tuple[str, int], ...]) -> None:
        """Remove (id, version) pairs from the index; no pairs: all below `generation`.

        Hydration keeps what is forgotten out of every answer meanwhile.
        """
        if self._owed + len(gone) >= MAX_OWED:
            self._drop_details()
        self._gone.append(_Gone(subject, generation, gone))
        self._owed += max(1, len(gone))
        self._wake.set()

    async def search(self, query: IndexQuery) -> Proposed:
        """Ask the index. Raises what the index raises, and is `down` then until it answers again."""
        return await self._ask(self._index.search(query))

    # the background

    async def _run(self) -> None:
        known = False
        told = False
        while True:
            pause = _CHECK_SECONDS
            try:
                if not known:
                    await self._recall()
                    known = True
                await self._round()
                await self._listen()
                if told:
                    _log.info("index is back", owed=self._owed)
                told = False
            except MemgridError as error:
                self.failures += 1
                pause = _AWAY_SECONDS
                if not told:
                    _log.warning("index is away", error=error.message, retry_seconds=pause)
                told = True
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
        if (self._refill or self._unclean or self._imported) and self._filling is None:
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
        imported = dict(self._imported)
        try:
            for shard in sorted(self._refill | self._unclean.keys()):
                whole = shard in self._refill
                unclean = self._unclean.get(shard, frozenset[Subject]())
                self._refill.discard(shard)
                self._unclean.pop(shard, None)
                try:
                    if not whole:
                        await self._ask(refill.clean(shard, unclean))
                    elif await self._ask(refill.shard(shard, clean=unclean)):
                        await self._ask(self._index.set_filled([shard]))
                    else:
                        empty.append(shard)
                except BaseException:
                    if whole:
                        self._refill.add(shard)
                    if unclean is None or unclean:
                        self._suspect(shard, unclean)
                    raise
            await self._ask(self._index.set_filled(empty))
            # of a shard where nobody is named all was put above
            named = [subject for arrived in imported.values() for subject in arrived.subjects or ()]
            await self._ask(refill.subjects(named))
            for shard, arrived in imported.items():
                await write_put(self._store, shard, arrived.id)
                if self._imported.get(shard) is arrived:
                    del self._imported[shard]
            _log.info("index filled", documents=refill.documents)
        except MemgridError as error:
            self.failures += 1
            _log.warning("filling the index delayed", error=error.message)
            await asyncio.sleep(_AWAY_SECONDS)
        finally:
            self._filling = None
            self._wake.set()

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
        return not (self._units or self._gone or self._refill or self._unclean or self._imported)

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
            self._suspect(self._shard(each.subject), [each.subject])
        self._units.clear()
        self._gone.clear()
        self._owed = 0

    def _suspect(self, shard: int, subjects: Iterable[Subject] | None) -> None:
        """The index may hold of these what is gone; None: of any of the shard."""
        known = self._unclean.get(shard, frozenset[Subject]())
        both = None if known is None or subjects is None else known.union(subjects)
        self._unclean[shard] = None if both is not None and len(both) > MAX_UNCLEAN else both

    # the rows that outlive this process

    async def _record_owed(self) -> None:
        """Say in the wide store what of it is behind; if the store is away as well, the next round tries."""
        owed = {shard: Behind(whole=False, unclean=unclean) for shard, unclean in self._unclean.items()}
        for shard in (*map(self._shard, self._units), *self._refill):
            owed[shard] = owed.get(shard, DONE).united(Behind())
        for each in self._gone:
            shard = self._shard(each.subject)
            owed[shard] = owed.get(shard, DONE).united(_unclean(each.subject))
        try:
            async with self._marking:
                for shard, behind in owed.items():
                    await self._mark(shard, behind)
        except MemgridError as error:
            _log.warning("what the index is owed is not recorded", error=error.message)

    async def _mark(self, shard: int, behind: Behind) -> None:
        """For who holds `_marking`."""
        known = self._rows.get(shard, DONE)
        wanted = known.united(behind)
        if wanted.unclean is not None and len(wanted.unclean) > MAX_UNCLEAN:
            wanted = Behind(whole=wanted.whole, unclean=None)
        if wanted != known:
            await write_behind(self._store, shard, wanted)
            self._rows[shard] = wanted

    async def _clear_marks(self) -> None:
        if not self._rows:
            return
        async with self._marking:
            if self._nothing_owed() and self._filling is None and not self._deleting:
                for shard in list(self._rows):
                    await write_behind(self._store, shard, DONE)
                    del self._rows[shard]

    async def _listen(self) -> None:
        """Whether an import has ended since it was last looked."""
        if time.monotonic() - self._listened < _CHECK_SECONDS:
            return
        self._listened = time.monotonic()
        try:
            rung = await bell(self._store)
            if rung != self._bell:
                self._expect(await unput(self._store, self._shards))
                self._bell = rung
        except MemgridError as error:
            _log.warning("imports were not looked for", error=error.message)

    def _expect(self, imported: Mapping[int, Imported]) -> None:
        self._imported |= imported
        self._refill |= {shard for shard, arrived in imported.items() if arrived.subjects is None}
        if imported:
            self._wake.set()
            self._on_imported()

    async def _recall(self) -> None:
        """What an earlier owner of these shards died owing, and imports have brought meanwhile."""
        self._bell = await bell(self._store)
        self._expect(await unput(self._store, self._shards))
        for shard in sorted(self._shards):
            behind = await read_behind(self._store, shard)
            if not behind.behind:
                continue
            self._rows[shard] = self._rows.get(shard, DONE).united(behind)
            if behind.whole:
                self._refill.add(shard)
            if behind.unclean is None or behind.unclean:
                self._suspect(shard, behind.unclean)


def _unclean(subject: Subject) -> Behind:
    return Behind(whole=False, unclean=frozenset([subject]))
