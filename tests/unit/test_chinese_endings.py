"""What Chinese says is so no longer, or was misspoken, does not stay."""

from __future__ import annotations

import pytest

from tests.rule_claims import claims_of


async def _denied(*said: str) -> set[str | None]:
    return {claim.value for claim in await claims_of(*said) if claim.negates}


@pytest.mark.parametrize(
    ("had", "said", "denied"),
    [
        ("我住在长沙。", "跟你说，我搬家了，地方小多了。", "长沙"),
        ("我在小米公司上班。", "我上个月换工作了，还在适应。", "小米公司"),
        ("我是老师。", "我换工作了，天天做些杂活。", "老师"),
        ("我是会计。", "我转行了。", "会计"),
        ("我就读于武汉大学。", "我毕业了！", "武汉大学"),
        ("我女朋友叫李倩。", "我跟李倩分了，就上周。", "李倩"),
        ("我女朋友叫李倩。", "我们分手了。", "李倩"),
        ("我老公叫张强。", "我和老公离婚了。", "张强"),
        ("我讨厌游泳。", "没想到游着游着就喜欢上了。", "游泳"),
        ("我讨厌香菜。", "我居然不讨厌香菜了。", "香菜"),
        ("我讨厌游泳。", "现在爱上了游泳。", "游泳"),
        ("我不吃羊肉。", "我现在又吃羊肉了。", "羊肉"),
        ("我吃素。", "我不吃素了，头晕。", "素食者"),
        ("我从来不抽烟。", "我又抽烟了，压力大。", "不抽烟"),
        ("我还单身。", "我脱单了！", "单身"),
        ("我在准备考雅思。", "雅思终于考过了！", "在准备雅思"),
        ("我在准备考雅思。", "驾照考过了！", None),
        ("我打算8月20号考驾照科目三。", "科三取消了，教练病了。", "用户打算2023年8月20日考驾照科目三"),
        ("我住在长沙。", "我同事搬家了。", None),
        ("我住在长沙。", "我想搬家了。", None),
        ("我住在长沙。", "我搬家了，还在长沙。", None),
        ("我是护士。", "我换工作了，还是做护士。", None),
        ("我住在长沙。", "我搬家了？没有的事。", None),
        ("我在小米公司上班。", "要是我换工作了，会告诉你。", None),
        ("我在小米公司上班。", "我朋友换工作了。", None),
        ("我女朋友叫李倩。", "我跟同事分了蛋糕。", None),
        ("我女朋友叫李倩。", "我跟王磊分了。", None),
        ("我女朋友叫李倩。", "我朋友失恋，他们分手了。", None),
        ("我讨厌香菜。", "我喜欢上了游泳。", None),
        ("我讨厌游泳。", "他游着游着就喜欢上了吗？", None),
        ("我不吃羊肉。", "他说我又吃羊肉了。", None),
        ("我打算8月20号考驾照科目三。", "考研取消了。", None),
    ],
)
async def test_what_is_so_no_longer_is_denied(had: str, said: str, denied: str | None) -> None:
    assert await _denied(had, said) == ({denied} if denied else set())


async def test_a_new_value_is_all_that_is_needed() -> None:
    assert [
        (claim.value, claim.negates) for claim in await claims_of("我住在长沙。", "我搬家了，搬到武汉了。")
    ] == [
        ("长沙", False),
        ("武汉", False),
    ]


@pytest.mark.parametrize(
    ("had", "said", "left"),
    [
        ("我今年二十七。", "等等不对，我算算。", []),
        ("我今年二十七。", "我说错了，不是这个数。", []),
        ("我今年二十七。", "不对，你答得不对。", ["27"]),
        ("我对花生过敏。", "等等不对，花生酱算吗？", ["花生"]),
        ("我今年二十七。", "考试我写错了两题。", ["27"]),
        ("我今年二十七，住在武汉。", "等等不对，我想想。", ["27", "武汉"]),
    ],
)
async def test_what_was_misspoken_does_not_stay(had: str, said: str, left: list[str]) -> None:
    assert [claim.value for claim in await claims_of(had, "助手：记住了。", said)] == left


@pytest.mark.parametrize(
    ("said", "when"),
    [
        ("噢看了下日历，是下周四，18号。", "2023年5月18日"),
        ("我记错了，是下周五。", "2023年5月19日"),
        ("其实，下周六也行。", "2023年5月16日"),
        ("看了下日历，是好天气。", "2023年5月16日"),
    ],
)
async def test_what_is_on_another_day_is_moved_there(said: str, when: str) -> None:
    claims = await claims_of("我下周二出差去青岛。", "助手：好的。", said)
    assert [claim.text for claim in claims] == [f"用户打算{when}出差去青岛"]


@pytest.mark.parametrize(
    "offer",
    [
        "陪我练一下面试吧，你是面试官。",
        "我们模拟一次相亲吧。",
        "你是HR，我是来应聘的。",
    ],
)
async def test_a_rehearsal_is_a_role_until_it_is_stopped(offer: str) -> None:
    played = await claims_of(
        offer, "助手：好。", "您好，我叫李明。", "助手：好。", "行了先停一下，我叫何佳。"
    )
    assert [claim.value for claim in played] == ["何佳"]


async def test_an_interview_to_come_is_no_role() -> None:
    assert [c.value for c in await claims_of("我明天面试，好紧张。", "助手：加油。", "我叫李明。")][
        -1
    ] == "李明"


async def test_a_name_is_corrected_where_it_is_most_alike() -> None:
    claims = await claims_of("我叫赵一鸣，大家叫我鸣哥。", "助手：鸣哥好。", "说错了，是赵一铭。")
    assert [claim.value for claim in claims if claim.subtopic == "name"][-1] == "赵一铭"
    assert [claim.value for claim in claims if claim.subtopic == "nickname"] == ["鸣哥"]


async def test_what_is_kept_is_not_said_to_be_of_a_kind() -> None:
    assert {(c.subtopic, c.value) for c in await claims_of("我养的猫叫团子。")} == {("cat_name", "团子")}
