"""Labelled dialogues in Chinese and English: what a person would have remembered of each at its end.

The texts were written for this benchmark. `load` reads them, `perfect_answer` is what an extractor without
fault would claim, `expected_state` what merging makes of that, and `matching` says which memory counts as
which fact.
"""

from benchmarks.labelled.dialogues import (
    Dialogue,
    Fact,
    Language,
    Session,
    Trap,
    expected_state,
    load,
    perfect_answer,
    state_of,
)

__all__ = [
    "Dialogue",
    "Fact",
    "Language",
    "Session",
    "Trap",
    "expected_state",
    "load",
    "perfect_answer",
    "state_of",
]
