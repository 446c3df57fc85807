"""The search index of a cluster: OpenSearch, for full text and vectors.

What a document is, and what makes one newer than another: `opensearch_documents`. How they are written:
`opensearch_bulk`. Where: `opensearch_versions`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import structlog
from opensearchpy import AsyncOpenSearch

from cluster.search_index import opensearch_documents as documents_
from cluster.search_index.indexed import check_query
from cluster.search_index.opensearch_bulk import BulkWriter
from cluster.search_index.opensearch_client import (
    LoginRefused,
    Missing,
    asked,
    from_status,
    reason_of,
)
from cluster.search_index.opensearch_documents import Layout
from cluster.search_index.opensearch_versions import KnnEngine, Versions
from cluster.search_index.port import (
    Filling,
    IndexDocument,
    IndexedKind,
    IndexQuery,
    Proposed,
    RefusedDocuments,
)
from memgrid.errors import Overloaded, Unavailable
from memgrid.subject import Subject

_DELETE_SECONDS: Final = 300.0
"""How long deleting all documents of one subject may take."""
_DELETE_ROUNDS: Final = 5
_FILLED_PAGE: Final = 1000

_log = structlog.get_logger(__name__)


class OpenSearchIndex:
    """`SearchIndex` on an OpenSearch cluster, 2.19 or later with the k-NN plugin."""

    def __init__(
        self,
        client: AsyncOpenSearch,
        *,
        dimension: int | None,
        prefix: str = "memgrid",
        engine: KnnEngine = "lucene",
        shards: int = 1,
        replicas: int = 1,
        patience: float = 10.0,
        search_timeout: float = 2.5,
    ) -> None:
        """Without a `dimension` (of the vectors) an index is used, and never made.

        A busy server is asked again for `patience` seconds; a search may take `search_timeout` seconds.
        The client is closed with the index.
        """
        self._client = client
        self._search_timeout = search_timeout
        self._versions = Versions(
            client, prefix, dimension=dimension, engine=engine, shards=shards, replicas=replicas
        )
        self._writer = BulkWriter(client, self._versions.write, patience=patience, make=self._versions.ensure)

    async def open(self) -> None:
        """Find or make the index. A server that is away is no obstacle: it is looked for again when needed.

        Raises InvalidInput for an index of a newer memgrid, LoginRefused.
        """
        try:
            await self._versions.ensure()
        except LoginRefused:
            raise
        except (Unavailable, Overloaded) as error:
            _log.warning("search index is away", error=error.message)

    async def close(self) -> None:
        await self._writer.close()
        await self._client.close()

    async def put(self, subject: Subject, documents: Sequence[IndexDocument]) -> None:
        if not documents:
            return
        layout = await self._layout()
        try:
            await self._write_documents(subject, documents, layout)
        except RefusedDocuments:
            if (await self._versions.ensure()).layout == layout:
                raise
            # the index has been made anew meanwhile, for a server that analyses otherwise
            await self._write_documents(subject, documents, await self._layout())

    async def delete(self, subject: Subject, generation: int, ids: Sequence[tuple[str, int]]) -> None:
        await self._writer.write([documents_.gone(subject, generation, id_, version) for id_, version in ids])

    async def delete_subject(self, subject: Subject, generation: int) -> None:
        # first the mark: whatever is written late from here on does not count
        await self._writer.write([documents_.erased(subject, generation)])
        for _ in range(_DELETE_ROUNDS):
            await self.refresh()  # a query sees only what has been refreshed
            answer = await asked(
                self._client.delete_by_query(
                    index=self._versions.write,
                    body={"query": documents_.below(subject, generation)},
                    params={
                        "conflicts": "proceed",
                        "routing": documents_.routing_of(subject),
                        "request_timeout": _DELETE_SECONDS,
                    },
                )
            )
            if not answer["version_conflicts"]:
                return

    async def search(self, query: IndexQuery) -> Proposed:
        check_query(query)
        if not query.kinds or query.limit < 1:
            return Proposed([])
        layout = await self._layout()
        search = documents_.search(query, self._versions.read, layout)
        questions = [each for each in (search.words, search.vector) if each is not None]
        if not questions:
            return Proposed([])
        if query.subject is not None:
            erased = documents_.erased_among([query.subject])
            *answers, marks = await self._ask(search.header, [*questions, erased])
        else:
            answers = await self._ask(search.header, questions)
            marks = []
        by_words = answers.pop(0) if search.words is not None else []
        by_vector = answers.pop(0) if search.vector is not None else []
        found = documents_.united(by_words, by_vector)
        if query.subject is None and found:
            erased = documents_.erased_among({each.subject for each in found})
            [marks] = await self._ask(search.header, [erased])
        return Proposed(documents_.current(found, documents_.floors(marks)))

    async def count(self, subject: Subject) -> int:
        routing = documents_.routing_of(subject)
        try:
            mark = await asked(
                self._client.get(
                    index=self._versions.write, id=documents_.erased_id(subject), params={"routing": routing}
                )
            )
            floor = int(mark["_source"]["generation"])
        except Missing:
            floor = 0
        answer = await asked(
            self._client.count(
                index=self._versions.write,
                body={"query": documents_.live(subject, floor)},
                params={"routing": routing},
            )
        )
        return int(answer["count"])

    async def listed(
        self, subject: Subject, *, cursor: str | None = None, limit: int = 1000
    ) -> tuple[Sequence[tuple[str, IndexedKind]], str | None]:
        if cursor is None:
            await self.refresh()
        answer = await asked(
            self._client.search(
                index=self._versions.write,
                body=documents_.listing(subject, int(cursor) if cursor else None, limit),
                params={"routing": documents_.routing_of(subject)},
            )
        )
        hits = answer["hits"]["hits"]
        rows = [(hit["_source"]["unit"][-1], hit["_source"]["kind"]) for hit in hits]
        return rows, str(hits[-1]["sort"][0]) if len(hits) == limit else None

    async def filling(self, shards: Iterable[int]) -> Filling:
        await self._versions.ensure()
        names = {documents_.filled_id(shard): shard for shard in shards}
        filled: set[int] = set()
        for page in _pages(list(names), _FILLED_PAGE):
            docs = [{"_id": name, "routing": documents_.FILLED_ROUTING} for name in page]
            answer = await asked(
                self._client.mget(
                    index=self._versions.write,
                    body={"docs": docs},
                    params={"_source": "false", "filter_path": "docs._id,docs.found,docs.error"},
                )
            )
            for doc in answer["docs"]:
                if "error" in doc:  # of a shard that is not there yet: it may well hold the mark
                    raise from_status(503, reason_of(doc["error"]))
                if doc["found"]:
                    filled.add(names[doc["_id"]])
        return Filling(filled=frozenset(filled), rebuilding=len(await self._versions.readable()) > 1)

    async def set_filled(self, shards: Iterable[int]) -> None:
        await self._writer.write([documents_.filled(shard) for shard in shards])

    async def begin_rebuild(self) -> None:
        await self._versions.begin()

    async def end_rebuild(self) -> None:
        await self._versions.end()

    async def refresh(self) -> None:
        """Make everything written so far visible to searches, which happens by itself once a second."""
        await asked(self._client.indices.refresh(index=self._versions.read))

    async def ping(self) -> None:
        await asked(self._client.indices.get_alias(name=self._versions.write))

    async def _write_documents(
        self, subject: Subject, documents: Sequence[IndexDocument], layout: Layout
    ) -> None:
        await self._writer.write([documents_.put(subject, document, layout) for document in documents])

    async def _layout(self) -> Layout:
        return (await self._versions.made()).layout

    async def _ask(
        self, header: Mapping[str, Any], questions: Iterable[Mapping[str, Any]]
    ) -> list[Sequence[Any]]:
        """The hits of each question. Raises Unavailable when one of them cannot be answered in full."""
        answer = await asked(
            self._client.msearch(
                body=documents_.msearch_body(header, questions),
                params={
                    "filter_path": "responses.status,responses.error,responses.hits.hits",
                    "request_timeout": self._search_timeout,
                },
            )
        )
        hits: list[Sequence[Any]] = []
        for each in answer["responses"]:
            if "error" in each:
                raise from_status(int(each["status"]), reason_of(each["error"]))
            hits.append(each.get("hits", {}).get("hits", ()))
        return hits


def _pages(names: Sequence[str], size: int) -> Iterable[Sequence[str]]:
    return (names[start : start + size] for start in range(0, len(names), size))
