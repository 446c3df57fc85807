"""What a search of OpenSearch takes through memgrid's adapter, beside a bare client.

    python -m benchmarks.index

    put        documents a second: bulk requests of 100, 4 at a time
    words      one subject, by words
    vector     one subject, by vector
    both       one subject, by words and vector in one request: what an owner asks
    label      all subjects with a label, by words: two requests, the second for what is erased
    both x 8   the same as `both`, 8 at a time

Bare is the same client with hand-written JSON on the same documents and the same server: the same terms
and vectors, routing, and a filter on the subject; it looks at nothing but the ids. Both are measured in
turns, request by request, so that a busy machine is busy for both. The index is made for this, filled
with synthetic vectors, and dropped. The server is the one that the settings name.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from opensearchpy import AsyncOpenSearch

from cluster.analysis import search_terms
from cluster.composition import build_opensearch_client
from cluster.search_index.indexed import label_token
from cluster.search_index.opensearch import OpenSearchIndex
from cluster.search_index.opensearch_documents import routing_of
from cluster.search_index.port import IndexDocument, IndexQuery
from cluster.settings import load_settings
from memgrid.subject import Subject

DIMENSION = 384
TENANT = "bench"
WORDS = [
    "杭州",
    "龙井茶",
    "羽毛球",
    "周末",
    "同事",
    "咖啡",
    "地铁",
    "旅行",
    "badminton",
    "weekend",
    "train",
    "coffee",
    "bakery",
    "river",
    "garden",
    "meeting",
]
LIMIT = 50
BATCH = 100
WRITERS = 4

Ask = Callable[[], Awaitable[object]]


def subject(number: int) -> Subject:
    return Subject(TENANT, "user", f"user{number}")


def vectors(count: int, seed: int) -> NDArray[np.float32]:
    found = np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def documents(owner: int, count: int) -> list[IndexDocument]:
    random = np.random.default_rng(owner)
    return [
        IndexDocument(
            id=f"d{n}",
            kind="message",
            text=" ".join(random.choice(WORDS, 8)) + f" {owner}-{n}",
            version=1,
            generation=0,
            labels={"agent": f"bot{owner % 4}"},
            vector=vector,
        )
        for n, vector in enumerate(vectors(count, owner))
    ]


class Bare:
    """The same questions, written by hand."""

    def __init__(self, client: AsyncOpenSearch, index: str) -> None:
        self._client = client
        self._index = index

    async def ask(self, query: IndexQuery) -> None:
        header: dict[str, Any] = {"index": self._index}
        if query.subject is not None:
            routing = routing_of(query.subject)
            header |= {"routing": routing, "preference": routing}
            scope: list[dict[str, Any]] = [{"term": {"subject": routing}}]
        else:
            scope = [{"term": {"scope": label_token(TENANT, *each)}} for each in query.labels.items()]
        lines: list[Any] = []
        if query.text is not None:
            terms = " ".join(search_terms(query.text))
            words = {"bool": {"filter": scope, "must": [{"match": {"terms": terms}}]}}
            lines += [header, {"query": words, "size": query.limit, "_source": ["unit"]}]
        if query.vector is not None:
            near = {"vector": query.vector.tolist(), "k": query.limit, "filter": {"bool": {"filter": scope}}}
            lines += [header, {"query": {"knn": {"vector": near}}, "size": query.limit, "_source": ["unit"]}]
        answer = await self._client.msearch(body="".join(json.dumps(line) + "\n" for line in lines))
        _ = {hit["_source"]["unit"][-1] for each in answer["responses"] for hit in each["hits"]["hits"]}


async def measure(rounds: int, asks: dict[str, Sequence[Ask]], at_once: int) -> dict[str, float]:
    """The median of each in milliseconds, asked in turns."""
    took: dict[str, list[float]] = {name: [] for name in asks}

    async def one(name: str, number: int) -> None:
        started = time.perf_counter()
        await asks[name][number % len(asks[name])]()
        took[name].append((time.perf_counter() - started) * 1000)

    for number in range(rounds):
        for name in asks:
            await asyncio.gather(*(one(name, number * at_once + each) for each in range(at_once)))
    return {name: statistics.median(times[len(times) // 10 :]) for name, times in took.items()}


async def fill(index: OpenSearchIndex, subjects: int, each: int) -> float:
    """Documents a second."""
    gate = asyncio.Semaphore(WRITERS)

    async def put(owner: int) -> None:
        async with gate:
            rows = documents(owner, each)
            for start in range(0, each, BATCH):
                await index.put(subject(owner), rows[start : start + BATCH])

    started = time.perf_counter()
    await asyncio.gather(*(put(owner) for owner in range(subjects)))
    return subjects * each / (time.perf_counter() - started)


async def run(subjects: int, each: int, rounds: int) -> dict[str, Any]:
    settings = load_settings()
    prefix = f"memgrid-bench-{uuid.uuid4().hex[:8]}"
    client = build_opensearch_client(settings)
    index = OpenSearchIndex(
        client, dimension=DIMENSION, prefix=prefix, engine=settings.opensearch_knn_engine, search_timeout=60
    )
    await index.open()
    bare = Bare(client, f"{prefix}-memory-read")
    try:
        report: dict[str, Any] = {
            "documents": subjects * each,
            "put": round(await fill(index, subjects, each)),
        }
        await index.refresh()
        questions = vectors(64, 1_000_000)
        random = np.random.default_rng(7)

        def query(number: int, **of: Any) -> IndexQuery:
            whose = {"subject": subject(number % subjects)} if "labels" not in of else {}
            return IndexQuery(tenant=TENANT, limit=LIMIT, **whose, **of)

        words = [" ".join(random.choice(WORDS, 3)) for _ in range(64)]
        kinds: dict[str, list[IndexQuery]] = {
            "words": [query(n, text=words[n]) for n in range(64)],
            "vector": [query(n, vector=questions[n]) for n in range(64)],
            "both": [query(n, text=words[n], vector=questions[n]) for n in range(64)],
            "label": [query(n, text=words[n], labels={"agent": f"bot{n % 4}"}) for n in range(64)],
        }
        for name, at_once in (("words", 1), ("vector", 1), ("both", 1), ("label", 1), ("both", 8)):
            asks: dict[str, Sequence[Ask]] = {
                "memgrid": [lambda q=q: index.search(q) for q in kinds[name]],
                "bare": [lambda q=q: bare.ask(q) for q in kinds[name]],
            }
            found = await measure(rounds, asks, at_once)
            report[name if at_once == 1 else f"{name} x {at_once}"] = found
        return report
    finally:
        await client.indices.delete(index=f"{prefix}-*")
        await client.indices.delete_index_template(name=f"{prefix}-*")
        await index.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--subjects", type=int, default=40)
    parser.add_argument("--each", type=int, default=500, help="documents of each subject")
    parser.add_argument("--rounds", type=int, default=200, help="requests of each kind")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    report = asyncio.run(run(options.subjects, options.each, options.rounds))
    if options.json:
        print(json.dumps(report))
        return
    print(f"{report.pop('documents')} documents, {report.pop('put')} put a second")
    print(f"{'p50 in ms':10} {'memgrid':>8} {'bare':>8}")
    for name, found in report.items():
        print(f"{name:10} {found['memgrid']:8.1f} {found['bare']:8.1f}")


if __name__ == "__main__":
    main()
