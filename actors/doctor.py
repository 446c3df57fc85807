"""What memgrid needs from a machine, checked one by one; each finding names its fix."""

from __future__ import annotations

import errno
import importlib
import importlib.metadata
import os
import platform
import shutil
import socket
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from actors.findings import SCHEMA, Finding, State
from cluster.security import check_bind, has_keys
from cluster.settings import Settings
from cluster.wide_store.data_dir import MOUNTS, network_file_system
from memgrid.client import AsyncMemgrid
from memgrid.errors import MemgridError

MIN_PYTHON = (3, 11)
MIN_SQLITE = (3, 37)
"""STRICT tables."""
MIN_FREE_DISK = 1 << 30
MIN_SHM = 256 << 20
RAY_BYTES = 500 << 20
"""What an idle local Ray takes."""
ACTOR_BYTES = 400 << 20
"""A shard actor with its embedding model, before it holds any subject."""
SERVER_TIMEOUT = 5.0
LOCK_FILE = Path(__file__).parent.parent / "requirements.lock"

_ABOUT_SPORT = "我每个周末都和朋友打羽毛球。"
_ABOUT_TEA = "The kitchen shelf is full of green tea."
_QUESTIONS = (("他喜欢什么运动？", 0), ("Which drink is in the kitchen?", 1))


async def examine(load: Callable[[], Settings]) -> list[Finding]:
    """Everything, in the order in which it must be right."""
    findings = [_python(), *_packages(), _clock()]
    try:
        settings = load()
    except MemgridError as error:
        return [*findings, Finding("settings", "failed", error.message, error.remedy)]
    findings.append(Finding("settings", "ok", f"valid; data in {settings.data_dir.resolve()}"))
    findings += _data_dir(settings)
    findings += [_sqlite(), _memory(settings), _shared_memory()]
    findings += [finding async for finding in _store(settings)]
    if settings.search_index == "opensearch":
        from actors.doctor_opensearch import examine_opensearch

        findings += [finding async for finding in examine_opensearch(settings)]
    findings.append(await _embedding(settings))
    if settings.uses_llm:
        findings.append(await _llm(settings))
    findings += [finding async for finding in _port(settings)]
    return findings


def _python() -> Finding:
    found = f"{platform.python_implementation()} {platform.python_version()}"
    if sys.version_info < MIN_PYTHON:
        return Finding("python", "failed", found, "install Python 3.11 or later")
    return Finding("python", "ok", found)


def _packages() -> Iterator[Finding]:
    locked = _locked_versions()
    modules = {
        canonicalize_name(name): module
        for module, names in importlib.metadata.packages_distributions().items()
        for name in names
        if not module.startswith("_")
    }
    problems = 0
    texts = importlib.metadata.requires("memgrid") or ()
    every = [Requirement(text) for text in texts]
    requirements = [each for each in every if each.marker is None or each.marker.evaluate({"extra": ""})]
    for requirement in requirements:
        name = canonicalize_name(requirement.name)
        try:
            version = importlib.metadata.version(name)
            module = modules.get(name)
            if module is not None:
                importlib.import_module(module)
        except (importlib.metadata.PackageNotFoundError, ImportError, OSError) as error:
            problems += 1
            yield Finding(f"package {name}", "failed", str(error), f"pip install '{requirement}'")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            problems += 1
            yield Finding(
                f"package {name}",
                "failed",
                f"{version}, not {requirement.specifier}",
                f"pip install '{requirement}'",
            )
        elif locked.get(name, version) != version:
            problems += 1
            yield Finding(
                f"package {name}",
                "warning",
                f"{version}, tested with {locked[name]}",
                "pip install --require-hashes -r requirements.lock",
            )
    if not problems:
        yield Finding("packages", "ok", f"all {len(requirements)} import, in the versions wanted")


def _locked_versions() -> dict[str, str]:
    """By name; empty where memgrid is installed without its lock file."""
    if not LOCK_FILE.is_file():
        return {}
    lines = LOCK_FILE.read_text(encoding="utf-8").splitlines()
    pins = (Requirement(line.rstrip(" \\")) for line in lines if line[:1].isalnum())
    return {
        canonicalize_name(pin.name): str(pin.specifier).removeprefix("==")
        for pin in pins
        if pin.marker is None or pin.marker.evaluate()
    }


def _clock() -> Finding:
    now = time.gmtime()
    found = time.strftime("%Y-%m-%d %H:%M:%S UTC", now)
    if now.tm_year < 2026:
        return Finding("clock", "failed", found, "set the clock, and keep it with NTP")
    return Finding("clock", "ok", found)


