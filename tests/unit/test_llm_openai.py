"""The chat client against a scripted server that misbehaves."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from cluster.llm.budget import Budget, Limits
from cluster.llm.errors import MalformedCompletion
from cluster.llm.openai import OpenAILlm
from cluster.llm.port import ChatMessage
from cluster.openai_endpoint import RefusedRequest
from memgrid.errors import InvalidInput, Unavailable
from tests.llm_server import Recorded, Reply, ScriptedLlmServer, completion, error, hang, reset

pytest_plugins = ("tests.llm_server.fixtures",)

CHAT = [ChatMessage("system", "Answer in JSON."), ChatMessage("user", "你好")]
SCHEMA: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}


def client(server: ScriptedLlmServer, **options: Any) -> OpenAILlm:
    defaults: dict[str, Any] = {"api_key": "k-1", "model": "scripted", "timeout": 5}
    return OpenAILlm(base_url=server.base_url, **(defaults | options))


@pytest.fixture
async def llm(llm_server: ScriptedLlmServer, no_backoff: None) -> AsyncIterator[OpenAILlm]:
    llm = client(llm_server)
    yield llm
    await llm.close()


def formats(server: ScriptedLlmServer) -> list[str | None]:
    return [body.get("response_format", {}).get("type") for body in server.bodies("/chat/completions")]


async def test_a_completion_with_its_model_and_cost(llm_server: ScriptedLlmServer, llm: OpenAILlm) -> None:
    llm_server.reply(completion("答案", model="scripted-2026", input_tokens=5, output_tokens=3))
    answer = await llm.complete(CHAT, schema=SCHEMA)
    assert (answer.text, answer.model, answer.input_tokens, answer.output_tokens) == (
        "答案",
        "scripted-2026",
        5,
        3,
    )
    (body,) = llm_server.bodies("/chat/completions")
    assert body["messages"] == [
        {"role": "system", "content": "Answer in JSON."},
        {"role": "user", "content": "你好"},
    ]
    assert body["response_format"]["json_schema"]["schema"] == SCHEMA
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("scripted", 0.1, 2000)
    assert llm_server.requests[0].headers["authorization"] == "Bearer k-1"


async def test_an_answer_that_was_cut_off_is_told_to_be(
    llm_server: ScriptedLlmServer, llm: OpenAILlm
) -> None:
    llm_server.reply(completion("half an ans", finish_reason="length"), completion("all of it"))
    assert [(await llm.complete(CHAT)).whole for _ in range(2)] == [False, True]


async def test_without_a_schema_no_format_is_asked_for(llm_server: ScriptedLlmServer, llm: OpenAILlm) -> None:
    llm_server.reply(completion("hello"))
    await llm.complete(CHAT)
    assert formats(llm_server) == [None]


@pytest.mark.parametrize(
    "failure",
    [
        error(429, headers={"retry-after": "2"}),
        error(500),
        error(502),
        error(408),
        reset(),
        Reply(200, completion("cut").body, cut_after=20),
    ],
    ids=["429", "500", "502", "408", "reset", "cut body"],
)
async def test_passing_failures_are_retried(
    llm_server: ScriptedLlmServer, llm: OpenAILlm, failure: Reply
) -> None:
    llm_server.reply(failure, failure, completion("ok"))
    assert (await llm.complete(CHAT)).text == "ok"
    assert len(llm_server.requests) == 3


@pytest.mark.parametrize("failure", [error(500), error(429), reset()], ids=["500", "429", "reset"])
async def test_retries_end(llm_server: ScriptedLlmServer, llm: OpenAILlm, failure: Reply) -> None:
    llm_server.script = lambda _: failure
    with pytest.raises(Unavailable):
        await llm.complete(CHAT)
    assert len(llm_server.requests) == 4


@pytest.mark.parametrize(
    "reply", [hang(), Reply(200, completion("slow").body, drip_seconds=0.05)], ids=["hang", "drip"]
)
async def test_an_attempt_has_a_deadline(
    llm_server: ScriptedLlmServer, no_backoff: None, reply: Reply
) -> None:
    llm = client(llm_server, timeout=0.3, max_retries=1)
    llm_server.script = lambda _: reply
    with pytest.raises(Unavailable, match=r"within 0\.3 s"):
        await llm.complete(CHAT)
    assert len(llm_server.requests) == 2
    await llm.close()


async def test_a_slow_body_within_the_deadline_is_read_to_its_end(
    llm_server: ScriptedLlmServer, llm: OpenAILlm
) -> None:
    llm_server.reply(Reply(200, completion("慢").body, drip_seconds=0.0005))
    assert (await llm.complete(CHAT)).text == "慢"


async def test_retry_after_as_a_date_is_waited_for(llm_server: ScriptedLlmServer) -> None:
    llm = client(llm_server, max_retries=1)
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    llm_server.reply(
        error(429, headers={"retry-after": format_datetime(until, usegmt=True)}), completion("ok")
    )
    await llm.complete(CHAT)
    assert datetime.now(UTC) >= until - timedelta(milliseconds=5)
    await llm.close()


@pytest.mark.parametrize("value", ["soon", "-5", "nan", "inf", "Mon, 99 Foo 2026 00:00:00 GMT", ""])
async def test_a_retry_after_without_meaning_is_a_usual_retry(
    llm_server: ScriptedLlmServer, llm: OpenAILlm, value: str
) -> None:
    llm_server.reply(error(429, headers={"retry-after": value}), completion("ok"))
    assert (await llm.complete(CHAT)).text == "ok"


async def test_a_long_retry_after_is_passed_on(llm_server: ScriptedLlmServer, llm: OpenAILlm) -> None:
    llm_server.reply(error(429, headers={"retry-after": "600"}))
    with pytest.raises(Unavailable) as refused:
        await llm.complete(CHAT)
    assert refused.value.retry_after == 600
    assert len(llm_server.requests) == 1


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_wrong_setting_is_told_at_once(
    llm_server: ScriptedLlmServer, llm: OpenAILlm, status: int
) -> None:
    llm_server.reply(error(status, "that key is no good"))
    with pytest.raises(Unavailable, match="that key is no good") as refused:
        await llm.complete(CHAT)
    assert "llm_" in (refused.value.remedy or "")
    assert "k-1" not in str(refused.value)
    assert len(llm_server.requests) == 1


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (completion(None, refusal="I cannot help with that"), "refused: I cannot"),
        (completion("", finish_reason="length"), "cut off at 2000 tokens"),
        (completion("", finish_reason="content_filter"), "content filter"),
        (completion(""), "empty"),
        (completion(None), "empty"),
        (Reply(200, b'{"choices": []}'), "no answer"),
        (Reply(200, b'{"choices": [{"message": {"content": "ab'), "malformed"),
        (Reply(200, b"<html>busy</html>"), "malformed"),
        (Reply(200, b""), "malformed"),
        (Reply(200, b'{"error": "200, but no"}'), "malformed"),
        (Reply(200, b'{"choices": [{"message": {"content": "\xff\xfe"}}]}'), "malformed"),
        (Reply(200, b'{"choices": [{"message": {"content": ["parts"]}}]}'), "malformed"),
    ],
)
async def test_an_answer_that_is_none_is_malformed(
    llm_server: ScriptedLlmServer, llm: OpenAILlm, answer: Reply, says: str
) -> None:
    llm_server.reply(answer)
    with pytest.raises(MalformedCompletion, match=says):
        await llm.complete(CHAT, schema=SCHEMA)
    assert len(llm_server.requests) == 1


async def test_missing_usage_and_model_are_not_an_error(
    llm_server: ScriptedLlmServer, llm: OpenAILlm
) -> None:
    llm_server.reply(Reply(200, b'{"choices": [{"message": {"content": "ok"}}], "usage": null}'))
    answer = await llm.complete(CHAT)
    assert (answer.model, answer.input_tokens, answer.output_tokens) == ("scripted", 0, 0)


async def test_an_endpoint_without_json_schema_gets_json_object_and_that_is_remembered(
    llm_server: ScriptedLlmServer, llm: OpenAILlm
) -> None:
    def no_json_schema(request: Recorded) -> Reply:
        if request.body["response_format"]["type"] == "json_schema":
            return error(400, "'response_format.type' must be 'json_object' or 'text'")
        return completion({})

    llm_server.script = no_json_schema
    for _ in range(2):
        await llm.complete(CHAT, schema=SCHEMA)
    assert formats(llm_server) == ["json_schema", "json_object", "json_object"]
    stated = llm_server.bodies("/chat/completions")[1]["messages"][-1]
    assert '"additionalProperties":false' in stated["content"]


@pytest.mark.parametrize("status", [400, 422])
async def test_an_endpoint_without_any_format_is_told_in_words(
    llm_server: ScriptedLlmServer, llm: OpenAILlm, status: int
) -> None:
    llm_server.script = lambda request: (
        error(status, "unknown field") if "response_format" in request.body else completion({})
    )
    for _ in range(2):
        await llm.complete(CHAT, schema=SCHEMA)
    assert formats(llm_server) == ["json_schema", "json_object", None, None]


async def test_newer_models_get_the_parameters_they_know(
    llm_server: ScriptedLlmServer, llm: OpenAILlm
) -> None:
    def strict(request: Recorded) -> Reply:
        if "max_tokens" in request.body:
            message = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
            return error(400, message, code="unsupported_parameter", param="max_tokens")
        if "temperature" in request.body:
            return error(400, "Only the default is supported", code="unsupported_value", param="temperature")
        return completion({})

    llm_server.script = strict
    for _ in range(2):
        await llm.complete(CHAT, schema=SCHEMA)
    assert formats(llm_server) == ["json_schema"] * 4
    assert llm_server.bodies("/chat/completions")[-1]["max_completion_tokens"] == 2000


async def test_a_refusal_that_no_form_cures_is_told_and_nothing_is_remembered(
    llm_server: ScriptedLlmServer, llm: OpenAILlm
) -> None:
    llm_server.script = lambda _: error(400, "invalid message content")
    with pytest.raises(RefusedRequest, match="invalid message content") as refused:
        await llm.complete(CHAT, schema=SCHEMA)
    assert isinstance(refused.value, InvalidInput)
    llm_server.script = lambda _: completion({})
    await llm.complete(CHAT, schema=SCHEMA)
    assert formats(llm_server)[-1] == "json_schema"


async def test_too_long_an_input_is_not_tried_in_other_forms(
    llm_server: ScriptedLlmServer, llm: OpenAILlm
) -> None:
    llm_server.reply(
        error(400, "This model's maximum context length is 8192", code="context_length_exceeded")
    )
    with pytest.raises(InvalidInput, match="context length"):
        await llm.complete(CHAT, schema=SCHEMA)
    assert len(llm_server.requests) == 1


async def test_no_more_calls_at_a_time_than_allowed(llm_server: ScriptedLlmServer) -> None:
    llm = client(llm_server, budget=Budget(Limits(in_flight=2)))
    llm_server.script = lambda _: hang()
    calls = [asyncio.ensure_future(llm.complete(CHAT)) for _ in range(5)]
    await asyncio.to_thread(llm_server.wait_for_requests, 2)
    calls[0].cancel()  # its place goes to the next
    await asyncio.to_thread(llm_server.wait_for_requests, 3)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    await llm.close()
    assert len(llm_server.requests) == 3


async def test_nobody_there_is_unavailable(no_backoff: None) -> None:
    llm = OpenAILlm(base_url="http://127.0.0.1:9/v1", api_key=None, model="m", max_retries=1)
    with pytest.raises(Unavailable, match="cannot be reached") as refused:
        await llm.complete(CHAT)
    assert "llm_base_url" in (refused.value.remedy or "")
    await llm.close()


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """A self-signed certificate for 127.0.0.1, and a server context that shows it."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl command to make a certificate")
    pem, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=127.0.0.1"
    files = "-addext subjectAltName=IP:127.0.0.1 -out cert.pem -keyout key.pem"
    subprocess.run(
        [openssl, *request.split(), *files.split()],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    return pem, context


async def test_tls_is_verified_unless_told_otherwise(
    certificate: tuple[Path, ssl.SSLContext], no_backoff: None
) -> None:
    pem, context = certificate
    with ScriptedLlmServer(tls=context) as server:
        suspicious = client(server, max_retries=0)
        with pytest.raises(Unavailable, match="certificate verify failed"):
            await suspicious.complete(CHAT)
        assert not server.requests
        trusting = client(server, tls_certificate=pem)
        careless = client(server, tls_verify=False)
        for llm in (trusting, careless):
            await llm.complete(CHAT)
        for llm in (suspicious, trusting, careless):
            await llm.close()
