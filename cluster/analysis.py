"""From text to terms, for Chinese, English and whatever else comes in: one analysis for index and query.

A text is normalised (compatibility forms, case and Latin accents folded) and cut into terms:

- words: English ones stemmed (Snowball), apostrophes resolved (`Caroline's` → `carolin`, `don't` → `dont`);
- numbers, dates, e-mail addresses, ids and product codes: kept whole, and their parts besides, so that
  `2023-04-30` is found by itself and by `2023`;
- runs of a script that is written without spaces (Han, Kana, Hangul, Thai, …): every character and
  every pair of neighbours;
- emoji: each on its own.

Common words are not removed: BM25's idf makes them nearly weightless, and in a short message "who" or
"会" may be all there is.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Callable

import Stemmer

MAX_TERM = 256
"""Characters of a term that count; the rest of a longer one is cut off."""

_MAX_STEMMED = 40

_HAN = "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003fffd"
_KANA = "\u3041-\u309f\u30a1-\u30ff\u31f0-\u31ff"
_UNSPACED = (
    _HAN + _KANA + "\u3105-\u312f"  # Bopomofo
    "\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3"  # Hangul: spaced, but particles stick to the words
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u1000-\u1049\u1050-\u109f\u1780-\u17d3"  # Thai … Khmer
)
# `\w` leaves out the vowel signs of these scripts, and would cut their words at each of them.
_SIGNS = "\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0900-\u0963\u0966-\u0dff\u0f18-\u0fbc"
_LETTERS = rf"(?:[^\W_{_UNSPACED}]|[{_SIGNS}])"

_TERM = re.compile(
    rf"""
      (?P<unspaced> [{_UNSPACED}]++ )
    | (?P<grouped>  \d{{1,3}} (?:,\d{{3}}){{1,8}} (?![\d,]) )
    | (?P<compound> [a-z0-9]++ (?: [-_./:@&+\#]{{1,2}} [a-z0-9]++ )++ )
    | (?P<sharp>    [a-z](?:\+\+|\#) (?![a-z0-9]) )
    | (?P<word>     {_LETTERS}++ (?: ' {_LETTERS}++ )*+ )
    | (?P<emoji>    [\u2600-\u27bf\U0001f300-\U0001faff] )
    """,
    re.VERBOSE,
)
_PART = re.compile(r"[a-z0-9]+")
_ACCENTS = re.compile("[\u0300-\u036f\u0591-\u05bd\u064b-\u065f\u0670]+")  # Latin, Hebrew, Arabic
_EXACT = re.compile(r"[0-9@_.]")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufe00-\ufe0f\ufeff]+")
_APOSTROPHES = str.maketrans("\u2018\u2019\u02bc\uff07`", "'''''")
_HAN_CHARACTER = re.compile(f"[{_HAN}]")
_KANA_CHARACTER = re.compile(f"[{_KANA}]")
_SPACED_WORD = re.compile(rf"[^\W\d_{_UNSPACED}]+")

_local = threading.local()


def tokens(text: str) -> list[str]:
    """The terms of `text` to index, in order, repetitions kept."""
    return _terms(text, indexing=True)


def search_terms(text: str) -> list[str]:
    """The terms of `text` to look for.

    They differ from `tokens` only in unspaced scripts: a run of several characters is looked for by its
    pairs, since its single characters say nearly nothing; a lone character by itself.
    """
    return _terms(text, indexing=False)


def looks_chinese(text: str) -> bool:
    """Whether Chinese is the dominant language: as many Han characters as words of other scripts."""
    han = len(_HAN_CHARACTER.findall(text))
    if han == 0 or len(_KANA_CHARACTER.findall(text)) * 2 > han:
        return False
    return han >= len(_SPACED_WORD.findall(text))


def normalise(text: str) -> str:
    """`text` with compatibility forms, case, accents and typographic apostrophes folded."""
    if text.isascii():
        return text.lower().replace("`", "'")
    decomposed = unicodedata.normalize("NFKD", text.translate(_APOSTROPHES))
    plain = _INVISIBLE.sub("", _ACCENTS.sub("", decomposed))
    return unicodedata.normalize("NFC", plain).casefold()


def _terms(text: str, *, indexing: bool) -> list[str]:
    found: list[str] = []
    words: list[str] = []
    for match in _TERM.finditer(normalise(text)):
        group = match.lastgroup
        term = match[0]
        if group == "unspaced":
            if indexing or len(term) == 1:
                found.extend(term)
            found.extend(term[i : i + 2] for i in range(len(term) - 1))
        elif group == "word":
            words.append(term)
        elif group == "compound":
            if _EXACT.search(term):
                found.append(term[:MAX_TERM])
            words.extend(_PART.findall(term))
        elif group == "grouped":
            found.append(term.replace(",", "")[:MAX_TERM])
        elif group == "sharp":
            found.append(term)
            words.append(term[0])
        else:
            found.append(term)
    if words:
        found.extend(_stems(words))
    return found


def _stems(words: list[str]) -> list[str]:
    plain = [
        (word[:-2] if word.endswith("'s") else word).replace("'", "")[:MAX_TERM]
        if "'" in word
        else word[:MAX_TERM]
        for word in words
    ]
    stem = _stem()
    return [
        stem(word) if len(word) <= _MAX_STEMMED and word.isascii() and word.isalpha() else word
        for word in plain
    ]


def _stem() -> Callable[[str], str]:
    """This thread's stemmer: one Stemmer object must not be used by two threads at once."""
    if not hasattr(_local, "stem"):
        _local.stem = Stemmer.Stemmer("english").stemWord
    return _local.stem
