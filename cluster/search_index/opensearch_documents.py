"""Documents and queries as OpenSearch takes them: JSON in, hits out; nothing here talks to a server.

Five kinds of documents share an index. `memory` and `message` are what is searched. `gone` stands where
one of those was deleted: the server forgets an external-version delete after a while (`index.gc_deletes`),
and then a bulk request that arrives an hour late would bring the text back. Since nothing rests on what
the server remembers, it is told to forget at once: what was lost can be put again as it was. `erased`,
one for a subject, holds the generation below which nothing of it counts. `filled`, one for a shard, says
that everything of the shard has been put.

The external version of a document decides which of two is newer, in whatever order they arrive:

    generation (19 bits) | version (42 bits) | rank (2 bits)

so a newer generation beats any version, and at the same version a vector beats none and a deletion
beats both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from cluster.analysis import search_terms, tokens
from cluster.search_index.indexed import (
    MAX_INDEXED_CHARACTERS,
    MAX_QUERY_TERMS,
    label_token,
    scope_token,
    tenant_token,
    unit_vector,
)
from cluster.search_index.narrowing import Between, Every, Narrow, Pair, Some, narrow, words_of
from cluster.search_index.port import IndexDocument, IndexedKind, IndexHit, IndexQuery
from memgrid.errors import InvalidInput
from memgrid.subject import Subject, SubjectKind

FILLED_ROUTING: Final = "filled"
MAX_HITS: Final = 10_000
"""The server's own limit on one page of results."""

_MAX_GENERATION: Final = (1 << 19) - 1
_MAX_VERSION: Final = (1 << 42) - 1
_WORDS, _VECTOR, _GONE = range(3)
_MAX_CHINESE_QUERY: Final = 512
"""Characters of a query that smartcn cuts into words."""
_LIVE: Final = ("memory", "message")
_CUT: Final = "cut"
"""In the scope of a document with more values than are looked up."""


class Action(NamedTuple):
    """One line pair of a bulk request, and what to call it when it is refused."""

    name: str
    lines: bytes


class Layout(NamedTuple):
    """What of an index's mapping decides how it is written and asked."""

    dimension: int
    smartcn: bool


def routing_of(subject: Subject) -> str:
    """All documents of a subject are on the shard that this names."""
    return scope_token("subject", *subject)


# --- writing ----------------------------------------------------------------------------------


def put(subject: Subject, document: IndexDocument, layout: Layout) -> Action:
    """The document itself. Raises ValueError on a vector with NaN or infinity, or of another length."""
    labels = document.labels | {subject.kind: subject.id}
    scope = [tenant_token(subject.tenant)]
    scope += [label_token(subject.tenant, kind, value) for kind, value in labels.items()]
    if document.session is not None:
        scope.append(scope_token("session", document.session))
    text = document.text[:MAX_INDEXED_CHARACTERS]
    body: dict[str, Any] = {
        "kind": document.kind,
        "subject": routing_of(subject),
        "generation": document.generation,
        "scope": scope,
        "unit": [*subject, document.id],
        "terms": " ".join(tokens(text)),
    }
    values = words_of(document.attributes, document.metadata)
    if values.cut:
        scope.append(_CUT)
    body |= {"pairs": values.pairs, "numbers": values.numbers}
    if layout.smartcn:
        body["chinese"] = _sound(text)
    vector = None if document.vector is None else unit_vector(document.vector)
    if vector is not None:
        body["vector"] = _numbers(vector, layout)
    version = _version(document.generation, document.version, _WORDS if vector is None else _VECTOR)
    return _action(document.id, _id(subject, document.id), subject, version, body)


def gone(subject: Subject, generation: int, id_: str, version: int) -> Action:
    """The mark that keeps a deleted document out, up to `version`."""
    body = {"kind": "gone", "subject": routing_of(subject), "generation": generation}
    return _action(id_, _id(subject, id_), subject, _version(generation, version, _GONE), body)


def erased(subject: Subject, generation: int) -> Action:
    """The mark that nothing of the subject below `generation` counts."""
    body = {"kind": "erased", "subject": routing_of(subject), "generation": generation}
    return _action("erased", erased_id(subject), subject, generation, body)


def erased_id(subject: Subject) -> str:
    """Where that mark is."""
    return scope_token("erased", *subject)


def filled(shard: int) -> Action:
    """The mark that everything of the shard has been put."""
    header = {"_id": filled_id(shard), "routing": FILLED_ROUTING}
    return Action(f"shard {shard}", _lines(header, {"kind": "filled"}))


def filled_id(shard: int) -> str:
    """Where that mark is."""
    return f"filled-{shard}"


