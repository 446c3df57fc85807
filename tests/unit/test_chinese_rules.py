"""What Chinese leaves out, puts first or writes apart, and what must not be mistaken for it."""

from __future__ import annotations

import pytest

from tests.rule_claims import noted

HOME, AGE, NAME, TITLE = "contact_info/residence", "basic_info/age", "basic_info/name", "work/title"
LIKE, DISLIKE, AVOIDS, ALLERGY = "interest/like", "interest/dislike", "health/avoids", "health/allergy"
PLAN = "plan/plan"
GRADE = "education/grade"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("我在 Google 工作。", ("work/company", "Google")),
        ("我今年 25 岁", (AGE, "25")),
        ("我喜欢 Taylor Swift 的歌", (LIKE, "Taylor Swift的歌")),
        ("我最近在学吉他。", ("interest/learning", "吉他")),
        ("我不能吃褪黑素。", (AVOIDS, "褪黑素")),
        ("我33了，还在读书。", (AGE, "33")),
        ("我今年27，还在读书。", (AGE, "27")),
        ("我跟两个朋友在成都合租。", (HOME, "成都")),
        ("我在广州待了五年了。", (HOME, "广州")),
        ("我们都讨厌洗碗。", (DISLIKE, "洗碗")),
        ("我是不婚主义。", ("psychological/personality", "不婚主义")),
        ("我是INFP。", ("psychological/personality", "INFP")),
        ("我这人比较慢热。", ("psychological/personality", "慢热")),
    ],
)
async def test_clauses_are_read_whole(said: str, expected: tuple[str, str]) -> None:
    assert await noted(said) == {expected}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("香菜我不吃。", (AVOIDS, "香菜")),
        ("燕麦我挺爱吃的。", (LIKE, "燕麦")),
        ("数学我最讨厌了。", (DISLIKE, "数学")),
        ("花生我过敏。", (ALLERGY, "花生")),
        ("现在我喜欢。", None),
        ("这个我喜欢。", None),
        ("饭我吃了。", None),
        ("大家都说我喜欢。", None),
    ],
)
async def test_what_is_talked_of_may_come_first(said: str, expected: tuple[str, str] | None) -> None:
    assert await noted(said) == ({expected} if expected else set())


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (("现在住通州，房租便宜。",), {(HOME, "通州")}),
        (("终于搬完家了，现在住通州。",), {(HOME, "通州")}),
        (("单身三十年了。",), {("demographics/marital_status", "单身")}),
        (("她来看我了，现在住通州。",), set()),
        (("我表妹毕业了。", "助手：恭喜！", "现在住通州。"), set()),
        (("房东人不错，现在住通州。",), set()),
        (("有个新闻说的，现在住通州。",), set()),
        (("计划有变。",), set()),
    ],
)
async def test_who_is_left_out_is_the_speaker_where_nobody_else_was_spoken_of(
    said: tuple[str, ...], expected: set[tuple[str, str]]
) -> None:
    assert await noted(*said) == expected


@pytest.mark.parametrize(
    ("question", "reply", "expected"),
    [
        ("您是做什么工作的？", "护士，在急诊科。", (TITLE, "护士")),
        ("请问怎么称呼您？", "赵磊", (NAME, "赵磊")),
        ("您现在住在哪个城市？", "天津", (HOME, "天津")),
        ("您今年多大？", "三十五", (AGE, "35")),
        ("孩子多大了？", "五岁，男孩。", ("family/child_age", "5")),
        ("您喜欢什么颜色？", "护士", None),
        ("它几岁了？", "五岁。", None),
        ("您住在哪个城市？", "随便", None),
    ],
)
async def test_a_bare_answer_says_what_was_asked(
    question: str, reply: str, expected: tuple[str, str] | None
) -> None:
    found = await noted("你好，问点事。", f"助手：{question}", reply)
    assert found == ({expected} if expected else set())


