"""The examples in the OpenAPI document: real requests that work on a fresh server."""

from __future__ import annotations

from typing import Any, Final

from fastapi.openapi.models import Example

MEMORY_ID: Final = "01936d5e-7c2a-7f3b-9a41-2f8f6f6f0b1c"
RUN_ID: Final = "01936d5e-8a10-7c55-8e02-4b1f0c9d7e21"
JOB_ID: Final = "lKR1c2VyqHpoYW5nc2Fu2SQwMTkzNmQ1ZQ"


def _one(summary: str, value: Any) -> dict[str, Example]:
    return {"example": Example(summary=summary, value=value)}


ADD: Final[dict[str, Example]] = {
    "zh": Example(
        summary="一句话",
        value={"user_id": "zhangsan", "messages": [{"role": "user", "content": "我叫张三，我喜欢打羽毛球"}]},
    ),
    "en": Example(
        summary="A conversation, waiting for its memories",
        value={
            "user_id": "lilei",
            "session_id": "2026-11-21",
            "messages": [
                {
                    "role": "user",
                    "content": "My name is Li Lei, I live in Hangzhou and I'm allergic to peanuts.",
                    "timestamp": "2026-11-21T09:30:00+08:00",
                },
                {"role": "assistant", "content": "Noted, no peanuts."},
            ],
            "metadata": {"channel": "web"},
            "wait": True,
        },
    ),
}
ADD_BATCH: Final = _one(
    "Two users",
    {
        "items": [
            {"user_id": "a", "messages": [{"role": "user", "content": "I play the cello."}]},
            {"user_id": "b", "messages": [{"role": "user", "content": "我住在成都。"}]},
        ]
    },
)
SEARCH: Final[dict[str, Example]] = {
    "simple": Example(summary="A question", value={"query": "他喜欢什么运动？", "user_id": "zhangsan"}),
    "filtered": Example(
        summary="Filtered and explained",
        value={
            "query": "allergies",
            "user_id": "lilei",
            "strategy": "hybrid",
            "top_k": 5,
            "filters": {"AND": [{"kind": ["fact", "profile"]}, {"created_at": {"gte": "2026-01-01"}}]},
            "explain": True,
        },
    ),
}
PATCH: Final = _one("Correct and tag", {"text": "Lives in Shanghai", "tags": ["home"]})
VARIABLES: Final = _one("Two variables", {"variables": {"姓名": "张三", "爱好": "打羽毛球"}})
MARKS: Final = _one("Mark two messages", {"new": "important", "ids": [MEMORY_ID, RUN_ID]})
DELETE_MESSAGES: Final = _one("A whole session", {"session_id": "2026-11-21", "memories": True})
POLICY: Final = _one("Only on request", {"on_full": False, "on_idle": False})
EXTRACTION_CONFIG: Final = _one(
    "A group with variables and an LLM of its own",
    {
        "group_id": "vip",
        "instructions": "记录用户对订单的意见",
        "variables": {"城市": "用户居住的城市"},
        "llm": {"base_url": "https://api.openai.com/v1", "model": "gpt-4o-mini"},
    },
)
PROCESS: Final = _one("Everything buffered, and wait for it", {"wait": True})
TASK: Final = _one(
    "A task that went well",
    {
        "task": "部署服务到生产环境",
        "steps": [
            {"action": "先执行数据库迁移", "result": "成功"},
            {"action": "滚动重启", "result": "没有中断"},
        ],
        "outcome": "success",
        "score": 0.9,
    },
)
TASK_PATCH: Final = _one("A lesson", {"lesson": "迁移之前先备份"})
LINK: Final = _one("A cause", {"type": "cause", "memory_id": MEMORY_ID})
PROFILE_CONFIG: Final = _one(
    "Two topics and nothing else",
    {
        "topics": [
            {"name": "饮食", "description": "口味、忌口、常去的餐馆", "max_memories": 20},
            {"name": "work", "subtopics": [{"name": "title", "description": "what they do"}]},
        ],
        "strict": True,
    },
)
DOCUMENT: Final = _one(
    "A house rule book",
    {
        "user_id": "zhangsan",
        "document_id": "house-rules",
        "title": "入住须知",
        "text": "备用钥匙在花盆下面。\n\n垃圾每周三晚上放到门口。",
    },
)
