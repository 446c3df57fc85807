"""What a store has of a subject, held against what an archive has."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from cluster.archive.lines import row_hash
from cluster.archive.rows import is_empty, subject_rows
from cluster.archive.subject_lines import SubjectLines, is_over
from cluster.ids import Clock
from cluster.model import Head
from cluster.wide_store.port import WideStore
from memgrid.subject import Subject

_PLURAL = {"memory": "memories", "run_record": "run records"}


@dataclass
class Stored:
    """The rows that a store has of a subject, as hashes by kind."""

    head: Head = field(default_factory=Head)
    hashes: dict[str, set[int]] = field(default_factory=dict[str, set[int]])

    def has(self, what: str, hashed: int) -> bool:
        return hashed in self.hashes.get(what, ())


async def stored_rows(store: WideStore, subject: Subject, model: str | None, clock: Clock) -> Stored:
    """All of them; vectors only of `model`."""
    head = await store.head(subject)
    stored = Stored(head)
    if not await is_empty(store, subject, head):
        async for what, payload in subject_rows(store, subject, model, clock()):
            if what != "subject":
                stored.hashes.setdefault(what, set()).add(row_hash(payload))
    return stored


@dataclass
class Difference:
    """Rows of a subject that are on one side only, by kind."""

    missing: Counter[str] = field(default_factory=Counter[str])
    """In the archive, and not in the store."""
    other: Counter[str] = field(default_factory=Counter[str])
    """In the store, and not in the archive. Vectors do not count: a server makes them."""
    head: str | None = None
    """How the heads contradict each other; one that is only behind does not."""

    def __bool__(self) -> bool:
        return bool(self.missing or self.other or self.head)

    def __str__(self) -> str:
        said = [self.head] if self.head else []
        said += [f"the store lacks {_listed(self.missing)}"] if self.missing else []
        said += [f"the store has {_listed(self.other)} that the archive has not"] if self.other else []
        return "; ".join(said)


def compare(lines: SubjectLines, stored: Stored, *, vectors: bool, clock: Clock) -> Difference:
    """How far the store is from the archive."""
    difference = Difference(head=_contradiction(lines, stored))
    matched: Counter[str] = Counter()
    for line in lines:
        if line.what == "vector" and not vectors:
            continue
        if stored.has(line.what, line.hashed):
            matched[line.what] += 1
        elif not is_over(line.row, clock):
            difference.missing[line.what] += 1
    for what, hashes in stored.hashes.items():
        if what != "vector" and len(hashes) > matched[what]:
            difference.other[what] = len(hashes) - matched[what]
    return difference


def _contradiction(lines: SubjectLines, stored: Stored) -> str | None:
    there, here = lines.head, stored.head
    if here == Head():
        return None
    if here.generation > there.generation:
        return "it was erased here, and what is forgotten stays forgotten"
    if here.generation != there.generation:
        return "another subject of this name lives here"
    if here.revision > there.revision:
        return f"it is at revision {here.revision} here, and at {there.revision} in the archive"
    if here.revision and here.settings != there.settings:
        return "its settings are others here"
    return None


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {_PLURAL.get(what, f'{what}s')}" for what, count in sorted(counts.items()))
