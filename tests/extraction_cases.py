"""Labelled conversations: what a careful person would note down about the speaker, and what not.

Every case is one user's messages in order, said at SAID_AT (a Wednesday); `expected` are all the claims as
(topic/subtopic, value), with a "-" before the subtopic of a claim that denies; an event or plan has its
text for a value. Nothing else may be extracted.
"""

from __future__ import annotations

import calendar
from typing import NamedTuple

SAID_AT = calendar.timegm((2023, 5, 10, 12, 0, 0)) * 1000
"""Wednesday 10 May 2023, noon UTC."""

Expected = tuple[str, str]


class Case(NamedTuple):
    messages: tuple[str, ...]
    expected: tuple[Expected, ...] = ()


def _case(*messages: str, says: dict[str, str | list[str]] | None = None) -> Case:
    expected: list[Expected] = []
    for slot, values in (says or {}).items():
        expected.extend((slot, value) for value in ([values] if isinstance(values, str) else values))
    return Case(messages, tuple(expected))


NAME, AGE, HOME, FROM = "basic_info/name", "basic_info/age", "contact_info/residence", "basic_info/hometown"
TITLE, COMPANY, LIKE, DISLIKE = "work/title", "work/company", "interest/like", "interest/dislike"
ALLERGY, CONDITION, PLAN, EVENT = "health/allergy", "health/condition", "plan/plan", "life_event/event"