async def test_a_text_to_put_into_another_language_is_nobodys() -> None:
    assert not await noted("把这句翻成英文：我今年三十五岁，住在大连，对海鲜过敏。")
    assert not await noted("再翻一句：我的妻子是一名护士。")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("我是做测试的。", {("work/working_industry", "测试")}),
        ("我们做广告的，天天改稿。", {("work/working_industry", "广告")}),
        ("我一个写文案的，累死了。", {(TITLE, "写文案")}),
        ("我在威海教游泳。", {(TITLE, "教游泳"), ("work/location", "威海")}),
        ("我在上海做外贸。", {("work/working_industry", "外贸"), ("work/location", "上海")}),
        ("我在莫干山开民宿。", {("work/business", "民宿")}),
        ("我开了家面包店。", {("work/business", "一家面包店")}),
        ("我工作在南京。", {("work/location", "南京")}),
        ("我本科其实是学英语的。", {("education/major", "英语")}),
        ("我是西安电子科技大学大三的。", {("education/school", "西安电子科技大学")}),
        ("我正在做数据分析。", set()),
        ("我今天做测试。", set()),
        ("我是做梦的。", set()),
        ("我是写错的。", set()),
        ("我开车回公司。", set()),
        ("我想开家面包店。", {("psychological/goal", "开家面包店")}),
        ("我工作在进行中。", set()),
    ],
)
async def test_what_somebody_lives_on(said: str, expected: set[tuple[str, str]]) -> None:
    assert await noted(said) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("我失眠快两年了。", {("health/condition", "失眠")}),
        ("我乳糖不耐受。", {("health/condition", "乳糖不耐受")}),
        ("我体检查出脂肪肝。", {("health/condition", "脂肪肝")}),
        ("我晕船。", {("health/condition", "晕船")}),
        ("我胃一直不好。", {("health/condition", "胃一直不好")}),
        ("我体重72公斤，身高一米七。", {("basic_info/weight", "72公斤"), ("basic_info/height", "一米七")}),
        ("我爸有糖尿病。", {("family/father_condition", "糖尿病")}),
        ("我妈血压高。", {("family/mother_condition", "血压高")}),
        ("我女儿对头孢过敏。", {("family/daughter_allergy", "头孢")}),
        ("我岳母海鲜过敏。", {("family/mother-in-law_allergy", "海鲜")}),
        ("我昨天失眠了。", set()),
        ("我怀疑高血压。", set()),
        ("我爸没有糖尿病。", set()),
        ("我妈说我有糖尿病。", set()),
        ("我女儿对加班过敏。", set()),
    ],
)
async def test_whose_health(said: str, expected: set[tuple[str, str]]) -> None:
    assert await noted(said) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("我最近迷上民谣了。", {(LIKE, "民谣")}),
        ("我爱上一个女孩。", set()),
        ("我练瑜伽三年了。", {("interest/activity", "练瑜伽")}),
        ("我搞对象三年了。", set()),
        ("我最近改学口琴。", {("interest/learning", "口琴")}),
        ("我现在开的是辆老捷达。", {("asset/possession", "一辆老捷达")}),
        ("我家新养了只柯基，叫土豆。", {("pet/柯基", "一只柯基"), ("pet/柯基_name", "土豆")}),
        ("我在备考CPA。", {("habit/routine", "在准备CPA")}),
    ],
)
async def test_pastimes_and_belongings(said: str, expected: set[tuple[str, str]]) -> None:
    assert await noted(said) == expected


