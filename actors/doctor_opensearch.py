"""What memgrid needs from OpenSearch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from opensearchpy import AsyncOpenSearch
from packaging.version import Version

from actors.findings import Finding
from cluster.composition import build_opensearch_client
from cluster.search_index.opensearch_client import LoginRefused, asked
from cluster.search_index.opensearch_versions import SCHEMA, Versions, has_smartcn
from cluster.settings import Settings
from memgrid.errors import MemgridError

MIN_VERSION = Version("2.19")
"""Filtered k-NN with Lucene, and cosine scores as they are read here."""
_NAME = "opensearch"


async def examine_opensearch(settings: Settings) -> AsyncIterator[Finding]:
    """Reachable, its version and plugins, the index as it is, and the room on its disks. Changes nothing."""
    client = build_opensearch_client(settings)
    try:
        yield await _server(client)
        yield await _plugin(client)
        yield await _analysis(client)
        yield await _index(client, settings)
        yield await _disks(client)
    except LoginRefused as error:
        yield Finding(_NAME, "failed", error.message, error.remedy)
    except MemgridError as error:
        yield Finding(_NAME, "failed", error.message, error.remedy or "see MEMGRID_OPENSEARCH_URL")
    finally:
        await client.close()


async def _server(client: AsyncOpenSearch) -> Finding:
    version = (await asked(client.info()))["version"]
    health = await asked(client.cluster.health())
    found = f"{version['number']}, {health['number_of_nodes']} nodes, {health['status']}"
    if version.get("distribution") != "opensearch" or Version(version["number"]) < MIN_VERSION:
        return Finding(_NAME, "failed", found, f"use OpenSearch {MIN_VERSION} or later")
    if health["status"] == "red":
        return Finding(_NAME, "failed", found, "see _cluster/allocation/explain: a shard has no primary")
    return Finding(_NAME, "ok", found)


async def _plugin(client: AsyncOpenSearch) -> Finding:
    plugins = await asked(client.cat.plugins(params={"format": "json"}))
    name = f"{_NAME} k-NN"
    versions = {each["version"] for each in plugins if each["component"] == "opensearch-knn"}
    if not versions:
        return Finding(
            name, "failed", "the plugin is not installed", "opensearch-plugin install opensearch-knn"
        )
    return Finding(name, "ok", f"plugin {', '.join(sorted(versions))}")


async def _analysis(client: AsyncOpenSearch) -> Finding:
    name = f"{_NAME} Chinese"
    if await has_smartcn(client):
        return Finding(name, "ok", "words (smartcn) and pairs of characters")
    fix = "opensearch-plugin install analysis-smartcn on every node, then memgrid reindex"
    return Finding(name, "warning", "pairs of characters only: smartcn is not installed", fix)


async def _index(client: AsyncOpenSearch, settings: Settings) -> Finding:
    name = f"{_NAME} index"
    versions = Versions(
        client,
        settings.opensearch_index_prefix,
        dimension=None,
        engine=settings.opensearch_knn_engine,
        shards=settings.opensearch_shards,
        replicas=settings.opensearch_replicas,
    )
    current = await versions.current()
    if current is None:
        return Finding(name, "ok", "none yet: the first start makes it")
    index, made = current
    found = f"{index}: {made.dimension} dimensions, {made.engine}, {made.chinese}"
    if made.schema != SCHEMA:
        return Finding(name, "warning", f"{found}, schema {made.schema}", "the next start makes it anew")
    if len(await versions.readable()) > 1:
        return Finding(
            name, "warning", f"{found}; being made anew", "memgrid reindex goes on, if it was stopped"
        )
    if made.engine != settings.opensearch_knn_engine or (
        made.chinese == "bigrams" and await has_smartcn(client)
    ):
        return Finding(
            name, "warning", f"{found}: not as the settings and the server have it", "memgrid reindex"
        )
    blocks = await asked(client.indices.get_settings(index=index, name="index.blocks.*"))
    if blocks:
        held = sorted(blocks[index]["settings"]["index"]["blocks"])
        return Finding(
            name,
            "failed",
            f"{found}; takes no writes ({', '.join(held)})",
            "make room on the disks of its nodes",
        )
    return Finding(name, "ok", found)


async def _disks(client: AsyncOpenSearch) -> Finding:
    name = f"{_NAME} disks"
    disk = "cluster.routing.allocation.disk"
    every = await asked(
        client.cluster.get_settings(params={"include_defaults": "true", "flat_settings": "true"})
    )
    known: dict[str, Any] = {**every["defaults"], **every["persistent"], **every["transient"]}
    low = _percent(known.get(f"{disk}.watermark.low"))
    flood = _percent(known.get(f"{disk}.watermark.flood_stage"))
    rows = await asked(client.cat.allocation(params={"format": "json"}))
    used = {row["node"]: float(row["disk.percent"]) for row in rows if row.get("disk.percent")}
    if not used:
        return Finding(name, "ok", "not measured")
    fullest = max(used, key=lambda node: used[node])
    found = f"{used[fullest]:.0f} % used on {fullest}"
    if str(known.get(f"{disk}.threshold_enabled")) == "false":
        return Finding(name, "ok", f"{found}; no watermarks")
    if used[fullest] >= flood:
        return Finding(name, "failed", f"{found}: indices there take no writes", "make room, or add a node")
    if used[fullest] >= low:
        return Finding(name, "warning", f"{found}: no new shards go there", "make room, or add a node")
    return Finding(name, "ok", found)


def _percent(watermark: Any) -> float:
    """A watermark in percent used; those in bytes are left to the server."""
    text = str(watermark)
    if text.endswith("%"):
        return float(text[:-1])
    try:
        return float(text) * 100
    except ValueError:
        return 100.0