def _action(name: str, id_: str, subject: Subject, version: int, body: Mapping[str, Any]) -> Action:
    header = {"_id": id_, "routing": routing_of(subject), "version": version, "version_type": "external_gte"}
    return Action(name, _lines(header, body))


def _lines(header: Mapping[str, Any], body: Mapping[str, Any]) -> bytes:
    return b"\n".join((msgspec.json.encode({"index": header}), msgspec.json.encode(body), b""))


def _id(subject: Subject, id_: str) -> str:
    """An id is only unique within its subject, and may be longer than the server allows."""
    return scope_token("document", *subject, id_)


def _version(generation: int, version: int, rank: int) -> int:
    return min(generation, _MAX_GENERATION) << 44 | min(max(version, 0), _MAX_VERSION) << 2 | rank


def _numbers(vector: NDArray[np.float32], layout: Layout) -> list[float]:
    if vector.size != layout.dimension:
        raise ValueError(f"a vector of {vector.size} dimensions in an index of {layout.dimension}")
    # five digits are more than the half precision it is stored in, and a third of the bytes
    return np.round(vector.astype(np.float64), 5).tolist()


def _sound(text: str) -> str:
    """Text that can be sent: a lone surrogate has no UTF-8."""
    return text.encode("utf-8", "replace").decode()


# --- deleting ---------------------------------------------------------------------------------


def below(subject: Subject, generation: int) -> dict[str, Any]:
    """A query for everything of the subject that has a lower generation, marks of deletions too."""
    return {
        "bool": {
            "filter": [
                {"term": {"subject": routing_of(subject)}},
                {"range": {"generation": {"lt": generation}}},
            ],
            "must_not": [{"term": {"kind": "erased"}}],
        }
    }


def marks() -> dict[str, Any]:
    """A query for the marks that outlive what they speak of."""
    return {"terms": {"kind": ["gone", "erased"]}}


# --- searching --------------------------------------------------------------------------------


class Search(NamedTuple):
    """The parts of one `msearch`; None where there is nothing to ask."""

    words: dict[str, Any] | None
    vector: dict[str, Any] | None
    header: dict[str, Any]


def search(query: IndexQuery, index: str, layout: Layout) -> Search:
    """The questions that `query` comes to. Raises InvalidInput on a vector of another dimension."""
    header: dict[str, Any] = {"index": index, "allow_partial_search_results": False}
    if query.subject is not None:
        # the same copy of the same shard each time: an answer never goes back in time
        header["routing"] = header["preference"] = routing_of(query.subject)
    else:
        header["preference"] = scope_token("labels", query.tenant, *sorted(query.labels.values()))
    scope = _scope(query)
    limit = min(query.limit, MAX_HITS)
    words = None if query.text is None else _by_words(query.text, scope, layout)
    vector = None if query.vector is None else _by_vector(query.vector, scope, limit, layout)
    return Search(_page(words, limit), _page(vector, limit), header)


def erased_among(subjects: Iterable[Subject]) -> dict[str, Any]:
    """A query for the marks of erased generations of these subjects."""
    return {
        "query": {
            "bool": {
                "filter": [
                    {"term": {"kind": "erased"}},
                    {"terms": {"subject": [routing_of(subject) for subject in subjects]}},
                ]
            }
        },
        "_source": ["subject", "generation"],
        "size": MAX_HITS,
    }


def live(subject: Subject, floor: int) -> dict[str, Any]:
    """A query for what there is of a subject."""
    return {
        "bool": {
            "filter": [
                {"term": {"subject": routing_of(subject)}},
                {"terms": {"kind": list(_LIVE)}},
                {"range": {"generation": {"gte": floor}}},
            ]
        }
    }


def listing(subject: Subject, after: int | None, limit: int) -> dict[str, Any]:
    """A page of what there is of a subject, in the order of its last writes."""
    page: dict[str, Any] = {"query": live(subject, 0), "size": limit, "sort": [{"_seq_no": "asc"}]}
    if after is not None:
        page["search_after"] = [after]
    return page


def msearch_body(header: Mapping[str, Any], questions: Iterable[Mapping[str, Any]]) -> bytes:
    """Several questions as one request."""
    lines: list[bytes] = []
    for question in questions:
        lines += [msgspec.json.encode(header), msgspec.json.encode(question)]
    return b"\n".join((*lines, b""))


