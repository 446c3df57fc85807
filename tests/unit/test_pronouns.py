""" "She works at Siemens": taken where it is unmistakable who she is, and nowhere else."""

from __future__ import annotations

import pytest

from cluster.model import Message
from cluster.pipeline.port import Candidate
from cluster.pipeline.rules import RuleExtractor
from tests.extraction_cases import SAID_AT

WIFE_COMPANY, WIFE_JOB = "family/wife_company", "family/wife_job"


def conversation(*said: str) -> list[Message]:
    """Turns; those of the assistant begin with "A: ", those of another person with "B: "."""
    return [
        Message(
            id=f"m{number}",
            session="s",
            role="assistant" if text.startswith("A: ") else "user",
            name="Ben" if text.startswith("B: ") else None,
            content=text.removeprefix("A: ").removeprefix("B: "),
            event_time=SAID_AT + number * 60_000,
            created_at=SAID_AT,
            tokens=1,
        )
        for number, text in enumerate(said)
    ]


async def extracted(*said: str, before: int = 0) -> tuple[Candidate, ...]:
    messages = conversation(*said)
    extractor = RuleExtractor()
    return (await extractor.extract(messages[before:], earlier=messages[:before], known=())).candidates


UNMISTAKABLE = [
    (("My wife works a lot. She works at Siemens.",), WIFE_COMPANY, "Siemens"),
    (("My wife is a nurse. She works at Siemens.",), WIFE_COMPANY, "Siemens"),
    (("My wife is a nurse, and she lives in Berlin.",), "family/wife_residence", "Berlin"),
    (("My wife Anna moved to Boston. She works at Google.",), WIFE_COMPANY, "Google"),
    (("My brother is visiting my wife. He works at Siemens.",), "family/brother_company", "Siemens"),
    (("My son started school. His name is Tom. He's 6.",), "family/son_age", "6"),
    (("My son started school. His name is Tom. He's 6.",), "family/son_name", "Tom"),
    (("I have a daughter. She is 5 years old.",), "family/daughter_age", "5"),
    (("My older sister is fun. She's a teacher.",), "family/sister_job", "teacher"),
    (("My parents are retired. They live in Kyoto.",), "family/parents_residence", "Kyoto"),
    (("Did I tell you about my mom? She's a teacher.",), "family/mother_job", "teacher"),
    (("My wife is out today.", "A: Enjoy!", "She's a nurse."), WIFE_JOB, "nurse"),
    (("My wife is out.", "A: What does your wife do?", "She works at Siemens."), WIFE_COMPANY, "Siemens"),
    (("我老婆今天加班。她在阿里巴巴上班。",), WIFE_COMPANY, "阿里巴巴"),
    (("我老婆是老师，她在第一小学工作。",), WIFE_COMPANY, "第一小学"),
    (("我女儿很可爱，她今年5岁。",), "family/daughter_age", "5"),
    (("我女儿喜欢画画。她今年5岁了。",), "family/daughter_age", "5"),
    (("我哥哥在北京，他是工程师。",), "family/elder_brother_job", "工程师"),
    (("我和老婆住在杭州，她是医生。",), WIFE_JOB, "医生"),
    (("我爸妈身体很好。他们住在成都。",), "family/parents_residence", "成都"),
    (("我老婆陪我去了医院。她是护士。",), WIFE_JOB, "护士"),
    (("我老婆刚出差回来。", "A: 您太太做什么工作？", "她是律师。"), WIFE_JOB, "律师"),
    (("我媽媽今天生日，她住在臺北。",), "family/mother_residence", "臺北"),
]

MISTAKABLE = [
    ("My wife and my sister visited us. She works at Siemens.",),
    ("My older sister and my younger sister came. She works at Siemens.",),
    ("My sisters came. She works at Siemens.",),
    ("My wife met Julia. She works at Siemens.",),
    ("Julia met my wife. She works at Siemens.",),
    ("My wife has a friend. She works at Siemens.",),
    ("My wife has a new boss. She lives in Berlin.",),
    ("My wife's sister visited. She works at Siemens.",),
    ("My sister and her husband came. He works at Siemens.",),
    ("My brother visited. She works at Siemens.",),
    ("I met a nurse. She works at Siemens.",),
    ("My boss is nice. She works at Siemens.",),
    ("My parents and my friends came. They live in Berlin.",),
    ("My wife is a spy in my novel. She works at Siemens.",),
    ("My wife? Just kidding. She works at Siemens.",),
    ("My mom is great. She said she works at Siemens.",),
    ("If my wife comes, maybe she works at Siemens.",),
    ("Imagine my wife here. She works at Siemens.",),
    ("My wife is here. Does she work at Siemens?",),
    ("My wife is out.", "A: And your sister?", "She works at Siemens."),
    ("My wife is out.", "A: My sister too!", "She works at Siemens."),
    ("My wife is out.", "B: Mine too.", "She works at Siemens."),
    ("B: My wife is out.", "She works at Siemens."),
    ("My wife is out.", "I like tea.", "She works at Siemens."),
    ("A: Your wife called.", "She works at Siemens."),
    ("She works at Siemens.",),
    ("我妈妈和我姐姐来了，她是老师。",),
    ("我老婆认识王芳，她在阿里巴巴上班。",),
    ("我老婆今天加班。王芳来了，她在阿里巴巴上班。",),
    ("我女儿喜欢刘亦菲，她住在北京。",),
    ("我妹妹的男朋友来了，他是厨师。",),
    ("我老婆有个同事，她住在北京。",),
    ("我爸爸退休了。她住在北京。",),
    ("我同事是个好人，他住在北京。",),
    ("如果我老婆来，她住在北京。",),
    ("我老婆是我小说里的主角。她住在北京。",),
    ("我老婆出差了。", "A: 那您妹妹呢？", "她是律师。"),
    ("我老婆出差了。", "我喜欢喝茶。", "她是律师。"),
    ("她是律师。",),
    ("我妈妈说她住在北京。",),
]


@pytest.mark.parametrize(("said", "slot", "value"), UNMISTAKABLE)
async def test_what_is_unmistakable_is_taken(said: tuple[str, ...], slot: str, value: str) -> None:
    found = await extracted(*said)
    (claim,) = [one for one in found if f"{one.topic}/{one.subtopic}" == slot]
    assert (claim.value, claim.sources) == (value, (f"m{len(said) - 1}",))
    # Each is about the relative; nothing of it is said of the speaker.
    assert all(one.topic == "family" or one.value != value for one in found)


@pytest.mark.parametrize("said", MISTAKABLE)
async def test_what_is_mistakable_is_left(said: tuple[str, ...]) -> None:
    values = {"Siemens", "Berlin", "北京", "律师", "厨师", "阿里巴巴"}
    assert [claim.text for claim in await extracted(*said) if claim.value in values] == []
    assert not any(
        "老师" in (claim.value or "") or claim.subtopic == "mother_job" for claim in await extracted(*said)
    )


async def test_the_message_before_may_be_extracted_already() -> None:
    said = ("My wife is out today.", "A: Enjoy!", "She's a nurse.")
    (claim,) = await extracted(*said, before=2)
    assert (claim.text, claim.sources) == ("User's wife's occupation is nurse", ("m2",))
