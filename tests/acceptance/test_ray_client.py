"""`RayMemgrid` from another process in the same Ray: the same methods, the same answers as over HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from memgrid import AsyncMemgrid
from memgrid.api import MemgridApi
from tests.acceptance.conftest import Api
from tests.cluster.server import Server

pytestmark = pytest.mark.ray

SEED = "我叫张三，我喜欢打羽毛球"
BATCH_JOB = """
import asyncio, sys
from memgrid.ray_client import RayMemgrid
from tests.acceptance.test_ray_client import talk, report

async def job():
    async with await RayMemgrid.connect(sys.argv[1]) as client:
        await report(client, sys.argv[2])
        await talk(client, sys.argv[3])
        while (await client.buffer(user_id=sys.argv[3])).embedding_backlog:
            await asyncio.sleep(0.05)
        await report(client, sys.argv[3])

asyncio.run(job())
"""


def ray_address(server: Server) -> str:
    """The address that the server logged when it began to serve."""
    for line in (server.folder / "serve.log").read_text(encoding="utf-8").splitlines():
        if line.startswith("{") and "ray_address" in (said := json.loads(line)):
            return said["ray_address"]
    raise AssertionError("the server logged no ray_address")


def in_ray(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the batch job in a process of its own, as a user with nothing set would."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "MEMGRID_"))}
    return subprocess.run(
        [sys.executable, "-c", BATCH_JOB, *arguments],
        env=inherited,
        capture_output=True,
        encoding="utf-8",
        timeout=180,
        check=False,
    )


async def talk(client: MemgridApi, user: str) -> None:
    """What both users of this test say and do, whichever way it travels."""
    await client.add(SEED, user_id=user, session_id="s", metadata={"n": 1, "source": "test"}, wait=True)
    batch = await client.add_batch(
        [
            {"user_id": user, "session_id": "b", "messages": [{"id": "1", "content": "I play the cello."}]},
            {"user_id": user, "session_id": "b", "messages": [{"id": "1", "content": "I play the flute."}]},
        ]
    )
    assert (batch.succeeded, batch.failed) == (1, 1)
    await client.process(user_id=user)
    await client.set_variables({"城市": "杭州"}, user_id=user)
    await client.mark_messages(new="seen", session_id="s", user_id=user)
    found = [memory async for memory in client.list(user_id=user) if "cello" in memory.memory]
    await client.update(found[0].id, text="User plays the cello in an orchestra", tags=["music"])


async def report(client: MemgridApi, user: str) -> None:
    """Everything a user can read, as one line of JSON; what differs between users is left out."""
    shown = await everything(client, user)
    print(json.dumps(shown, ensure_ascii=False, default=str))


async def everything(client: MemgridApi, user: str) -> dict[str, Any]:
    memories = [memory async for memory in client.list(user_id=user)]
    cello = next(memory for memory in memories if "cello" in memory.memory)
    messages = [message async for message in client.messages(user_id=user)]
    profile = await client.profile(user)
    searches = {
        strategy: (await client.search("羽毛球", user_id=user, strategy=strategy, top_k=3)).results
        for strategy in ("full_text", "vector", "hybrid")
    }
    context = await client.context(user, "周末有什么活动推荐？", language="zh", max_tokens=200)
    return {
        "memories": [(m.memory, m.kind, m.profile_type, m.tags, m.metadata.get("n")) for m in memories],
        "got": (await client.get(cello.id)).memory,
        "history": [(e.event, e.old_memory, e.new_memory, e.actor) for e in await client.history(cello.id)],
        "messages": [
            (m.session_id, m.role, m.content, m.client_id, m.marks, m.tokens, m.status) for m in messages
        ],
        "sessions": [(s.session_id, s.messages) async for s in client.sessions(user_id=user)],
        "searches": {name: [(h.type, h.content) for h in hits] for name, hits in searches.items()},
        "context": context.context,
        "summary": profile.profile_summary,
        "interests": profile.key_interests,
        "variables": await client.variables(user),
        "buffer": (await client.buffer(user_id=user)).message_ids,
        "runs": [(r.status, r.extractor, len(r.message_ids)) async for r in client.runs(user_id=user)],
        "added": [day.memories_added for day in await client.stats(user_id=user)],
        "health": (await client.health()).overall,
    }


async def test_the_same_answers_as_over_http(
    server: Server, api: Api, client: AsyncMemgrid, user: str
) -> None:
    through_http, through_ray = f"{user}-a", f"{user}-b"
    await talk(client, through_http)
    api.embedded(through_http)
    done = in_ray(server, ray_address(server), through_http, through_ray)
    assert done.returncode == 0, done.stderr
    theirs, ours = (json.loads(line) for line in done.stdout.splitlines())
    expected = json.loads(json.dumps(await everything(client, through_http), default=str))
    assert theirs == expected
    assert ours == expected
    assert json.loads(json.dumps(await everything(client, through_ray), default=str)) == expected


def test_no_cluster_there(server: Server) -> None:
    done = in_ray(server, "127.0.0.1:1", "u", "u")
    assert done.returncode == 1
    assert "memgrid.errors.Unavailable: the Ray cluster at 127.0.0.1:1 cannot be joined" in done.stderr
