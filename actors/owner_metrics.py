"""What an owner counts, as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from memgrid.operations import OPERATIONS

if TYPE_CHECKING:
    from actors.owner import ShardOwner


class OwnerMetrics:
    """Counted in a registry of its own."""

    def __init__(self, owner: ShardOwner) -> None:
        self._owner = owner
        self._registry = CollectorRegistry()
        self._actor = owner.name
        self._calls = Counter(
            "memgrid_owner_operations_total",
            "Operations by outcome",
            ["actor", "operation", "outcome"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "memgrid_owner_operation_seconds",
            "Duration of operations",
            ["actor", "operation"],
            registry=self._registry,
        )
        self._gauges: dict[str, tuple[Gauge, Callable[[], float]]] = {}
        for name, description, read in (
            ("hot_subjects", "Subjects in memory", lambda: len(owner.residents)),
            ("hot_bytes", "Bytes of subjects in memory", lambda: owner.residents.nbytes),
            ("activations", "Subjects loaded since the start", lambda: owner.residents.activations),
            ("evictions", "Subjects dropped since the start", lambda: owner.residents.evictions),
            ("pending_messages", "Messages not yet extracted", lambda: owner.loop.buffers.pending_total),
            ("extraction_runs_done", "Extraction runs finished", lambda: owner.loop.done),
            ("extraction_runs_failed", "Extraction tries that failed", lambda: owner.loop.failed),
            ("extraction_runs_parked", "Extraction runs parked", lambda: owner.loop.parked),
            ("claims_dropped", "Claims of a model that were not believed", lambda: owner.loop.claims_dropped),
            ("commits_landed", "Commits applied", lambda: owner.commits.landed),
            ("commits_refused", "Commits refused as stale", lambda: owner.commits.refused),
            ("embedding_backlog", "Units without an embedding", lambda: owner.vectors.total_backlog),
            ("embedding_failures", "Embedding tries that failed", lambda: owner.vectors.failures),
            ("index_owed", "Units and deletions the index has not been told", lambda: owner.indexing.owed),
            ("index_failures", "Indexing tries that failed", lambda: owner.indexing.failures),
            ("index_refused", "Documents that the index does not take", lambda: owner.indexing.refused),
            ("memories_expired", "Memories removed by the sweep", lambda: owner.sweep.expired),
            ("cache_hits", "Answers from the cache", lambda: owner.cache.hits),
            ("cache_misses", "Answers not in the cache", lambda: owner.cache.misses),
        ):
            gauge = Gauge(f"memgrid_owner_{name}", description, ["actor"], registry=self._registry)
            self._gauges[name] = (gauge, read)

    def observe(self, operation: str, outcome: str, seconds: float) -> None:
        """Count one operation."""
        known = operation if operation in OPERATIONS else "unknown"
        self._calls.labels(self._actor, known, outcome).inc()
        self._seconds.labels(self._actor, known).observe(seconds)

    def text(self) -> bytes:
        """Prometheus text of everything counted."""
        for gauge, read in self._gauges.values():
            gauge.labels(self._actor).set(read())
        return generate_latest(self._registry)
