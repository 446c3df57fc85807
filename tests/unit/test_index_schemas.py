"""Whoever changes what an index holds says so by its number: one that was made before is made anew then."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from cluster.search_index import fts5_documents, fts5_file, opensearch_documents, opensearch_versions
from cluster.search_index.opensearch_documents import Layout
from cluster.search_index.port import IndexDocument
from memgrid.subject import Subject

FOLDER = Path(fts5_file.__file__).parent
ALICE = Subject("acme", "user", "alice")
DOCUMENT = IndexDocument(
    id="m1",
    kind="memory",
    text="用户喜欢喝绿茶",
    version=3,
    generation=1,
    labels={"agent": "bot"},
    session="s",
    attributes={"kind": "fact"},
    metadata={"n": 1},
)


def digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def test_opensearch() -> None:
    mapping = json.loads((FOLDER / "opensearch_index.json").read_text(encoding="utf-8"))
    action = opensearch_documents.put(ALICE, DOCUMENT, Layout(dimension=4, smartcn=True))
    sample = [json.loads(line) for line in action.lines.splitlines()]
    found = {opensearch_versions.SCHEMA: digest(mapping["mappings"], sample)}
    assert found == {2: "824e1cb69642d717"}, "a change of these needs another SCHEMA"


def test_fts5() -> None:
    schema = " ".join((FOLDER / "fts5_schema.sql").read_text(encoding="utf-8").split())
    sample = fts5_documents.prepare(ALICE, DOCUMENT)
    assert {fts5_file.SCHEMA_VERSION: digest(schema, sample)} == {3: "5818d1d2fc55eb1c"}, (
        "a change of these needs another SCHEMA_VERSION"
    )