async def test_what_is_no_longer_learnt_is_closed() -> None:
    found = await noted("我在学吉他。", "吉他我不学了。")
    assert found == {("interest/learning", "吉他"), ("interest/-learning", "吉他")}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("去年在武汉买了套房子。", {("life_event/event", "用户2022年在武汉买了套房子")}),
        ("上个月毕业了。", {("life_event/event", "用户2023年4月毕业了")}),
        ("下周三要去体检。", {(PLAN, "用户打算2023年5月17日去体检")}),
        ("打算六月去巴黎看展。", {(PLAN, "用户打算2023年6月去巴黎看展")}),
        ("我怀孕了。", {("life_event/event", "用户怀孕了")}),
        ("青霉素过敏。", {(ALLERGY, "青霉素")}),
        ("昨天跑完了。", set()),
        ("客户说的，下周三要去体检。", set()),
        ("我儿子不舒服，昨天去了趟医院。", set()),
        ("下周三要求提交。", set()),
        ("昨天下了大雨。", set()),
    ],
)
async def test_deeds_and_plans_without_a_subject(said: str, expected: set[tuple[str, str]]) -> None:
    assert await noted(said) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            "我是北京大学大三的，学通信工程。",
            {("education/school", "北京大学"), ("education/major", "通信工程")},
        ),
        ("我今年大二了。", {(GRADE, "大二学生")}),
        ("我在清华大学读研，学了很多。", {("education/school", "清华大学")}),
        ("我室友小敏又喝我的牛奶。", {("social/roommate_name", "小敏")}),
        ("我女儿小时候怕黑。", set()),
        ("我女儿小班了。", {("family/daughter_grade", "小班")}),
        ("我弟弟小我三岁。", set()),
    ],
)
async def test_studies_and_names_in_passing(said: str, expected: set[tuple[str, str]]) -> None:
    assert await noted(said) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("嗯，从小就对花生过敏。", {(ALLERGY, "花生")}),
        ("我是接警员，坐办公室的。", {(TITLE, "接警员")}),
        ("我是会员。", set()),
        ("我是场控。", set()),
        ("我在事务所工作。", set()),
        ("我最喜欢的是茉莉。", {(LIKE, "茉莉")}),
        ("我对牛羊肉没啥兴趣。", {(DISLIKE, "牛羊肉")}),
        ("我现在可爱吃羊肉了。", {(LIKE, "羊肉")}),
        ("我朋友老赵去年骑过川藏线。", set()),
        ("我昨天跑完了。", set()),
        ("我是温州人，从小在意大利长大。", {("basic_info/hometown", "温州")}),
        ("我家狗狗豆豆十二岁了。", {("pet/dog_name", "豆豆")}),
        (
            "我有个哥哥，在苏州当程序员。",
            {("family/elder_brother", "一个哥哥"), ("family/elder_brother_job", "程序员")},
        ),
    ],
)
async def test_more_that_is_said_in_passing(said: str, expected: set[tuple[str, str]]) -> None:
    assert await noted(said) == expected


@pytest.mark.parametrize(
    "said",
    [
        "帮我改下自我介绍：\n大家好，我是张磊，毕业于武汉大学，热爱长跑。",
        "麻烦看看这段：我叫张磊，住在武汉。",
    ],
)
async def test_a_text_to_work_on_is_nobodys(said: str) -> None:
    assert not await noted(said)


async def test_what_is_asked_to_be_noted_is_the_speakers() -> None:
    assert await noted("帮我记一下：我对花生过敏。") == {(ALLERGY, "花生")}


async def test_a_plan_is_called_off_in_a_clause() -> None:
    said = ("我打算去青海湖骑车。", "青海湖去不成了，上周摔了。")
    assert ("plan/-plan", "用户打算去青海湖骑车") in await noted(*said)
    assert ("plan/-plan", "用户打算去青海湖骑车") not in await noted(said[0], "他说，青海湖去不成了。")


@pytest.mark.parametrize(
    ("later", "denied"),
    [
        ("婚礼改到十二月了。", True),
        ("婚礼取消了，唉。", True),
        ("婚礼没取消。", False),
        ("婚礼取消了吗？", False),
        ("年会取消了。", False),
    ],
)
async def test_any_plan_is_put_off_by_its_name(later: str, *, denied: bool) -> None:
    found = await noted("我打算十月六号办婚礼。", later)
    assert any(slot == "plan/-plan" for slot, _ in found) == denied


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("我在用 Duolingo 学西班牙语。", {("interest/learning", "西班牙语")}),
        ("我在顺丰开货车的。", {(TITLE, "开货车"), ("work/company", "顺丰")}),
        ("我是汉服爱好者。", {(LIKE, "汉服")}),
        ("我从初中就喜欢周杰伦。", {(LIKE, "周杰伦")}),
        ("我孙女才两岁。", {("family/granddaughter_age", "2")}),
        ("我有慢性咽炎。", {("health/condition", "咽炎")}),
        ("平时喜欢看脱口秀。", {(LIKE, "看脱口秀")}),
        ("我有点发炎。", set()),
        ("我打算今年把 PMP 考下来。", {(PLAN, "用户打算2023年把PMP考下来")}),
        ("我打算今天去超市。", set()),
        ("我是学前教育大四的。", {(GRADE, "大四学生"), ("education/major", "学前教育")}),
        ("我养过一只仓鼠，死了。", set()),
        ("我有一台电脑坏了。", set()),
        ("我这周在深圳出差，住在福田。", set()),
        ("不要火锅，昨天刚吃过。", set()),
        ("我写了个开头，你看看怎么样：\n我叫沈渊，今年十七岁。", set()),
    ],
)
async def test_what_else_is_said_in_passing(said: str, expected: set[tuple[str, str]]) -> None:
    assert await noted(said) == expected


