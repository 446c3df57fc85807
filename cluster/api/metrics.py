"""What a replica counts, and how its numbers and the shard actors' become one Prometheus page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

UNMATCHED: Final = "unmatched"
"""The operation of a request that no route takes: never its path, which anyone can invent."""
_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """Requests by operation, with a registry of their own."""

    def __init__(self, replica: str) -> None:
        """`replica` tells the replicas of one service apart: each answers /metrics for itself."""
        self.registry = CollectorRegistry()
        self._replica = replica
        self._requests = Counter(
            "memgrid_http_requests_total",
            "Requests answered.",
            ("replica", "operation", "method", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "memgrid_http_request_seconds",
            "Time from a request's first byte to the end of its answer.",
            ("replica", "operation"),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._failures = Counter(
            "memgrid_http_degraded_total",
            "Answers given although a part of the service failed.",
            ("replica", "operation"),
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "memgrid_http_requests_in_flight",
            "Requests being answered.",
            ("replica",),
            registry=self.registry,
        ).labels(replica)

    def observe(self, operation: str, method: str, status: int, seconds: float) -> None:
        """Count one request."""
        method = method if method in _METHODS else "OTHER"
        self._requests.labels(self._replica, operation, method, status).inc()
        self._seconds.labels(self._replica, operation).observe(seconds)

    def degraded(self, operation: str) -> None:
        """Count an answer that had to do without something."""
        self._failures.labels(self._replica, operation).inc()

    def text(self) -> str:
        """The exposition of this replica."""
        return generate_latest(self.registry).decode()


def merge_expositions(texts: Iterable[str]) -> str:
    """One exposition of several: each family's HELP and TYPE once, then everyone's samples."""
    heads: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    for text in texts:
        family = ""
        for line in text.splitlines():
            if line.startswith(("# HELP ", "# TYPE ")):
                family = line.split(" ", 3)[2]
                head = heads.setdefault(family, [])
                if not any(known.startswith(line[:7]) for known in head):
                    head.append(line)
            elif line and not line.startswith("#"):
                samples.setdefault(family, []).append(line)
    lines = [line for family in samples for line in (*heads.get(family, ()), *samples[family])]
    return "".join(f"{line}\n" for line in lines)
