"""A small memgrid over real HTTP: what the command line needs of one, and failures on demand."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

NOW = "2026-11-21T12:00:00Z"
Answer = tuple[int, Any]


class FakeMemgrid:
    """Keeps messages by subject and session; a message id that it knows is not kept again."""

    def __init__(self) -> None:
        self.url = ""
        self.messages: dict[str, list[dict[str, Any]]] = {}
        self.memories: dict[str, list[dict[str, Any]]] = {}
        self.runs: list[dict[str, Any]] = []
        """Of everyone, with everything that is told of one."""
        self.requests: list[tuple[str, str, Any]] = []
        self.keys: set[str] = set()
        self.fail: Callable[[str, str, Any], Answer | None] = lambda method, path, body: None
        """Asked before every request: an answer to give instead."""
        self.fail_item: Callable[[dict[str, Any]], dict[str, Any] | None] = lambda item: None
        """Asked for every item of a batch: an error to give instead."""
        self.lock = threading.Lock()

    def said(self, user: str) -> list[str]:
        return [message["content"] for message in self.messages.get(user, [])]

    def handle(self, method: str, target: str, body: Any, key: str | None) -> Answer:
        parts = urlsplit(target)
        path, query = parts.path, {k: v[0] for k, v in parse_qs(parts.query).items()}
        with self.lock:
            self.requests.append((method, target, body))
            if self.keys and key not in self.keys:
                return error(401, "unauthenticated", "an API key is required", remedy="send one")
            instead = self.fail(method, path, body)
            return instead or self.answer(method, path, query, body)

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        route = (method, path.removeprefix("/api/v1"))
        match route:
            case ("GET", "/health/detailed"):
                components = {"wide_store": {"status": "healthy", "latency": 0.4}}
                return 200, {"timestamp": NOW, "components": components, "overall": "healthy"}
            case ("POST", "/memories"):
                return 200, self.add(body)
            case ("POST", "/memories/batch"):
                results: list[Any] = []
                for item in body["items"]:
                    failure = self.fail_item(item)
                    results.append({"error": failure} if failure else {"result": self.add(item)})
                failed = sum("error" in result for result in results)
                return 200, {"results": results, "succeeded": len(results) - failed, "failed": failed}
            case ("POST", "/memories/search"):
                hits = [
                    {
                        "type": "message",
                        "id": m["id"],
                        "content": m["content"],
                        "score": 0.5,
                        "created_at": NOW,
                        "message_ids": [m["id"]],
                        "explain": {"words": 0.5} if body["explain"] else None,
                    }
                    for m in self.messages.get(body["user_id"], [])
                ]
                return 200, {"results": hits, "total": len(hits)}
            case ("GET", "/memories"):
                found = self.memories.get(query["user_id"], [])
                return 200, {"memories": found, "total": len(found)}
            case ("GET", "/sessions"):
                return 200, {"sessions": self.sessions(query["user_id"])}
            case ("GET", "/messages"):
                kept = self.messages.get(query["user_id"], [])
                kept = [m for m in kept if m["session_id"] == query.get("session_id", m["session_id"])]
                start, limit = int(query.get("cursor", 0)), int(query["limit"])
                cursor = str(start + limit) if start + limit < len(kept) else None
                return 200, {"messages": kept[start : start + limit], "cursor": cursor}
            case ("GET", "/runs"):
                found = [one for one in self.runs if one["status"] == query.get("status", one["status"])]
                start, limit = int(query.get("cursor", 0)), int(query["limit"])
                cursor = str(start + limit) if start + limit < len(found) else None
                return 200, {"runs": found[start : start + limit], "cursor": cursor}
            case ("DELETE", "/memories"):
                return 200, {"count": len(self.memories.pop(query["user_id"], []))}
        for one in self.runs:
            if f"/runs/{one['id']}" in path:
                if not path.endswith("/drive"):
                    return 200, one
                one["status"] = "done"
                return 200, {"job_id": None, "status": "done", "results": []}
        if path.endswith("/context"):
            return 200, {"context": f"- {unquote(path.split('/')[4])}: {query['message']}", "tokens": 1}
        if path.endswith("/profile"):
            return 200, profile(unquote(path.split("/")[4]))
        if method == "DELETE" and "/users/" in path:
            user = unquote(path.split("/")[4])
            erased = len(self.messages.pop(user, []))
            return 200, {"subject_kind": "user", "subject_id": user, "memories": 0, "messages": erased}
        for memories in self.memories.values():
            for memory in memories:
                if f"/memories/{memory['id']}" in path:
                    if path.endswith("/history"):
                        return 200, {"history": [history(memory)]}
                    return 200, {"count": 1} if method == "DELETE" else memory
        return error(404, "not_found", "there is no such thing", field="id")

    def add(self, item: dict[str, Any]) -> dict[str, Any]:
        subject = item.get("user_id") or item["agent_id"]
        session = item.get("session_id", "default")
        kept = self.messages.setdefault(subject, [])
        known = {(m["session_id"], m["client_id"]): m["id"] for m in kept if m["client_id"]}
        ids: list[str] = []
        duplicates = 0
        for message in item["messages"]:
            if (there := known.get((session, message.get("id")))) is not None:
                duplicates += 1
                ids.append(there)
                continue
            ids.append(f"m{len(kept)}")
            fields = ("role", "content", "name", "id", "timestamp", "marks")
            content = message["content"]
            text = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
            extra = {k: v for k, v in message.items() if k not in fields}
            if not isinstance(content, str):
                extra["content"] = content
            kept.append(
                {
                    "id": ids[-1],
                    "session_id": session,
                    "role": message.get("role", "user"),
                    "content": text,
                    "name": message.get("name"),
                    "client_id": message.get("id"),
                    "event_time": message.get("timestamp") or item.get("timestamp") or NOW,
                    "created_at": NOW,
                    "marks": message.get("marks", []),
                    "tokens": 1,
                    "metadata": item.get("metadata", {}),
                    "extra": extra,
                }
            )
        results = [{"id": "1", "event": "ADD", "memory": "名字是张三"}] if item.get("wait") else []
        status = "done" if item.get("wait") else "pending"
        return {
            "job_id": "j1",
            "status": status,
            "message_ids": ids,
            "duplicates": duplicates,
            "results": results,
        }

    def sessions(self, user: str) -> list[dict[str, Any]]:
        grouped: dict[str, list[dict[str, Any]]] = {}
        for message in self.messages.get(user, []):
            grouped.setdefault(message["session_id"], []).append(message)
        return [
            {
                "session_id": name,
                "messages": len(kept),
                "first_at": min(m["event_time"] for m in kept),
                "last_at": max(m["event_time"] for m in kept),
            }
            for name, kept in sorted(grouped.items())
        ]


def error(status: int, code: str, message: str, **rest: Any) -> Answer:
    return status, {"error": {"code": code, "message": message, **rest}, "detail": message}


def memory(id_: str, text: str, **rest: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "memory": text,
        "kind": "fact",
        "created_at": NOW,
        "updated_at": NOW,
        "revision": 1,
        **rest,
    }


def history(of: dict[str, Any]) -> dict[str, Any]:
    return {
        "memory_id": of["id"],
        "event": "ADD",
        "new_memory": of["memory"],
        "revision": 1,
        "actor": "extraction",
        "at": NOW,
    }


def profile(user: str) -> dict[str, Any]:
    return {
        "user_id": user,
        "total_memories": 2,
        "profile_summary": f"{user}喜欢打羽毛球",
        "generated_at": NOW,
        "key_interests": ["打羽毛球"],
        "interaction_patterns": {},
        "topics": {"interest": {"sport": [{"id": "1", "content": "打羽毛球", "updated_at": NOW}]}},
    }


@contextmanager
def serving(fake: FakeMemgrid) -> Generator[FakeMemgrid]:
    """The fake, listening on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def respond(self) -> None:
            size = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(size)) if size else None
            key = self.headers.get("Authorization", "").removeprefix("Bearer ") or None
            status, answer = fake.handle(self.command, self.path, body, key)
            raw = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = respond

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        fake.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()