async def test_one_may_tell_of_oneself_after_a_colon() -> None:
    assert (ALLERGY, "花生") in await noted("帮我看看我的情况怎么样：\n我对花生过敏。")


@pytest.mark.parametrize(
    "said",
    [
        "我来自单亲家庭。",
        "我来自技术部。",
        "我住上铺。",
        "我住六人间。",
        "我住得远。",
        "我住在爷爷奶奶家。",
        "我住在地铁站旁边。",
        "我现在住帐篷里。",
        "我在三楼上班。",
        "我喜欢归喜欢，但是买不起。",
        "我喜欢吃但是不会做。",
        "我喜欢听。",
        "我爱莫能助。",
        "我叫天天不应。",
        "我是打工人。",
        "我想当个废物。",
        "我昨天在公司听了个八卦。",
        "我前天买了两斤苹果。",
        "我昨天看了一下。",
        "我打算明天跟老板谈谈。",
        "我养了两条鱼，都死了。",
        "我养了一只猫，叫咪咪，去年走丢了。",
        "我有一辆丰田，上个月卖了。",
        "小王辞职了，打算去创业。",
        "我从昨天就开始发烧。",
    ],
)
async def test_a_value_is_of_the_kind_that_its_slot_expects(said: str) -> None:
    assert await noted(said) == set()


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("我来自铁岭。", ("basic_info/hometown", "铁岭")),
        ("我喜欢咖啡胜过茶。", (LIKE, "咖啡")),
        ("我喜欢听雨，你呢？", (LIKE, "听雨")),
        ("我是王老师。", (TITLE, "老师")),
        ("我在北京朝阳区上班。", ("work/location", "北京朝阳区")),
        ("我想当个兽医。", ("psychological/goal", "当个兽医")),
        ("我从2019年起就住在大连。", (HOME, "大连")),
        ("我从去年开始吃素了。", ("health/diet", "素食者")),
    ],
)
async def test_what_stands_beside_a_value_is_no_part_of_it(said: str, expected: tuple[str, str]) -> None:
    assert await noted(said) == {expected}


@pytest.mark.parametrize(
    "end", ["上个月我被裁了。", "公司倒闭了，我失业了。", "我们公司破产了。", "我辞职了。"]
)
async def test_a_job_ends_without_its_employer_being_named(end: str) -> None:
    assert ("work/-company", "美团") in await noted("我在美团上班。", end)


@pytest.mark.parametrize(
    "end",
    [
        "我老公失业了。",
        "我想辞职。",
        "我老公很烦，辞职了。",
        "我差点被裁了。",
        "你们公司倒闭了？",
        "楼下的店关门了。",
    ],
)
async def test_a_job_goes_on_where_its_end_is_not_told(end: str) -> None:
    assert ("work/-company", "美团") not in await noted("我在美团上班。", end)


async def test_of_two_employers_the_last_is_meant() -> None:
    found = await noted("我在美团上班。", "我跳槽到滴滴了。", "我辞职了。")
    assert {value for slot, value in found if slot == "work/-company"} == {"滴滴"}
    assert ("work/-company", "滴滴") in await noted("我不在滴滴工作了。", "我辞职了。")


