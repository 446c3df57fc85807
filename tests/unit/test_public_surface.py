"""What `import memgrid` gives: changing it is a decision, not an accident."""

from __future__ import annotations

import inspect
import subprocess
import sys

import memgrid
from memgrid.api import MemgridApi

EXPORTS = [
    "AddRequest",
    "AddResult",
    "AsyncMemgrid",
    "Conflict",
    "ContextBlock",
    "Forbidden",
    "InternalError",
    "InvalidInput",
    "Memgrid",
    "MemgridError",
    "MemoryOut",
    "MessageIn",
    "MessageOut",
    "NotFound",
    "Overloaded",
    "PayloadTooLarge",
    "Profile",
    "SearchHit",
    "SearchResult",
    "Unauthenticated",
    "Unavailable",
    "__version__",
]
METHODS = {
    *("add", "add_batch", "search", "context", "profile"),
    *("get", "update", "delete", "delete_all", "history", "list", "list_page"),
    *("sessions", "sessions_page", "messages", "messages_page", "mark_messages", "delete_messages"),
    *("variables", "set_variables", "delete_variables"),
    *("buffer", "set_buffer_policy", "process", "job", "wait_for_job"),
    *("runs", "runs_page", "get_run", "drive_run"),
    *("erase", "cleanup", "stats", "health"),
    *("add_document", "events", "record_task", "tasks", "use_task", "update_task", "related", "link"),
    *("entities", "entity", "share", "unshare", "profile_config", "set_profile_config"),
    *("extraction_config", "set_extraction_config", "usage"),
}


def public(cls: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(cls, inspect.isfunction) if not name.startswith("_")}


def test_exports() -> None:
    assert sorted(memgrid.__all__) == EXPORTS
    assert all(hasattr(memgrid, name) for name in EXPORTS)


def test_methods_are_the_same_everywhere() -> None:
    assert public(memgrid.AsyncMemgrid) == METHODS | {"aclose"}
    assert public(memgrid.Memgrid) == METHODS | {"close"}


def test_every_method_says_what_it_does() -> None:
    for cls in (MemgridApi, memgrid.Memgrid):
        for name in public(cls):
            assert inspect.getdoc(getattr(cls, name)), name


def test_signatures_are_the_same() -> None:
    for name in METHODS:
        asynchronous = inspect.signature(getattr(memgrid.AsyncMemgrid, name))
        assert inspect.signature(getattr(memgrid.Memgrid, name)).parameters == asynchronous.parameters, name


def test_importing_it_is_light() -> None:
    heavy = ("ray", "fastapi", "numpy", "faiss", "cluster", "actors", "typer", "openai")
    code = f"import sys, memgrid; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
