"""The index as the server keeps it: a template, numbered indices, and two aliases in front of them.

    memgrid-memory-000001   memgrid-memory-000002
      ↑ read                  ↑ read   ↑ write        while an index is made anew

Everything is written through the `write` alias and searched through the `read` alias. To make an index
anew, both are pointed at a new one and the old stays readable until the new one is full: no write goes to
two places, and a search sees both. What an index was made with is in its mapping's `_meta`, so one made for
other vectors or by another memgrid is recognised.
"""

from __future__ import annotations

import asyncio
from importlib.resources import files as package_files
from typing import Any, Final, Literal

import msgspec
import structlog
from opensearchpy import AsyncOpenSearch

from cluster.search_index.opensearch_client import Missing, Refused, asked
from cluster.search_index.opensearch_documents import Layout, marks
from memgrid.errors import InvalidInput, Unavailable

SCHEMA: Final = 2
"""Of the mapping and of what is in a document; another one is an index to be made anew."""
KnnEngine = Literal["lucene", "faiss"]

_TRIES: Final = 20
_PAUSE_SECONDS: Final = 0.1
_COPY_SECONDS: Final = 600.0

_log = structlog.get_logger(__name__)


class Made(msgspec.Struct, frozen=True):
    """What an index was made with, as its `_meta` keeps it."""

    schema: int
    dimension: int
    engine: KnnEngine
    chinese: Literal["smartcn", "bigrams"]
    """Pairs of characters are always indexed; where the server has smartcn, words are as well."""

    @property
    def layout(self) -> Layout:
        return Layout(self.dimension, self.chinese == "smartcn")


