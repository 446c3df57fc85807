"""The profile says what memories and messages say, and nothing else."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.model import HOUR_MS, Memory, Message
from cluster.profile import MessageStats, build_profile
from memgrid.models import InteractionPatterns, Profile
from memgrid.subject import Subject

ALICE = Subject("t", "user", "alice")
NOW = 1_735_689_600_000  # 2025-01-01T00:00:00Z
_serial = itertools.count(1)


def memory(text: str, topic: str | None = None, subtopic: str | None = None, **fields: Any) -> Memory:
    number = next(_serial)
    return Memory(
        **{
            "id": f"{number:08}",
            "kind": "profile",
            "text": text,
            "topic": topic,
            "subtopic": subtopic,
            "created_at": NOW,
            "updated_at": NOW + number,
            **fields,
        }
    )


def interest(value: str, subtopic: str = "like", **fields: Any) -> Memory:
    return memory(
        f"用户喜欢{value}",
        "interest",
        subtopic,
        profile_type="interest_hobbies",
        **{"attributes": {"value": value}, **fields},
    )


def message(content: str, *, session: str = "s1", role: str = "user", at: int = NOW) -> Message:
    return Message(
        id=f"{next(_serial):08}",
        session=session,
        role=role,
        content=content,
        event_time=at,
        created_at=NOW,
        tokens=1,
    )


def profile(*memories: Memory, stats: MessageStats | None = None, language: Any = "zh") -> Profile:
    return build_profile(ALICE, memories, stats or MessageStats(), NOW, language)


def patterns(built: Profile) -> InteractionPatterns:
    assert isinstance(built.interaction_patterns, InteractionPatterns)
    return built.interaction_patterns


@pytest.mark.parametrize(
    ("language", "summary"),
    [("zh", "新用户，暂无足够数据生成画像"), ("en", "New user: not enough data for a profile yet")],
)
def test_a_new_user(language: str, summary: str) -> None:
    stats = MessageStats()
    stats.observe(message("你好"))
    assert profile(stats=stats, language=language).model_dump(mode="json") == {
        "user_id": "alice",
        "total_memories": 0,
        "profile_summary": summary,
        "generated_at": "2025-01-01T00:00:00Z",
        "key_interests": [],
        "interaction_patterns": {},
        "topics": {},
    }


def test_the_whole_shape() -> None:
    name = memory("用户的名字是张三", "basic_info", "name", attributes={"value": "张三"})
    stats = MessageStats()
    for turn in (message("我叫张三"), message("我喜欢打羽毛球"), message("好的！", role="assistant")):
        stats.observe(turn)
    stats.observe(message("晚上好呀", session="s2", at=NOW + 20 * HOUR_MS))
    built = profile(name, interest("打羽毛球"), stats=stats)
    dumped = built.model_dump(mode="json")
    assert dumped["total_memories"] == 2
    assert dumped["profile_summary"] == "用户的名字是张三；用户喜欢打羽毛球。"
    assert dumped["key_interests"] == ["打羽毛球"]
    assert dumped["interaction_patterns"] == {
        "total_conversations": 2,
        "average_length": 5.0,
        "most_active_hours": [0, 20],
        "conversation_topics": ["basic_info", "interest"],
    }
    assert {
        t: {s: [e["content"] for e in es] for s, es in sub.items()} for t, sub in dumped["topics"].items()
    } == {
        "basic_info": {"name": ["用户的名字是张三"]},
        "interest": {"like": ["用户喜欢打羽毛球"]},
    }
    assert built.topics["basic_info"]["name"][0].id == name.id


def test_at_most_five_distinct_interests_the_newest() -> None:
    built = profile(*(interest(value) for value in ("a", "b", "c", "C", "ｃ", "d", "e", "f", "f")))
    assert built.key_interests == ["f", "e", "d", "ｃ", "b"]


@pytest.mark.parametrize(
    "not_one",
    [
        interest("吵闹", "dislike"),
        interest("打篮球", attributes={"value": "打篮球", "negates": True}),
        memory("用户不吃花生", "health", "avoids", profile_type="interest_hobbies"),
        memory("用户吃素", "health", "diet", profile_type="interest_hobbies"),
        memory("用户住在杭州", "contact_info", "residence"),
        memory("用户喜欢茶"),
    ],
)
def test_what_is_not_an_interest(not_one: Memory) -> None:
    assert profile(not_one, interest("绿茶")).key_interests == ["绿茶"]


def test_interests_of_other_extractors() -> None:
    built = profile(
        memory("爱看书", "兴趣爱好"), memory("hiking\n on Sundays", None, profile_type="interest_hobbies")
    )
    assert built.key_interests == ["hiking on Sundays", "爱看书"]


def test_the_summary_names_one_statement_of_each_slot_who_it_is_first() -> None:
    built = profile(
        memory("Li Lei lives in Beijing.", "contact_info", "residence"),
        memory("Li Lei likes tea", "interest", "like"),
        memory("Li Lei lives in Hangzhou.", "contact_info", "residence"),
        memory("The user's name is Li Lei", "basic_info", "name"),
        memory("Li Lei's dog is called Rex", "pet", "dog_name"),
        language="en",
    )
    assert built.profile_summary == (
        "The user's name is Li Lei; Li Lei lives in Hangzhou; Li Lei likes tea; Li Lei's dog is called Rex."
    )


def test_without_profile_statements_the_summary_only_counts() -> None:
    event = memory("搬家了", "life_event", "event", kind="event")
    note = memory("随便记的", kind="note")
    assert profile(event, note).profile_summary == "共有2条记忆，话题：life_event。"
    assert profile(note).profile_summary == "共有1条记忆。"
    assert profile(event, note, language="en").profile_summary == "2 memories, about life_event."
    assert profile(note, language="en").profile_summary == "1 memory."
    assert profile(event, note).topics == {}


def test_long_statements_are_shortened_and_few() -> None:
    built = profile(*(memory("很长" * 500, f"topic{n}") for n in range(50)))
    assert built.profile_summary.count("；") == 9
    assert len(built.profile_summary) <= 10 * 201


def test_entries_are_newest_first() -> None:
    older, newer = memory("喜欢茶", "interest", "like"), memory("喜欢咖啡", "interest", "like")
    for order in ((older, newer), (newer, older)):
        assert [e.id for e in profile(*order).topics["interest"]["like"]] == [newer.id, older.id]


def test_topics_by_frequency() -> None:
    memories = [memory("x", topic) for topic in ("b", "a", "c", "c", *(f"t{n}" for n in range(20)))]
    assert patterns(profile(*memories)).conversation_topics[:3] == ["c", "a", "b"]
    assert len(patterns(profile(*memories)).conversation_topics) == 10


def test_hours_are_the_user_s_in_utc_and_busiest_first() -> None:
    stats = MessageStats()
    for hour, times in ((3, 1), (22, 4), (9, 2), (10, 2)):
        for _ in range(times):
            stats.observe(message("x", at=NOW + hour * HOUR_MS + 59 * 60_000))
    for _ in range(50):
        stats.observe(message("x", role="assistant", at=NOW + 5 * HOUR_MS))
    stats.observe(message("x", at=-HOUR_MS * 2))  # 1969-12-31T22:00Z
    assert stats.most_active_hours == [22, 9, 10]


def test_lengths_count_characters_of_the_user_only() -> None:
    stats = MessageStats()
    assert stats.average_length == 0.0
    for turn in (message("羽毛球"), message("tea?"), message("x" * 1000, role="assistant")):
        stats.observe(turn)
    assert stats.average_length == 3.5


turns = st.lists(
    st.builds(
        message,
        st.text(max_size=10),
        session=st.sampled_from(["s1", "s2", "s3"]),
        role=st.sampled_from(["user", "assistant"]),
        at=st.integers(-(10**12), 10**13),
    ),
    max_size=20,
)


@settings(max_examples=100, deadline=None)
@given(turns, turns)
def test_counts_merge_like_the_messages(left: list[Message], right: list[Message]) -> None:
    def counted(messages: list[Message]) -> MessageStats:
        stats = MessageStats()
        for turn in messages:
            stats.observe(turn)
        return stats

    merged = counted(left)
    merged.merge(counted(right))
    assert merged == counted(left + right)
    users = [m for m in left + right if m.role == "user"]
    assert merged.sessions.keys() == {m.session for m in left + right}
    assert sum(merged.user_hours.values()) == merged.user_messages == len(users)
    assert msgspec.json.decode(msgspec.json.encode(merged), type=MessageStats) == merged


texts = st.text(alphabet="ab 茶。.\n", max_size=8)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.builds(
            memory,
            texts,
            st.sampled_from([None, "interest", "work"]),
            st.sampled_from([None, "like", "dislike"]),
            kind=st.sampled_from(["profile", "fact", "event", "note"]),
            attributes=st.dictionaries(st.just("value"), texts | st.integers(), max_size=1),
        ),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from(["zh", "en"]),
)
def test_nothing_is_invented(memories: list[Memory], language: str) -> None:
    built = profile(*memories, language=language)
    known = {" ".join(m.text.split()) for m in memories} | {
        " ".join(str(m.attributes.get("value", "")).split()) for m in memories
    }
    assert set(built.key_interests) <= known
    assert len(set(built.key_interests)) == len(built.key_interests) <= 5
    assert {e.content for sub in built.topics.values() for es in sub.values() for e in es} <= {
        m.text for m in memories
    }
    assert built.total_memories == len(memories)
    assert built == profile(*reversed(memories), language=language)
