"""Which language the texts of the native routes are in: Chinese, unless the caller prefers English."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request

from cluster.texts import Language, TextKey

ERROR_PREFIX: Final[dict[str, TextKey]] = {
    "add_memories": "add_failed",
    "search_memories_plain": "search_failed",
    "get_context": "search_failed",
    "get_profile": "profile_failed",
    "clean_up_memories": "cleanup_failed",
    "health": "service_unavailable",
}
"""The operations whose errors start with a text, as they always have."""


def language_of(request: Request) -> Language:
    """The language that the caller reads."""
    return stated_language(request) or "zh"


def stated_language(request: Request) -> Language | None:
    """The language that the caller says they read; None when they say nothing of zh or en."""
    return preferred_language(request.headers.get("accept-language"))


def preferred_language(accept_language: str | None) -> Language | None:
    """The better liked of zh and en in an Accept-Language header; None when it says nothing of either."""
    best: Language | None = None
    best_quality = 0.0
    for part in (accept_language or "").split(","):
        tag, _, parameters = part.partition(";")
        primary = tag.strip().lower().partition("-")[0]
        try:
            quality = float(parameters.partition("q=")[2]) if parameters else 1.0
        except ValueError:
            continue
        if primary in ("zh", "en") and quality > best_quality:
            best, best_quality = ("zh" if primary == "zh" else "en"), quality
    return best
