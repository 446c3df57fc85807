"""Chinese sentences to clauses, and what around a clause decides against it."""

from __future__ import annotations

import re

HYPOTHETICAL = re.compile(
    r"如果|要是|假如|假设|倘若|若是|万一|也许|可能|或许|说不定|假装|扮演|想象|要不要|会不会|是不是|"
    r"有没有|能不能|好像|仿佛|似乎|"
    r"大概|应该会|恐怕|差点|梦见|梦到|歌词|台词|主角|(?<!喜欢的)(?<!最爱的)角色|小说里|电影里|故事里|比方说|打个比方|例如我|比如我"
)
JOKE = re.compile(r"开玩笑|逗你|骗你的|说着玩|闹着玩|说笑|瞎说的|乱说的|胡说的|逗一?下")
SARCASM = re.compile(
    r"才怪|呵呵|(?:我|真)?谢谢[你您]全家|我(?:可|真)?谢谢[你您]了|太好了[，,！!。]*又|可太(?:喜欢|爱)|"
    r"真是太(?:棒|好|爱)了吧|\U0001f644"
)
"""What says that this sentence and the one after it mean the opposite."""
REPORTED = re.compile(
    r"(?<![会能来小])(?:说(?![话法明唱])|写道|写着|以为|认为|声称|表示)|[他她你您]们?(?:总|都|就|还|"
    r"常)*(?:觉得|告诉|问|猜|夸|讲)|"
    r"(?:告诉|问)我|听说|据说|引用"
)
QUESTION_WORDS = re.compile(
    r"什么|怎么|怎样|如何|为何|为什么|谁|哪|吗|呢$|吧$|几[个岁时点]|多少|多大|多久|是否|是不是|有没有|"
    r"能不能|可不可以|会不会|要不要|好不好|对不对|还是.+$|嘛$"
)
_NOT_REPORTED = re.compile(
    r"^(?:(?:再)?说(?:一?[个句件])|说实话|老实说|说真的|说起来|话说|不得不说|我(?:是|就是)?说|跟你说|告诉你|我(?:跟|告诉)你)"
)
_SIMPLIFY = str.maketrans(
    "歡愛養歲學會說們過職業從來對還點號週後個嗎麼誰兒媽爺貓隻條討厭興給請開騙沒無國裡裏這電車買賣讀書聽寫畫雞魚鳥龜臺灣廣東蘇師醫護設計產經錄譯導員記編輯飲飯麵體機場過敏專業畢結離單婚現實習語韓漢親戚傑鄰與參觀覺氣動總長寶綠藍紅黃籃網練鋼彈鍵詞樂戲劇遊獨遠願夢標為種樣題樓鄉縣間陽陰時鐘發現幾歷號將嚴糖尿壓頭關節億萬兩輛雙層於",
    "欢爱养岁学会说们过职业从来对还点号周后个吗么谁儿妈爷猫只条讨厌兴给请开骗没无国里里这电车买卖读书听写画鸡鱼鸟龟台湾广东苏师医护设计产经录译导员记编辑饮饭面体机场过敏专业毕结离单婚现实习语韩汉亲戚杰邻与参观觉气动总长宝绿蓝红黄篮网练钢弹键词乐戏剧游独远愿梦标为种样题楼乡县间阳阴时钟发现几历号将严糖尿压头关节亿万两辆双层于",
)
_SIMPLIFY.update(str.maketrans("喺係嘅佢冇唔咗睇啱俾哋", "在是的他没不了看刚给们"))
"""Cantonese as it is written in chats: "我喺茶餐廳做"."""
_CLAUSE = re.compile(r"[，,；;。！!？?：:~～…（()）]+|\s+(?![A-Za-z0-9])|(?<![A-Za-z0-9])\s+|—+|-{2,}")
_INSERTED = r"[A-Za-z0-9\ue000-\ue7ff](?:[A-Za-z0-9 .+#&'/\ue000-\ue7ff-]*[A-Za-z0-9+#\ue000-\ue7ff])?"
_SPACED = re.compile(rf"(?<=[\u4e00-\u9fff\ue900-\ue93f]) +(?P<v>{_INSERTED})(?: +(?=[\u4e00-\u9fff]))?")
"""Latin words, numbers and quotations set off with spaces: "我在 Google 工作" is one clause."""
_OPENER = re.compile(
    r"^(?:你好啊?|您好|嗨|哈喽|大家好|哈+|嗯+|哦|啊|呃|嘿|其实|对了|那个|另外|而且|还有|然后|因为|"
    r"那(?=我)|由于|所以|因此|因而|不过|但是|但|可是|毕竟|反正|"
    r"顺便(?:说一?下|说一?句|告诉你|提一?下|一提)?|说实话|老实说|说真的|说起来|话说回来|话说|不得不说|我?(?:跟|"
    r"和)你说(?:过|一下|哦)?|我?告诉你|当然|是的|没错|错了|"
    r"更正一下|纠正一下|(?:请|麻烦)?(?:你)?记住|请?记得|请?记一下|首先|同时|事实上|实际上|总之|"
    r"除此之外|此外|平日里|AI伴侣|AI|朋友|谢谢你?|好的|"
    r"恩|哎呀?|呀|唉|除了自然环境|除了这个|正如你所知|你也?知道(?=我)|我(?:是)?说过|自我介绍一下|"
    r"介绍一下|简单介绍一下|(?:现在|如今|目前|眼下|最近|平时|平常)(?=我)|"
    r"(?:(?:今年|明年|这次|这个)?(?:年假|国庆节?|五一|十一|暑假|寒假|春节|过年|元旦|端午|中秋|清明|假期|放假|周末))(?=我们?(?:打算|计划|准备|想去|要去)))+"
)


