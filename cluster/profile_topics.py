"""The topics of profiles: the usual ones in both languages, and what a project makes of them."""

from __future__ import annotations

from typing import Final

from cluster.pipeline.known_index import normalise
from cluster.pipeline.port import Candidate
from cluster.texts import Language
from memgrid.profile_config import ProfileConfig, Subtopic, Topic

TABLE: Final = "profile_config"
"""Of plain rows, keyed by tenant."""

_USUAL: Final[dict[str, tuple[str, str, dict[str, str]]]] = {
    "basic_info": (
        "基本信息", "who they are",
        {
            "name": "姓名", "nickname": "称呼", "english_name": "英文名", "age": "年龄",
            "birthday": "生日", "birth_year": "出生年份", "gender": "性别", "hometown": "家乡",
            "nationality": "国籍", "language_spoken": "语言", "blood_type": "血型", "height": "身高",
            "zodiac": "星座", "chinese_zodiac": "属相", "religion": "信仰",
        },
    ),
    "contact_info": (
        "联系方式", "where and how to reach them",
        {
            "residence": "居住地", "email": "邮箱", "phone": "电话",
        },
    ),
    "work": (
        "工作", "what they do for a living",
        {
            "title": "职业", "company": "公司", "location": "工作地点", "working_industry": "行业",
        },
    ),
    "education": (
        "教育", "what they studied, and where",
        {
            "school": "学校", "alma_mater": "毕业院校", "major": "专业", "grade": "年级",
        },
    ),
    "demographics": (
        "人口信息", "marital status and the like",
        {
            "marital_status": "婚恋状况",
        },
    ),
    "family": ("家庭", "relatives: names, ages, jobs, homes", {}),
    "social": ("社交", "friends and colleagues", {}),
    "pet": ("宠物", "animals they keep", {}),
    "interest": ("兴趣爱好", "what they like, dislike, play and learn", {}),
    "health": (
        "健康", "diet, allergies, conditions",
        {
            "diet": "饮食", "avoids": "忌口", "allergy": "过敏", "condition": "病症",
        },
    ),
    "habit": (
        "习惯", "what they do regularly",
        {
            "routine": "日常", "quit": "戒掉的事",
        },
    ),
    "psychological": (
        "性格与目标", "personality, fears, goals",
        {
            "personality": "性格", "fear": "害怕", "goal": "目标",
        },
    ),
    "asset": ("资产", "what they own", {"possession": "物品", "vehicle": "车辆"}),
    "plan": ("计划", "what they are going to do", {"plan": "计划"}),
    "life_event": ("经历", "what happened to them", {"event": "事件"}),
}  # fmt: skip
"""Topic → its name in Chinese, a description, subtopic → its name in Chinese."""


def usual_topics(language: Language) -> list[Topic]:
    """The topics that are looked for without a configuration; the names stay, the descriptions differ."""
    return [
        Topic(
            name=name,
            description=chinese if language == "zh" else description,
            subtopics=[
                Subtopic(name=subtopic, description=zh if language == "zh" else subtopic.replace("_", " "))
                for subtopic, zh in subtopics.items()
            ],
        )
        for name, (chinese, description, subtopics) in _USUAL.items()
    ]


class TopicRules:
    """What a configuration says of claims: which are wanted, and how many of a topic are kept."""

    def __init__(self, config: ProfileConfig) -> None:
        self._config = config
        self._topics = {normalise(topic.name): topic for topic in config.topics}

    @property
    def has_caps(self) -> bool:
        """Whether any topic has a cap."""
        return self._config.max_memories_per_topic is not None or any(
            topic.max_memories is not None for topic in self._config.topics
        )

    def admits(self, claim: Candidate) -> bool:
        """Whether the claim is noted. Only profile claims and facts belong to topics; what is not strict
        takes everything."""
        if not self._config.strict or claim.kind not in ("profile", "fact"):
            return True
        topic = self._topics.get(normalise(claim.topic or ""))
        if topic is None:
            return False
        wanted = {normalise(subtopic.name) for subtopic in topic.subtopics}
        return not wanted or normalise(claim.subtopic or "") in wanted

    def cap(self, topic: str) -> int | None:
        """How many current memories the topic may have."""
        own = self._topics.get(normalise(topic))
        if own is not None and own.max_memories is not None:
            return own.max_memories
        return self._config.max_memories_per_topic

    def described(self) -> tuple[str, ...]:
        """`topic/subtopic: description` of the project's own, as an extractor is told."""
        lines: list[str] = []
        for topic in self._config.topics:
            if not topic.subtopics:
                lines.append(_described(topic.name, topic.description))
            lines += [
                _described(f"{topic.name}/{subtopic.name}", subtopic.description)
                for subtopic in topic.subtopics
            ]
        return tuple(lines)

    @property
    def strict(self) -> bool:
        return self._config.strict


def _described(name: str, description: str) -> str:
    return f"{name}: {description}" if description else name
