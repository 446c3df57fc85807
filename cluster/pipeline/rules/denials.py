"""Saying of an earlier claim, of this run or known, that it is so no longer."""

from __future__ import annotations

from typing import Literal

from cluster.model import Memory, Message
from cluster.pipeline.port import Candidate


def said_value(claim: Candidate | Memory) -> str:
    """The value a claim was made with; empty where it has none."""
    value = claim.value if isinstance(claim, Candidate) else claim.attributes.get("value")
    return str(value or "")


def denies(claim: Candidate | Memory) -> bool:
    """Whether the claim is a denial itself."""
    return claim.negates if isinstance(claim, Candidate) else bool(claim.attributes.get("negates"))


def denial(
    claim: Candidate | Memory, message: Message, text: str, *, value: str, language: Literal["zh", "en"]
) -> Candidate:
    """The denial of a claim's `value`, in the same place of the profile, as `message` tells it."""
    return Candidate(
        kind=claim.kind,
        text=text,
        value=value,
        topic=claim.topic,
        subtopic=claim.subtopic,
        profile_type=claim.profile_type,
        negates=True,
        attributes={"speaker": message.name} if message.name else {},
        sources=(message.id,),
        language=language,
        event_time=message.event_time,
    )
