"""A scripted stand-in for an OpenAI-compatible server: real HTTP, no model behind it.

It answers what it is told to, misbehaves on demand, and records every request. `python -m tests.llm_server
--port 8089` runs it by hand; in tests use the `llm_server` fixture (`tests.llm_server.fixtures`).
"""

from tests.llm_server.replies import (
    Reply,
    completion,
    default_reply,
    embeddings,
    error,
    hang,
    reset,
    unit_vector,
)
from tests.llm_server.server import Recorded, ScriptedLlmServer

__all__ = [
    "Recorded",
    "Reply",
    "ScriptedLlmServer",
    "completion",
    "default_reply",
    "embeddings",
    "error",
    "hang",
    "reset",
    "unit_vector",
]