AWAY = re.compile(
    r"出差|旅游|旅行|度假|转机|自驾|玩(?:了|个)?[几一两三四五六七八九十\d]+天|订了?(?:个|家|间)?(?:酒店|民宿)"
)
"""What says that the speaker is on a journey, or will be."""


def simplified(text: str) -> str:
    """Traditional characters that the patterns use, as simplified ones; the length stays the same."""
    return text.translate(_SIMPLIFY)


_FINAL = re.compile(r"(?:[啊呀哈哦噢喔哒呐哟喽咯咧吖呗嘞哎诶哇㗎囉啫喇]|(?<!干)嘛)+$")
"""Particles of mood, which say nothing."""


def without_final(clause: str) -> str:
    """The clause without the particles of mood at its end: "我湖南人嘛"."""
    bare = _FINAL.sub("", clause)
    return bare if len(bare) > 1 else clause


_ASKS_MORE = re.compile(
    r"怎|咋|啥|什么|哪|几|多[大久少]|谁|为何|(?P<a>[^是对])不(?P=a)|^[能要该会可行贵][^，]*[吗么不]$"
)
"""Asks something of its own, however short: "…，怎么办？" where "…，对吗？" asks whether it is so."""


def split_clauses(sentence: str, *, question: bool) -> list[str]:
    """The sentence's clauses; of a question only the statements before what is asked."""
    clauses = [clause for clause in _CLAUSE.split(_SPACED.sub(r"\g<v>", sentence)) if clause]
    if not question or not clauses:
        return clauses
    asked = clauses[-1]
    # "…，对吗？" asks whether all of it is so.
    if len(asked) <= 4 and not asked.startswith(("你", "您")) and not _ASKS_MORE.search(asked):
        return []
    return [clause for clause in clauses[:-1] if not QUESTION_WORDS.search(clause)]


def strip_opener(clause: str) -> str:
    """The clause without greetings and connectives."""
    return _OPENER.sub("", clause, count=1)


def reported(clause: str) -> bool:
    """Whether the clause tells what someone else says or thinks."""
    if _NOT_REPORTED.match(clause):
        return False
    found = REPORTED.search(clause)
    return found is not None and not clause.startswith("我")


