"""Any OpenAI-compatible chat endpoint."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec

from cluster.llm.budget import Budget, Limits, Spending
from cluster.llm.errors import MalformedCompletion
from cluster.llm.port import ChatMessage, Completion
from cluster.openai_endpoint import MalformedAnswer, OpenAIEndpoint, RefusedRequest
from cluster.tokens import count_tokens

_Format = Literal["json_schema", "json_object", "text"]
_WEAKER: dict[_Format, _Format] = {"json_schema": "json_object", "json_object": "text"}


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Answer(msgspec.Struct):
    choices: list[_Choice]
    model: str | None = None
    usage: _Usage | None = None


class _Dialect(msgspec.Struct, frozen=True):
    """What the endpoint was found to understand."""

    format: _Format = "json_schema"
    limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    temperature: bool = True


class OpenAILlm:
    """A chat model behind the LLM port.

    Endpoints differ in what they take. When one refuses a request, the next weaker form is tried
    (`json_schema`, then `json_object`, then the schema in words alone; `max_completion_tokens`; no
    temperature), and what worked is remembered.
    """

    def __init__(
        self,
        *,
        base_url: str | None,
        api_key: str | None,
        model: str,
        temperature: float = 0.1,
        max_tokens: int = 2000,
        timeout: float = 60.0,
        max_retries: int = 3,
        tls_verify: bool = True,
        tls_certificate: Path | None = None,
        budget: Budget | None = None,
        public_only: bool = False,
    ) -> None:
        """`budget` is what calls of this and other models share; `public_only` is for an endpoint that a
        tenant has named."""
        self._endpoint = OpenAIEndpoint(
            "llm",
            base_url=base_url,
            api_key=api_key,
            timeout=timeout,
            max_retries=max_retries,
            tls_verify=tls_verify,
            tls_certificate=tls_certificate,
            public_only=public_only,
        )
        self._model = model
        self._temperature = temperature
        self._max_tokens = max_tokens
        self._budget = budget or Budget(Limits())
        self._dialect = _Dialect()

    @property
    def model(self) -> str:
        return self._model

    async def complete(
        self, messages: Sequence[ChatMessage], *, schema: dict[str, Any] | None = None
    ) -> Completion:
        dialect = self._dialect
        while True:
            try:
                answer = await self._send(messages, schema, dialect)
            except RefusedRequest as refused:
                weaker = _weaker(dialect, refused, with_schema=schema is not None)
                if weaker is None:
                    raise
                dialect = weaker
            except MalformedAnswer as malformed:
                raise MalformedCompletion(malformed.message) from malformed
            else:
                self._dialect = dialect
                return self._completion(answer)

    async def close(self) -> None:
        await self._endpoint.close()

    async def _send(
        self, messages: Sequence[ChatMessage], schema: dict[str, Any] | None, dialect: _Dialect
    ) -> _Answer:
        chat: list[Any] = [{"role": message.role, "content": message.content} for message in messages]
        options: dict[str, Any] = {dialect.limit: self._max_tokens}
        if dialect.temperature:
            options["temperature"] = self._temperature
        if schema is not None:
            if dialect.format == "json_schema":
                options["response_format"] = {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "schema": schema, "strict": True},
                }
            else:
                stated = msgspec.json.encode(schema).decode()
                chat.append(
                    {"role": "system", "content": f"Answer with JSON of this schema, nothing else: {stated}"}
                )
                if dialect.format == "json_object":
                    options["response_format"] = {"type": "json_object"}
        create: Any = self._endpoint.client.chat.completions.with_raw_response.create
        reserved = sum(count_tokens(message["content"]) for message in chat) + self._max_tokens
        taken: list[Spending] = []

        @asynccontextmanager
        async def admitted() -> AsyncGenerator[None]:
            async with self._budget.call(reserved) as spending:
                taken.append(spending)
                yield

        answer = await self._endpoint.request(
            lambda: create(model=self._model, messages=chat, **options), _Answer, admitted=admitted
        )
        if answer.usage is not None:
            taken[-1].took(answer.usage.prompt_tokens + answer.usage.completion_tokens)
        return answer

    def _completion(self, answer: _Answer) -> Completion:
        usage = answer.usage or _Usage()
        asked, said = usage.prompt_tokens, usage.completion_tokens

        def malformed(message: str, remedy: str | None = None) -> MalformedCompletion:
            return MalformedCompletion(message, remedy=remedy, input_tokens=asked, output_tokens=said)

        if not answer.choices:
            raise malformed("the model gave no answer")
        choice = answer.choices[0]
        whole = choice.finish_reason != "length"
        if choice.message.refusal:
            raise malformed(f"the model refused: {choice.message.refusal[:300]}")
        if choice.finish_reason == "content_filter":
            raise malformed("the model's answer was withheld by a content filter")
        if not choice.message.content and not whole:
            raise malformed(
                f"the model's answer was cut off at {self._max_tokens} tokens, before it began",
                remedy="raise llm_max_tokens",
            )
        if not choice.message.content:
            raise malformed("the model's answer is empty")
        return Completion(
            text=choice.message.content,
            model=answer.model or self._model,
            input_tokens=asked,
            output_tokens=said,
            whole=whole,
        )


def _weaker(dialect: _Dialect, refused: RefusedRequest, *, with_schema: bool) -> _Dialect | None:
    """The next thing to try after a refusal, or None when the request itself is at fault.

    The parameter at fault is often named; where it is not, the format is the likely one.
    """
    named = f"{refused.parameter or ''} {refused.reason}"
    if "max_completion_tokens" in named and dialect.limit == "max_tokens":
        return msgspec.structs.replace(dialect, limit="max_completion_tokens")
    if "temperature" in named and dialect.temperature:
        return msgspec.structs.replace(dialect, temperature=False)
    if "context_length" in named or "context length" in named or not with_schema:
        return None
    weaker = _WEAKER.get(dialect.format)
    return None if weaker is None else msgspec.structs.replace(dialect, format=weaker)
