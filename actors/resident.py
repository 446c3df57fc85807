"""A subject that its owner holds in memory, and the set of them: activation, validation, eviction."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeVar

import msgspec

from cluster.buffer_events import Item
from cluster.model import Head, Memory, Message, Run
from cluster.pipeline.known_index import KnownIndex
from cluster.profile import MessageStats
from cluster.retrieval.filters import Filter, parse_filter
from cluster.retrieval.hot_subject import HotSubject
from cluster.retrieval.unit_text import embedding_text
from cluster.wide_store.port import Loaded, StoredVector, Vector, WideStore
from memgrid.subject import Subject

T = TypeVar("T")
_Messages = Sequence[tuple[Message, StoredVector | None]]
_Page = tuple[_Messages, str | None]
"""Messages, newest first, and where the next page begins."""

_PAGE = 1000
_HELD_BACK_SECONDS = 0.5
_PIECE = 250
"""Units taken up at a time: some milliseconds' work, between which others are served."""


class Resident:
    """One subject in memory: its head, its hot data, and how far both have followed the store."""

    def __init__(self, subject: Subject, loaded: Loaded, dimension: int) -> None:
        self.subject = subject
        self.head: Head = loaded.head
        self.tail = loaded.tail
        self.hot = HotSubject(dimension)
        self.pending: set[str] = {message.id for message in loaded.pending}
        self.parked: dict[str, Run] = {run.id: run for run in loaded.parked}
        self.position = 0
        """Counts every change that an answer could show; with the revision it keys the caches."""
        self.complete = True
        """Whether every message is hot; if not, older ones are found through the search index."""
        self._known: KnownIndex | None = None
        self.stats: MessageStats | None = None
        """Of all messages; None until a profile asks, and after a deletion."""
        self.writing = asyncio.Lock()
        """Held from reading the head to applying a commit: this owner never competes with itself."""
        self.waiting = 0
        """Changes that wait for `writing`, or hold it."""
        self.pins = 0
        self._following: asyncio.Task[None] | None = None
        self._queued: asyncio.Task[None] | None = None

    @property
    def known(self) -> KnownIndex:
        """The memories as merging looks them up."""
        if self._known is None:
            self._known = KnownIndex(self.hot.memories())
        return self._known

    def touch(self) -> None:
        """Something that answers show has changed."""
        self.position += 1

    def put_messages(self, messages: Iterable[Message]) -> list[Message]:
        """Take up messages that are durable; those that were not known before are returned."""
        fresh = [message for message in messages if self.hot.message(message.id) is None]
        if fresh:
            self.hot.put_messages((message, None) for message in fresh)
            if self.stats is not None:
                for message in fresh:
                    self.stats.observe(message)
            self.touch()
        return fresh

    def apply(
        self, head: Head, put: Iterable[Memory], gone: Iterable[str], marks: Mapping[str, tuple[str, ...]]
    ) -> None:
        """Take up a commit of this owner that has landed."""
        self.head = head
        for memory in put:
            self.hot.put_memory(memory, None)
            if self._known is not None:
                self._known.put(memory)
        for unit in gone:
            self.hot.remove(unit)
            if self._known is not None:
                self._known.remove(unit)
        for message_id, marked in marks.items():
            if (message := self.hot.message(message_id)) is not None:
                self.hot.replace_message(msgspec.structs.replace(message, marks=marked))
        self.touch()

    def forget_known(self) -> None:
        """The memories are about to be read anew."""
        self._known = None

    def settle(self, run: Run) -> None:
        """Take up a run that has landed: its messages are no longer pending."""
        self.pending.difference_update(run.input_ids)
        if run.status == "parked":
            self.parked[run.id] = run
        else:
            self.parked.pop(run.id, None)

    @property
    def nbytes(self) -> int:
        """Bytes this subject takes up in the cache."""
        return self.hot.nbytes

    async def follow(self, read: Callable[[], Awaitable[None]]) -> None:
        """Run `read`, which catches up with the store, shared by all who ask while it has not begun.

        A read that has begun may miss what was written since, so late-comers wait for the next one.
        """
        if self._queued is None:
            self._queued = asyncio.create_task(self._follow_next(self._following, read))
        await asyncio.shield(self._queued)

    async def _follow_next(
        self, running: asyncio.Task[None] | None, read: Callable[[], Awaitable[None]]
    ) -> None:
        if running is not None:
            await asyncio.wait([running])
        self._following, self._queued = self._queued, None
        await read()


