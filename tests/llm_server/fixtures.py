"""The `llm_server` fixture: name this module in `pytest_plugins`, or import the fixture."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import stamina

from tests.llm_server.server import ScriptedLlmServer


@pytest.fixture
def llm_server() -> Iterator[ScriptedLlmServer]:
    """A scripted OpenAI-compatible server on a free port, stopped at the end of the test."""
    with ScriptedLlmServer() as server:
        yield server


@pytest.fixture
def no_backoff() -> Iterator[None]:
    """Retries follow each other without a pause; their number stays what it is."""
    stamina.set_testing(True, attempts=100, cap=True)
    yield
    stamina.set_testing(False)
