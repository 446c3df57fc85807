"""What the rules can find: each slot's place in the profile, and how a claim of it is worded."""

from __future__ import annotations

from typing import NamedTuple

from memgrid.models import MemoryKind

# The openJiuwen profile types (openjiuwen 0.1.3, memory/prompt/user_profile_extractor.py).
PERSONAL = "personal_information"
INTERESTS = "interest_hobbies"
SOCIAL = "social_information"
ASSETS = "asset_information"
OTHER = "other_information"


class Slot(NamedTuple):
    """`en` and `zh` are the statements, with {s} for the speaker, {v} for the value, {x} for what the slot
    is about (a relation, a favourite's kind); `en_not` and `zh_not` the same denied."""

    topic: str
    subtopic: str
    profile_type: str
    en: str
    zh: str
    single_valued: bool = False
    en_not: str = ""
    zh_not: str = ""
    kind: MemoryKind = "profile"


SLOTS: dict[str, Slot] = {
    "name": Slot("basic_info", "name", PERSONAL, "{s}'s name is {v}", "{s}的名字是{v}", True),
    "surname": Slot("basic_info", "surname", PERSONAL, "{s}'s surname is {v}", "{s}姓{v}", True),
    "nickname": Slot(
        "basic_info", "nickname", PERSONAL,
        "{s} likes to be called {v}", "{s}希望被称呼为{v}", True,
    ),
    "english_name": Slot(
        "basic_info", "english_name", PERSONAL,
        "{s}'s English name is {v}", "{s}的英文名是{v}", True,
    ),
    "age": Slot("basic_info", "age", PERSONAL, "{s} is {v} years old", "{s}的年龄是{v}岁", True),
    "birthday": Slot("basic_info", "birthday", PERSONAL, "{s}'s birthday is {v}", "{s}的生日是{v}", True),
    "birth_year": Slot("basic_info", "birth_year", PERSONAL, "{s} was born in {v}", "{s}出生于{v}年", True),
    "gender": Slot("basic_info", "gender", PERSONAL, "{s} is {v}", "{s}的性别是{v}", True),
    "hometown": Slot("basic_info", "hometown", PERSONAL, "{s} is from {v}", "{s}来自{v}", True),
    "nationality": Slot(
        "basic_info", "nationality", PERSONAL,
        "{s}'s nationality is {v}", "{s}的国籍是{v}", True,
    ),
    "religion": Slot("basic_info", "religion", PERSONAL, "{s} is {v}", "{s}的信仰是{v}"),
    "language": Slot("basic_info", "language_spoken", PERSONAL, "{s} speaks {v}", "{s}会说{v}"),
    "trait": Slot("psychological", "personality", OTHER, "{s} is {v}", "{s}的性格特点：{v}"),
    "fear": Slot("psychological", "fear", OTHER, "{s} is afraid of {v}", "{s}怕{v}"),
    "blood_type": Slot(
        "basic_info", "blood_type", PERSONAL, "{s}'s blood type is {v}", "{s}的血型是{v}", True,
    ),
    "height": Slot("basic_info", "height", PERSONAL, "{s}'s height is {v}", "{s}的身高是{v}", True),
    "weight": Slot("basic_info", "weight", PERSONAL, "{s}'s weight is {v}", "{s}的体重是{v}", True),
    "animal_year": Slot(
        "basic_info", "chinese_zodiac", PERSONAL, "{s} was born in the year of the {v}", "{s}属{v}", True,
    ),
    "zodiac": Slot("basic_info", "zodiac", PERSONAL, "{s}'s zodiac sign is {v}", "{s}的星座是{v}", True),
    "residence": Slot(
        "contact_info", "residence", PERSONAL, "{s} lives in {v}", "{s}住在{v}", True,
        "{s} no longer lives in {v}", "{s}不再住在{v}",
    ),
    "title": Slot("work", "title", PERSONAL, "{s}'s occupation is {v}", "{s}的职业是{v}", True),
    "company": Slot(
        "work", "company", PERSONAL, "{s} works at {v}", "{s}在{v}工作", True,
        "{s} no longer works at {v}", "{s}不再在{v}工作",
    ),
    "arrangement": Slot("work", "arrangement", PERSONAL, "{s} works {v}", "{s}的工作方式是{v}"),
    "work_place": Slot("work", "location", PERSONAL, "{s} works in {v}", "{s}在{v}工作", True),
    "business": Slot("work", "business", PERSONAL, "{s} runs {v}", "{s}开了{v}"),
    "industry": Slot("work", "working_industry", PERSONAL, "{s} works in {v}", "{s}从事{v}行业", True),
    "school": Slot("education", "school", PERSONAL, "{s} studies at {v}", "{s}就读于{v}", True),
    "alma_mater": Slot("education", "alma_mater", PERSONAL, "{s} graduated from {v}", "{s}毕业于{v}"),
    "major": Slot("education", "major", PERSONAL, "{s}'s major is {v}", "{s}的专业是{v}", True),
    "grade": Slot("education", "grade", PERSONAL, "{s} is a {v}", "{s}是{v}", True),
    "marital": Slot("demographics", "marital_status", PERSONAL, "{s} is {v}", "{s}的婚恋状况是{v}", True),
    "family": Slot("family", "{x}", PERSONAL, "{s} has {v}", "{s}有{v}"),
    "family_none": Slot("family", "{x}", PERSONAL, "{s} has no {v}", "{s}没有{v}"),
    "family_name": Slot("family", "{x}_name", PERSONAL, "{s}'s {x} is called {v}", "{s}的{x}叫{v}"),
    "family_age": Slot(
        "family", "{x}_age", PERSONAL,
        "{s}'s {x} is {v} years old", "{s}的{x}今年{v}岁", True,
    ),
    "family_job": Slot(
        "family", "{x}_job", PERSONAL, "{s}'s {x}'s occupation is {v}", "{s}的{x}的职业是{v}", True
    ),
    "family_grade": Slot(
        "family", "{x}_grade", PERSONAL, "{s}'s {x} is in {v}", "{s}的{x}在读{v}", True
    ),
    "family_company": Slot(
        "family", "{x}_company", PERSONAL, "{s}'s {x} works at {v}", "{s}的{x}在{v}工作", True
    ),
    "family_home": Slot(
        "family", "{x}_residence", PERSONAL,
        "{s}'s {x} lives in {v}", "{s}的{x}住在{v}", True,
    ),
    "family_diet": Slot("family", "{x}_diet", PERSONAL, "{s}'s {x} is {v}", "{s}的{x}是{v}", True),
    "family_plural_home": Slot(
        "family", "{x}_residence", PERSONAL, "{s}'s {x} live in {v}", "{s}的{x}住在{v}", True
    ),
    "family_allergy": Slot(
        "family", "{x}_allergy", PERSONAL, "{s}'s {x} is allergic to {v}", "{s}的{x}对{v}过敏"
    ),
    "family_condition": Slot("family", "{x}_condition", PERSONAL, "{s}'s {x} has {v}", "{s}的{x}有{v}"),
    "family_ailing": Slot("family", "{x}_condition", PERSONAL, "{s}'s {x} has {v}", "{s}的{x}{v}"),
    "friend_name": Slot("social", "{x}_name", SOCIAL, "{s}'s {x} is called {v}", "{s}的{x}叫{v}"),
    "pet": Slot("pet", "{x}", OTHER, "{s} has {v}", "{s}养了{v}"),
    "pet_name": Slot("pet", "{x}_name", OTHER, "{s}'s {x} is called {v}", "{s}的{x}叫{v}"),
    "like": Slot(
        "interest", "like", INTERESTS, "{s} likes {v}", "{s}喜欢{v}", False,
        "{s} no longer likes {v}", "{s}不再喜欢{v}",
    ),
    "dislike": Slot("interest", "dislike", INTERESTS, "{s} dislikes {v}", "{s}不喜欢{v}"),
    "favourite": Slot(
        "interest", "favourite_{x}", INTERESTS, "{s}'s favorite {x} is {v}", "{s}最喜欢的{x}是{v}", True
    ),
    "plays": Slot(
        "interest", "activity", INTERESTS, "{s} plays {v}", "{s}会{v}", False,
        "{s} no longer plays {v}", "{s}不再{v}",
    ),
    "learning": Slot(
        "interest", "learning", INTERESTS, "{s} is learning {v}", "{s}在学{v}", False,
        "{s} is no longer learning {v}", "{s}不再学{v}",
    ),
    "diet": Slot(
        "health", "diet", INTERESTS, "{s} is {v}", "{s}是{v}", True,
        "{s} is no longer {v}", "{s}不再是{v}",
    ),
    "avoids": Slot("health", "avoids", INTERESTS, "{s} doesn't eat {v}", "{s}不吃{v}"),
    "avoids_drink": Slot("health", "avoids", INTERESTS, "{s} doesn't drink {v}", "{s}不喝{v}"),
    "quit": Slot("habit", "quit", OTHER, "{s} no longer {v}", "{s}不再{v}"),
    "allergy": Slot("health", "allergy", OTHER, "{s} is allergic to {v}", "{s}对{v}过敏"),
    "condition": Slot("health", "condition", OTHER, "{s} has {v}", "{s}有{v}"),
    "ailing": Slot("health", "condition", OTHER, "{s} has {v}", "{s}{v}"),
    "medication": Slot(
        "health", "medication", OTHER, "{s} takes {v}", "{s}服用{v}", False,
        "{s} no longer takes {v}", "{s}不再服用{v}",
    ),
    "possession": Slot("asset", "possession", ASSETS, "{s} has {v}", "{s}有{v}"),
    "vehicle": Slot("asset", "vehicle", ASSETS, "{s} drives {v}", "{s}开{v}", True),
    "habit": Slot("habit", "routine", OTHER, "{s} {v}", "{s}{v}"),
    "goal": Slot("psychological", "goal", OTHER, "{s} wants to {v}", "{s}想{v}"),
    "goal_is": Slot("psychological", "goal", OTHER, "{s}'s goal is {v}", "{s}的目标是{v}"),
    "dream_is": Slot("psychological", "goal", OTHER, "{s}'s dream is {v}", "{s}的梦想是{v}"),
    "plan": Slot("plan", "plan", OTHER, "{s} plans to {v}", "{s}打算{v}", kind="event"),
    "event": Slot("life_event", "event", OTHER, "{s} {v}", "{s}{v}", kind="event"),
}  # fmt: skip