class Read(NamedTuple):
    """What was read of a subject to take it up."""

    loaded: Loaded
    vectors: Mapping[str, StoredVector]
    """Of memories."""
    newest: _Messages
    """Messages, newest first: a page of them."""


class _Loading:
    """A subject that is being taken up."""

    task: asyncio.Task[None]

    def __init__(self) -> None:
        self.read: asyncio.Future[Read] = asyncio.get_running_loop().create_future()
        self.early = 0
        """Who does not wait for it."""
        self.go_on = asyncio.Event()
        self.go_on.set()


class Residents:
    """The subjects held in memory, least recently used first out, bounded in bytes."""

    def __init__(
        self,
        store: WideStore,
        *,
        model: str,
        dimension: int,
        max_bytes: int,
        position: Callable[[], int],
        on_loaded: Callable[[Resident, tuple[Item, ...], int], None],
        on_appended: Callable[[Resident, tuple[Item, ...]], None],
        on_activated: Callable[[Resident], Awaitable[None]],
        on_dropped: Callable[[Resident, bool], bool],
    ) -> None:
        self._store = store
        self._model = model
        self._dimension = dimension
        self._max_bytes = max_bytes
        self._position = position
        self._on_loaded = on_loaded
        self._on_appended = on_appended
        self._on_activated = on_activated
        self._on_dropped = on_dropped
        self._residents: OrderedDict[Subject, Resident] = OrderedDict()
        self._loading: dict[Subject, _Loading] = {}
        self._bytes: dict[Subject, int] = {}
        self._total = 0
        self.activations = 0
        self.evictions = 0

    def __len__(self) -> int:
        return len(self._residents)

    @property
    def nbytes(self) -> int:
        return self._total

    def peek(self, subject: Subject) -> Resident | None:
        """The resident if there is one, without activating or following it."""
        return self._residents.get(subject)

    def filter_of(self, subject: Subject, filters: Mapping[str, Any] | None) -> Filter:
        """A filter of what the subject holds. Raises InvalidInput."""
        return parse_filter(filters or {}, {"tenant_id": subject.tenant, "embedding_model": self._model})

    @asynccontextmanager
    async def use(self, subject: Subject, *, fresh: bool) -> AsyncGenerator[Resident]:
        """The subject, activated if need be and not evicted meanwhile; `fresh` follows the store first,
        so that what any other owner has acknowledged is seen."""
        # Activation ends before we run again: by then another subject may have pushed this one out.
        while (resident := self._residents.get(subject)) is None:
            # A load that was under way may have missed what was acknowledged before this use began.
            fresh = not await self._activate(subject) and fresh
        resident.pins += 1
        try:
            if fresh:
                await self.follow(resident)
            if subject in self._residents:
                self._residents.move_to_end(subject)
            yield resident
        finally:
            resident.pins -= 1
            self._account(resident)

    @asynccontextmanager
    async def early(self, subject: Subject) -> AsyncGenerator[Read | None]:
        """What was read of a subject that is not ready, for who does not wait for that; None once it is, or
        when it cannot be read. Meanwhile it is not taken up any further, for half a second at most."""
        if subject in self._residents:
            yield None
            return
        loading = self._begin(subject)
        loading.early += 1
        loading.go_on.clear()
        try:
            await asyncio.wait([loading.task, loading.read], return_when=asyncio.FIRST_COMPLETED)
            yield None if loading.task.done() else loading.read.result()
        finally:
            loading.early -= 1
            if not loading.early:
                loading.go_on.set()

    async def bring(self, resident: Resident, message_ids: Iterable[str]) -> None:
        """Take up these messages, with their vectors, of a subject that does not hold all of its own."""
        missing = [id_ for id_ in message_ids if resident.hot.message(id_) is None]
        if not missing:
            return
        messages = await self._store.get_messages(resident.subject, missing)
        there = [message.id for message in messages]
        stored = await self._store.message_vectors(resident.subject, self._model, there)
        vectors = {each.id: each.vector for each in stored}
        resident.hot.put_messages((message, vectors.get(message.id)) for message in messages)

    async def settled_among(self, subject: Subject, message_ids: Sequence[str]) -> set[str]:
        """Those of these messages that an extraction run has settled."""
        if not message_ids:
            return set()
        return {id for run in await self._store.runs_of(subject, message_ids) for id in run.input_ids}

    async def follow(self, resident: Resident) -> None:
        """Catch up with the store: messages and commits that another owner may have added."""
        await resident.follow(lambda: self._catch_up(resident))

    async def reload(self, resident: Resident) -> None:
        """Read the subject anew into `resident`, for a caller that holds its `writing`: another owner has
        committed. First everything is read and then everything applied, so that nobody sees half of it."""
        subject = resident.subject
        as_of = self._position()
        before = set(resident.pending)
        held = {message.id for message in resident.hot.messages()}
        loaded = await self._store.load(subject)
        anew = loaded.head.generation != resident.head.generation
        if anew:
            before.update(resident.pending)
            held.clear()
        # Messages that another owner appended and settled are in no `loaded.pending`.
        page = await self._store.tail(subject, loaded.tail if anew else resident.tail)
        pending = {message.id: message for message in loaded.pending}
        appended = resident.pending - before
        settled = await self.settled_among(
            subject,
            [m.id for m in page.messages if m.id not in pending and (m.id not in held or m.id in appended)],
        )
        deleted = set[str]() if anew else await self._deleted_messages(resident)

        pending.update(
            (m.id, m) for m in page.messages if m.id not in settled and (m.id not in held or m.id in appended)
        )
        appended = resident.pending - before - settled  # by this owner, while the store was being read
        resident.head = loaded.head
        resident.tail = page.tail
        resident.parked = {run.id: run for run in loaded.parked}
        resident.forget_known()
        if anew:
            resident.hot = HotSubject(self._dimension)
        known = {memory.id: memory for memory in resident.hot.memories()}
        current = {memory.id for memory in loaded.memories}
        for memory in loaded.memories:
            if known.get(memory.id) != memory:
                resident.hot.put_memory(memory, None)
        for gone in (known.keys() - current) | deleted:
            resident.hot.remove(gone)
        resident.stats = None
        resident.put_messages(pending.values())
        resident.put_messages(page.messages)
        resident.pending = pending.keys() | appended
        resident.touch()
        self._on_loaded(resident, items_of(pending.values()), as_of)
        await self._on_activated(resident)

    def drop(self, subject: Subject) -> None:
        """Forget the subject's memory image; the next use reads it anew."""
        self._residents.pop(subject, None)
        self._total -= self._bytes.pop(subject, 0)

    async def _deleted_messages(self, resident: Resident) -> set[str]:
        """Hot messages that the store no longer has."""
        ids = [message.id for message in resident.hot.messages()]
        deleted: set[str] = set()
        for start in range(0, len(ids), _PAGE):
            page = ids[start : start + _PAGE]
            there = {message.id for message in await self._store.get_messages(resident.subject, page)}
            deleted.update(id for id in page if id not in there)
        return deleted

    async def _catch_up(self, resident: Resident) -> None:
        while True:
            page = await self._store.tail(resident.subject, resident.tail)
            if _differs(page.head, resident.head):
                async with resident.writing:
                    # A commit of our own may have been on its way: only a head that still differs is foreign.
                    page = await self._store.tail(resident.subject, resident.tail)
                    if _differs(page.head, resident.head):
                        await self.reload(resident)
                        return
            new = [message.id for message in page.messages if resident.hot.message(message.id) is None]
            # A tail may bring what was seen before, and is no longer hot.
            settled = await self.settled_among(resident.subject, new)
            if not _differs(page.head, resident.head):
                break
        resident.tail = page.tail
        fresh = [m for m in resident.put_messages(page.messages) if m.id not in settled]
        if fresh:
            resident.pending.update(message.id for message in fresh)
            self._on_appended(resident, items_of(fresh))
        if new:
            await self._on_activated(resident)

    async def _activate(self, subject: Subject) -> bool:
        """Whether the load began now: one under way may be older than what the caller has seen."""
        began = subject not in self._loading
        await asyncio.shield(self._begin(subject).task)
        return began

    def _begin(self, subject: Subject) -> _Loading:
        loading = self._loading.get(subject)
        if loading is None:
            loading = self._loading[subject] = _Loading()
            loading.task = asyncio.create_task(self._load(subject, loading))
            loading.task.add_done_callback(lambda _: self._loading.pop(subject, None))
        return loading

    async def _load(self, subject: Subject, loading: _Loading) -> None:
        as_of = self._position()
        loaded = await self._store.load(subject)
        vectors, newest = await asyncio.gather(
            self._vectors_of(subject, loaded), self._newest_messages(subject, None)
        )
        loading.read.set_result(Read(loaded, vectors, newest[0]))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_HELD_BACK_SECONDS):
                await loading.go_on.wait()
        resident = Resident(subject, loaded, self._dimension)
        await self._take_up_memories(resident, loaded, vectors)
        pages = await self._read_messages(resident, newest)
        # What another owner appended since is taken up from the tail, where it is seen to be pending.
        late = {message.id for message in (await self._store.tail(subject, loaded.tail)).messages}
        for page in reversed(pages):
            rows = [(m, s.vector if s else None) for m, s in reversed(page) if m.id not in late]
            for piece in _pieces(rows):
                resident.hot.put_messages(piece)
                await asyncio.sleep(0)
        resident.put_messages(loaded.pending)
        resident.pins += 1
        self._residents[subject] = resident
        try:
            self.activations += 1
            self._on_loaded(resident, items_of(loaded.pending), as_of)
            await self._on_activated(resident)
            if late:
                await self.follow(resident)
            self._account(resident)
        finally:
            resident.pins -= 1

    async def _vectors_of(self, subject: Subject, loaded: Loaded) -> dict[str, StoredVector]:
        if not loaded.memories:
            return {}
        return {vector.id: vector for vector in await self._store.memory_vectors(subject, self._model)}

    async def _take_up_memories(
        self, resident: Resident, loaded: Loaded, vectors: Mapping[str, StoredVector]
    ) -> None:
        for piece in _pieces(loaded.memories):
            resident.hot.put_memories((m, vector_of(m, vectors.get(m.id))) for m in piece)
            await asyncio.sleep(0)

    async def _read_messages(self, resident: Resident, newest: _Page) -> list[_Messages]:
        """Pages of messages, newest first, until the subject's eighth of the cache is full."""
        pages: list[_Messages] = []
        room = self._max_bytes // 8 - resident.hot.nbytes
        page, before = newest
        while True:
            pages.append(page)
            room -= sum(len(message.content) * 2 + 1500 for message, _ in page)
            if before is None:
                break
            if room <= 0:
                resident.complete = False
                break
            page, before = await self._newest_messages(resident.subject, before)
        return pages

    async def _newest_messages(self, subject: Subject, before: str | None) -> _Page:
        return await self._store.recent_messages(subject, self._model, before=before, limit=_PAGE)

    def _account(self, resident: Resident) -> None:
        subject = resident.subject
        if self._residents.get(subject) is not resident:
            return
        size = resident.nbytes
        self._total += size - self._bytes.get(subject, 0)
        self._bytes[subject] = size
        # Those that wait for embeddings go last: their backlog is found again when they are next used.
        for with_backlog in (False, True):
            if self._total <= self._max_bytes:
                return
            self._evict(resident, with_backlog=with_backlog)

    def _evict(self, spared: Resident, *, with_backlog: bool) -> None:
        excess = self._total - self._max_bytes
        victims: list[Subject] = []
        for candidate in self._residents.values():
            if excess <= 0:
                break
            if candidate.pins == 0 and candidate is not spared:
                if not self._on_dropped(candidate, with_backlog):
                    continue
                victims.append(candidate.subject)
                excess -= self._bytes.get(candidate.subject, 0)
        for subject in victims:
            self.drop(subject)
            self.evictions += 1


def _pieces(units: Sequence[T]) -> Iterator[Sequence[T]]:
    return (units[start : start + _PIECE] for start in range(0, len(units), _PIECE))


def items_of(messages: Iterable[Message]) -> tuple[Item, ...]:
    """Messages as the buffer counts them; those kept word for word are taken at once."""
    return tuple(Item(message.id, message.tokens, not message.infer) for message in messages)


def vector_of(memory: Memory, stored: StoredVector | None) -> Vector | None:
    """The stored vector, unless it was made of an earlier text."""
    if stored is None or stored.content_hash != content_hash(embedding_text(memory)):
        return None
    return stored.vector


def content_hash(text: str) -> bytes:
    """What a stored vector was made of."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _differs(stored: Head, known: Head) -> bool:
    return stored.revision != known.revision or stored.generation != known.generation
