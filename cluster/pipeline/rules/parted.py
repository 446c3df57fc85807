"""Partners that somebody has parted from: what was known of who they are is no longer so.

"Marco and I broke up" is an event; that Marco is the speaker's boyfriend was claimed before, and what denies
it has his name for its value, so that `merge` closes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from cluster.analysis import tokens
from cluster.model import Memory, Message
from cluster.pipeline.port import Candidate
from cluster.pipeline.rules.denials import denial, denies, said_value
from cluster.pipeline.rules.slots import SLOTS

_UNMARRIED: Final = frozenset({"boyfriend", "girlfriend", "partner"})
_MARRIED: Final = frozenset({"wife", "husband", "spouse", "fiancé", "fiancée"})
_PARTING = re.compile(r"\b(?:broke up|split up|separated|parted ways|divorced)\b|分手|离婚")
_PARTED: Final = frozenset({"divorced", "separated", "离异"})
"""Marital statuses."""
_TOGETHER: Final = frozenset({"married", "engaged", "已婚", "已订婚", "恋爱中"})
_MARITAL: Final = SLOTS["marital"]
_EVENT: Final = SLOTS["event"]


def parted(
    message: Message, found: Sequence[Candidate], before: Sequence[Candidate], known: Sequence[Memory]
) -> Iterator[Candidate]:
    """The denials of partners, claimed before or known, that the claims `found` in a message lead to."""
    event = next((claim for claim in found if _is(claim, _EVENT.topic) and _PARTING.search(claim.text)), None)
    status = next((claim for claim in found if _is_marital(claim) and claim.value in _PARTED), None)
    parting = event or status
    if parting is None:
        return
    standing = [*before, *(memory for memory in known if memory.superseded_by is None)]
    standing = [claim for claim in standing if claim.attributes.get("speaker") == message.name]
    partners = [claim for claim in standing if _about(claim) and not denies(claim)]
    words = set(tokens(parting.text))
    named = [claim for claim in partners if set(tokens(_value(claim))) <= words]
    called = [claim for claim in partners if _about(claim) in words]
    whose = _UNMARRIED | _MARRIED if event is not None else _MARRIED
    fitting = named or called or [claim for claim in partners if _about(claim) in whose]
    if len({_value(claim) for claim in fitting if (claim.subtopic or "").endswith("_name")}) <= 1:
        for partner in fitting:
            yield _denial(partner, parting, message)
    for claim in standing if event is not None and status is None else ():
        if _is_marital(claim) and not denies(claim) and _value(claim) in _TOGETHER:
            yield _denial(claim, parting, message)


def _is(claim: Candidate | Memory, topic: str) -> bool:
    return claim.topic == topic


def _is_marital(claim: Candidate | Memory) -> bool:
    return (claim.topic, claim.subtopic) == (_MARITAL.topic, _MARITAL.subtopic)


def _about(claim: Candidate | Memory) -> str | None:
    """Which partner of the speaker a claim says they have, or names."""
    about = (claim.subtopic or "").removesuffix("_name")
    return about if claim.topic == "family" and about in _UNMARRIED | _MARRIED else None


def _value(claim: Candidate | Memory) -> str:
    return said_value(claim) or claim.text


def _denial(claim: Candidate | Memory, parting: Candidate, message: Message) -> Candidate:
    zh = parting.language == "zh"
    speaker, value = message.name or ("用户" if zh else "User"), _value(claim)
    if _is_marital(claim):
        text = f"{speaker}不再是{value}状态" if zh else f"{speaker} is no longer {value}"
    elif (claim.subtopic or "").endswith("_name"):
        text = f"{speaker}不再和{value}在一起" if zh else f"{speaker} is no longer with {value}"
    else:
        text = f"{speaker}不再有{value}" if zh else f"{speaker} no longer has {value}"
    return denial(claim, message, text, value=value, language="zh" if zh else "en")
