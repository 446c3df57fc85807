"""Embeddings from any OpenAI-compatible endpoint (OpenAI, Jina, vLLM, Ollama, TEI, …)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import openai
from numpy.typing import NDArray

from cluster.embedding.e5 import clean
from cluster.embedding.port import EmbeddingRole
from cluster.openai_endpoint import MalformedAnswer, OpenAIEndpoint, RefusedRequest
from memgrid.errors import Unavailable

MAX_CHARACTERS = 6000
"""Characters of a text that are sent: within OpenAI's and Jina's 8,192 tokens in any language."""
_MIN_CHARACTERS = 128


class _Vector(msgspec.Struct):
    index: int
    embedding: list[float] | str


class _Answer(msgspec.Struct):
    data: list[_Vector]


class OpenAIEmbedder:
    """A remote model behind the embedding port.

    The dimension is the setting's, or learnt from the first answer. An empty or blank text is the zero
    vector, and is not sent. Where the endpoint refuses texts for their length, shorter beginnings are
    tried, and the length that was accepted is kept to.
    """

    def __init__(
        self,
        *,
        base_url: str | None,
        api_key: str | None,
        model: str,
        dimension: int | None = None,
        batch_size: int = 32,
        timeout: float = 60.0,
        max_retries: int = 3,
        tls_verify: bool = True,
        tls_certificate: Path | None = None,
    ) -> None:
        """`batch_size` is the most texts in one request; `dimension` is also asked of the endpoint."""
        self._endpoint = OpenAIEndpoint(
            "embedding",
            base_url=base_url,
            api_key=api_key,
            timeout=timeout,
            max_retries=max_retries,
            tls_verify=tls_verify,
            tls_certificate=tls_certificate,
        )
        self._model = model
        self._wanted = dimension
        self._dimension = dimension
        self._batch_size = batch_size
        self._characters = MAX_CHARACTERS

    @property
    def model(self) -> str:
        return self._model

    @property
    def dimension(self) -> int:
        """Raises Unavailable before the first answer when it was not given."""
        if self._dimension is None:
            raise Unavailable(
                f"the dimension of {self._model!r} is not known before its first answer",
                remedy="embed a text first, or set embedding_dimension",
            )
        return self._dimension

    async def embed(self, texts: Sequence[str], role: EmbeddingRole) -> NDArray[np.float32]:
        cleaned = [(at, text) for at, text in enumerate(map(clean, texts)) if text.strip()]
        if not cleaned and self._dimension is None:
            await self._request(["-"], role)  # an answer's shape needs the dimension
        parts = [
            await self._request([text for _, text in cleaned[first : first + self._batch_size]], role)
            for first in range(0, len(cleaned), self._batch_size)
        ]
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        if parts:
            vectors[[at for at, _ in cleaned]] = np.concatenate(parts)
        return vectors

    async def close(self) -> None:
        await self._endpoint.close()

    async def _request(self, texts: list[str], role: EmbeddingRole) -> NDArray[np.float32]:
        characters = self._characters
        while True:
            try:
                vectors = await self._send([text[:characters] for text in texts], role)
            except RefusedRequest as refused:
                longest = min(characters, max(map(len, texts)))
                if longest <= _MIN_CHARACTERS:  # not the length, then: the settings are wrong
                    raise Unavailable(
                        refused.message, remedy="check embedding_model and embedding_dimension"
                    ) from refused
                characters = max(longest // 2, _MIN_CHARACTERS)
            else:
                self._characters = min(self._characters, characters)
                return vectors

    async def _send(self, texts: list[str], role: EmbeddingRole) -> NDArray[np.float32]:
        answer = await self._endpoint.request(
            lambda: self._endpoint.client.embeddings.with_raw_response.create(
                model=self._model,
                input=texts,
                dimensions=openai.omit if self._wanted is None else self._wanted,
                extra_body=_role_parameters(self._model, role),
            ),
            _Answer,
        )
        if sorted(vector.index for vector in answer.data) != list(range(len(texts))):
            raise MalformedAnswer(
                f"the embedding endpoint answered {len(answer.data)} vectors to {len(texts)} texts"
            )
        rows = [_decode(vector.embedding) for vector in sorted(answer.data, key=lambda vector: vector.index)]
        expected = self._dimension or len(rows[0])
        if any(len(row) != expected for row in rows):
            wrong = next(len(row) for row in rows if len(row) != expected)
            raise Unavailable(
                f"the embedding endpoint answered a vector of {wrong} dimensions, not {expected}",
                field="embedding_dimension",
                remedy="check embedding_model and embedding_dimension; a new model needs a re-embedding",
            )
        vectors = np.stack(rows)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not (np.isfinite(lengths).all() and lengths.all()):
            raise MalformedAnswer("the embedding endpoint answered a vector without a direction")
        self._dimension = expected
        return (vectors / lengths).astype(np.float32)


def _decode(embedding: list[float] | str) -> NDArray[np.float64]:
    """The library asks for base64 (little-endian float32); endpoints that do not know it send numbers."""
    if not isinstance(embedding, str):
        return np.asarray(embedding, np.float64)
    try:
        return np.frombuffer(base64.b64decode(embedding, validate=True), "<f4").astype(np.float64)
    except (binascii.Error, ValueError) as error:
        raise MalformedAnswer(f"the embedding endpoint's answer is malformed: {error}") from error


def _role_parameters(model: str, role: EmbeddingRole) -> dict[str, Any] | None:
    """How the role is told to models that know it: Jina's, from version 3 on, take a `task`."""
    if model.startswith("jina-embeddings-") and not model.startswith(
        ("jina-embeddings-v1", "jina-embeddings-v2")
    ):
        return {"task": f"retrieval.{role}"}
    return None
