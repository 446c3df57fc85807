"""What a project wants its users' profiles to be made of."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from memgrid.models import Answer, Request

Name = Annotated[str, Field(min_length=1, max_length=128)]
Description = Annotated[str, Field(max_length=1000)]


class Subtopic(Request):
    """A slot of a topic: "residence" of "contact_info"."""

    name: Name
    description: Description = ""


class Topic(Request):
    """What profiles may say something about."""

    name: Name
    description: Description = ""
    subtopics: Annotated[list[Subtopic], Field(max_length=100)] = Field(default_factory=list[Subtopic])
    """Without any, every subtopic is one of it."""
    max_memories: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Current memories of this topic beyond which the least useful make room."""


class ProfileConfig(Request):
    """The topics of a project. What is left out is as without a configuration."""

    topics: Annotated[list[Topic], Field(max_length=100)] = Field(default_factory=list[Topic])
    """The project's own, in addition to the usual ones; with `strict` in their place."""
    strict: bool = False
    """True: what is in none of the topics (and, where a topic names subtopics, of those) is not noted."""
    max_memories_per_topic: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """For topics that have no cap of their own."""


class ProfileConfigOut(Answer):
    """What is stored, and the usual topics beside it."""

    config: ProfileConfig
    usual_topics: list[Topic] = Field(default_factory=list[Topic])
    """In Chinese or English, as asked; only where they are asked for."""


class ProfileConfigQuery(Request):
    language: Literal["zh", "en"] = "en"
    """Of the usual topics' descriptions."""
