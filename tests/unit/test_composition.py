"""What the settings make: an owner with a language model and an embedding endpoint, over real HTTP."""

from __future__ import annotations

from pathlib import Path

from actors.owner import ShardOwner
from cluster.settings import Settings
from memgrid.subject import Subject
from tests.llm_server import ScriptedLlmServer
from tests.owners import Asking, FakeEmbedder

pytest_plugins = ("tests.llm_server.fixtures",)

LI = Subject("default", "user", "li")


async def test_an_owner_with_endpoints_extracts_embeds_and_gives_its_connections_back(
    tmp_path: Path, llm_server: ScriptedLlmServer
) -> None:
    settings = Settings(
        data_dir=tmp_path,
        shards=4,
        llm_base_url=llm_server.base_url,
        embedding_base_url=llm_server.base_url,
        embedding_model="scripted",
    )
    owner = await ShardOwner.open(settings, shards=range(4), name="test")
    try:
        ask = Asking(owner, FakeEmbedder())
        added = await ask.add(LI, "I live in Hangzhou", wait=True)
        assert added.status == "done"
        (run,) = (await ask("runs", LI)).runs
        assert run.model == "scripted-model"  # what the endpoint said, not what was asked for
        assert run.extractor == "llm"
        found = await ask("search", LI, query="Hangzhou", user_id="li")
        assert found.degraded == []
        assert found.results
    finally:
        await owner.close()
