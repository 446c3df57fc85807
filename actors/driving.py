"""A parked run that is driven again."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from cluster.model import Run


class Drive(NamedTuple):
    """A parked run that is driven again, and the id of the account of that."""

    run: Run
    id: str


def driven(parked: Run, now: Run, account: Run) -> Run:
    """What a parked run has become: what it had taken stays on its day, the rest is with the account's."""
    return msgspec.structs.replace(
        parked,
        status="done",
        input_ids=now.input_ids,
        buckets=now.buckets,
        memory_ids=now.memory_ids,
        extractor=now.extractor,
        prompt_version=now.prompt_version or account.prompt_version,
        model=now.model or account.model,
        attempts=parked.attempts + 1,
        error=None,
        driven=parked.driven + account.spent,
    )
