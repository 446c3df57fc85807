"""Messages that say only what is no longer so: "I live in Beijing", once the move is known.

Their memories are closed and left out of what is current; the messages themselves would still be found by
their words and stand beside what replaced them. They stay in the list of messages, and in searches with
`latest_only=False`. A message that says anything else besides is never one of them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Final

from cluster.analysis import tokens
from cluster.model import Memory, Message

_FRAME: Final = frozenset(
    tokens(
        "I am I'm me my mine myself we our is are was be been being a an the in at on of to for and so well "
        "oh yes hi hello have has had I've do did does it it's that this now currently still really just "
        "very user 我 我的 我们 是 的 了 在 吧 呢 啊 嗯 哦 现 目 前 很 也 都 就 有 着 过 你 好 "
        "用 户 这 那 还 其 实 跟 说 和 叫 请 记 住 得 搬 家 到 please "
        "remember move moved live lives"
    )
)
"""Words that say nothing about someone by themselves."""
_PAIR = re.compile(r"[^\x00-\x7f]{2}")


def overtaken_messages(
    memories: Iterable[Memory], message_of: Callable[[str], Message | None]
) -> frozenset[str]:
    """Ids of messages whose every word is in superseded memories that rest on them, and in none other."""
    superseded: dict[str, list[Memory]] = defaultdict(list)
    others: list[Memory] = []
    for memory in memories:
        if memory.superseded_by is None:
            others.append(memory)
        else:
            for source in memory.sources:
                superseded[source].append(memory)
    if not superseded:
        return frozenset()
    for memory in others:
        for source in memory.sources:
            superseded.pop(source, None)
    return frozenset(
        source
        for source, closed in superseded.items()
        if (message := message_of(source)) is not None
        and says_only(message.content, (memory.text for memory in closed))
    )


def says_only(content: str, texts: Iterable[str]) -> bool:
    """Whether every word of it that says something is in one of the texts."""
    return _words(content) <= _FRAME.union(*map(_words, texts))


def _words(text: str) -> frozenset[str]:
    """Words, and single characters of scripts without spaces."""
    return frozenset(term for term in tokens(text) if not _PAIR.fullmatch(term))