_KEYS = {
    "女儿": "daughter", "大女儿": "eldest_daughter", "小女儿": "youngest_daughter", "儿子": "son",
    "大儿子": "eldest_son", "小儿子": "youngest_son", "孩子": "child", "妻子": "wife",
    "丈夫": "husband", "爱人": "spouse", "妈妈": "mother", "爸爸": "father", "父母": "parents",
    "哥哥": "elder_brother", "弟弟": "younger_brother", "姐姐": "elder_sister",
    "妹妹": "younger_sister", "爷爷": "grandfather", "奶奶": "grandmother",
    "外公": "maternal_grandfather", "外婆": "maternal_grandmother", "岳母": "mother-in-law",
    "婆婆": "mother-in-law", "岳父": "father-in-law", "公公": "father-in-law", "嫂子": "sister-in-law",
    "弟媳": "sister-in-law", "姐夫": "brother-in-law", "妹夫": "brother-in-law", "外甥": "nephew",
    "侄子": "nephew", "外甥女": "niece", "侄女": "niece", "对象": "partner", "女朋友": "girlfriend",
    "男朋友": "boyfriend", "未婚妻": "fiancée", "未婚夫": "fiancé", "孙子": "grandson",
    "孙女": "granddaughter", "狗": "dog", "狗狗": "dog", "小狗": "dog", "猫": "cat", "猫咪": "cat",
    "小猫": "cat", "兔子": "rabbit", "仓鼠": "hamster", "乌龟": "turtle", "鹦鹉": "parrot",
    "鱼": "fish", "鸟": "bird", "puppy": "dog", "pup": "dog", "kitten": "cat", "kitty": "cat",
    "bunny": "rabbit", "颜色": "color", "colour": "color", "食物": "food", "吃的食物": "food",
    "电影": "movie", "film": "movie", "书": "book", "歌": "song", "歌手": "singer", "运动": "sport",
    "季节": "season", "水果": "fruit", "动物": "animal", "城市": "city", "菜": "dish", "音乐": "music",
    "演员": "actor", "作家": "author", "游戏": "game", "朋友": "friend", "好朋友": "best_friend",
    "最好的朋友": "best_friend",
    "同事": "colleague", "室友": "roommate", "老板": "boss", "同学": "classmate", "邻居": "neighbor",
}  # fmt: skip


def key_of(about: str) -> str:
    """What a subtopic is called whatever the language: "女儿" and "daughter" are one."""
    return _KEYS.get(about, about.replace(" ", "_"))


class Claim(NamedTuple):
    """One claim found in a clause. `where` is the index at which the clause stood."""

    slot: str
    value: str
    about: str = ""
    negates: bool = False
    confidence: float = 0.9
    dated: bool = False
    """Its value is worded with its date: it has no bare value, only a text."""
