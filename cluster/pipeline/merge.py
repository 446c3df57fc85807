"""What becomes of a claim: ADD, UPDATE, SUPERSEDE or NONE. Pure: no clock, no ids of its own, no I/O.

Two claims **mean the same** when their normalised texts are equal, or their topic, subtopic and value, or
their gists (`paraphrase`: the same words in another frame). Two claims **contradict** when they fill the same
single-valued slot with different values, when one denies what the other says, or when one likes what the
other dislikes. Of two that contradict, the one said later is current, whichever was merged first; the other
keeps its text and is closed (`valid_to`, `superseded_by`). So the order in which batches arrive does not
decide what is current.

In a memory's `attributes`: `value` is the bare value, `said_at` when it was last said, `evidence` in how many
messages (`sources` keeps the newest MAX_SOURCES), `negates` marks a denial, `speaker` whose claim it is
where a subject's messages have several speakers (claims of two speakers never meet).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from cluster.model import ChangeEntry, Labels, Memory, Message, Millis
from cluster.pipeline.known_index import MAX_SOURCES, ClaimKey, KnownIndex, claim_of
from cluster.pipeline.known_index import said_at as last_said
from cluster.pipeline.port import Candidate
from cluster.pipeline.usefulness import least_useful, usefulness
from cluster.relations import MAX_LINKS, link_text
from memgrid.models import SourceType
from memgrid.subject import Subject

PLACE = "document"
"""The key of a message's `extra` that says where in a document it stands; its note has it too."""

__all__ = ["Action", "Decision", "Decisions", "KnownIndex", "merge", "usefulness", "verbatim"]

MAX_NOTE_CHARACTERS = 65_536
"""A longer message is cut in its note (a commit is bounded); the message itself is kept whole."""

Action = Literal["ADD", "UPDATE", "SUPERSEDE", "NONE"]


class Decision(msgspec.Struct, frozen=True):
    """What was done with one candidate, and why. `memory_id` is the memory it led to or was found in."""

    candidate: Candidate
    action: Action
    memory_id: str | None
    reason: str


class Decisions(msgspec.Struct, frozen=True):
    """What a merge changes: whole memories to put, ids to delete, and the history of both."""

    put: tuple[Memory, ...] = ()
    delete: tuple[str, ...] = ()
    entries: tuple[ChangeEntry, ...] = ()
    decisions: tuple[Decision, ...] = ()