async def test_a_mistaken_value_makes_place_for_what_was_meant() -> None:
    assert await noted("我最爱喝美式。", "助手：很提神。", "对了，不是美式，是拿铁，我总说错。") == {
        (LIKE, "喝拿铁")
    }
    assert await noted("我最爱喝美式。", "助手：很提神。", "不是他，是我姐。") == {(LIKE, "喝美式")}


async def test_a_home_is_whose_the_talk_is_about() -> None:
    assert await noted("给我妈找个保姆。", "助手：她有什么情况？", "腿脚不好，老家在沧州。") == set()
    assert await noted("我叫王强，老家在沧州。") == {(NAME, "王强"), ("basic_info/hometown", "沧州")}


async def test_words_that_are_repeated_are_somebody_elses() -> None:
    assert await noted("我女儿写作文。", "助手：写了什么？", "我的梦想是当宇航员。") == set()
    assert await noted("我想聊聊。", "助手：你想说什么？", "我的梦想是当宇航员。") != set()


async def test_the_only_plan_is_called_off_without_its_name() -> None:
    said = await noted("我计划八月去北海道。", "计划泡汤了，公司不批假。")
    assert any(slot == "plan/-plan" and "北海道" in value for slot, value in said)
    both = await noted("我计划八月去北海道。", "我打算九月去桂林。", "计划泡汤了。")
    assert not any(slot == "plan/-plan" for slot, _ in both)


@pytest.mark.parametrize(
    "said",
    [
        "我有个网友在挪威，住在奥斯陆，喜欢滑雪。",
        "我认识一位老师，喜欢收集邮票。",
        "帮我看看这段自我介绍行不行：我叫陈锋，性格开朗，热爱运动。",
        "我不喝就头疼。",
    ],
)
async def test_whoever_is_brought_in_is_spoken_of(said: str) -> None:
    assert await noted(said) == set()


@pytest.mark.parametrize("end", ["咖啡我一口都不沾了。", "我戒咖啡了。", "现在改喝茶了，咖啡一口不沾。"])
async def test_a_habit_ends_with_what_it_takes(end: str) -> None:
    assert ("habit/-routine", "每天喝两杯咖啡") in await noted("我每天喝两杯咖啡。", end)
    assert ("habit/-routine", "每天喝两杯咖啡") not in await noted("我每天喝两杯咖啡。", "我不喝奶茶了。")


@pytest.mark.parametrize("end", ["快手也不待了。", "快手我已经不干了。", "我现在自己创业。"])
async def test_an_employer_is_left_by_name_or_for_ones_own(end: str) -> None:
    assert ("work/-company", "快手") in await noted("我跳槽到快手了。", end)
    assert ("work/-company", "快手") not in await noted("我跳槽到快手了。", "健身房我不去了，游泳也不干了。")


async def test_an_adverb_is_no_part_of_what_a_relative_is_allergic_to() -> None:
    found = await noted("我儿子倒没事，他就对芒果过敏。")
    assert [value for slot, value in found if slot.endswith("allergy")] == ["芒果"]


async def test_who_is_said_to_be_there_goes_on_being_spoken_of() -> None:
    assert await noted("我是健身教练，有个学员特别胖，不吃早饭，爱喝可乐。") == {(TITLE, "健身教练")}


async def test_what_is_learned_gives_way_to_something_else() -> None:
    found = await noted("我最近在学韩语。", "韩语学不下去了，改学西班牙语了，明年想去南美。")
    assert {("interest/-learning", "韩语"), ("interest/learning", "西班牙语")} <= found


async def test_a_car_that_is_passed_on_is_had_no_longer() -> None:
    assert ("asset/-possession", "一辆思域") not in await noted("我开一辆思域。", "我想把思域卖了。")
    assert ("asset/-possession", "一辆思域") in await noted("我开一辆思域。", "思域出手了，现在坐地铁。")


async def test_a_move_of_long_ago_is_a_move() -> None:
    assert await noted("那是老黄历了，我早搬到宁波了。") == {(HOME, "宁波")}


@pytest.mark.parametrize("said", ["我家狗叫声特别大。", "我家猫叫春了。", "我在某大厂上班。"])
async def test_what_is_no_name_is_none(said: str) -> None:
    assert {slot for slot, _ in await noted(said)} <= {"pet/dog", "pet/cat"}


