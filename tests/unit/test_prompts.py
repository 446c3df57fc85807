"""Prompts: memgrid's own, the operator's, and a tenant's."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from cluster.composition import build_extractor
from cluster.prompts import MAX_PROMPT_BYTES, Prompts, names, prompt
from cluster.settings import Settings
from memgrid.errors import InvalidInput

ZH = "extract.v3.zh"


def test_every_version_is_there_in_both_languages() -> None:
    assert {name.rpartition(".")[0] for name in names()} == {
        "distil.v1",
        "extract.v1",
        "extract.v2",
        "extract.v3",
    }
    assert {
        f"{name.rpartition('.')[0]}.{language}" for name in names() for language in ("zh", "en")
    } == names()


def test_the_narrowest_wins_and_its_version_says_so(tmp_path: Path) -> None:
    (tmp_path / f"{ZH}.txt").write_text("大家的", encoding="utf-8")
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / f"{ZH}.txt").write_text("acme 的", encoding="utf-8")
    prompts = Prompts(tmp_path)
    own, everyones = prompts.get(ZH, "acme"), prompts.get(ZH, "other")
    assert (own.text, everyones.text) == ("acme 的", "大家的")
    assert own.version.startswith(f"{ZH}+")
    assert own.version != everyones.version
    assert prompts.get("extract.v3.en", "acme") == (prompt("extract.v3.en"), "extract.v3.en")
    assert Prompts().get(ZH, "acme").version == ZH


@pytest.mark.parametrize("content", [b"", b"  \n", b"\xff\xfe", b"x" * (MAX_PROMPT_BYTES + 1)])
def test_what_is_no_prompt_is_refused_at_start(tmp_path: Path, content: bytes) -> None:
    (tmp_path / f"{ZH}.txt").write_bytes(content)
    with pytest.raises(InvalidInput):
        build_extractor(Settings(prompts_dir=tmp_path))


def test_a_misspelt_name_and_a_missing_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="not a folder"):
        Prompts(tmp_path / "nowhere")
    (tmp_path / "extract.zh.txt").write_text("x")
    with pytest.raises(InvalidInput, match=r"extract\.zh"):
        Prompts(tmp_path)


def test_an_edited_prompt_that_is_no_longer_asked_with_is_told(tmp_path: Path) -> None:
    for name in ("extract.v2.zh", "extract.v3.zh", "distil.v1.en"):
        (tmp_path / f"{name}.txt").write_text("x")
    with capture_logs() as logs:
        Prompts(tmp_path)
    assert [(Path(log["path"]).stem, log["now"]) for log in logs] == [("extract.v2.zh", "extract.v3.zh")]


def test_a_limit_in_flight_that_actors_cannot_share_is_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        build_extractor(Settings(llm_max_in_flight=2, shard_actors=3))
    assert refused.value.field == "llm_max_in_flight"