class _Merge:
    """One merge under way: what is known, and on top of it what this batch has changed."""

    def __init__(self, known: KnownIndex, now: Millis) -> None:
        self.known = known
        self.now = now
        self.fresh = KnownIndex()
        self.touched: dict[str, Memory] = {}
        """Every new or changed memory, in the order it was first touched."""
        self.entries: list[ChangeEntry] = []
        self.decisions: list[Decision] = []

    def get(self, memory_id: str) -> Memory:
        return self.touched.get(memory_id) or self.known.memories[memory_id]

    def put(self, memory: Memory) -> None:
        """Take up a memory that is new or changed."""
        self.fresh.put(memory)
        self.touched[memory.id] = memory

    def found(self, find: Callable[[KnownIndex], Iterable[str]]) -> list[Memory]:
        """What is found in what is known, as far as it is unchanged, and in what is new or changed; by id, so
        that how an index came to be decides nothing."""
        unchanged = (memory_id for memory_id in find(self.known) if memory_id not in self.touched)
        return [self.get(memory_id) for memory_id in sorted({*unchanged, *find(self.fresh)})]

    def decide(
        self, candidate: Candidate, at: Millis, new_memory: Callable[[Candidate, Millis], Memory]
    ) -> None:
        """Merge one candidate, whose claim was made at `at`."""
        if candidate.kind == "variable":
            self.set_variable(candidate, at, new_memory)
            return
        claim = claim_of(candidate)
        same = self.found(lambda index: index.same(claim))
        resting = self.found(lambda index: index.resting_on(claim, candidate.sources))

        counted = next((memory for memory in (*same, *resting) if _has(memory, candidate.sources)), None)
        if counted is not None:
            self.decided(candidate, "NONE", counted, "known from these messages")
            return
        current = next((memory for memory in same if memory.is_current(self.now)), None)
        if current is not None:
            if current.immutable:
                self.decided(candidate, "NONE", current, "an immutable memory says so")
            else:
                self.support(current, candidate, at)
            return

        single = candidate.single_valued
        against = self.found(lambda index: index.contradicting(claim, single_valued=single))
        standing = [other for other in against if other.is_current(self.now)]
        older = [other for other in standing if last_said(other) <= at and not other.immutable]
        later = [other for other in against if last_said(other) > at]
        later += self.found(
            lambda index: index.said_next(
                claim, at, single_valued=single, without=self.touched if index is self.known else ()
            )
        )
        if later:
            memory = self.add_closed(candidate, claim, at, new_memory, later)
        else:
            memory = new_memory(candidate, at)
            fixed = ", ".join(other.id for other in standing if other.immutable)
            if older:
                reason = f"supersedes {', '.join(other.id for other in older)}"
                self.add(memory, candidate, "SUPERSEDE", reason)
            else:
                self.add(memory, candidate, "ADD", f"contradicts immutable {fixed}" if fixed else None)
        for other in older:
            self.close(other, memory, at if later or memory.valid_from is None else memory.valid_from)

    def set_variable(
        self, candidate: Candidate, at: Millis, new_memory: Callable[[Candidate, Millis], Memory]
    ) -> None:
        """Give a variable the value said last, whichever was merged first; its history keeps the others."""
        name = candidate.subtopic or ""
        known_id = self.fresh.variables.get(name) or self.known.variables.get(name)
        if known_id is None:
            self.add(new_memory(candidate, at), candidate, "ADD", None)
            return
        old = self.get(known_id)
        if _has(old, candidate.sources):
            self.decided(candidate, "NONE", old, "known from these messages")
        elif old.immutable:
            self.decided(candidate, "NONE", old, "an immutable memory says so")
        elif last_said(old) > at:
            self.decided(candidate, "NONE", old, "said before the value it has")
        elif old.text == candidate.text:
            self.support(old, candidate, at)
        else:
            new = new_memory(candidate, at)
            self.put(
                msgspec.structs.replace(
                    new,
                    id=old.id,
                    created_at=old.created_at,
                    labels=old.labels,
                    pinned=old.pinned,
                    revision=old.revision,
                )
            )
            self.entries.append(
                ChangeEntry(
                    memory_id=old.id,
                    event="UPDATE",
                    old_text=old.text,
                    new_text=new.text,
                    reason="said later",
                )
            )
            self.decided(candidate, "UPDATE", old, "said later")

    def add_closed(
        self,
        candidate: Candidate,
        claim: ClaimKey,
        at: Millis,
        new_memory: Callable[[Candidate, Millis], Memory],
        later: Sequence[Memory],
    ) -> Memory:
        """Keep a claim that what was said `later` has overtaken: closed, or as evidence of one that is."""
        closer = min(later, key=lambda memory: (last_said(memory), memory.id))
        closed = next(iter(self.found(lambda index: index.superseded(closer.id, claim))), None)
        if closed is not None and not closed.immutable:
            self.support(closed, candidate, at)
            return closed
        memory = new_memory(candidate, at)
        memory = msgspec.structs.replace(
            memory, valid_to=max(last_said(closer), memory.valid_from or 0), superseded_by=closer.id
        )
        self.add(memory, candidate, "ADD", f"older than {closer.id}")
        return memory

    def decided(self, candidate: Candidate, action: Action, memory: Memory, reason: str) -> None:
        self.decisions.append(Decision(candidate, action, memory.id, reason))

    def add(self, memory: Memory, candidate: Candidate, action: Action, reason: str | None) -> None:
        self.put(memory)
        self.entries.append(
            ChangeEntry(memory_id=memory.id, event="ADD", new_text=memory.text, reason=reason)
        )
        self.decided(candidate, action, memory, reason or "new")

    def support(self, memory: Memory, candidate: Candidate, at: Millis) -> None:
        """Add evidence: nothing else of the memory changes."""
        new = [source for source in candidate.sources if source not in memory.sources]
        evidence = memory.attributes.get("evidence", len(memory.sources)) + len(new)
        attributes = memory.attributes | {
            "said_at": max(at, last_said(memory)),
            "evidence": evidence,
        }
        if memory.id not in self.touched:
            self.entries.append(
                ChangeEntry(
                    memory_id=memory.id,
                    event="UPDATE",
                    old_text=memory.text,
                    new_text=memory.text,
                    reason="said again",
                )
            )
        self.put(
            msgspec.structs.replace(
                memory,
                sources=tuple(sorted({*memory.sources, *new})[-MAX_SOURCES:]),
                attributes=attributes,
                confidence=max(memory.confidence, candidate.confidence),
                updated_at=self.now,
            )
        )
        self.decided(candidate, "UPDATE", memory, "said again")

    def link_causes(self) -> None:
        """Link each claim's memory to those of its causes, wherever merging has put them."""
        places = {d.candidate.key: d.memory_id for d in self.decisions if d.candidate.key}
        for number, decision in enumerate(self.decisions):
            if decision.memory_id is None or not decision.candidate.causes:
                continue
            named = [places.get(cause, cause) for cause in decision.candidate.causes]
            causes = [cause for cause in named if cause is not None]
            if linked := self.link(decision.memory_id, causes):
                self.decisions[number] = msgspec.structs.replace(
                    decision,
                    action="UPDATE" if decision.action == "NONE" else decision.action,
                    reason=f"{decision.reason}; caused by {', '.join(linked)}",
                )

    def link(self, memory_id: str, causes: Sequence[str]) -> list[str]:
        """Give a memory these causes; which of them it had not."""
        memory = self.get(memory_id)
        back = link_text("cause", memory_id)
        new = [
            cause
            for cause in dict.fromkeys(causes)
            if cause != memory_id
            and (cause in self.touched or cause in self.known.memories)
            and link_text("cause", cause) not in memory.links
            and back not in self.get(cause).links
        ][: max(0, MAX_LINKS - len(memory.links))]
        if memory.immutable or not new:
            return []
        if memory_id not in self.touched:
            self.entries.append(
                ChangeEntry(
                    memory_id=memory_id,
                    event="UPDATE",
                    old_text=memory.text,
                    new_text=memory.text,
                    reason=f"caused by {', '.join(new)}",
                )
            )
        links = (*memory.links, *(link_text("cause", cause) for cause in new))
        self.put(msgspec.structs.replace(memory, links=links))
        return new

    def close(self, memory: Memory, by: Memory, at: Millis) -> None:
        """Supersede `memory` by `by`, whose claim holds from `at`. The entry names the other by its id
        only: its text must go when it is deleted, and this memory's history stays."""
        self.put(
            msgspec.structs.replace(
                memory,
                valid_to=max(at, memory.valid_from or at),
                superseded_by=by.id,
                updated_at=self.now,
            )
        )
        self.entries.append(
            ChangeEntry(
                memory_id=memory.id,
                event="SUPERSEDE",
                old_text=memory.text,
                reason=f"superseded by {by.id}",
            )
        )