_SPEAKER = re.compile(
    r"(?:我|本人|俺|咱|(?:以后|请|大家|朋友们?|同事们?|同学们?|家人|都|一般|可以|你们?)*[叫喊]我|"
    r"我?家里|老家|(?:周末|下班后?|放假|没事|有空|闲下来)(?:的时候)?我(?:们)?(?:一般|通常|都|会|经常|常|总)+)"
)
_SPEAKER_ALONE = re.compile(
    r"(?:我|本人|俺)(?:是|在|搬|刚|也|还|很|现|目|最|平|从|来|有|会|喜|爱|比|一直|已|不|就|住|叫|今|每|"
    r"想(?:去|报|学|考|买|找|吃|换|当)|打算|要(?!是)|每|偶尔|只|才|却|"
    r"正|常|经|毕|搬|对|学|大|大|"
    r"算|姓|属|信|戒|减|吃|喝|用|买|卖|开|写|教|骑|跑|练|弹|玩|租|失|裸|怀|读|考|报|上(?!司|级|铺)|下(?!属|铺|级)|"
    r"出|去|来|回|到|能|可|没|怕|恨|终|又|再|反|主要|一直|一般|一个|"
    r"做|当|特|非|真|其实|既|热|讨|养|单身|(?:以前|之前|曾经?|原来|原先|换|离职|离开|辞职|辞|跳槽|转行)(?!的)|$)"
)
_BRINGS_IN = re.compile(
    r"(?:我们?|咱们?)(?:以前|之前|曾经?|还|也|最近|刚刚?)*(?:有|认识|遇到|碰到|见到|看到|关注)(?:了|过)?[一两几三]?[个位名]"
    r"[\u4e00-\u9fff]{0,6}?(?:[网战校室好朋]友|同[学事桌]|邻居|客户|老师|医生|博主|主播|亲戚|[男女老]人|学生|师[傅父兄姐弟妹])"
)
"""Speaks of somebody for the first time: what follows is about them."""
_ELIDABLE = re.compile(
    r"(?:也|还|今年|现在|目前|平时|尤其|最|很|非常|特别|比较|不太|不|并且|已经|一直|来自|住|喜欢|爱|热爱|"
    r"讨厌|在|是一?[名位个]|"
    r"毕业于|养了|养着|有[一两]|对|已婚|单身|老家|家住|就职|任职|从事|会|从小|职业|工作是|专业|学的|"
    r"跳槽|入职|爱好|[男女]性?$|属[鼠牛虎兔龙蛇马羊猴鸡狗猪]|坐标|人在|开了[一个家]|教[\u4e00-\u9fff]{2,6}的$|姓.$|"
    r"[\u4e00-\u9fff]{2}座的?$|[ABO]{1,2}型血|被[\u4e00-\u9fff]{2,8}录|信[佛基天]|"
    r"兴趣|平常|"
    r"[\d一二三四五六七八九十]{1,3}岁)"
)


def starts_with_speaker(clause: str) -> bool:
    """Whether the clause begins with the speaker, or with what is theirs."""
    return _SPEAKER.match(clause) is not None


def names_home_only(clause: str) -> bool:
    """Whether the clause begins with a home that is the speaker's only where nobody else is spoken of."""
    return clause.startswith("老家")


_OWN_WORDS = re.compile(r"(?:但是?|可是?|不过|其实|反正|而)我(?!们|[的家爸妈哥姐弟妹])|我(?:自己|本人)")


def own_words(clause: str) -> bool:
    """Whether the clause sets what the speaker says against what others do."""
    return _OWN_WORDS.match(clause) is not None


_KNOWN_OF_SPEAKER = re.compile(
    r"(?:(?:我的?)?[\u4e00-\u9fff]{1,4}?(?:都|也|还|就|明明|一直|老是|总是|居然|竟然)*(?:知道|记得|清楚|晓得|忘了|忘记了?)"
    r"|(?:大夫|医生|体检(?:报告|单)?)(?:上|也|都|就|刚)*(?:说|讲|写着?|显示|查出)(?:了|是)?)"
    r"(?=我(?:[的有对]|不[吃喝能]|从来不|怕|爱|喜欢|讨厌|血|尿|胃|肝|腰|颈|是))"
)


def without_knower(clause: str) -> int:
    """The length of what stands before a fact of the speaker's that others know or doctors found: "她知道
    我不吃香菜"."""
    found = _KNOWN_OF_SPEAKER.match(clause)
    return 0 if found is None or "不知道" in found[0] or "是不是" in clause else found.end()


def has_speaker_as_subject(clause: str) -> bool:
    """Whether a clause after this one may leave the speaker out: not so after "我朋友…"."""
    return _SPEAKER_ALONE.match(clause) is not None and _BRINGS_IN.match(clause) is None


_GONE = re.compile(
    r"(?:[都全也又却]|已经|后来|可惜|结果|但|它们?|刚刚?|前几天|最近|不久前|被我?|不小心|上周|今年|去年)*"
    r"(?:死|走丢|丢|去世|病死|跑丢|没|送人|送走|卖|出手|转手|偷|坏|报废|送给.{1,6})掉?了$"
)


def gone(clause: str) -> bool:
    """Whether what the clause before names is no longer had: "都死了", "上个月卖了"."""
    return _GONE.match(clause) is not None


_MOVED = re.compile(
    r"(?:刚刚?|后来)?(?:从[\u4e00-\u9fff]{2,10}?)?(?:搬家?|移居|移民)(?:到|去|来|至|回)了?[\u4e00-\u9fff]"
)


def moved(clause: str) -> bool:
    """Whether the clause tells of a move and leaves out whose: the speaker's, right after what was said of
    them ("我叫王芳，上个月从北京搬到了杭州")."""
    return _MOVED.match(clause) is not None


def elidable(clause: str) -> bool:
    """Whether the clause may go on about the speaker without naming them: "住在杭州"."""
    return _ELIDABLE.match(clause) is not None