ENGLISH: tuple[Case, ...] = (
    _case(
        "My name is Li Lei, I live in Hangzhou and I'm allergic to peanuts",
        says={NAME: "Li Lei", HOME: "Hangzhou", ALLERGY: "peanuts"},
    ),
    _case("Hi, I'm Sarah. I'm 34 years old.", says={NAME: "Sarah", AGE: "34"}),
    _case("hello! my name is bob and i live in chicago", says={NAME: "bob", HOME: "chicago"}),
    _case("You can call me Alex.", says={"basic_info/nickname": "Alex"}),
    _case("I'm a 28-year-old nurse from Ohio.", says={AGE: "28", TITLE: "nurse", FROM: "Ohio"}),
    _case("My birthday is on March 3rd.", says={"basic_info/birthday": "March 3rd"}),
    _case("I was born in 1990.", says={"basic_info/birth_year": "1990"}),
    _case(
        "I'm originally from Brazil, but I moved to Lisbon last year.", says={FROM: "Brazil", HOME: "Lisbon"}
    ),
    _case("I'm Canadian.", says={"basic_info/nationality": "Canadian"}),
    _case("I used to live in Denver.", says={"contact_info/-residence": "Denver"}),
    _case("I moved from Boston to Austin.", says={HOME: "Austin"}),
    _case("I've just moved to San Francisco!", says={HOME: "San Francisco"}),
    _case(
        "I'm a software engineer at Google and I live in Mountain View.",
        says={TITLE: "software engineer", COMPANY: "Google", HOME: "Mountain View"},
    ),
    _case("I work as a barista.", says={TITLE: "barista"}),
    _case("I work for Siemens in the sales team.", says={COMPANY: "Siemens"}),
    _case("I no longer work at Amazon.", says={"work/-company": "Amazon"}),
    _case("I'm not a doctor."),
    _case("I'm not from Texas, I'm from Utah.", says={FROM: "Utah"}),
    _case(
        "I study computer science at Stanford University.",
        says={"education/school": "Stanford University", "education/major": "computer science"},
    ),
    _case("I graduated from MIT in 2015.", says={"education/alma_mater": "MIT"}),
    _case("I majored in economics.", says={"education/major": "economics"}),
    _case(
        "I'm a student at Fudan University.", says={TITLE: "student", "education/school": "Fudan University"}
    ),
    _case("My daughter Lily is 5.", says={"family/daughter_name": "Lily", "family/daughter_age": "5"}),
    _case("My wife's name is Anna and she loves opera.", says={"family/wife_name": "Anna"}),
    _case(
        "I have two kids and a dog named Max.",
        says={"family/child": "two children", "pet/dog": "a dog", "pet/dog_name": "Max"},
    ),
    _case("My brother is a pilot.", says={"family/brother_job": "pilot"}),
    _case("My parents live in Kyoto.", says={"family/parents_residence": "Kyoto"}),
    _case("My best friend is called Tom.", says={"social/best_friend_name": "Tom"}),
    _case("We adopted a kitten named Luna last week.", says={"pet/cat": "a kitten", "pet/cat_name": "Luna"}),
    _case(
        "I'm married to Peter.",
        says={"demographics/marital_status": "married", "family/spouse_name": "Peter"},
    ),
    _case("I'm single and I love it.", says={"demographics/marital_status": "single"}),
    _case(
        "I like singing, dancing, and watching movies.",
        says={LIKE: ["singing", "dancing", "watching movies"]},
    ),
    _case("I really enjoy painting and hiking.", says={LIKE: ["painting", "hiking"]}),
    _case("I love to cook.", says={LIKE: "cooking"}),
    _case("My hobbies are chess and gardening.", says={LIKE: ["chess", "gardening"]}),
    _case("I'm a big fan of jazz.", says={LIKE: "jazz"}),
    _case("I'm really into rock climbing these days.", says={LIKE: "rock climbing"}),
    _case("I'm interested in astronomy, especially black holes.", says={LIKE: "astronomy"}),
    _case("I love rock and roll.", says={LIKE: "rock and roll"}),
    _case("I prefer tea to coffee.", says={LIKE: "tea"}),
    _case("My favorite color is blue.", says={"interest/favourite_color": "blue"}),
    _case('My favourite book is "Dune".', says={"interest/favourite_book": '"Dune"'}),
    _case("I don't like horror movies.", says={DISLIKE: "horror movies"}),
    _case("I hate cilantro, and I can't stand olives.", says={DISLIKE: ["cilantro", "olives"]}),
    _case("I'm not a fan of crowds.", says={DISLIKE: "crowds"}),
    _case("I don't like running anymore.", says={"interest/-like": "running"}),
    _case("I no longer like sushi.", says={"interest/-like": "sushi"}),
    _case("I play the guitar and piano.", says={"interest/activity": ["guitar", "piano"]}),
    _case("I'm learning Spanish.", says={"interest/learning": "Spanish"}),
    _case(
        "I'm vegan and I'm lactose intolerant.",
        says={"health/diet": "vegan", CONDITION: "lactose intolerance"},
    ),
    _case("I don't eat pork.", says={"health/avoids": "pork"}),
    _case("I have asthma.", says={CONDITION: "asthma"}),
    _case("I have a shellfish allergy.", says={ALLERGY: "shellfish"}),
    _case("I was diagnosed with type 2 diabetes.", says={CONDITION: "type 2 diabetes"}),
    _case("I speak English and Mandarin.", says={"basic_info/language_spoken": ["English", "Mandarin"]}),
    _case("I drive a Tesla.", says={"asset/vehicle": "a Tesla"}),
    _case("I go running every morning.", says={"habit/routine": "goes running every morning"}),
    _case("I quit smoking.", says={"habit/quit": "smokes"}),
    _case("My goal is to run a marathon.", says={"psychological/goal": "run a marathon"}),
    _case("I want to become a teacher.", says={"psychological/goal": "become a teacher"}),
    _case(
        "I'm flying to Tokyo next week.", says={EVENT: "User is flying to Tokyo in the week of 2023-05-15"}
    ),
    _case("I plan to visit Rome in June.", says={PLAN: "User plans to visit Rome in 2023-06"}),
    _case(
        "I have a dentist appointment tomorrow.", says={EVENT: "User has a dentist appointment on 2023-05-11"}
    ),
    _case(
        "Yesterday I went to the zoo with my kids.",
        says={EVENT: "User went to the zoo with their kids on 2023-05-09"},
    ),
    _case(
        "Last Friday, I ran my first half marathon.",
        says={EVENT: "User ran their first half marathon on 2023-05-05"},
    ),
    _case(
        "Two weeks ago I started a pottery class.",
        says={EVENT: "User started a pottery class in the week of 2023-04-24"},
    ),
    # corrections and contradictions
    _case("My name is Rob.", "Actually, it's Bob, not Rob.", says={NAME: ["Rob", "Bob"]}),
    _case("I live in Paris.", "I moved to Berlin.", says={HOME: ["Paris", "Berlin"]}),
    _case("I love coffee.", "I hate coffee.", says={LIKE: "coffee", DISLIKE: "coffee"}),
    # not facts
    _case("Do you know where I live?"),
    _case("What should I eat if I'm allergic to nuts?"),
    _case("If I lived in Paris, I would eat croissants every day."),
    _case("I wish I had a dog."),
    _case("I would love to visit Japan."),
    _case("I might move to Canada."),
    _case("Am I a good cook?"),
    _case("I live in Rome, right?"),
    _case("He said he likes football."),
    _case("My friend told me she has diabetes."),
    _case('She said, "I am from Spain and I love tapas."'),
    _case("John works at Google and lives in Seattle."),
    _case("I'm a dragon. Just kidding!"),
    _case("I'm an astronaut.", "Just kidding!"),
    _case("Thanks a lot, have a great day!"),
    _case("Hello! How are you?"),
    _case(""),
    _case("   \n  "),
    _case("Translate this to French: my name is Bob and I live in Rome."),
    _case("Write a short story that begins: I am a pirate and I live in Tortuga."),
    _case("Pretend I'm a doctor and I have two dogs."),
    _case("```python\nname = 'Bob'\n# I live in Paris\n```"),
    _case("See https://example.com/i-live-in-paris"),
    _case("I'm tired and I'm hungry."),
    _case("I'm so happy for you!"),
    _case("I love it!"),
    _case("I love your painting."),
    _case("I like the way you think."),
    _case("I'm in a meeting."),
    _case("I live in fear of spiders."),
    _case("I'm a bit worried about tomorrow."),
    _case("I'm going to bed."),
    _case("I'm 5 minutes away."),
    _case("Please remind me to call the bank."),
    _case("You are a great listener and you live in my phone."),
    _case("Your name is Max."),
    _case("I like to think so."),
    _case("I have a question."),
    _case("I have a meeting."),
    _case("I think I'm lost."),
    _case("My code is broken and I hate that."),
    _case("In the movie, the hero says I love New York."),
)

