"""What sessions have been about: a short text for each of the newest, kept in the subject's settings.

There because it is read with the head, changes with the commit of the run that wrote it, and goes with an
erasure. Nothing says which message which words of it come from, so deleting anything drops them all;
the next run begins them anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

SESSIONS: Final = 3
"""Sessions whose summary is kept."""
_KEY: Final = "summaries"


def summaries_of(settings: Mapping[str, Any]) -> dict[str, str]:
    """Summaries by session, the newest last."""
    stored: Any = settings.get(_KEY, [])
    return dict(cast("list[tuple[str, str]]", stored))


def with_summaries(settings: Mapping[str, Any], new: Mapping[str, str]) -> dict[str, Any]:
    """The settings with these in front of the others, and the oldest left out."""
    kept = {session: text for session, text in summaries_of(settings).items() if session not in new} | dict(
        new
    )
    return {**settings, _KEY: [[session, text] for session, text in list(kept.items())[-SESSIONS:]]}


def without_summaries(settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """The settings without them; None where there are none."""
    if _KEY not in settings:
        return None
    return {name: value for name, value in settings.items() if name != _KEY}