class Versions:
    """Finds the index, makes it when it is missing, and lets a new one take its place."""

    def __init__(
        self,
        client: AsyncOpenSearch,
        prefix: str,
        *,
        dimension: int | None,
        engine: KnnEngine,
        shards: int,
        replicas: int,
    ) -> None:
        """Without a `dimension` an index is only used, never made."""
        self._client = client
        self._base = f"{prefix}-memory"
        self._dimension = dimension
        self._engine: KnnEngine = engine
        self._shards = shards
        self._replicas = replicas
        self._lock = asyncio.Lock()
        self._made: Made | None = None

    @property
    def read(self) -> str:
        """What searches ask."""
        return f"{self._base}-read"

    @property
    def write(self) -> str:
        """What writes go to."""
        return f"{self._base}-write"

    async def made(self) -> Made:
        """What the current index was made with; it is looked for the first time only."""
        return self._made or await self.ensure()

    async def ensure(self) -> Made:
        """Look for the index, and make it if it is missing or made for other vectors.

        Raises Unavailable, and InvalidInput for one that is of a newer memgrid.
        """
        async with self._lock:
            for attempt in range(_TRIES):
                found = await self.current()
                if found is not None and self._fits(found[1]):
                    self._made = found[1]
                    return found[1]
                if self._dimension is None:
                    raise Missing("there is no search index yet", retry_after=1.0)
                await self._replace(found[0] if found else None)
                await asyncio.sleep(_PAUSE_SECONDS if attempt else 0)
        raise Unavailable("the search index is being made by someone else", retry_after=1.0)

    async def current(self) -> tuple[str, Made] | None:
        """The index that is written to, and what it was made with."""
        try:
            answer = await asked(self._client.indices.get_mapping(index=self.write))
        except Missing:
            return None
        name, found = next(iter(answer.items()))
        try:
            return name, msgspec.convert(found["mappings"].get("_meta", {}).get("memgrid"), Made)
        except msgspec.ValidationError as error:
            raise InvalidInput(
                f"the index {name} is not of memgrid, or of another version",
                field="opensearch_index_prefix",
                remedy="choose another MEMGRID_OPENSEARCH_INDEX_PREFIX, or delete that index",
            ) from error

    async def readable(self) -> list[str]:
        """The indices that searches ask, oldest first: two while one is made anew."""
        try:
            answer = await asked(self._client.indices.get_alias(name=self.read))
        except Missing:
            return []
        return sorted(answer)

    async def begin(self) -> None:
        """Write to a new index from now on, and search both. Called again, it goes on with the same one."""
        await self.ensure()
        readable = await self.readable()
        if len(readable) == 1:
            new = await self._next()
            await self._create(new)
            await self._point(
                {"add": {"index": new, "alias": self.write, "is_write_index": True}},
                {"add": {"index": new, "alias": self.read}},
                {"remove": {"index": readable[0], "alias": self.write}},
            )
            _log.info("index is made anew", index=new, old=readable[0])
        self._made = None
        new, _ = await self._needed()
        for old in set(await self.readable()) - {new}:
            # Returns when no write is under way any more. One that was on its way here is refused, and
            # sent again to where the alias points now.
            await asked(self._client.indices.add_block(index=old, block="write"))
            await self._copy_marks(old, new)

    async def end(self) -> None:
        """Search only the new index, and delete all others."""
        new, _ = await self._needed()
        await asked(self._client.indices.refresh(index=new))  # what was filled last is found from the start
        old = set(await asked(self._client.indices.get(index=f"{self._base}-0*"))) - {new}
        if old:
            await self._point(*({"remove_index": {"index": name}} for name in sorted(old)))
            _log.info("index has taken over", index=new, old=sorted(old))

    async def _needed(self) -> tuple[str, Made]:
        found = await self.current()
        if found is None:
            raise Missing("the search index is gone", retry_after=1.0)
        return found

    def _fits(self, made: Made) -> bool:
        if made.schema > SCHEMA:
            raise InvalidInput(
                f"the search index is of schema {made.schema}, and this memgrid knows {SCHEMA}",
                field="search_index",
                remedy="use the newer memgrid, or another MEMGRID_OPENSEARCH_INDEX_PREFIX",
            )
        if self._dimension is None:
            return made.schema == SCHEMA
        # another engine is no reason to throw an index away: it is taken up when it is made anew
        return (made.schema, made.dimension) == (SCHEMA, self._dimension)

    async def _replace(self, old: str | None) -> None:
        """Make an index with both aliases. Someone else may do the same just now: one of us is second,
        is refused, and finds what the other has made."""
        try:
            if old is None:
                # Both at once: nobody ever sees an index without its aliases. The server refuses a second
                # index to write to.
                await self._create(
                    await self._next(), aliases={self.write: {"is_write_index": True}, self.read: {}}
                )
                return
            new = f"{self._base}-{self._number(old) + 1:06}"
            await self._create(new)
            await self._point(
                {"add": {"index": new, "alias": self.write, "is_write_index": True}},
                {"add": {"index": new, "alias": self.read}},
                *({"remove_index": {"index": name}} for name in {old, *await self.readable()} - {new}),
            )
            _log.info("index made for another mapping", index=new, old=old)
        except (Refused, Missing) as error:
            _log.info("index is made by someone else", reason=error.message)

    async def _next(self) -> str:
        found = await asked(self._client.indices.get(index=f"{self._base}-0*"))
        return f"{self._base}-{max(map(self._number, found), default=0) + 1:06}"

    def _number(self, index: str) -> int:
        number = index.removeprefix(f"{self._base}-")
        return int(number) if number.isdigit() else 0

    async def _create(self, name: str, aliases: dict[str, Any] | None = None) -> None:
        await self._put_template(await self._plan())
        try:
            await asked(self._client.indices.create(index=name, body={"aliases": aliases or {}}))
        except Refused as error:
            if "resource_already_exists" not in error.message:
                raise

    async def _plan(self) -> Made:
        if self._dimension is None:
            raise Missing("an index is made by who knows the embedding model", retry_after=1.0)
        chinese = "smartcn" if await has_smartcn(self._client) else "bigrams"
        return Made(SCHEMA, self._dimension, self._engine, chinese)

    async def _put_template(self, plan: Made) -> None:
        template = msgspec.json.decode(
            package_files("cluster.search_index").joinpath("opensearch_index.json").read_bytes()
        )
        mappings = template["mappings"]
        mappings["_meta"] = {"memgrid": msgspec.to_builtins(plan)}
        mappings["properties"]["vector"] = {
            "type": "knn_vector",
            "dimension": plan.dimension,
            # without a name the engine is one with native libraries, which not every server has
            "method": {"name": "hnsw", "engine": plan.engine, "space_type": "cosinesimil"},
        }
        if plan.chinese == "smartcn":
            mappings["properties"]["chinese"] = {
                "type": "text",
                "analyzer": "smartcn",
                "index_options": "freqs",
            }
        template["settings"]["index"] |= {
            "number_of_shards": self._shards,
            # as many as there are other nodes to hold one, up to this
            "auto_expand_replicas": f"0-{self._replicas}",
        }
        body = {"index_patterns": [f"{self._base}-0*"], "priority": 200, "template": template}
        await asked(self._client.indices.put_index_template(name=self._base, body=body))

    async def _point(self, *actions: dict[str, Any]) -> None:
        await asked(self._client.indices.update_aliases(body={"actions": list(actions)}))

    async def _copy_marks(self, old: str, new: str) -> None:
        """What was deleted from the old index stays out of the new one."""
        await asked(self._client.indices.refresh(index=old))  # marks written last are copied, too
        await asked(
            self._client.reindex(
                body={
                    "conflicts": "proceed",
                    "source": {"index": old, "query": marks()},
                    "dest": {"index": new, "version_type": "external_gte"},
                },
                params={"wait_for_completion": "true", "request_timeout": _COPY_SECONDS},
            )
        )


async def has_smartcn(client: AsyncOpenSearch) -> bool:
    """Whether the server can cut Chinese into words."""
    try:
        await asked(client.indices.analyze(body={"tokenizer": "smartcn_tokenizer", "text": "喜欢喝绿茶"}))
    except Refused:
        return False
    return True
