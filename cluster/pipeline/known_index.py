"""What a subject is known to say, by text, slot and value: so that merging looks at few memories."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from cluster.model import Memory, Millis
from cluster.pipeline.paraphrase import gist_of
from cluster.pipeline.port import Candidate

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


class KnownIndex:
    """A subject's memories by what they say, so that merging looks at few of them.

    Build it once per subject and `apply` what was committed, or let `merge` build one.
    """

    def __init__(self, memories: Iterable[Memory] = ()) -> None:
        self.memories: dict[str, Memory] = {}
        self._claims: dict[str, ClaimKey] = {}
        self._by_text: dict[str, list[str]] = {}
        self._by_slot: dict[tuple[str | None, str, str], list[str]] = {}
        self._denials: dict[tuple[str | None, str, str], list[str]] = {}
        self._by_value: dict[tuple[tuple[str | None, str, str], str], list[str]] = {}
        self._by_taste: dict[tuple[str | None, str], list[str]] = {}
        self.variables: dict[str, str] = {}
        """Ids of the variables by name."""
        self._by_gist: dict[tuple[str | None, str, bool], list[str]] | None = None
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
        if memory.id in self.memories:
            if self._claims.get(memory.id) == claim:
                self.memories[memory.id] = memory
                return
            self.remove(memory.id)
        self.memories[memory.id] = memory
        self._claims[memory.id] = claim
        for keys, key in self._keys(claim):
            keys.setdefault(key, []).append(memory.id)

    def remove(self, memory_id: str) -> None:
        """Forget a memory; one that is not there is no error."""
        memory = self.memories.pop(memory_id, None)
        name = None if memory is None or memory.kind != "variable" else memory.subtopic
        if name is not None and self.variables.get(name) == memory_id:
            del self.variables[name]
        claim = self._claims.pop(memory_id, None)
        if claim is not None:
            for keys, key in self._keys(claim):
                keys[key].remove(memory_id)
                if not keys[key]:
                    del keys[key]

    def _keys(self, claim: ClaimKey) -> Iterable[tuple[dict[Any, list[str]], Any]]:
        yield self._by_text, claim.text
        if self._by_gist is not None and (gist := claim.gist) is not None:
            yield self._by_gist, gist
        slot = claim.slot
        if slot is None:
            return
        yield (self._denials if claim.negates else self._by_slot), slot
        if claim.value is not None:
            yield self._by_value, (slot, claim.value)
        if claim.taste is not None:
            yield self._by_taste, claim.taste

    def stating(self, text: str) -> Iterable[Memory]:
        """The memories whose text this is, whoever's claims they are."""
        return (self.memories[memory_id] for memory_id in self._by_text.get(normalise(text), ()))

    def same(self, claim: ClaimKey) -> Iterable[str]:
        """Ids of memories that mean the same."""
        for memory_id in self._by_text.get(claim.text, ()):
            if self._claims[memory_id].speaker == claim.speaker:
                yield memory_id
        if claim.slot is not None and claim.value is not None:
            for memory_id in self._by_value.get((claim.slot, claim.value), ()):
                if self._claims[memory_id].negates == claim.negates:
                    yield memory_id
        if (gist := claim.gist) is not None:
            yield from self._gists().get(gist, ())

    def _gists(self) -> dict[tuple[str | None, str, bool], list[str]]:
        if self._by_gist is None:
            self._by_gist = {}
            for memory_id, claim in self._claims.items():
                if (gist := claim.gist) is not None:
                    self._by_gist.setdefault(gist, []).append(memory_id)
        return self._by_gist

    def contradicting(self, claim: ClaimKey, *, single_valued: bool) -> Iterable[str]:
        """Ids of memories, current or not, that cannot be true together with the claim."""
        slot = claim.slot
        if slot is None:
            return
        if claim.negates:
            if claim.value is None:
                yield from self._by_slot.get(slot, ())
            else:
                for memory_id in self._by_value.get((slot, claim.value), ()):
                    if not self._claims[memory_id].negates:
                        yield memory_id
                # An event has no value but its text: that is what its denial has for a value.
                for memory_id in self._by_text.get(claim.value, ()):
                    other = self._claims[memory_id]
                    if other.slot == slot and not other.negates:
                        yield memory_id
        else:
            if single_valued:
                for memory_id in self._by_slot.get(slot, ()):
                    other = self._claims[memory_id]
                    if other.value != claim.value or (claim.value is None and other.text != claim.text):
                        yield memory_id
            for memory_id in self._denials.get(slot, ()):
                if self._claims[memory_id].value in (None, claim.value, claim.text):
                    yield memory_id
        if claim.taste is not None:
            for memory_id in self._by_taste.get(claim.taste, ()):
                other = self._claims[memory_id]
                opposed = other.dislikes != claim.dislikes
                if claim.negates or other.negates:
                    opposed = not opposed and claim.negates != other.negates
                if opposed:
                    yield memory_id
