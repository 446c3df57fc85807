"""A relay before a server, which can be told when to stop passing things on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx


class Relay(ThreadingHTTPServer):
    """Passes requests on, and asks `before_answer` with the number of each before it answers it."""

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = httpx.Client(base_url=target, timeout=60, trust_env=False)
        self.requests = 0
        self.counting = threading.Lock()
        self.before_answer: Callable[[int], bool] = lambda number: True
        """False refuses the request (with 401, which no client tries again) after it was passed on."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Relay
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        relay = self.server
        with relay.counting:
            relay.requests += 1
            number = relay.requests
        headers = {"Content-Type": self.headers["Content-Type"]}
        answer = relay.upstream.post(self.path, content=body, headers=headers)
        status, content = answer.status_code, answer.content
        if not relay.before_answer(number):
            status, content = 401, b"{}"
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except ConnectionError:
            self.close_connection = True  # whoever asked is gone

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def relaying(target: str) -> Generator[Relay]:
    """A running relay to the server at `target`."""
    relay = Relay(target)
    thread = threading.Thread(target=relay.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield relay
    finally:
        relay.shutdown()
        thread.join()
        relay.server_close()
        relay.upstream.close()
