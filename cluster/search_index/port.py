"""The search index: derived, disposable. It proposes ids; what is true is read from the wide store.

It serves what an owner does not hold hot: messages older than the cache, cold subjects while they warm,
and searches across the subjects of a tenant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from cluster.model import Labels, Millis
from memgrid.errors import InternalError
from memgrid.subject import Subject

IndexedKind = Literal["memory", "message"]
OLDER_VECTORS: Final = "older_vectors"
"""What an answer lacks when the vectors of what was written long ago were not compared (`Proposed.cut`)."""
FOREVER: Final = (1 << 42) - 1
"""The version of a deletion that nothing outlives: a message is never changed, so its version is a time."""


class IndexDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One memory or message as the index knows it."""

    id: str
    kind: IndexedKind
    text: str
    version: int
    """The revision (memory) or arrival time (message), below FOREVER: an older version never replaces a
    newer one."""
    generation: int
    labels: Labels = {}
    session: str | None = None
    created_at: Millis = 0
    attributes: Mapping[str, Any] = {}
    """Values by their key in the filter DSL, those of `narrowing.ATTRIBUTES`."""
    metadata: Mapping[str, Any] = {}
    vector: NDArray[np.float32] | None = None


class IndexQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A search within one tenant; `subject` or at least one label narrows it further, unless the whole
    tenant is asked for by that name."""

    tenant: str
    whole_tenant: bool = False
    subject: Subject | None = None
    labels: Labels = {}
    kinds: tuple[IndexedKind, ...] = ("memory", "message")
    session: str | None = None
    filters: Mapping[str, Any] | None = None
    """A filter (`cluster.retrieval.filters`) that hits have to pass later: an index may use it to propose
    what is likelier to pass, and never leaves out what would."""
    text: str | None = None
    vector: NDArray[np.float32] | None = None
    limit: int = 100


class IndexHit(msgspec.Struct, frozen=True):
    """Only an id: the caller hydrates it from the wide store, and drops what it cannot hydrate."""

    subject: Subject
    id: str
    kind: IndexedKind
    text_score: float | None
    """BM25 (higher is better), None when only the vector found it."""
    vector_score: float | None
    """Cosine, None when only the words found it."""


class Proposed(msgspec.Struct, frozen=True):
    """What a search proposes."""

    hits: Sequence[IndexHit]
    """The best by words and the best by vector, united; their order means nothing."""
    cut: bool = False
    """Whether there were more vectors than are compared: those of what was written long ago were not."""


class Filling(msgspec.Struct, frozen=True):
    """How far the index has been filled."""

    filled: frozenset[int]
    """Those shards of which everything has been put since the index was made."""
    rebuilding: bool
    """Whether the index is being made anew, by whoever called `begin_rebuild`."""


class RefusedDocuments(InternalError):
    """The index does not take these documents, now or later; all others of the same put are in it."""

    def __init__(self, refused: Sequence[tuple[str, str]]) -> None:
        """`refused` are pairs of an id and a reason."""
        super().__init__(
            f"the search index refuses {len(refused)} documents, the first because: {refused[0][1]}"
        )
        self.ids = tuple(id_ for id_, _ in refused)


class SearchIndex(Protocol):
    """Full text and vectors over everyone's memories and messages.

    Everything may raise `Unavailable` or `Overloaded`, and may be called again then.
    """

    async def open(self) -> None:
        """Connect and create what is missing; a damaged or outdated index is dropped and made anew."""
        ...

    async def close(self) -> None: ...

    async def put(self, subject: Subject, documents: Sequence[IndexDocument]) -> None:
        """Add or replace; idempotent; an older `version` or `generation` than the stored one is ignored."""
        ...

    async def delete(self, subject: Subject, generation: int, ids: Sequence[tuple[str, int]]) -> None:
        """Remove (id, version) pairs; a late `put` with a version up to the given one stays out."""
        ...

    async def delete_subject(self, subject: Subject, generation: int) -> None:
        """Remove everything of the subject that has a generation below `generation`."""
        ...

    async def search(self, query: IndexQuery) -> Proposed:
        """The best `limit` by words and the best `limit` by vector (`fusion.fused` puts them in order)."""
        ...

    async def count(self, subject: Subject) -> int:
        """How many documents the index holds of a subject."""
        ...

    async def listed(
        self, subject: Subject, *, cursor: str | None = None, limit: int = 1000
    ) -> tuple[Sequence[tuple[str, IndexedKind]], str | None]:
        """(id, kind) of the subject's documents of its current generation, and the next cursor."""
        ...

    # filling it

    async def filling(self, shards: Iterable[int]) -> Filling:
        """Which of these shards are known to be complete. The marks are in the index itself: one that was
        lost is made anew here, and has none."""
        ...

    async def set_filled(self, shards: Iterable[int]) -> None:
        """Everything of these shards has been put."""
        ...

    async def begin_rebuild(self) -> None:
        """Start an index beside the one in use, with no shard filled; called again it goes on with that.

        From here on writes go to the new one, and searches see both.
        """
        ...

    async def end_rebuild(self) -> None:
        """The new index is complete: it takes over, and the old one is gone."""
        ...

    async def ping(self) -> None: ...