async def test_a_late_hour_ends_no_habit() -> None:
    assert ("habit/-routine", "每天早上跑步") not in await noted("我每天早上跑步。", "不早了，睡了。")


async def test_a_move_back_is_a_move() -> None:
    found = await noted("我住在北京。", "我搬到上海了。", "后来又搬回天津了。")
    assert (HOME, "天津") in found


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("我湖南人。", {("basic_info/hometown", "湖南")}),
        ("我山东德州的。", {("basic_info/hometown", "山东德州")}),
        ("老家衢州。", {("basic_info/hometown", "衢州")}),
        ("我AB型血。", {("basic_info/blood_type", "AB型")}),
        ("我天蝎座。", {("basic_info/zodiac", "天蝎座")}),
        ("我属兔的。", {("basic_info/chinese_zodiac", "兔")}),
        ("我姓邹。", {("basic_info/surname", "邹")}),
        ("我独生女。", {("psychological/personality", "独生女")}),
        ("我一写Java的。", {(TITLE, "写Java")}),
        ("我一个程序员，没见过太阳。", {(TITLE, "程序员")}),
        ("我一个学考古的。", {("education/major", "考古")}),
        ("我都四十三的人了。", {(AGE, "43")}),
        ("我爸山东德州的。", set()),
        ("他湖南人。", set()),
        ("我朋友属兔。", set()),
        ("我一老师特别凶。", set()),
        ("我一老师，特别凶。", set()),
        ("我买杭州的。", set()),
        ("我上海的房子卖了。", set()),
        ("要是我属虎就好了。", set()),
    ],
)
async def test_the_copula_is_left_out(said: str, expected: set[tuple[str, str]]) -> None:
    assert await noted(said) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("在西门子搬砖三年了。", {("work/company", "西门子")}),
        ("我在格力干了快六年，没见过这样的。", {("work/company", "格力")}),
        ("来南京八年了。", {(HOME, "南京")}),
        ("我做会计十年了。", {(TITLE, "会计")}),
        ("弹古筝弹了六年了。", {("interest/activity", "弹古筝")}),
        ("我学日语学了半年。", {("interest/learning", "日语")}),
        ("我吃素五年了。", {("health/diet", "素食者")}),
        ("我和我老婆结婚七年。", {("demographics/marital_status", "已婚")}),
        ("我以前在华为干了五年。", set()),
        ("在家待了三年了。", set()),
        ("在一起三年了。", set()),
        ("来公司三年了。", set()),
        ("来南京三天了。", set()),
        ("打游戏打了一天。", set()),
        ("我老板在西门子干了十年了。", set()),
        ("我朋友换工作了，在西门子搬砖三年了。", set()),
    ],
)
async def test_how_long_tells_that_it_goes_on(said: str, expected: set[tuple[str, str]]) -> None:
    assert await noted(said) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("我下周去北京出差。", {(PLAN, "用户打算2023年5月15日那一周去北京出差")}),
        ("下个月5号去体检。", {(PLAN, "用户打算2023年6月5日去体检")}),
        ("我复查是8月6号。", {("life_event/event", "用户2023年8月6日有复查")}),
        ("我准备去考个驾照。", {(PLAN, "用户打算去考个驾照")}),
        ("我准备去睡觉。", set()),
        ("下周去看演唱会的人应该很多。", set()),
        ("下周去北京的人多吗？", set()),
        ("我妈复查是8月6号。", set()),
        ("高考是6月7号。", set()),
        ("老板说让我下周去北京，我不想去。", set()),
        ("如果下周去北京，住哪好？", set()),
        ("我还打算再活五十年。", set()),
        ("我打算再睡会儿。", set()),
    ],
)
async def test_what_lies_ahead_needs_no_word_for_it(said: str, expected: set[tuple[str, str]]) -> None:
    assert await noted(said) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("我家猫不吃饭怎么办？", {("pet/cat", "猫")}),
        ("怎么写感谢我的两只鹦鹉？", {("pet/parrot", "两只鹦鹉")}),
        ("我家猫去年死了。", set()),
        ("你家猫多大了？", set()),
        ("朋友家的狗老叫。", set()),
        ("我家鱼缸漏水了。", set()),
        ("要是我家狗会说话就好了。", set()),
    ],
)
async def test_who_speaks_of_their_cat_has_one(said: str, expected: set[tuple[str, str]]) -> None:
    assert await noted(said) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("她居然记得我不吃香菜。", {(AVOIDS, "香菜")}),
        ("医生说我有高血压。", {("health/condition", "高血压")}),
        ("她不知道我不吃香菜。", set()),
        ("医生说我可能有糖尿病。", set()),
        ("医生说你有高血压。", set()),
        ("网友说我有抑郁症。", set()),
        ("我还没对象呢。", {("demographics/marital_status", "单身")}),
        ("我没结婚的朋友很多。", set()),
        ("女儿三岁了。", {("family/daughter_age", "3")}),
        ("我朋友离婚了，女儿三岁了。", set()),
        ("女儿要富养。", set()),
        ("我喺香港做老師。", {(TITLE, "老師"), ("work/location", "香港")}),
        ("佢喺香港做老師。", set()),
        ("我开地铁的。", {(TITLE, "开地铁")}),
        ("教化学的。", {(TITLE, "教化学")}),
        ("我同学教化学的。", set()),
        ("我被浙江大学录取了。", {("education/school", "浙江大学")}),
        ("我弟弟被浙江大学录取了。", set()),
        ("我在哈尔滨热力公司。", {("work/company", "哈尔滨热力公司")}),
        ("我是大一新生。", {(GRADE, "大一新生")}),
        ("我是研究生。", {(TITLE, "研究生")}),
    ],
)
async def test_whose_fact_it_is(said: str, expected: set[tuple[str, str]]) -> None:
    assert await noted(said) == expected


