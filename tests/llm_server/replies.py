"""What the scripted server can say, and what it says when nothing was scripted."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

DIMENSION = 64


@dataclass(frozen=True)
class Reply:
    """One HTTP answer, or one way of not giving it."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    """Promise the whole body, send so many bytes, and close the connection."""
    drip_seconds: float | None = None
    """Send the body byte by byte with this pause between two."""
    hang: bool = False
    """Accept the request and never answer."""
    reset: bool = False
    """Reset the connection (RST) instead of answering."""


def hang() -> Reply:
    return Reply(hang=True)


def reset() -> Reply:
    return Reply(reset=True)


def error(
    status: int,
    message: str = "scripted error",
    *,
    code: str | None = None,
    param: str | None = None,
    headers: dict[str, str] | None = None,
) -> Reply:
    """An error in OpenAI's shape; `Retry-After` and the like go in `headers`."""
    body = {"error": {"message": message, "type": "scripted", "code": code, "param": param}}
    return Reply(status, json.dumps(body).encode(), headers or {})


def completion(
    content: Any,
    *,
    finish_reason: str = "stop",
    refusal: str | None = None,
    model: str = "scripted-model",
    input_tokens: int = 11,
    output_tokens: int = 7,
) -> Reply:
    """A chat completion; what is not text is sent as JSON text."""
    text = content if content is None or isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    message = {"role": "assistant", "content": text, "refusal": refusal}
    body = {
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
        "usage": {
            "prompt_tokens": input_tokens,
            "completion_tokens": output_tokens,
            "total_tokens": input_tokens + output_tokens,
        },
    }
    return Reply(200, json.dumps(body, ensure_ascii=False).encode())


def unit_vector(text: str, dimension: int = DIMENSION) -> NDArray[np.float32]:
    """A vector of length 1 that depends on nothing but the text."""
    seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
    vector = np.random.default_rng(seed).standard_normal(dimension)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def embeddings(vectors: Sequence[Sequence[float]], *, as_base64: bool = False) -> Reply:
    """An embeddings answer with these vectors."""
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": base64.b64encode(np.asarray(vector, "<f4").tobytes()).decode()
            if as_base64
            else [float(x) for x in vector],
        }
        for index, vector in enumerate(vectors)
    ]
    body = {
        "object": "list",
        "data": data,
        "model": "scripted-embedding",
        "usage": {"prompt_tokens": 0, "total_tokens": 0},
    }
    return Reply(200, json.dumps(body).encode())


def default_reply(path: str, body: Any) -> Reply:
    """Hash-based embeddings, and an extraction that claims every human message word for word."""
    if path.endswith("/embeddings"):
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        dimension = body.get("dimensions") or DIMENSION
        return embeddings(
            [unit_vector(text, dimension).tolist() for text in texts],
            as_base64=body.get("encoding_format") == "base64",
        )
    if path.endswith("/chat/completions"):
        return completion({"summary": None, "variables": [], "memories": _echo(body["messages"])})
    if path.endswith("/models"):
        return Reply(200, json.dumps({"object": "list", "data": [{"id": "scripted-model"}]}).encode())
    return error(404, f"no such route: {path}")


def _echo(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    try:
        given = json.loads(next(m["content"] for m in messages if m["role"] == "user"))["messages"]
    except (StopIteration, ValueError, KeyError, TypeError):
        return []
    return [
        {
            "n": n,
            "text": message["text"],
            "kind": "fact",
            "value": None,
            "topic": None,
            "subtopic": None,
            "profile_type": None,
            "single_valued": False,
            "negates": False,
            "tags": [],
            "entities": [],
            "event_date": None,
            "event_end": None,
            "when_to_use": None,
            "confidence": 1.0,
            "evidence": [message["n"]],
            "quote": message["text"],
            "causes": [],
        }
        for n, message in enumerate(given, 1)
        if message["role"] not in ("assistant", "system")
    ]
