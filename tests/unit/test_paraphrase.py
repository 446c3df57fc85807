"""What differs in wording only is one memory; what differs in anything else is not."""

from __future__ import annotations

import pytest

from cluster.pipeline.merge import merge
from cluster.pipeline.paraphrase import gist_of
from cluster.pipeline.port import Candidate
from memgrid.subject import Subject

SAME = [
    ("User likes drinking coffee", "User enjoys coffee"),
    ("User lives in Hangzhou", "The user's home is in Hangzhou."),
    ("User is allergic to peanuts", "User has a peanut allergy"),
    ("User has two cats", "The user owns 2 cats"),
    ("User wants to learn Spanish", "User would like to learn Spanish"),
    ("User works at Acme", "User is employed by Acme"),
    ("User's occupation is nurse", "User works as a nurse"),
    ("User doesn't like spiders", "User hates spiders"),
    ("User's dog is called Rex", "User's dog is named Rex"),
    ("User's mom is called Anna", "User's mother is named Anna"),
    ("User goes running on Sundays", "User goes running every Sunday"),
    ("用户喜欢喝咖啡", "用户爱喝咖啡。"),
    ("用户住在杭州", "用户的家在杭州"),
    ("用户目前居住在杭州", "用户住在杭州"),
    ("用户对花生过敏", "用户有花生过敏"),
    ("用户养了两只猫", "用户家里有2只猫"),
    ("用户想学西班牙语", "用户希望学习西班牙语"),
    ("用户在阿里巴巴工作", "用户就职于阿里巴巴"),
    ("用户的职业是护士", "用户是一名护士"),
    ("用户的太太名叫安娜", "用户的妻子叫安娜"),
    ("用户每周日跑步", "用户星期日跑步"),
]
DIFFERENT = [
    ("User likes drinking coffee", "User likes drinking tea"),
    ("User likes fish", "User likes eating fish"),
    ("User prefers tea over coffee", "User prefers coffee over tea"),
    ("User lent Anna 50 dollars", "Anna lent user 50 dollars"),
    ("User lives in Hangzhou", "User lives in Suzhou"),
    ("User lives in Hangzhou", "User no longer lives in Hangzhou"),
    ("User drives a Tesla", "User used to drive a Tesla"),
    ("User works as a nurse", "User's sister works as a nurse"),
    ("User works at Acme", "User worked at Acme"),
    ("User works in policy", "User works in police"),
    ("User is allergic to peanuts", "User is not allergic to peanuts"),
    ("User can swim", "User can't swim"),
    ("User has two cats", "User has three cats"),
    ("User was born in 1990", "User was born in 1991"),
    ("User likes C", "User likes C++"),
    ("User's wife is called Anna", "User's sister is called Anna"),
    ("User goes running on Sundays", "User goes running on Saturdays"),
    ("User takes vitamin A", "User takes vitamin D"),
    ("User likes Tom", "User dislikes Tom"),
    ("User wants to run a marathon", "User ran a marathon"),
    ("用户喜欢喝咖啡", "用户喜欢喝茶"),
    ("用户喜欢鱼", "用户喜欢吃鱼"),
    ("用户喜欢猫", "用户不喜欢猫"),
    ("用户喜欢猫", "用户最喜欢猫"),
    ("用户住在杭州", "用户住在苏州"),
    ("用户住在杭州", "用户曾经住在杭州"),
    ("用户对花生过敏", "用户对花生不过敏"),
    ("用户养了两只猫", "用户养了三只猫"),
    ("用户养了一只猫", "用户养了十一只猫"),
    ("用户的妻子叫安娜", "用户的妹妹叫安娜"),
    ("用户周日去跑步", "用户周六去跑步"),
    ("用户是一名护士", "用户的姐姐是一名护士"),
    ("用户借给小王五百元", "小王借给用户五百元"),
    ("用户更喜欢茶而不是咖啡", "用户更喜欢咖啡而不是茶"),
    ("用户戒了咖啡", "用户爱喝咖啡"),
    ("用户想去日本", "用户去过日本"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_another_wording_has_the_same_gist(one: str, other: str) -> None:
    assert gist_of(one) == gist_of(other) != ""


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_a_near_miss_has_another_gist(one: str, other: str) -> None:
    assert gist_of(one) != gist_of(other)


@pytest.mark.parametrize("empty", ["", "User", "用户", "User likes", "...", "用户喜欢"])
def test_a_frame_around_nothing_has_no_gist(empty: str) -> None:
    assert gist_of(empty) == ""


def merged(one: str, other: str) -> list[str]:
    """Texts of the memories that two statements, said one after the other, become."""
    memories: dict[str, str] = {}
    known = ()
    for number, text in enumerate((one, other)):
        decisions = merge(
            [Candidate(kind="fact", text=text, sources=(f"m{number}",))],
            known,
            subject=Subject("t", "user", "u"),
            labels={},
            session=None,
            now=number,
            new_id=lambda number=number: f"k{number}",
            max_memories=10,
        )
        known = decisions.put
        memories |= {memory.id: memory.text for memory in decisions.put}
    return list(memories.values())


@pytest.mark.parametrize(("one", "other"), SAME)
def test_a_paraphrase_adds_evidence(one: str, other: str) -> None:
    assert merged(one, other) == [one]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_a_near_miss_is_a_memory_of_its_own(one: str, other: str) -> None:
    assert merged(one, other) == [one, other]
