from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from cluster.api import examples
from cluster.security import create_key
from memgrid.models import AddRequest, BatchAddRequest
from memgrid.operations import OPERATIONS
from memgrid.subject import Subject
from tests.api_fakes import MEMORY, RUN, Api

API = Api()
API.store.memories["default", MEMORY] = API.store.runs["default", RUN] = Subject("default", "user", "u")
KEY, _ = asyncio.run(create_key(API.store))  # pyright: ignore[reportArgumentType]
DOCUMENT: dict[str, Any] = API.app.openapi()
OPERATIONS_SHOWN = [
    (method.upper(), path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS_SHOWN)
def test_every_operation_is_documented(method: str, path: str, operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert operation["tags"]
    assert re.fullmatch(r"[a-z_]+", operation["operationId"])
    statuses = set(operation["responses"])
    assert "200" in statuses
    assert statuses >= ({"503"} if path in ("/health", "/health/ready") else {"401", "422", "500", "503"})
    for status, response in operation["responses"].items():
        if status != "200" and path not in ("/metrics",):
            assert response["content"]["application/json"]["schema"] == {
                "$ref": "#/components/schemas/ErrorBody"
            }
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]["application/json"]
        assert content["examples"]
        assert {"413", "415"} <= statuses
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            assert parameter["schema"].get("examples"), f"{path}: {parameter['name']} has no example"


def test_operation_ids_are_unique() -> None:
    ids = [operation["operationId"] for _, _, operation in OPERATIONS_SHOWN]
    assert len(ids) == len(set(ids))


def test_examples_are_valid() -> None:
    components = {"components": DOCUMENT["components"]}
    for _, path, operation in OPERATIONS_SHOWN:
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content is None:
            continue
        validator = Draft202012Validator({**content["schema"], **components})
        for example in content["examples"].values():
            validator.validate(example["value"])
            assert path
    for example in examples.ADD.values():
        TypeAdapter(AddRequest).validate_python(example["value"])
    for example in examples.ADD_BATCH.values():
        TypeAdapter(BatchAddRequest).validate_python(example["value"])


async def test_every_example_works() -> None:
    api = Api()
    api.store.memories["default", MEMORY] = api.store.runs["default", RUN] = Subject("default", "user", "u")
    fill = {"user_id": "zhangsan", "id": MEMORY, "name": "杭州"}
    async with api.client() as client:
        for method, path, operation in OPERATIONS_SHOWN:
            for example in (
                operation.get("requestBody", {})
                .get("content", {})
                .get("application/json", {"examples": {"": {"value": None}}})["examples"]
                .values()
            ):
                parameters = {
                    parameter["name"]: parameter["schema"].get("examples", ["zhangsan"])[0]
                    for parameter in operation.get("parameters", ())
                    if parameter["in"] == "query"
                    and (parameter["required"] or parameter["name"] == "user_id")
                }
                filled = {"id": RUN, "user_id": "zhangsan"} if "/runs/" in path else fill
                if "/jobs/" in path:
                    from cluster.jobs import JobKey, encode_job

                    filled = {"id": encode_job(JobKey("user", "u", MEMORY, MEMORY))}
                answer = await client.request(
                    method, path.format(**filled), params=parameters, json=example["value"]
                )
                assert answer.status_code == 200, (method, path, answer.text)
    reached = {call.operation for call in api.router.calls}
    internal = {"hydrate", "query_vector"}
    assert OPERATIONS.keys() - reached == internal, "asked for by a search across subjects only"


schema = schemathesis.openapi.from_asgi("/openapi.json", API.app)


@schema.parametrize()
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_whatever_comes_the_answer_is_one_that_is_documented(case: schemathesis.Case) -> None:
    case.call_and_validate(
        headers={"X-API-Key": KEY},
        checks=[not_a_server_error, status_code_conformance, response_schema_conformance],
    )


async def test_docs_need_nothing_from_elsewhere() -> None:
    async with Api().client() as client:
        page = await client.get("/docs")
        assert (page.status_code, "https://" in page.text) == (200, False)
        for name in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png"):
            assert f"/swagger/{name}" in page.text
            assert (await client.get(f"/swagger/{name}")).status_code == 200
        assert (await client.get("/")).headers["Location"] == "/docs"