def _has(memory: Memory, sources: Sequence[str]) -> bool:
    """Whether these messages are counted in the memory's evidence already.

    When the list of sources is full, an older message than all in it is taken to be: it fell out, or
    adds nothing.
    """
    full = len(memory.sources) >= MAX_SOURCES
    return all(source in memory.sources or (full and source < memory.sources[0]) for source in sources)


def merge(
    candidates: Iterable[Candidate],
    known: Iterable[Memory] | KnownIndex,
    *,
    subject: Subject,
    labels: Labels,
    session: str | None,
    now: Millis,
    new_id: Callable[[], str],
    max_memories: int,
    said_at: Mapping[str, Millis] | None = None,
    metadata: Mapping[str, Any] | None = None,
    source_type: SourceType = "conversation",
    admits: Callable[[Candidate], bool] | None = None,
    topic_cap: Callable[[str], int | None] | None = None,
) -> Decisions:
    """Decide what becomes of `candidates`, taken in order, against `known`, which is not changed.

    `said_at` gives the `event_time` of messages by id: with it a claim is as old as the newest message
    it rests on; without it, as its `event_time` or `valid_from`, else `now`. Older information that
    arrives late is kept, closed, and never supersedes newer. Immutable memories are never changed: a claim
    that contradicts one is added beside it with that reason.

    `admits` says of a candidate whether its topic is wanted (all are, without it), `topic_cap` how many
    current memories a topic may have. Beyond that, and beyond `max_memories` in all, the least useful are
    deleted, see `usefulness`; the change rows say so.
    """
    index = known if isinstance(known, KnownIndex) else KnownIndex(known)
    work = _Merge(index, now)
    all_labels = {subject.kind: subject.id, **labels}

    def new_memory(candidate: Candidate, at: Millis) -> Memory:
        attributes: dict[str, Any] = {**candidate.attributes, "said_at": at}
        if candidate.value is not None:
            attributes["value"] = candidate.value
        if candidate.negates:
            attributes["negates"] = True
        sources = tuple(sorted(set(candidate.sources)))
        if len(sources) > MAX_SOURCES:
            attributes["evidence"] = len(sources)
        return Memory(
            id=new_id(),
            kind=candidate.kind,
            text=candidate.text,
            topic=candidate.topic,
            subtopic=candidate.subtopic,
            profile_type=candidate.profile_type,
            tags=candidate.tags,
            attributes=attributes,
            metadata=dict(metadata or {}),
            labels=all_labels,
            session=session,
            sources=sources[-MAX_SOURCES:],
            source_type=source_type,
            confidence=candidate.confidence,
            language=candidate.language,
            created_at=now,
            updated_at=now,
            event_time=candidate.event_time,
            valid_from=candidate.valid_from if candidate.valid_from is not None else at,
        )

    for candidate in candidates:
        if admits is not None and not admits(candidate):
            work.decisions.append(Decision(candidate, "NONE", None, "no such topic"))
            continue
        at = _time_of(candidate, said_at or {}, now)
        work.decide(candidate, at, new_memory)
    work.link_causes()
    return _finish(work, max_memories, topic_cap)