def _scope(query: IndexQuery) -> list[dict[str, Any]]:
    """The filters that keep a search within its tenant, subject, labels, session and kinds."""
    scope = [tenant_token(query.tenant)] if query.whole_tenant else []
    scope += [label_token(query.tenant, kind, value) for kind, value in query.labels.items()]
    if query.session is not None:
        scope.append(scope_token("session", query.session))
    filters: list[dict[str, Any]] = [{"term": {"scope": token}} for token in scope]
    if query.subject is not None:
        filters.append({"term": {"subject": routing_of(query.subject)}})
    filters.append({"terms": {"kind": sorted(set(query.kinds))}})
    if query.filters and (wanted := narrow(query.filters)) is not None:
        # what has more values than are looked up may have any
        filters.append({"bool": {"should": [_narrowed(wanted), {"term": {"scope": _CUT}}]}})
    return filters


def _narrowed(wanted: Narrow) -> dict[str, Any]:
    match wanted:
        case Pair(word):
            return {"term": {"pairs": word}}
        case Between(low, high):
            return {"range": {"numbers": {"gte": low, "lte": high}}}
        case Every(parts):
            return {"bool": {"filter": [_narrowed(part) for part in parts]}}
        case Some(parts):
            words = [part.word for part in parts if isinstance(part, Pair)]
            others = [_narrowed(part) for part in parts if not isinstance(part, Pair)]
            # one question for a long list of values
            return {"bool": {"should": [*([{"terms": {"pairs": words}}] if words else []), *others]}}


def _by_words(text: str, scope: list[dict[str, Any]], layout: Layout) -> dict[str, Any] | None:
    terms = list(dict.fromkeys(search_terms(text)))[:MAX_QUERY_TERMS]
    if not terms:
        return None
    found: dict[str, Any] = {"filter": scope, "must": [{"match": {"terms": " ".join(terms)}}]}
    if layout.smartcn:
        # whole words say more than the pairs of characters that found the document
        found["should"] = [{"match": {"chinese": _sound(text[:_MAX_CHINESE_QUERY])}}]
    return {"bool": found}


def _by_vector(
    vector: NDArray[np.float32], scope: list[dict[str, Any]], limit: int, layout: Layout
) -> dict[str, Any] | None:
    unit = unit_vector(vector)
    if unit is None:
        return None
    try:
        numbers = _numbers(unit, layout)
    except ValueError as error:
        raise InvalidInput(str(error), field="vector") from error
    return {"knn": {"vector": {"vector": numbers, "k": limit, "filter": {"bool": {"filter": scope}}}}}


def _page(query: dict[str, Any] | None, limit: int) -> dict[str, Any] | None:
    if query is None:
        return None
    return {"query": query, "size": limit, "version": True, "track_total_hits": False}


# --- hits -------------------------------------------------------------------------------------


class Found(NamedTuple):
    """A hit, before what is out of date is left out."""

    subject: Subject
    id: str
    kind: IndexedKind
    generation: int
    version: int
    text_score: float | None
    vector_score: float | None


def united(by_words: Sequence[Any], by_vector: Sequence[Any]) -> list[Found]:
    """The hits of both questions, each document once, in its newest version."""
    found: dict[str, Found] = {}
    for hits, of_vector in ((by_words, False), (by_vector, True)):
        for hit in hits:
            score = float(hit["_score"])
            version = int(hit["_version"])
            known = found.get(hit["_id"])
            # while an index is being made anew its predecessor may show an older version of the same
            if known is not None and known.version > version:
                continue
            if known is None or known.version < version:
                known = _found(hit, version)
            if of_vector:
                # Lucene's cosine score is (1 + cosine) / 2
                known = known._replace(vector_score=min(max(2 * score - 1, -1.0), 1.0))
            else:
                known = known._replace(text_score=score)
            found[hit["_id"]] = known
    return list(found.values())


def floors(hits: Sequence[Any]) -> dict[str, int]:
    """By a subject's routing, the generation below which nothing counts."""
    known: dict[str, int] = {}
    for hit in hits:
        source = hit["_source"]
        known[source["subject"]] = max(known.get(source["subject"], 0), int(source["generation"]))
    return known


def current(found: Iterable[Found], known: Mapping[str, int]) -> list[IndexHit]:
    """Those that are not of an erased generation."""
    return [
        IndexHit(each.subject, each.id, each.kind, each.text_score, each.vector_score)
        for each in found
        if each.generation >= known.get(routing_of(each.subject), 0)
    ]


def _found(hit: Any, version: int) -> Found:
    source = hit["_source"]
    tenant, kind, subject_id, unit_id = source["unit"]
    subject = Subject(tenant, cast(SubjectKind, kind), subject_id)
    return Found(subject, unit_id, source["kind"], int(source["generation"]), version, None, None)
