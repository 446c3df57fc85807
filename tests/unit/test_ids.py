"""Ids: the order they were minted in is the order they sort in."""

from __future__ import annotations

import time
from collections import Counter

import pytest
import uuid_utils

from cluster.ids import message_id, minted_at, new_id


def test_ids_sort_as_they_were_minted() -> None:
    before = time.time_ns() // 1_000_000
    ids = [new_id() for _ in range(20_000)]
    after = time.time_ns() // 1_000_000
    assert ids == sorted(set(ids))
    assert max(Counter(map(minted_at, ids)).values()) > 1, "no two were minted in the same millisecond"
    # Above 4,096 in a millisecond they run ahead of the clock.
    assert before <= minted_at(ids[0])
    assert minted_at(ids[-1]) <= after + len(ids) // 4096 + 1
    for text in ids[:100]:
        assert uuid_utils.UUID(text).version == 7
        assert uuid_utils.UUID(text).variant == "specified in RFC 4122"


def test_messages_of_requests_of_one_millisecond_do_not_mix() -> None:
    requests = [new_id() for _ in range(1000)]
    assert len(set(map(minted_at, requests))) < len(requests)
    ids = [message_id(request, index) for request in requests for index in (0, 1, 16_383)]
    assert ids == sorted(set(ids))
    assert message_id(requests[0], 1) == ids[1]


@pytest.mark.parametrize("index", [-1, 1 << 14])
def test_an_index_out_of_range(index: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        message_id(new_id(), index)