def verbatim(
    messages: Iterable[Message],
    known: Iterable[Memory] | KnownIndex,
    *,
    subject: Subject,
    labels: Labels,
    now: Millis,
    new_id: Callable[[], str],
    max_memories: int,
    source_type: SourceType = "conversation",
) -> Decisions:
    """Keep each message word for word as a `note` (`infer=False`); one whose text is there adds evidence.

    Messages without text give nothing. `attributes` holds the role, and the speaker where one is named.
    """
    index = known if isinstance(known, KnownIndex) else KnownIndex(known)
    work = _Merge(index, now)
    for message in messages:
        text = message.content.strip()[:MAX_NOTE_CHARACTERS]
        if not text:
            continue
        attributes: dict[str, Any] = {"role": message.role}
        if message.name is not None:
            attributes["speaker"] = message.name
        if isinstance(place := message.extra.get(PLACE), dict):
            attributes[PLACE] = place
        candidate = Candidate(kind="note", text=text, attributes=attributes, sources=(message.id,))

        def new_memory(candidate: Candidate, at: Millis, message: Message = message) -> Memory:
            return Memory(
                id=new_id(),
                kind="note",
                text=candidate.text,
                attributes={**candidate.attributes, "said_at": at},
                metadata=message.metadata,
                labels={subject.kind: subject.id, **labels, **message.labels},
                session=message.session,
                sources=candidate.sources,
                source_type=source_type,
                created_at=now,
                updated_at=now,
                event_time=message.event_time,
            )

        work.decide(candidate, message.event_time, new_memory)
    return _finish(work, max_memories)


def _time_of(candidate: Candidate, said_at: Mapping[str, Millis], now: Millis) -> Millis:
    times = [said_at[source] for source in candidate.sources if source in said_at]
    if times:
        return max(times)
    if candidate.event_time is not None:
        return candidate.event_time
    return candidate.valid_from if candidate.valid_from is not None else now


def _finish(
    work: _Merge, max_memories: int, topic_cap: Callable[[str], int | None] | None = None
) -> Decisions:
    """The result, after the caps."""
    dropped = _beyond_topic_caps(work, topic_cap) if topic_cap is not None else {}
    total = len(work.known.memories) + sum(1 for i in work.touched if i not in work.known.memories)
    excess = total - len(dropped) - max_memories
    if excess > 0:
        everything = (work.known.memories | work.touched).values()
        spare = (memory for memory in everything if memory.id not in dropped)
        dropped |= dict.fromkeys(least_useful(spare, excess, work.now), f"cap of {max_memories} memories")
    decisions = work.decisions
    if dropped:
        decisions = [
            Decision(decision.candidate, "NONE", None, dropped[decision.memory_id])
            if decision.memory_id in dropped and decision.memory_id not in work.known.memories
            else decision
            for decision in decisions
        ]
    delete = tuple(sorted(memory_id for memory_id in dropped if memory_id in work.known.memories))
    return Decisions(
        put=tuple(memory for memory in work.touched.values() if memory.id not in dropped),
        delete=delete,
        entries=(
            *(entry for entry in work.entries if entry.memory_id not in dropped),
            *(
                ChangeEntry(memory_id=memory_id, event="DELETE", reason=dropped[memory_id])
                for memory_id in delete
            ),
        ),
        decisions=tuple(decisions),
    )


def _beyond_topic_caps(work: _Merge, topic_cap: Callable[[str], int | None]) -> dict[str, str]:
    """Ids of current memories that their topics have no room for, with the reason."""
    grown = {memory.topic for memory in work.touched.values() if memory.id not in work.known.memories}
    caps = {topic: cap for topic in grown if topic is not None and (cap := topic_cap(topic)) is not None}
    if not caps:
        return {}
    by_topic: dict[str, list[Memory]] = defaultdict(list)
    for memory in (work.known.memories | work.touched).values():
        if memory.topic in caps and memory.is_current(work.now):
            by_topic[memory.topic].append(memory)
    return {
        memory_id: f"cap of {caps[topic]} memories about {topic}"
        for topic, memories in by_topic.items()
        for memory_id in least_useful(memories, len(memories) - caps[topic], work.now)
    }