def _data_dir(settings: Settings) -> Iterator[Finding]:
    folder = settings.data_dir.resolve()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    remedy = "name a folder on a local disk in MEMGRID_DATA_DIR"
    if MOUNTS.is_file():
        kind = network_file_system(folder, MOUNTS.read_text(encoding="utf-8"))
        if kind is not None:
            yield Finding("data folder", "failed", f"{folder} is on a network file system ({kind})", remedy)
            return
    try:
        with tempfile.NamedTemporaryFile(dir=there) as file:
            file.write(b"memgrid")
            file.flush()
            started = time.perf_counter()
            os.fsync(file.fileno())
            took = (time.perf_counter() - started) * 1000
    except OSError as error:
        yield Finding("data folder", "failed", f"{there}: {error.strerror}", remedy)
        return
    made = "" if folder.exists() else ", will be created"
    yield Finding("data folder", "ok", f"{folder} can be written to (fsync {took:.1f} ms){made}")
    free = shutil.disk_usage(there).free
    found = f"{free / (1 << 30):.1f} GiB free"
    if free < MIN_FREE_DISK:
        yield Finding("disk space", "failed", found, "free at least 1 GiB, or move MEMGRID_DATA_DIR")
    else:
        yield Finding("disk space", "ok", found)
    ahead = max((path.stat().st_mtime - time.time() for path in folder.glob("*.sqlite")), default=0.0)
    if ahead > 300:
        yield Finding("clock and data", "failed", f"data from {ahead:.0f} s in the future", "set the clock")


def _sqlite() -> Finding:
    found = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < MIN_SQLITE:
        return Finding("sqlite", "failed", found, "use a Python built with SQLite 3.37 or later")
    with tempfile.TemporaryDirectory() as folder:
        connection = sqlite3.connect(Path(folder) / "probe.sqlite")
        try:
            mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            connection.execute("CREATE VIRTUAL TABLE probe USING fts5(text)")
        except sqlite3.OperationalError as error:
            return Finding("sqlite", "failed", f"{found}: {error}", "use a Python whose SQLite has FTS5")
        finally:
            connection.close()
    if mode != "wal":
        return Finding("sqlite", "failed", f"{found} without WAL", "use a local disk for temporary files")
    return Finding("sqlite", "ok", f"{found} with FTS5 and WAL")


def _memory(settings: Settings) -> Finding:
    free = _available_memory()
    wanted = RAY_BYTES + settings.shard_actors * (ACTOR_BYTES + settings.hot_bytes)
    if free is None:
        return Finding("memory", "ok", "not measured on this system")
    found = f"{free / (1 << 30):.1f} GiB available, up to {wanted / (1 << 30):.1f} GiB used"
    if free < RAY_BYTES + ACTOR_BYTES:
        return Finding("memory", "failed", found, "give this machine or container 1 GiB more")
    if free < wanted:
        return Finding("memory", "warning", found, "lower MEMGRID_HOT_BYTES or MEMGRID_SHARD_ACTORS")
    return Finding("memory", "ok", found)