@pytest.mark.parametrize(
    "taken_back",
    [
        "停停停，这是我从网上抄的模板。",
        "这是我妹妹的简历。",
        "我替我表姐问的。",
        "Oh, that's my sister's CV.",
        "I found it on some profile.",
        "Just asking for a friend.",
    ],
)
async def test_what_is_somebody_elses_leaves_nothing(taken_back: str) -> None:
    chinese = await noted("我叫李思远，我是素食者。", "助手：好的。", taken_back)
    english = await noted("I'm vegan and I live in Oslo.", "助手：ok", taken_back)
    assert chinese == english == set()


@pytest.mark.parametrize(
    "kept", ["这是我喜欢的地方。", "这是我妹妹。", "我帮我妈写的信寄了。", "I found it in the kitchen."]
)
async def test_what_is_ones_own_stays(kept: str) -> None:
    assert ("health/diet", "素食者") in await noted("我叫李思远，我是素食者。", "助手：好的。", kept)


async def test_what_was_asked_for_somebody_in_the_same_message_is_theirs() -> None:
    assert await noted("我有糖尿病，能吃西瓜吗？替我妈问的。") == set()


async def test_a_speech_before_a_jury_is_a_role_until_it_is_stopped() -> None:
    rehearsal = "面试官您好，我叫李思远，我毕业于浙江大学。"
    assert await noted(rehearsal, "助手：请讲。", "我在阿里巴巴工作。") == set()
    assert await noted(rehearsal, "助手：请讲。", "停，先不练了。我叫王芳。") == {("basic_info/name", "王芳")}
    assert ("basic_info/name", "李思远") in await noted("您好，我叫李思远。")


