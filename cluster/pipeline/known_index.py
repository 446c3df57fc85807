"""What a subject is known to say, by text, slot and value: so that merging looks at few memories.

A subject who has moved a hundred times has one memory of where she lives now, and a hundred superseded ones.
So these are kept apart: found by the messages they rest on, by what has superseded them, and by time.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, Protocol

from cluster.model import Memory, Millis
from cluster.pipeline.paraphrase import gist_of
from cluster.pipeline.port import Candidate

MAX_SOURCES: Final = 64
"""Message ids kept with a memory: the newest; `evidence` counts them all."""

_NOT_TEXT = re.compile(r"[^\w+#]+")
_ARTICLE = re.compile(r"(?:an?|the) ")


def normalise(text: str) -> str:
    """Text as it is compared: NFKC, case-folded, without punctuation; + and # are kept for "C++", "C#"."""
    folded = (text if text.isascii() else unicodedata.normalize("NFKC", text)).casefold()
    return _NOT_TEXT.sub(" ", folded).strip() or folded.strip()


def _normalise_value(value: object) -> str | None:
    if value is None:
        return None
    folded = normalise(str(value))
    return _ARTICLE.sub("", folded, count=1) if _ARTICLE.match(folded) else folded


class ClaimKey(NamedTuple):
    """What a candidate or a memory says, in comparable form."""

    speaker: str | None
    text: str
    topic: str | None
    subtopic: str | None
    value: str | None
    negates: bool
    said: str | None = None
    """The statement in its own words; None where the words are all there is (a note)."""

    @property
    def gist(self) -> tuple[str | None, str, bool] | None:
        """Key of statements that differ in wording only."""
        gist = gist_of(self.said) if self.said else ""
        return (self.speaker, gist, self.negates) if gist else None

    @property
    def slot(self) -> tuple[str | None, str, str] | None:
        if self.topic is None or self.subtopic is None:
            return None
        return self.speaker, self.topic, self.subtopic

    @property
    def taste(self) -> tuple[str | None, str] | None:
        """Key of claims about liking or disliking one thing."""
        return (self.speaker, self.value) if self.topic == "interest" and self.value else None

    @property
    def dislikes(self) -> bool:
        return self.subtopic is not None and self.subtopic.startswith("dislike")

    def means(self, other: ClaimKey) -> bool:
        """Whether both say the same."""
        if self.speaker == other.speaker and self.text == other.text:
            return True
        valued = self.value is not None and self.slot is not None and self.negates == other.negates
        if valued and (self.slot, self.value) == (other.slot, other.value):
            return True
        return (gist := self.gist) is not None and gist == other.gist


def claim_of(claim: Candidate | Memory) -> ClaimKey:
    """What a candidate or a memory says."""
    attributes = claim.attributes
    is_candidate = isinstance(claim, Candidate)
    return ClaimKey(
        speaker=attributes.get("speaker"),
        text=normalise(claim.text),
        topic=claim.topic,
        subtopic=claim.subtopic,
        value=_normalise_value(claim.value if is_candidate else attributes.get("value")),
        negates=claim.negates if is_candidate else bool(attributes.get("negates")),
        said=None if claim.kind == "note" else claim.text,
    )


def said_at(memory: Memory) -> Millis:
    """When a memory was last said; one made by hand: since when it holds, or when it was made."""
    for at in (memory.attributes.get("said_at"), memory.valid_from, memory.event_time):
        if isinstance(at, int):
            return at
    return memory.created_at


class Effects(Protocol):
    """What a merge, or any commit, does to a subject's memories."""

    @property
    def put(self) -> Sequence[Memory]: ...

    @property
    def delete(self) -> Sequence[str]: ...


class _Posting:
    """The memories that have one thing in common."""

    __slots__ = ("closed", "open")

    def __init__(self) -> None:
        self.open: list[str] = []
        """Those that are looked at whenever this is."""
        self.closed: list[tuple[Millis, str]] = []
        """The superseded ones, by when they were last said."""

    def put(self, memory: Memory) -> None:
        if _is_open(memory):
            self.open.append(memory.id)
        else:
            insort(self.closed, (said_at(memory), memory.id))

    def remove(self, memory: Memory) -> None:
        if _is_open(memory):
            self.open.remove(memory.id)
        else:
            del self.closed[bisect_left(self.closed, (said_at(memory), memory.id))]

    @property
    def ids(self) -> Iterator[str]:
        yield from self.open
        yield from (memory_id for _, memory_id in self.closed)

    def __bool__(self) -> bool:
        return bool(self.open or self.closed)