def _available_memory() -> int | None:
    """Bytes that this machine, or the container's limit, still has."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    sizes = {name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines)}
    free = sizes["MemAvailable"]
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
        used = int(Path("/sys/fs/cgroup/memory.current").read_text(encoding="ascii"))
    except OSError:
        return free
    return free if limit == "max" else min(free, int(limit) - used)


def _shared_memory() -> Finding:
    folder = Path("/dev/shm")  # noqa: S108 - where Ray keeps its objects
    if not folder.is_dir():
        return Finding("shared memory", "ok", "not used on this system")
    free = shutil.disk_usage(folder).free
    found = f"{free / (1 << 20):.0f} MiB free in /dev/shm"
    if free < MIN_SHM:
        return Finding("shared memory", "warning", found, "start the container with --shm-size=1g")
    return Finding("shared memory", "ok", found)


async def _store(settings: Settings) -> AsyncIterator[Finding]:
    """The store as it is; one that is not there yet is not made."""
    from cluster.composition import open_store

    keyed, is_there = False, settings.data_dir.exists()
    if settings.wide_store == "cassandra":
        from actors.doctor_cassandra import examine_cassandra

        is_there = False
        async for finding in examine_cassandra(settings):
            yield finding
            if finding.name == SCHEMA:
                is_there = finding.state == "ok"
    if is_there:
        try:
            store = await open_store(settings)
        except MemgridError as error:
            yield Finding("store", "failed", error.message, error.remedy)
            return
        try:
            await store.ping()
            keyed = await has_keys(store)
        finally:
            await store.close()
        yield Finding("store", "ok", f"{settings.wide_store} opens; {settings.shards} shards")
    try:
        check_bind(settings.host, keyed)
    except MemgridError as error:
        yield Finding("access", "failed", error.message, error.remedy)
    else:
        found = "API keys are required" if keyed else "no keys: loopback only"
        yield Finding("access", "ok", f"{found}, {settings.host}")


async def _embedding(settings: Settings) -> Finding:
    from cluster.composition import build_embedder

    remedy = "choose a bundled MEMGRID_EMBEDDING_MODEL, or see that MEMGRID_EMBEDDING_BASE_URL answers"
    started = time.perf_counter()
    try:
        embedder = build_embedder(settings)
    except (MemgridError, ImportError) as error:
        return Finding("embedding", "failed", str(error), remedy)
    try:
        passages = await embedder.embed([_ABOUT_SPORT, _ABOUT_TEA], "passage")
        questions = await embedder.embed([text for text, _ in _QUESTIONS], "query")
    except MemgridError as error:
        return Finding("embedding", "failed", error.message, error.remedy or remedy)
    finally:
        await embedder.close()
    took = time.perf_counter() - started
    scores = questions @ passages.T
    found = f"{embedder.model}, {passages.shape[1]} dimensions, loaded and used in {took:.1f} s"
    for row, (question, right) in enumerate(_QUESTIONS):
        if scores[row, right] <= scores[row, 1 - right]:
            return Finding("embedding", "failed", f"{found}; misunderstands {question!r}", remedy)
    return Finding("embedding", "ok", f"{found}; understands Chinese and English")


async def _llm(settings: Settings) -> Finding:
    """Asks for the list of models: it needs the key, and costs nothing."""
    base = (settings.llm_base_url or "https://api.openai.com/v1").rstrip("/")
    key = settings.llm_api_key
    headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
    certificate = settings.llm_tls_certificate
    verify: bool | str = str(certificate) if certificate else settings.llm_tls_verify
    try:
        async with httpx.AsyncClient(headers=headers, timeout=10.0, verify=verify) as client:
            answer = await client.get(f"{base}/models")
    except (httpx.HTTPError, OSError) as error:
        return Finding(
            "llm", "failed", f"{base}: {error or type(error).__name__}", "see MEMGRID_LLM_BASE_URL"
        )
    if answer.status_code in (401, 403):
        return Finding("llm", "failed", f"{base} refuses the key", "see MEMGRID_LLM_API_KEY")
    if answer.status_code >= 500:
        return Finding("llm", "failed", f"{base} answers {answer.status_code}", "see to that server")
    return Finding("llm", "ok", f"{base} answers; model {settings.llm_model}")


async def _port(settings: Settings) -> AsyncIterator[Finding]:
    """Free, or ours; and if ours, how it is."""
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::", "localhost") else settings.host  # noqa: S104
    refusal = _bind(host, settings.port)
    if refusal is None:
        yield Finding("port", "ok", f"{settings.port} is free")
        return
    if refusal.errno != errno.EADDRINUSE:
        found = f"{host}:{settings.port}: {refusal.strerror}"
        yield Finding("port", "failed", found, "choose another MEMGRID_HOST or MEMGRID_PORT")
        return
    shown = f"[{host}]" if ":" in host else host
    try:
        async with AsyncMemgrid(
            f"http://{shown}:{settings.port}", timeout=SERVER_TIMEOUT, max_retries=0
        ) as client:
            state = await client.health()
    except MemgridError as error:
        yield Finding(
            "port",
            "failed",
            f"{settings.port} is taken, and not by a memgrid that answers: {error.message}",
            "stop what listens there, or choose another MEMGRID_PORT",
        )
        return
    states: dict[str, State] = {"healthy": "ok", "degraded": "warning", "unhealthy": "failed"}
    yield Finding("server", states[state.overall], f"runs, {state.overall}")
    for name, component in state.components.items():
        if component.status != "healthy":
            found = f"{component.status}: {component.error or ''}"
            yield Finding(f"server {name}", states[component.status], found, "see the server's log")


def _bind(host: str, port: int) -> OSError | None:
    """Why one cannot listen there; None when one can."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # As a server does: connections that linger after one that has ended are no obstacle.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error
    return None