CHINESE: tuple[Case, ...] = (
    _case("我叫张三，我喜欢打羽毛球", says={NAME: "张三", LIKE: "打羽毛球"}),
    _case("你好，我是王峰，今年28岁。", says={NAME: "王峰", AGE: "28"}),
    _case("我的名字是李雪，很高兴认识你。", says={NAME: "李雪"}),
    _case("大家都叫我小明", says={"basic_info/nickname": "小明"}),
    _case("我今年三十五岁了", says={AGE: "35"}),
    _case("我的生日是5月3号", says={"basic_info/birthday": "5月3号"}),
    _case("我是1990年出生的", says={"basic_info/birth_year": "1990"}),
    _case("我是女生", says={"basic_info/gender": "女"}),
    _case("我住在杭州，老家在成都", says={HOME: "杭州", FROM: "成都"}),
    _case("我从北京搬到了杭州", says={HOME: "杭州"}),
    _case("我搬到深圳了", says={HOME: "深圳"}),
    _case("我是四川人", says={FROM: "四川"}),
    _case("我是中国人", says={"basic_info/nationality": "中国"}),
    _case("我来自青岛", says={FROM: "青岛"}),
    _case("我已经不住在上海了", says={"contact_info/-residence": "上海"}),
    _case("我是一名软件工程师，在腾讯工作", says={TITLE: "软件工程师", COMPANY: "腾讯"}),
    _case("我在杭州第一人民医院当护士", says={TITLE: "护士", COMPANY: "杭州第一人民医院"}),
    _case("我的职业是老师", says={TITLE: "老师"}),
    _case("我不是医生"),
    _case("我已经不在阿里巴巴工作了", says={"work/-company": "阿里巴巴"}),
    _case("我在浙江大学读书", says={"education/school": "浙江大学"}),
    _case("我毕业于清华大学", says={"education/alma_mater": "清华大学"}),
    _case("我的专业是计算机科学", says={"education/major": "计算机科学"}),
    _case("我女儿叫小雨，今年5岁", says={"family/daughter_name": "小雨", "family/daughter_age": "5"}),
    _case("我老婆是护士", says={"family/wife_job": "护士"}),
    _case("我有两个孩子", says={"family/child": "两个孩子"}),
    _case("我父母住在西安", says={"family/parents_residence": "西安"}),
    _case("我儿子今年上小学，我儿子8岁", says={"family/son_age": "8"}),
    _case("我养了一只猫，叫咪咪", says={"pet/cat": "一只猫", "pet/cat_name": "咪咪"}),
    _case("我家的狗叫旺财", says={"pet/dog_name": "旺财"}),
    _case("我最好的朋友对我很好"),
    _case("我结婚了", says={"demographics/marital_status": "已婚"}),
    _case("我目前单身", says={"demographics/marital_status": "单身"}),
    _case("我喜欢徒步、长跑和攀岩", says={LIKE: ["徒步", "长跑", "攀岩"]}),
    _case("我很喜欢旅游和看电影，你呢？", says={LIKE: ["旅游", "看电影"]}),
    _case("我的爱好是书法和围棋", says={LIKE: ["书法", "围棋"]}),
    _case("我对摄影很感兴趣", says={LIKE: "摄影"}),
    _case("我爱吃火锅", says={LIKE: "火锅"}),
    _case("我喜欢唱歌，健身，旅游，摄影", says={LIKE: ["唱歌", "健身", "旅游", "摄影"]}),
    _case("我最喜欢的颜色是蓝色", says={"interest/favourite_color": "蓝色"}),
    _case("我最喜欢的电影是《流浪地球》", says={"interest/favourite_movie": "《流浪地球》"}),
    _case("我不喜欢吃香菜", says={DISLIKE: "香菜"}),
    _case("我讨厌下雨天", says={DISLIKE: "下雨天"}),
    _case("我对足球不感兴趣", says={DISLIKE: "足球"}),
    _case("我不再喜欢打游戏了", says={"interest/-like": "打游戏"}),
    _case("我不喜欢喝咖啡了", says={"interest/-like": "喝咖啡"}),
    _case("我会弹钢琴", says={"interest/activity": "弹钢琴"}),
    _case("我最近在学日语", says={"interest/learning": "日语"}),
    _case("我对花生过敏", says={ALLERGY: "花生"}),
    _case("我海鲜过敏", says={ALLERGY: "海鲜"}),
    _case("我有糖尿病和高血压", says={CONDITION: ["糖尿病", "高血压"]}),
    _case("我吃素", says={"health/diet": "素食者"}),
    _case("我不吃牛肉", says={"health/avoids": "牛肉"}),
    _case("我已经戒烟了", says={"habit/quit": "抽烟"}),
    _case("我会说英语和法语", says={"basic_info/language_spoken": ["英语", "法语"]}),
    _case("我有一辆特斯拉", says={"asset/possession": "一辆特斯拉"}),
    _case("我每天早上跑步", says={"habit/routine": "每天早上跑步"}),
    _case("我的梦想是成为一名作家", says={"psychological/goal": "成为一名作家"}),
    _case("我下周五要去上海出差", says={PLAN: "用户打算2023年5月19日去上海出差"}),
    _case("我打算下个月去西班牙旅行", says={PLAN: "用户打算2023年6月去西班牙旅行"}),
    _case("昨天我去了西湖散步", says={EVENT: "用户2023年5月9日去了西湖散步"}),
    _case("上周末我参加了一场马拉松", says={EVENT: "用户2023年5月6日那个周末参加了一场马拉松"}),
    _case("我上个月买了一套房子", says={"asset/possession": "一套房子"}),
    _case("三天前我开始健身了", says={EVENT: "用户2023年5月7日开始健身了"}),
    _case("我養了一隻狗，我住在臺北", says={"pet/dog": "一隻狗", HOME: "臺北"}),
    _case("我喜歡打籃球", says={LIKE: "打籃球"}),
    # corrections and contradictions
    _case("我叫张伟", "不对，我叫张炜", says={NAME: ["张伟", "张炜"]}),
    _case("我住在北京", "其实我已经搬到南京了", says={HOME: ["北京", "南京"]}),
    _case("我喜欢猫", "我现在不喜欢猫了", says={LIKE: "猫", "interest/-like": "猫"}),
    _case("我的名字不是张三，是李四", says={NAME: "李四"}),
    # not facts
    _case("你知道我叫什么吗？"),
    _case("我住在哪里？"),
    _case("我叫什么名字"),
    _case("我喜欢什么颜色来着"),
    _case("我住在杭州，对吗？"),
    _case("我是不是说过我喜欢喝茶"),
    _case("如果我住在北京，我就天天去故宫"),
    _case("要是我有一只猫就好了"),
    _case("他说他喜欢打羽毛球"),
    _case("我朋友叫李明，他住在上海", says={"social/friend_name": "李明"}),
    _case("我同事喜欢打篮球，住在苏州"),
    _case("妈妈说我小时候很调皮"),
    _case("小王叫我去吃饭"),
    _case("我是超人，开玩笑的"),
    _case("我是外星人。", "哈哈，开玩笑的！"),
    _case("你好"),
    _case("谢谢你的建议，我会试试的"),
    _case("帮我翻译：我叫张三，我住在北京"),
    _case("请写一个故事：我是一名海盗"),
    _case("假装你是医生，我是病人"),
    _case("“我喜欢你”这句话怎么说"),
    _case("我爱你"),
    _case("我很累，想睡觉"),
    _case("我叫了外卖"),
    _case("我以前住在北京"),
    _case("我小时候喜欢画画"),
    _case("我可能会搬到上海"),
    _case("我没有养狗"),
    _case("我想去日本"),
    _case("你喜欢打羽毛球吗？"),
    _case("今天天气真好"),
    _case("提醒我明天给妈妈打电话"),
    _case("今天我学了一道菜，叫做回锅肉", says={EVENT: "用户2023年5月10日学了一道菜"}),
    _case("我觉得你说得对"),
    _case("张三住在北京，他喜欢唱歌"),
    _case("我在想要不要换工作"),
    _case("我的朋友们都很忙"),
    _case("我也是"),
    _case(""),
)
