"""Recalled memories are not extracted in a loop (pain 1); a statement repeated costs nothing."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from cluster.model import Memory, Message
from cluster.pipeline.known_index import KnownIndex
from cluster.pipeline.port import Brief, Candidate, Extraction, Trace
from cluster.pipeline.recalled import strip_recalled
from cluster.pipeline.repeated import find_repeats
from cluster.pipeline.rules.extractor import RuleExtractor
from memgrid.subject import Subject
from tests.owners import running_owner

NOW = 1_700_000_000_000


def memory(text: str, **fields: object) -> Memory:
    given = {"id": text, "kind": "profile", "created_at": NOW, "updated_at": NOW, **fields}
    return Memory(text=text, **given)  # pyright: ignore[reportArgumentType]


KNOWN = KnownIndex(
    [
        memory("User likes tea"),
        memory("User's dog is called Rex"),
        memory("用户住在杭州"),
        memory("用户喜欢打羽毛球"),
        memory("Caroline paints", attributes={"speaker": "Caroline"}),
        memory("The wifi is 1234", kind="note"),
    ]
)


@pytest.mark.parametrize(
    ("content", "left"),
    [
        ("Relevant memories of the user:\n- User likes tea\n- anything at all\nWhat now?", "What now?"),
        ("用户相关记忆:\n- 用户住在杭州\n- 我说过的话\n\n周末去哪儿？", "周末去哪儿？"),
        (
            "用户画像：\n* 用户住在杭州\n\n相关记忆与消息：\n1. [2023-05-07] user: I moved to Rome\n\n你好",
            "你好",
        ),
        ("**Profile of the user:**\n- **User likes tea**\nHi", "Hi"),
        ("<h2>用户画像:</h2>\n<li>- 用户住在杭州</li>\n你好", "你好"),
        ("- User likes tea\n- User's dog is called Rex\nWhat shall I drink?", "What shall I drink?"),
        ("> User likes tea\nIs that so?", "Is that so?"),
        ("> - 「用户住在杭州」\n是吗？", "是吗？"),
        ("1) User&#39;s dog is called Rex\nhe is ill", "he is ill"),
        ("[2023-05-07] User likes tea\nok", "ok"),
        ("`User likes tea`", ""),
        ("User likes tea. I moved to Rome.", "I moved to Rome."),
        ("用户喜欢打羽毛球。我搬到上海了。", "我搬到上海了。"),
        ("You noted “User likes tea”, and I moved to Rome", "You noted , and I moved to Rome"),
        ("你记得“用户住在杭州”吗", "你记得吗"),
        ("Caroline paints! She also sings.", "She also sings."),
        ("- The wifi is 1234\nthanks", "thanks"),
    ],
)
def test_what_is_ours_is_taken_out(content: str, left: str) -> None:
    assert strip_recalled(content, KNOWN) == left


@pytest.mark.parametrize(
    "content",
    [
        "I like tea",
        "我住在杭州，我喜欢打羽毛球",
        "The wifi is 1234",
        "- I like tea\n- I moved to Rome",
        "User likes tea no more",
        "My plan:\n- buy tea\n- call Rex",
        "a\n\n\nb",
        "Memories are dear to me: I grew up in Rome.",
        "",
    ],
)
def test_what_the_user_says_is_left_as_it_is(content: str) -> None:
    assert strip_recalled(content, KNOWN) == content


@pytest.mark.parametrize(
    ("first", "question"),
    [
        (["I like tea.", "My dog is called Rex.", "I live in Oslo."], "What shall I do tomorrow?"),
        (["我住在杭州", "我喜欢打羽毛球", "我叫张三"], "周末有什么活动推荐？"),
    ],
)
@pytest.mark.parametrize("plain", [True, False])
async def test_pain_01_recalled_memories_are_re_extracted_in_a_loop(
    first: list[str], question: str, plain: bool
) -> None:
    user = Subject("t", "user", "u")
    async with running_owner(buffer_idle_seconds=3600) as ask:
        await ask.add(user, *first, wait=True)
        before = (await ask("list_memories", user, latest_only=False)).memories
        for _ in range(6):
            block = (await ask("context", user, message=question, limit=20, plain=plain)).context
            assert block.count("\n- ") >= 3
            await ask.add(user, f"{block}\n\n{question}", wait=True)
        after = (await ask("list_memories", user, latest_only=False)).memories
    assert [(m.id, m.memory, m.revision) for m in after] == [(m.id, m.memory, m.revision) for m in before]


class Counting:
    """The rules, counting what they are shown."""

    name = "counting"

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.earlier: list[str] = []
        self._rules = RuleExtractor()

    async def close(self) -> None:
        return None

    async def extract(
        self,
        messages: Sequence[Message],
        *,
        earlier: Sequence[Message],
        known: Sequence[Memory],
        brief: Brief | None = None,
        trace: Trace | None = None,
    ) -> Extraction:
        self.shown += [message.content for message in messages]
        self.earlier = [message.content for message in earlier]
        return await self._rules.extract(messages, earlier=earlier, known=known)


@pytest.mark.parametrize("statement", ["I live in Hangzhou.", "我喜欢打羽毛球。"])
async def test_a_thousand_repeats_leave_one_memory_and_cost_one_extraction(statement: str) -> None:
    extractor = Counting()
    user = Subject("t", "user", "u")
    async with running_owner(extractor=extractor, buffer_idle_seconds=3600) as ask:
        for _ in range(5):
            await ask.add(user, statement, wait=True)
        for _ in range(5):
            await ask.add(user, *[statement] * 199)
            await ask("process", user)
        (only,) = (await ask("list_memories", user, latest_only=False)).memories
        history = (await ask("history", user, id=only.id)).history
    assert extractor.shown == [statement]
    assert only.attributes["evidence"] == 1000
    assert len(history) == 10


async def test_what_was_taken_back_meanwhile_is_news_again() -> None:
    extractor = Counting()
    user = Subject("t", "user", "u")
    said = ["I live in Beijing.", "I moved to Hangzhou.", "I live in Beijing.", "I live in Beijing."]
    async with running_owner(extractor=extractor, buffer_idle_seconds=3600) as ask:
        for text in said:
            await ask.add(user, text, wait=True)
        (only,) = (await ask("list_memories", user)).memories
    assert only.memory == "User lives in Beijing"
    assert extractor.shown == said[:3]


def message(content: str, number: int = 0, **fields: object) -> Message:
    given = {"id": f"m{number}", "role": "user", "event_time": NOW + number, **fields}
    return Message(session="s", content=content, created_at=NOW, tokens=1, **given)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("content", "known"),
    [
        ("Yes, I do", memory("User likes tea", sources=("m0",), attributes={"value": "tea"})),
        ("Yes, I do", memory("User likes tea", sources=("m0",))),
        ("I went to Rome yesterday", memory("User went to Rome", sources=("m0",))),
        ("我昨天去了罗马", memory("用户去了罗马", sources=("m0",))),
        ("She's a nurse", memory("User's wife is a nurse", sources=("m0",), attributes={"value": "nurse"})),
        ("她是护士", memory("用户的妻子是护士", sources=("m0",), attributes={"value": "护士"})),
        ("I ran a marathon", memory("User ran a marathon", sources=("m0",), kind="event")),
        ("I like tea", memory("User likes tea", sources=("m0",), superseded_by="x")),
        ("I like tea", memory("User likes tea", sources=("m0",), immutable=True)),
    ],
)
def test_what_does_not_stand_for_itself_is_extracted_again(content: str, known: Memory) -> None:
    earlier = message(content)
    again = message(content, 1)
    repeats = find_repeats([again], [known], {"m0": earlier}.get, NOW)
    assert (list(repeats.fresh), list(repeats.candidates)) == ([again], [])


async def test_the_same_words_about_someone_else_are_news() -> None:
    user = Subject("t", "user", "u")
    async with running_owner(buffer_idle_seconds=3600) as ask:
        for about in ("My aunt is out today.", "My sister is out today."):
            await ask.add(user, about, wait=True)
            await ask.add(user, "She's a nurse.", wait=True)
        assert sorted(memory.memory for memory in (await ask("list_memories", user)).memories) == [
            "User's aunt's occupation is nurse",
            "User's sister's occupation is nurse",
        ]


def test_another_speaker_or_an_assistant_repeats_nothing() -> None:
    known = memory("User likes tea", sources=("m0",), attributes={"value": "tea"})
    said = [message("I like tea", 1, name="Anna"), message("I like tea", 2, role="assistant")]
    repeats = find_repeats(said, [known], {"m0": message("I like tea")}.get, NOW)
    assert list(repeats.fresh) == said


def test_a_repeat_is_the_claims_of_the_memory_again() -> None:
    known = memory("User likes tea", sources=("m0",), attributes={"value": "tea"}, topic="interest")
    repeats = find_repeats([message("i like TEA!", 1)], [known], {"m0": message("I like tea")}.get, NOW)
    (again,) = repeats.candidates
    assert isinstance(again, Candidate)
    assert (again.text, again.value, again.sources, again.topic) == (
        "User likes tea",
        "tea",
        ("m1",),
        "interest",
    )
    assert repeats.memory_ids == {known.id}


def test_what_follows_in_the_same_breath_is_still_in_order() -> None:
    """Two messages of one moment: what was said second must win, so neither is taken out of its order."""
    known = memory("User lives in Beijing", sources=("m0",), attributes={"value": "Beijing"})
    said = [
        message("I moved to Hangzhou", 1, event_time=NOW),
        message("I live in Beijing", 2, event_time=NOW),
    ]
    repeats = find_repeats(said, [known], {"m0": message("I live in Beijing")}.get, NOW)
    assert list(repeats.fresh) == said
