"""The embedded search index: SQLite FTS5 for words, exact comparison for vectors, in derived files.

FTS5 has no k-NN: a vector search reads the half-precision vectors of its scope (the subject, or all
documents with the labels) and compares each, at most MAX_VECTORS of the newest in one file. That is
exact, and for the size of one subject faster than building a graph.

BM25 counts how rare a term is over a whole file, not over the subject.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial
from heapq import nlargest
from pathlib import Path
from typing import Literal

from cluster.search_index import fts5_documents as documents_
from cluster.search_index.fts5_file import IndexFile, index_files, remove_file
from cluster.search_index.indexed import check_query
from cluster.search_index.port import Filling, IndexDocument, IndexedKind, IndexHit, IndexQuery, Proposed
from memgrid.subject import Subject, shard_of, subject_from_key


class Fts5Index:
    """`SearchIndex` in `index-<n>.sqlite` files of the folder `path`, or in memory.

    A subject's documents are all in the file that its hash names; a search without a subject asks every
    file. Another number of `files` makes the index anew.
    """

    def __init__(self, path: Path | Literal[":memory:"], *, files: int = 1) -> None:
        if files < 1:
            raise ValueError("an index has at least one file")
        self._directory = path if isinstance(path, Path) else None
        self._files = [IndexFile(self._directory, number, files) for number in range(files)]

    async def open(self) -> None:
        if self._directory is not None:
            await asyncio.to_thread(self._remove_surplus, self._directory)
        await asyncio.gather(*(file.open() for file in self._files))

    async def close(self) -> None:
        await asyncio.gather(*(file.close() for file in self._files))

    async def put(self, subject: Subject, documents: Sequence[IndexDocument]) -> None:
        if not documents:
            return
        prepared = await asyncio.to_thread(
            lambda: [documents_.prepare(subject, document) for document in documents]
        )
        await self._file(subject).write(partial(documents_.put, subject=subject, documents=prepared))

    async def delete(self, subject: Subject, generation: int, ids: Sequence[tuple[str, int]]) -> None:
        if ids:
            await self._file(subject).write(
                partial(documents_.delete, subject=subject, generation=generation, ids=list(ids))
            )

    async def delete_subject(self, subject: Subject, generation: int) -> None:
        await self._file(subject).write(
            partial(documents_.delete_subject, subject=subject, generation=generation)
        )

    async def search(self, query: IndexQuery) -> Proposed:
        check_query(query)
        if not query.kinds or query.limit < 1:
            return Proposed([])
        files = self._files if query.subject is None else [self._file(query.subject)]
        job = partial(documents_.search, query=query)
        answers = await asyncio.gather(*(file.read(job) for file in files))
        found = [hit for hits, _ in answers for hit in hits]
        if len(files) > 1:
            by_text = (hit for hit in found if hit.text_score is not None)
            by_vector = (hit for hit in found if hit.vector_score is not None)
            best = {
                *nlargest(query.limit, by_text, key=lambda hit: hit.text_score or 0.0),
                *nlargest(query.limit, by_vector, key=lambda hit: hit.vector_score or 0.0),
            }
            found = list(best)
        return Proposed(
            [
                IndexHit(subject_from_key(hit.subject), hit.id, hit.kind, hit.text_score, hit.vector_score)
                for hit in found
            ],
            cut=any(cut for _, cut in answers),
        )

    async def count(self, subject: Subject) -> int:
        return await self._file(subject).read(partial(documents_.count, subject=subject))

    async def listed(
        self, subject: Subject, *, cursor: str | None = None, limit: int = 1000
    ) -> tuple[Sequence[tuple[str, IndexedKind]], str | None]:
        after = int(cursor) if cursor else 0
        return await self._file(subject).read(
            partial(documents_.listed, subject=subject, after=after, limit=limit)
        )

    async def filling(self, shards: Iterable[int]) -> Filling:
        found = await asyncio.gather(*(file.read(documents_.filling) for file in self._files))
        return Filling(
            filled=frozenset(shards).intersection(*(each.filled for each in found)),
            rebuilding=any(each.rebuilding for each in found),
        )

    async def set_filled(self, shards: Iterable[int]) -> None:
        job = partial(documents_.set_filled, shards=list(shards))
        await asyncio.gather(*(file.write(job) for file in self._files))

    async def begin_rebuild(self) -> None:
        """A file is filled again as it is: what it has stays, and old versions replace no newer ones."""
        await asyncio.gather(*(file.write(documents_.begin_rebuild) for file in self._files))

    async def end_rebuild(self) -> None:
        await asyncio.gather(*(file.write(documents_.end_rebuild) for file in self._files))

    async def ping(self) -> None:
        await asyncio.gather(
            *(file.read(lambda connection: connection.execute("SELECT 1").fetchone()) for file in self._files)
        )

    def _file(self, subject: Subject) -> IndexFile:
        return self._files[shard_of(subject, len(self._files))]

    def _remove_surplus(self, directory: Path) -> None:
        """A folder that was used with more files must not keep what is in the others."""
        if directory.is_dir():
            for number, _, path in index_files(directory):
                if number >= len(self._files):
                    remove_file(path)
