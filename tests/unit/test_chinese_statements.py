"""Plain Chinese statements with something after, before or left out; and what only looks like them."""

from __future__ import annotations

import pytest

from tests.rule_claims import noted

CONDITION, HABIT, TITLE, LEARNING = "health/condition", "habit/routine", "work/title", "interest/learning"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("我得了一型糖尿病，小时候查的。", {(CONDITION, "一型糖尿病")}),
        ("腰突又犯了。", {(CONDITION, "腰突")}),
        ("我现在每天吃二甲双胍。", {("health/medication", "二甲双胍")}),
        (
            "我确诊高血压了，去年的事，现在每天吃降压药。",
            {(CONDITION, "高血压"), ("health/medication", "降压药")},
        ),
        ("我不喝酒的。", {("health/avoids", "酒")}),
        ("我从来不抽烟。", {(HABIT, "不抽烟")}),
        ("我戒烟整整五十天了！", {("habit/quit", "抽烟")}),
        ("花生和腰果都过敏。", {("health/allergy", "花生"), ("health/allergy", "腰果")}),
        ("我在吃生酮。", {("health/diet", "生酮饮食")}),
        ("我不爱吃辣的。", {("interest/dislike", "吃辣的")}),
        ("我最喜欢的角色是孙悟空。", {("interest/favourite_角色", "孙悟空")}),
        ("最近迷上了滑板。", {("interest/like", "滑板")}),
        ("唯一的爱好就是钓鱼。", {("interest/like", "钓鱼")}),
        ("我报了个瑜伽班。", {(LEARNING, "瑜伽")}),
        ("没事我一般都去爬山。", {(HABIT, "没事去爬山")}),
        ("我今年没喝过一滴酒，不抽烟。", {(HABIT, "不抽烟")}),
        ("你要是抽烟就走。", set()),
        ("我爸腰突又犯了。", set()),
        ("我妈现在每天吃二甲双胍。", set()),
        ("我今天不抽烟了，先歇会儿。", set()),
        ("他和我都过敏。", set()),
        ("我同事都过敏。", set()),
        ("大家都过敏。", set()),
        ("爸爸和妈妈都过敏。", set()),
        ("春天和秋天都过敏。", set()),
        ("有空我会去看看。", set()),
        ("我昨天吃了布洛芬。", set()),
        ("我没在吃降压药。", set()),
        ("小说里我最喜欢的角色死了。", set()),
        ("我演的角色是个医生。", set()),
    ],
)
async def test_health_and_tastes_in_passing(said: str, expected: set[tuple[str, str]]) -> None:
    assert await noted(said) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("我在河西上班。", {("work/location", "河西")}),
        ("我在高新区上班。", {("work/location", "高新区")}),
        ("我在京东上班。", {("work/company", "京东")}),
        ("我在北京小米公司上班。", {("work/company", "北京小米公司")}),
        ("现在在成都开网约车。", {(TITLE, "开网约车"), ("work/location", "成都")}),
        ("我现在去一家工厂做会计。", {(TITLE, "会计")}),
        ("我现在全职在家带娃。", {(TITLE, "全职在家带娃")}),
        ("我是老板的司机。", {(TITLE, "司机")}),
        ("我在财务部。", {("work/working_industry", "财务")}),
        ("我开花店的。", {("work/business", "花店")}),
        ("我姓邓，退休教师。", {("basic_info/surname", "邓"), (TITLE, "退休教师")}),
        ("我转正了，现在是正式的会计。", {("life_event/event", "用户转正了"), (TITLE, "会计")}),
        ("我在武汉大学读研二。", {("education/school", "武汉大学"), ("education/grade", "研二学生")}),
        ("我一百六十斤。", {("basic_info/weight", "一百六十斤")}),
        ("我是九六年的。", {("basic_info/birth_year", "1996")}),
        ("我01年生的。", {("basic_info/birth_year", "2001")}),
        ("我们家是山东的。", {("basic_info/hometown", "山东")}),
        ("昨天提了辆比亚迪海豹。", {("asset/possession", "一辆比亚迪海豹")}),
        ("粤语是母语。", {("basic_info/language_spoken", "粤语")}),
        ("我没有孩子。", {("family/child", "孩子")}),
        ("国庆我打算去敦煌。", {("plan/plan", "用户打算去敦煌")}),
        ("逗你的，我就一程序员。", {(TITLE, "程序员")}),
        ("逗你的，我住大别墅，哈哈。", set()),
        ("我同事姓邓，退休教师。", set()),
        ("我是他老师的司机吗？", set()),
        ("我在九六年的时候很小。", set()),
        ("我买了三斤苹果。", set()),
        ("我爸昨天提了辆比亚迪海豹。", set()),
        ("我没有孩子的照片。", set()),
        ("我们家是装修的。", set()),
        ("我以前全职在家带娃。", set()),
        ("我舅舅现在是正式的会计。", set()),
        ("我在成都上班。", {("work/location", "成都")}),
    ],
)
async def test_who_somebody_is_and_what_they_do_in_passing(said: str, expected: set[tuple[str, str]]) -> None:
    assert await noted(said) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (("我女儿三月份出生了，叫安安。",), ("family/daughter_name", "安安")),
        (("我家乌龟冬眠了。", "助手：养了多久？", "九年了，叫小石头。"), ("pet/turtle_name", "小石头")),
        (("我是新来的实习生，叫何佳。",), ("basic_info/name", "何佳")),
        (("我养的猫叫馒头。",), ("pet/cat_name", "馒头")),
    ],
)
async def test_a_name_is_of_whom_was_spoken_of(said: tuple[str, ...], expected: tuple[str, str]) -> None:
    assert expected in await noted(*said)


@pytest.mark.parametrize(
    "said",
    [
        "我女儿和我儿子都来了，叫安安。",
        "我朋友刚生了，叫安安。",
        "我家猫和我家狗打架，叫馒头。",
        "我和表姐一起开了一家面包店，叫麦田里。",
        "我家猫打翻了一盆花，叫多多。",
        "我女儿来了，叫外卖。",
        "我儿子来电话了，叫回家。",
        "我家猫饿了，叫个不停。",
        "我同事来了，叫何佳。",
    ],
)
async def test_a_name_of_whom_is_unclear_is_nobodys(said: str) -> None:
    assert not {place for place, _ in await noted(said) if "name" in place}