_NOTHING: Final = _Posting()
_Opposed = Callable[[ClaimKey], bool]


def _is_open(memory: Memory) -> bool:
    # Of one with all the sources it may have, it is not known which others it has had.
    return memory.superseded_by is None or len(memory.sources) >= MAX_SOURCES


class KnownIndex:
    """A subject's memories by what they say, so that merging looks at few of them.

    Build it once per subject and `apply` what was committed, or let `merge` build one.
    """

    def __init__(self, memories: Iterable[Memory] = ()) -> None:
        self.memories: dict[str, Memory] = {}
        self._claims: dict[str, ClaimKey] = {}
        self._by_text: dict[str, _Posting] = {}
        self._by_slot: dict[tuple[str | None, str, str], _Posting] = {}
        self._denials: dict[tuple[tuple[str | None, str, str], str | None], _Posting] = {}
        self._by_value: dict[tuple[tuple[str | None, str, str], str], _Posting] = {}
        self._by_taste: dict[tuple[str | None, str], _Posting] = {}
        self._by_source: dict[str, list[str]] = {}
        """Superseded memories by each message they rest on."""
        self._superseded: dict[str, list[str]] = {}
        """Superseded memories by what has superseded them."""
        self.variables: dict[str, str] = {}
        """Ids of the variables by name."""
        self._by_gist: dict[tuple[str | None, str, bool], _Posting] | None = None
        """Made when it is first asked: the gists of 10,000 memories take half a second."""
        for memory in memories:
            self.put(memory)

    def apply(self, effects: Effects) -> None:
        """Take over what a commit has made true."""
        for memory_id in effects.delete:
            self.remove(memory_id)
        for memory in effects.put:
            self.put(memory)

    def put(self, memory: Memory) -> None:
        """Add a memory, or replace the one with its id."""
        if memory.kind in ("variable", "task"):
            # Set by name, or by the caller: never what a claim is compared with.
            self.memories[memory.id] = memory
            if memory.kind == "variable" and memory.subtopic is not None and memory.superseded_by is None:
                self.variables[memory.subtopic] = memory.id
            return
        claim = claim_of(memory)
        if (old := self.memories.get(memory.id)) is not None:
            if self._claims.get(memory.id) == claim and _stays_where(old, memory):
                self.memories[memory.id] = memory
                return
            self.remove(memory.id)
        self.memories[memory.id] = memory
        self._claims[memory.id] = claim
        for keys, key in self._keys(claim):
            keys.setdefault(key, _Posting()).put(memory)
        for lists, key in self._ways_to(memory):
            lists.setdefault(key, []).append(memory.id)

    def remove(self, memory_id: str) -> None:
        """Forget a memory; one that is not there is no error."""
        memory = self.memories.pop(memory_id, None)
        name = None if memory is None or memory.kind != "variable" else memory.subtopic
        if name is not None and self.variables.get(name) == memory_id:
            del self.variables[name]
        claim = self._claims.pop(memory_id, None)
        if claim is None or memory is None:
            return
        for keys, key in self._keys(claim):
            keys[key].remove(memory)
            if not keys[key]:
                del keys[key]
        for lists, key in self._ways_to(memory):
            lists[key].remove(memory_id)
            if not lists[key]:
                del lists[key]

    def _ways_to(self, memory: Memory) -> Iterator[tuple[dict[str, list[str]], str]]:
        if memory.superseded_by is not None:
            yield self._superseded, memory.superseded_by
        if not _is_open(memory):
            for source in set(memory.sources):
                yield self._by_source, source

    def _keys(self, claim: ClaimKey) -> Iterator[tuple[dict[Any, _Posting], Any]]:
        yield self._by_text, claim.text
        if self._by_gist is not None and (gist := claim.gist) is not None:
            yield self._by_gist, gist
        slot = claim.slot
        if slot is None:
            return
        if claim.negates:
            yield self._denials, (slot, claim.value)
        else:
            yield self._by_slot, slot
        if claim.value is not None:
            yield self._by_value, (slot, claim.value)
        if claim.taste is not None:
            yield self._by_taste, claim.taste

    def stating(self, text: str) -> Iterable[Memory]:
        """The memories whose text this is, whoever's claims they are."""
        return (self.memories[memory_id] for memory_id in self._by_text.get(normalise(text), _NOTHING).ids)

    def same(self, claim: ClaimKey) -> Iterable[str]:
        """Ids of memories that mean the same, without most of the superseded ones: see `resting_on` and
        `superseded`."""
        for posting in self._saying(claim):
            for memory_id in posting.open:
                if self._claims[memory_id].means(claim):
                    yield memory_id

    def resting_on(self, claim: ClaimKey, sources: Sequence[str]) -> Iterable[str]:
        """Ids of superseded memories that mean the same and rest on the first of these messages; without
        any messages, all of them."""
        if sources:
            ids: Iterable[str] = self._by_source.get(sources[0], ())
        else:
            ids = (memory_id for posting in self._saying(claim) for _, memory_id in posting.closed)
        return (memory_id for memory_id in ids if self._claims[memory_id].means(claim))

    def superseded(self, by: str, claim: ClaimKey) -> Iterable[str]:
        """Ids of memories superseded by this one that mean the same as the claim."""
        ids = self._superseded.get(by, ())
        return (memory_id for memory_id in ids if self._claims[memory_id].means(claim))

    def _saying(self, claim: ClaimKey) -> Iterator[_Posting]:
        yield self._by_text.get(claim.text, _NOTHING)
        if claim.slot is not None and claim.value is not None:
            yield self._by_value.get((claim.slot, claim.value), _NOTHING)
        if (gist := claim.gist) is not None:
            yield self._gists().get(gist, _NOTHING)

    def _gists(self) -> dict[tuple[str | None, str, bool], _Posting]:
        if self._by_gist is None:
            found: dict[tuple[str | None, str, bool], _Posting] = {}
            for memory_id, claim in self._claims.items():
                if (gist := claim.gist) is not None:
                    found.setdefault(gist, _Posting()).put(self.memories[memory_id])
            self._by_gist = found
        return self._by_gist

    def contradicting(self, claim: ClaimKey, *, single_valued: bool) -> Iterable[str]:
        """Ids of memories that cannot be true together with the claim, all that are current among them."""
        for posting, opposed in self._against(claim, single_valued):
            for memory_id in posting.open:
                if opposed(self._claims[memory_id]):
                    yield memory_id

    def said_next(
        self, claim: ClaimKey, at: Millis, *, single_valued: bool, without: Container[str]
    ) -> Iterable[str]:
        """Ids of superseded memories that cannot be true together with the claim: those said soonest after
        `at`, not all that were."""
        for posting, opposed in self._against(claim, single_valued):
            closed = posting.closed
            for place in range(bisect_right(closed, (at, _LAST_ID)), len(closed)):
                memory_id = closed[place][1]
                if memory_id not in without and opposed(self._claims[memory_id]):
                    yield memory_id
                    break

    def _against(self, claim: ClaimKey, single_valued: bool) -> Iterator[tuple[_Posting, _Opposed]]:
        """Where to look for what contradicts a claim, and which of what is there does."""
        slot = claim.slot
        if slot is None:
            return
        if claim.negates:
            if claim.value is None:
                yield self._by_slot.get(slot, _NOTHING), lambda other: True
            else:
                yield self._by_value.get((slot, claim.value), _NOTHING), lambda other: not other.negates
                # An event has no value but its text: that is what its denial has for a value.
                yield (
                    self._by_text.get(claim.value, _NOTHING),
                    lambda other: other.slot == slot and not other.negates,
                )
        else:
            if single_valued:
                yield (
                    self._by_slot.get(slot, _NOTHING),
                    lambda other: (
                        other.value != claim.value or (claim.value is None and other.text != claim.text)
                    ),
                )
            for denied in dict.fromkeys((None, claim.value, claim.text)):
                yield self._denials.get((slot, denied), _NOTHING), lambda other: True
        if claim.taste is not None:
            yield self._by_taste.get(claim.taste, _NOTHING), lambda other: _is_opposite_taste(claim, other)


_LAST_ID: Final = "\U0010ffff"


def _stays_where(old: Memory, new: Memory) -> bool:
    """Whether a memory that says what it said is found where it was."""
    if old.superseded_by != new.superseded_by or _is_open(old) != _is_open(new):
        return False
    return _is_open(new) or (said_at(old), old.sources) == (said_at(new), new.sources)


def _is_opposite_taste(claim: ClaimKey, other: ClaimKey) -> bool:
    opposed = other.dislikes != claim.dislikes
    if claim.negates or other.negates:
        return not opposed and claim.negates != other.negates
    return opposed