async def test_a_day_takes_its_particle_with_it() -> None:
    assert await noted("我订了今晚的飞机回上海。") == {
        ("life_event/event", "用户2023年5月10日订了飞机回上海")
    }


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("我妈六十二了。", {("family/mother_age", "62")}),
        ("我爸今年70。", {("family/father_age", "70")}),
        ("我家孩子三岁了。", {("family/child_age", "3")}),
        ("我儿子今年高三。", {("family/son_grade", "高三")}),
        ("我爸走了七年了。", {("family/father_condition", "已去世")}),
        ("我妈退休了。", {("family/mother_job", "退休")}),
        ("想给我外婆做棉袄，外婆住在绍兴。", {("family/maternal_grandmother_residence", "绍兴")}),
        ("我那台五菱开山路没得说。", {("asset/possession", "一台五菱")}),
        ("我那辆Polo卖了。", set()),
        ("我爸走了。", set()),
        ("我妈十点了还没回。", set()),
        ("我儿子明年上小学。", set()),
        ("我女儿想上大学。", set()),
        ("我妈小学毕业。", set()),
        ("我朋友儿子上三年级了。", set()),
        ("我同学的外婆身体好，外婆住在绍兴。", set()),
    ],
)
async def test_what_else_is_said_of_ones_own(said: str, expected: set[tuple[str, str]]) -> None:
    assert await noted(said) == expected


async def test_a_bare_answer_names_the_job_that_was_asked_for() -> None:
    assert await noted("面试怎么答？", "助手：您面的是什么岗位？", "急诊科护士，从二甲往三甲跳。") == {
        (TITLE, "急诊科护士")
    }


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            "坐标南宁，28岁，女，打算转行做会计，晚不晚？",
            {(HOME, "南宁"), (AGE, "28"), ("basic_info/gender", "女"), (PLAN, "用户打算转行做会计")},
        ),
        ("我对花生过敏，怎么办？", {(ALLERGY, "花生")}),
        ("我对花生过敏，对吗？", set()),
        ("我是运维，逢年过节都我值。", {(TITLE, "运维")}),
        ("我一个纹身师好慌。", {(TITLE, "纹身师")}),
        ("我一个朋友好慌。", set()),
        ("出纳一枚。", {(TITLE, "出纳")}),
        ("帅哥一枚。", set()),
        ("我一米七二。", {("basic_info/height", "一米七二")}),
        ("他一米七二。", set()),
        ("我在哈工大读博。", {("education/school", "哈工大")}),
        ("我贵阳本地的。", {("basic_info/hometown", "贵阳")}),
        ("腰椎间盘突出三年了。", {("health/condition", "腰椎间盘突出")}),
        ("我爸难受，腰椎间盘突出三年了。", set()),
    ],
)
async def test_more_of_what_is_said_in_few_words(said: str, expected: set[tuple[str, str]]) -> None:
    assert await noted(said) == expected


async def test_another_sentence_to_translate_is_nobodys() -> None:
    assert await noted("翻译一下：我来自西班牙。", "助手：Soy", "再来一句：我对花生过敏。") == set()


async def test_an_interview_that_is_played_is_a_role() -> None:
    played = await noted(
        "你是一个资深HR，面试我。", "助手：好。", "我叫陆明。", "助手：好。", "不玩了，其实我才大二。"
    )
    assert played == {(GRADE, "大二学生")}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("我们安庆人嘛。", {("basic_info/hometown", "安庆")}),
        ("我对花生过敏啊。", {(ALLERGY, "花生")}),
        ("我自己就是学历史的。", {("education/major", "历史")}),
        ("我就是喜欢猫。", {(LIKE, "猫")}),
        ("说个冷知识，我左撇子。", {("psychological/personality", "左撇子")}),
        ("我以前十九，现在三十六了。", {(AGE, "36")}),
        ("我下周一有六级考试。", {("life_event/event", "用户2023年5月15日有六级考试")}),
        ("他说个笑话，我左撇子。", set()),
        ("现在十点了。", set()),
        ("你是安庆人嘛。", set()),
        ("我在干嘛。", set()),
    ],
)
async def test_moods_and_emphasis_say_nothing(said: str, expected: set[tuple[str, str]]) -> None:
    assert await noted(said) == expected


async def test_who_was_born_is_named_and_not_who_bore_them() -> None:
    assert not any(
        slot.endswith("_name") for slot, _ in await noted("我媳妇昨天生了", "是个女孩", "叫林知夏，我爸取的")
    )


async def test_a_clause_that_says_something_is_not_what_is_liked() -> None:
    assert await noted("挣得不多但我喜欢") == set()
    assert await noted("香菜我不喜欢") == {("interest/dislike", "香菜")}
