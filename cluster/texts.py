"""Every text that memgrid itself says to a user of the HTTP API, in both languages, in one table."""

from __future__ import annotations

from typing import Final, Literal

Language = Literal["zh", "en"]

TextKey = Literal[
    "memory_added",
    "nothing_to_add",
    "memories_header",
    "no_memories",
    "profile_header",
    "events_header",
    "relevant_header",
    "summary_header",
    "recent_header",
    "when_to_use",
    "what_to_do",
    "lesson",
    "failed_then",
    "new_user",
    "add_failed",
    "search_failed",
    "profile_failed",
    "cleanup_failed",
    "service_unavailable",
]

HEADERS: Final[tuple[TextKey, ...]] = (
    "memories_header",
    "profile_header",
    "events_header",
    "relevant_header",
    "summary_header",
    "recent_header",
)
"""What stands above the lists of a context block."""

_TEXTS: Final[dict[TextKey, tuple[str, str]]] = {
    "memory_added": ("记忆添加成功", "Memory added"),
    "nothing_to_add": ("没有要添加的消息", "There were no messages to add"),
    "memories_header": ("用户相关记忆:", "Relevant memories of the user:"),
    "no_memories": ("暂无相关历史记忆", "No relevant memories yet"),
    "profile_header": ("用户画像:", "Profile of the user:"),
    "events_header": ("相关事件:", "Relevant events:"),
    "summary_header": ("先前对话摘要:", "Summary of the conversation so far:"),
    "relevant_header": ("相关记忆与消息:", "Relevant memories and messages:"),
    "recent_header": ("最近的对话:", "Latest conversation:"),
    "when_to_use": ("适用场景：", "When to use: "),
    "what_to_do": ("做法：", "What to do: "),
    "lesson": ("经验：", "Lesson: "),
    "failed_then": ("注意：当时没有成功。", "Beware: it failed that time."),
    "new_user": ("新用户，暂无足够数据生成画像", "New user: not enough data for a profile yet"),
    "add_failed": ("记忆添加失败", "Adding the memory failed"),
    "search_failed": ("记忆检索失败", "Searching the memories failed"),
    "profile_failed": ("用户画像生成失败", "Generating the user profile failed"),
    "cleanup_failed": ("记忆清理失败", "Cleaning up the memories failed"),
    "service_unavailable": ("服务不可用", "Service unavailable"),
}


def text(key: TextKey, language: Language) -> str:
    """The text in Chinese or English."""
    chinese, english = _TEXTS[key]
    return chinese if language == "zh" else english
