"""Dates that do not say whether they lie behind or ahead, in sentences said on Wednesday 10 May 2023."""

from __future__ import annotations

import calendar
from datetime import date

import pytest

from cluster.pipeline.dates import dates_in
from cluster.pipeline.periods import day_millis

SAID_AT = calendar.timegm((2023, 5, 10, 12, 0, 0)) * 1000

ENGLISH = {
    # days of the week
    "On Friday I went to the dentist.": "2023-05-05 day",
    "We met my in-laws on Monday.": "2023-05-08 day",
    "I have a flight on Friday.": "2023-05-12 day",
    "I'm flying to Rome on Monday.": "2023-05-15 day",
    "I'm scheduled for a scan on Tuesday.": "2023-05-16 day",
    "Friday night I'm meeting Ana.": "2023-05-12 day",
    "I played chess with my uncle Saturday.": "2023-05-06 day",
    "On Friday, I played chess with my uncle.": "2023-05-05 day",
    "I painted the fence, and on Friday I'll paint the door.": "2023-05-12 day",
    "On Wednesday I went to the dentist.": None,
    "I will fly on Wednesday.": None,
    "I go to yoga every Friday.": None,
    "On Friday I usually cook.": None,
    "Friday is my favorite.": "2023-05-12 day",
    "I like Friday afternoons.": None,
    "I worked from Monday to Friday.": None,
    "I have to hand it in by Friday.": None,
    "On Friday I was going to fly to Rome.": None,
    "Good Friday was quiet.": None,
    "Today is Sunday and I'm planning a walk.": "2023-05-10 day",
    # months
    "I ran a marathon in March.": "2023-03-01 month",
    "I ran a marathon in November.": "2022-11-01 month",
    "I ran a marathon in May.": "2023-05-01 month",
    "I'm running a marathon in November.": "2023-11-01 month",
    "I'll run a marathon in March.": "2024-03-01 month",
    "My exam in August": "2023-08-01 month",
    "My exam in November": None,
    "Back in November": "2022-11-01 month",
    "We moved in late November.": "2022-11-01 month",
    "I always travel in August.": None,
    "I was born in August.": None,
    # days of a month
    "I have an interview on the 15th.": "2023-05-15 day",
    "I have an interview on the 3rd.": "2023-06-03 day",
    "I had an interview on the 15th.": "2023-04-15 day",
    "I had an interview on the 10th.": None,
    "We stay on the 15th floor.": None,
    "I will see her on the 31st": "2023-05-31 day",
    "I saw her on the 31st": None,  # there is no 31 April
    # ends and beginnings
    "I'm moving at the end of the month.": "2023-05-21 month_end",
    "I moved at the end of the month.": "2023-04-21 month_end",
    "I'm retiring at the end of the year.": "2023-12-01 year_end",
    "I moved at the end of last month.": "2023-04-21 month_end",
    "I'm moving at the beginning of next month.": "2023-06-01 month_start",
    "I'm starting at the beginning of the month.": None,
    "It is always tight at the end of the month.": None,
    # weekends
    "I went climbing over the weekend.": "2023-05-06 weekend",
    "I'm going climbing at the weekend.": "2023-05-13 weekend",
    "I sleep long at the weekend.": None,
}
CHINESE = {
    "周五我去看了牙医。": "2023-05-05 day",
    "周五我要去看牙医。": "2023-05-12 day",
    "我约了周五看牙医。": "2023-05-12 day",
    "星期一我有个面试": "2023-05-15 day",
    "礼拜天晚上我们吃了火锅": "2023-05-07 day",
    "周五就要考试了": "2023-05-12 day",
    "周五，我去看了牙医": "2023-05-05 day",
    "周一爬了山，周六打算去游泳": "2023-05-08 day|2023-05-13 day",
    "下周三我要出差": "2023-05-17 day",
    "周三我去看了牙医": None,
    "我每周五都去游泳": None,
    "我周一到周五都要上班": None,
    "周五我一般在家": None,
    "周五我在家": None,
    "我叫周一鸣": None,
    "今天周日我打算去爬山": "2023-05-10 day",
    "周五晚上會去聽音樂會": "2023-05-12 day",
    "我三月跑了马拉松": "2023-03-01 month",
    "我十一月跑了马拉松": "2022-11-01 month",
    "我打算十一月跑马拉松": "2023-11-01 month",
    "我们八月去云南": "2023-08-01 month",
    "我们八月份去云南": "2023-08-01 month",
    "我们十一月去云南": None,
    "我打算8月底去云南": "2023-08-01 month",
    "去年8月底我去了云南": "2022-08-21 month_end",
    "孩子已经八个月了": None,
    "我每年八月都要回老家": None,
    "农历八月要回老家": None,
    "我的生日在八月": None,
    "孩子八月大了": None,
    "三月到五月我去了云南": None,
    "15号我有个面试": "2023-05-15 day",
    "3号要交房租": "2023-06-03 day",
    "我20号去看了牙医": "2023-04-20 day",
    "我住在南京路15号": None,
    "我住在15号": None,
    "10号要交房租": None,
    "月底要搬家": "2023-05-21 month_end",
    "月底搬了家": "2023-04-21 month_end",
    "上个月底搬了家": "2023-04-21 month_end",
    "下个月初要搬家": "2023-06-01 month_start",
    "年底打算结婚": "2023-12-01 year_end",
    "年底我结婚了": "2022-12-01 year_end",
    "年初我换了工作": "2023-01-01 year_start",
    "明年初要换工作": "2024-01-01 year_start",
    "月初要交房租": None,
    "今年年底打算结婚": "2023-12-01 year_end",
    "三年底子": None,
    "周末我去爬了山": "2023-05-06 weekend",
    "周末打算去爬山": "2023-05-13 weekend",
    "周末我喜欢睡懒觉": None,
}


@pytest.mark.parametrize(
    ("text", "expected", "language"),
    [(*item, "en") for item in ENGLISH.items()] + [(*item, "zh") for item in CHINESE.items()],
)
def test_by_the_clause_it_stands_in(text: str, expected: str | None, language: str) -> None:
    mentions = dates_in(text, SAID_AT, language)
    found = "|".join(f"{mention.first} {mention.precision}" for mention in mentions)
    assert found == (expected or "")


def test_an_end_that_has_come_is_this_one() -> None:
    late = day_millis(date(2023, 12, 27))
    assert dates_in("月底搬了家", late, "zh")[0].first == date(2023, 12, 21)
    assert dates_in("We moved at the end of the year.", late, "en")[0].first == date(2023, 12, 1)


def test_the_weekend_is_either_on_the_weekend() -> None:
    saturday = day_millis(date(2023, 5, 13))
    assert dates_in("I went climbing over the weekend.", saturday, "en") == []
    assert dates_in("周末要去爬山", saturday, "zh") == []


def test_written_out() -> None:
    def written(text: str, language: str) -> str:
        return dates_in(text, SAID_AT, language)[0].text(language)

    assert written("月底要搬家", "zh") == "2023年5月底"
    assert written("年底打算结婚", "zh") == "2023年底"
    assert written("下个月初要搬家", "zh") == "2023年6月初"
    assert written("明年初要换工作", "zh") == "2024年初"
    assert written("I'm moving at the end of the month.", "en") == "at the end of 2023-05"
    assert written("I'm moving at the beginning of next year.", "en") == "at the beginning of 2024"
