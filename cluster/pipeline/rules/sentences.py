"""Text to sentences that may carry a claim: what was pasted, quoted or asked for is left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

MAX_SCANNED = 20_000
"""Characters of a message that are looked at: a person says who they are in the first few."""
MAX_SENTENCE = 400
"""A longer sentence is no plain statement."""

_FENCE = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)", re.S)
_INLINE_CODE = re.compile(r"`[^`\n]{1,200}`")
_MARKUP = re.compile(r"<[a-zA-Z/!][^<>\n]{0,300}>")
_CODE_LINE = re.compile(
    r"^\s*(?:>|\$ |#!|#include|//|/\*|\* |--\s|@\w+|def |class |import |from \w[\w.]* import|return\b|"
    r"print\(|"
    r"function\b|const |let |var |public |private |static |SELECT\b|INSERT\b|UPDATE\b|\{|\}|"
    r"\d{4}-\d\d-\d\d[T ]\d\d:|"
    r"\[?(?:INFO|DEBUG|ERROR|WARN|TRACE)\b|(?:user|assistant|system|human|ai|bot|用户|助手|客服)\s*[:：]|"
    r"[\"']?\w{1,40}[\"']?\s*[:=]\s*[\"'{\[]|.{0,200}[;{}]\s*$)",
    re.I,
)
_QUOTED = re.compile(
    r'"[^"\n]{0,300}"|“[^”\n]{0,300}”|「[^」\n]{0,300}」|『[^』\n]{0,300}』|《[^》\n]{0,100}》'
)
_OPEN_QUOTE = re.compile(r"[“「『].*\Z", re.S)
_HANDED_OVER = re.compile(
    r"(?P<asked>\b(?:this|these|the following|that) (?:\w+ ){0,2}(?:poem|text|e-?mail|message|paragraph|"
    r"story|letter|lyrics|song|essay|post|tweet|review|bio|profile|cv|resume|quote|passage|article|"
    r"dialogue|speech|"
    r"joke|caption|note)s?\b[^\n]{0,80})\n\s*\n.*\Z"
    r"|\n\s*\n[ \t]*(?:dear|hi|hello|hey) [^\n,]{1,40},[ \t]*\n.*\Z",
    re.I | re.S,
)
"""A line that speaks of a text, and after an empty line that text; a letter that begins in mid-message."""
_ABBREVIATION = re.compile(
    r"(?:\b(?:Dr|Mr|Mrs|Ms|St|Jr|Sr|Prof|vs|etc|e\.g|i\.e|a\.m|p\.m|U\.S|U\.K|No)|\b[A-Z])\.$"
)
_BOUNDARY = re.compile(
    r"(?<=[.!?…~])[\"')\]]*\s+|(?<=[。！？；])|\n+|(?<=[\u2600-\u27bf\U0001f300-\U0001faff])\s*(?=[A-Z我])"
)
_INSTRUCTION = re.compile(
    r"^\W*(?:(?:please|pls|kindly|can you|could you|would you|help me|i need you to|i want you to|"
    r"now|then|next|also|and|so|ok|okay|great|perfect|nice|good|cool|thanks|thank you)[\s,.!]+)*"
    r"(?:(?P<all>translate|rewrite|rephrase|paraphrase|proofread|summari[sz]e|correct (?:the|this|my)|"
    r"fix (?:the|this)|"
    r"act as|pretend|role-?play|imagine|suppose|let's (?:pretend|role-?play|imagine)|you are|repeat "
    r"after me|simulate|"
    r"analy[sz]e (?:the|this)|classify|extract|read (?:the|this)|continue (?:the|this)|complete "
    r"(?:the|this))\b"
    r"|(?P<body>write|draft|compose|create|generate|make up|explain|tell me|give me|answer|say|type)\b)",
    re.I,
)
_ZH_INSTRUCTION = re.compile(
    r"^(?:\W|谢谢|多谢|不错|很好|好的?|嗯|那|再|还|另外|接下来|接着|然后|顺便|请|麻烦|帮忙|能不能|能否|可以|可不可以|你|帮我|给我|把|将|现在|让我们|我们来|来|一下|"
    r"下面|以下|(?:[这那]|上面|下面|以下)?[一两几]?[句段篇首封条]话?|的|文字)*"
    r"(?:(?P<all>翻译|[翻译](?:成|为|作)|翻(?=[一两几]?[句段篇])|改写|润色|总结|概括|扮演|假装|假设|想象|模拟|续写|仿写|校对|修改|纠错|分析|复述|"
    r"跟我念|造句|角色扮演|你是一)"
    r"|(?P<body>写|编|生成|创作|起草|回答|解释|说))"
)
_ZH_HANDS_OVER = re.compile(
    r"^(?:\W|谢谢|好的?|嗯|那|再|麻烦|请|你)*(?:帮|给|替|把|将|看|改)[^:：\n]{0,20}(?:自我介绍|简历|文案|邮件|句子|[这下一两几]?[句段篇首封]话?|文章|"
    r"作文|周报|日报|总结|报告|诗|歌词|合同|通知|公告|稿子?|发言|评论|台词|文本|文字|译文|聊天记录|对话|代码|日记)"
    r"(?:吧|呗|哈|看看|一下|[^:：\n，。,]{0,8}(?:[行好对]不[行好对]|怎么样|可以吗|行吗|好吗))?[:：]\s*(?=\S)"
    r"|^(?:\W|那|再|还有|接着|然后|来|麻烦|请)*[这那下]?[一两]?[句段](?:话)?(?:呢|吧|怎么[译翻说])?[:：]"
    r"|^(?![^\n]*(?:情况|信息|症状|条件|背景|记[住下得]))[^\n]{0,40}(?:写了|写的|看看|看下|如下|怎么样|怎么改)[^\n]{0,12}[:：]\s*\n"
)
"""Asks for work on a text, whatever the work: "帮我改下自我介绍：大家好…"."""
_BARE_CONTRACTION = re.compile(
    r"\b(?:(?P<t>do|does|did|is|are|was|were|have|has|ca|wo|would|could|should)nt"
    r"|(?P<of>i|you|we|they)(?P<ve>ve)|(?P<im>i)m|(?P<s>he|she|that|what|there)s|(?P<re>you|they)re"
    r"|(?P<my>my) name(?=s (?!are|were)[a-z])s)\b",
    re.I,
)
_URL = re.compile(r"https?://|www\.\w|\w@\w+\.\w")
_HAN = re.compile(r"[\u3400-\u9fff]")
_LATIN = re.compile(r"[A-Za-z0-9]")
_QUOTE_BASE = 0xE000
_MAX_QUOTES = 0x800
DATE_BASE = 0xE900
MASKS = re.compile(r"[\ue000-\uf8ff]")


class Sentence(NamedTuple):
    """One sentence. `text` has quoted spans masked by one character each: `unmask` puts them back."""

    text: str
    language: Literal["zh", "en"]
    question: bool
    quotes: tuple[str, ...]


def with_apostrophes(text: str) -> str:
    """English with the apostrophes that were typed otherwise or left out: "I dont", "im", "my names Kev"."""
    text = text.replace("\u2019", "'").replace("\u2018", "'")
    return _BARE_CONTRACTION.sub(_contracted, text)


def _contracted(match: re.Match[str]) -> str:
    word = match[0]
    if match["t"]:
        return f"{word[:-1]}'{word[-1]}"
    if match["my"] or match["im"] or match["s"]:
        return f"{word[:-1]}'{word[-1]}"
    return f"{word[:-2]}'{word[-2:]}"


def unmask(text: str, quotes: tuple[str, ...]) -> str:
    """`text` with its quoted spans again."""
    return MASKS.sub(lambda m: quotes[i] if 0 <= (i := ord(m[0]) - _QUOTE_BASE) < len(quotes) else "", text)


def sentences_of(content: str) -> Iterator[Sentence]:
    """The sentences of a message, in order; code, quotations of others, links and long runs left out."""
    text = content[:MAX_SCANNED]
    text = MASKS.sub(" ", text)
    text = with_apostrophes(text).replace("\u00a0", " ").replace("\r", "\n")
    if "\n" in text:
        text = _HANDED_OVER.sub(lambda match: match["asked"] or "", text)
    if "`" in text or "~~~" in text:
        text = _INLINE_CODE.sub(" ", _FENCE.sub("\n", text))
    if "<" in text:
        text = _MARKUP.sub(" ", text)
    if "\n" in text or ";" in text or "}" in text:
        text = "\n".join(line for line in text.split("\n") if not _CODE_LINE.match(line))

    quotes: list[str] = []

    def mask(match: re.Match[str]) -> str:
        if len(quotes) >= _MAX_QUOTES:
            return " "
        quotes.append(match[0])
        return chr(_QUOTE_BASE + len(quotes) - 1)

    if any(mark in text for mark in '"“「『《'):
        text = _OPEN_QUOTE.sub("", _QUOTED.sub(mask, text))
    kept = tuple(quotes)
    for part in _parts(text):
        if len(part) > MAX_SENTENCE or _URL.search(part):
            continue
        han = len(_HAN.findall(part))
        if not han and not _LATIN.search(part):
            continue
        yield Sentence(
            text=part,
            language="zh" if han * 4 >= len(part) or han >= 6 else "en",
            question=part.rstrip("!！~ .。\"')").endswith(("?", "？")),
            quotes=kept,
        )


def _parts(text: str) -> Iterator[str]:
    held = ""
    for piece in _BOUNDARY.split(text):
        part = f"{held} {piece}" if held else piece
        held = ""
        if _ABBREVIATION.search(part[-6:]) and len(part) < MAX_SENTENCE:
            held = part
        elif part := part.strip():
            yield part
    if held.strip():
        yield held.strip()


def hands_over_text(sentence: Sentence) -> bool:
    """Whether a sentence within a message asks for work on a text that begins with it: what follows
    "Now translate this:" is that text."""
    match = _INSTRUCTION.match(sentence.text) or _ZH_INSTRUCTION.match(sentence.text)
    return match is not None and re.search(r"[:：]", sentence.text[match.end() :]) is not None


def is_instruction(content: str) -> bool:
    """Whether the message asks for work on a text it contains, so that the text is no one's claim."""
    head = content[:300]
    if _ZH_HANDS_OVER.match(head):
        return True
    match = _INSTRUCTION.match(head) or _ZH_INSTRUCTION.match(head)
    if match is None:
        return False
    if match["all"]:
        return True
    rest = content[match.end() : match.end() + 300]
    return any(mark in rest for mark in ':：\n“"')
