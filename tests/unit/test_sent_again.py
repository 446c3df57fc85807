"""What is the same request, and the same message, when it is sent again; and what is another."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from memgrid.errors import Conflict
from memgrid.subject import Subject
from tests.owners import Asking, running_owner

LI = Subject("default", "user", "li")
CHESS: dict[str, Any] = {"role": "user", "content": "I like chess"}
CALLS = [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]
PARTS = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "https://a/1.png"}}]
OTHER_PARTS = [
    {"type": "text", "text": "look"},
    {"type": "image_url", "image_url": {"url": "https://a/2.png"}},
]


@pytest.fixture
async def ask() -> AsyncGenerator[Asking]:
    async with running_owner() as asking:
        yield asking


async def kept(ask: Asking) -> int:
    return len((await ask("messages", LI)).messages)


@pytest.mark.parametrize(
    "other",
    [
        {"session_id": "another"},
        {"metadata": {"n": 1}},
        {"timestamp": "2025-01-01T00:00:00Z"},
        {"infer": False},
        {"agent_id": "a"},
        {"group_id": "g"},
        {"record_message": False},
        {"messages": [{**CHESS, "timestamp": "2025-01-01T00:00:00Z"}]},
        {"messages": [{**CHESS, "tool_calls": CALLS}]},
        {"messages": [{**CHESS, "marks": ["m"]}]},
        {"messages": [{**CHESS, "id": "m1"}]},
        {"messages": [{**CHESS, "content": [{"type": "text", "text": "I like chess"}, PARTS[1]]}]},
        {"messages": [CHESS, CHESS]},
        {"messages": []},
    ],
)
async def test_a_key_stands_for_everything_that_was_sent_with_it(ask: Asking, other: dict[str, Any]) -> None:
    first: dict[str, Any] = {"messages": [CHESS], "user_id": "li", "idempotency_key": "k"}
    await ask("add", LI, **first)
    with pytest.raises(Conflict) as refused:
        await ask("add", LI, **{**first, **other})
    assert refused.value.field == "idempotency_key"
    assert await kept(ask) == 1


async def test_waiting_and_defaults_that_are_spelt_out_make_no_other_request(ask: Asking) -> None:
    first: dict[str, Any] = {
        "messages": [{**CHESS, "id": "m1", "tool_calls": CALLS}],
        "user_id": "li",
        "idempotency_key": "k",
    }
    added = await ask("add", LI, **first)
    spelt_out: dict[str, Any] = {
        "wait": True,
        "infer": True,
        "metadata": {},
        "session_id": None,
        "record_message": True,
    }
    again = await ask("add", LI, **first, **spelt_out)
    assert (again.message_ids, again.duplicates, await kept(ask)) == (added.message_ids, 1, 1)


@pytest.mark.parametrize(
    ("first", "other"),
    [
        ({}, {"role": "assistant"}),
        ({}, {"name": "Li"}),
        ({}, {"tool_calls": CALLS}),
        ({"tool_calls": CALLS}, {"tool_calls": [{**CALLS[0], "id": "c2"}]}),
        ({"tool_call_id": "1"}, {"tool_call_id": "2"}),
        ({"content": PARTS}, {"content": OTHER_PARTS}),
        ({"content": PARTS}, {"content": "look"}),
    ],
)
async def test_a_message_id_stands_for_the_whole_message(
    ask: Asking, first: dict[str, Any], other: dict[str, Any]
) -> None:
    message = {**CHESS, "id": "m1"}
    await ask("add", LI, messages=[{**message, **first}], user_id="li")
    with pytest.raises(Conflict) as refused:
        await ask("add", LI, messages=[{**message, **other}], user_id="li")
    assert refused.value.field == "messages.0.id"
    assert await kept(ask) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"timestamp": "2025-01-01T00:00:00Z"},
        {"created_at": "2025-01-01T00:00:00Z"},
        {"marks": ["seen"]},
        {"refusal": None},
    ],
)
async def test_when_it_was_said_and_how_it_is_marked_make_no_other_message(
    ask: Asking, change: dict[str, Any]
) -> None:
    message = {**CHESS, "id": "m1", "tool_calls": CALLS}
    await ask("add", LI, messages=[message], user_id="li")
    again = await ask("add", LI, messages=[{**message, **change}], user_id="li", metadata={"n": 1})
    assert (again.duplicates, await kept(ask)) == (1, 1)


async def test_messages_given_back_as_they_were_shown_or_exported_are_those_messages(ask: Asking) -> None:
    said = [
        {**CHESS, "mood": {"b": 1, "a": [1.5, None]}, "marks": ["m"]},
        {"role": "assistant", "content": "", "tool_calls": CALLS},
        {"role": "user", "content": PARTS, "name": "Li"},
        {**CHESS, "id": "mine", "tool_call_id": "1"},
    ]
    await ask("add", LI, messages=said, user_id="li", metadata={"n": 1})
    page = await ask("messages", LI)
    shown = [message.model_dump(mode="json") for message in page.messages]
    again = await ask("add", LI, messages=shown, user_id="li")
    assert (again.duplicates, await kept(ask)) == (4, 4)
    exported = [
        {
            "role": message.role,
            "content": message.content,
            **message.extra,
            "name": message.name,
            "id": message.client_id or message.id,
            "timestamp": message.event_time,
        }
        for message in page.messages
    ]
    again = await ask("add", LI, messages=exported, user_id="li")
    assert (again.duplicates, await kept(ask)) == (4, 4)


async def test_a_message_that_only_calls_tools_has_no_text(ask: Asking) -> None:
    message = {"role": "assistant", "content": None, "tool_calls": CALLS}
    first = await ask("add", LI, messages=[message], user_id="li", idempotency_key="k")
    spelt = await ask("add", LI, messages=[{**message, "content": ""}], user_id="li", idempotency_key="k")
    assert spelt.message_ids == first.message_ids
    [shown] = (await ask("messages", LI)).messages
    assert (shown.content, shown.extra) == ("", {"tool_calls": CALLS})


async def test_an_own_id_with_another_message_is_another_message(ask: Asking) -> None:
    added = await ask.add(LI, "I like chess")
    other = {**CHESS, "id": added.message_ids[0], "tool_calls": CALLS}
    again = await ask("add", LI, messages=[other], user_id="li")
    assert (again.duplicates, await kept(ask)) == (0, 2)
