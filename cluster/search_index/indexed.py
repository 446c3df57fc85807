"""What every adapter makes of a document and of a query: scope tokens, bounded text, a vector of length one.

A scope token is a hash that stands for a subject, a label, a session: ids of any length and content
become short words of one alphabet, and two different things never share one.
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cluster.search_index.port import IndexQuery
from memgrid.errors import InvalidInput

MAX_QUERY_TERMS: Final = 64
"""Distinct terms of a query that count, the first ones: an index walks the postings of each."""
MAX_INDEXED_CHARACTERS: Final = 262_144
"""Of a longer text the rest is not searchable by its words."""


def check_query(query: IndexQuery) -> None:
    """Refuse a search that would cross tenants, or range over a whole one by mistake. Raises InvalidInput."""
    if not query.tenant:
        raise InvalidInput("a search needs a tenant", field="tenant")
    if query.subject is None and not query.labels and not query.whole_tenant:
        raise InvalidInput("a search needs a subject or a label", field="subject")
    if query.subject is not None and query.subject.tenant != query.tenant:
        raise InvalidInput("the subject is another tenant's", field="subject")


def tenant_token(tenant: str) -> str:
    """Stands for a tenant: all of its documents carry it."""
    return scope_token("tenant", tenant)


def label_token(tenant: str, kind: str, value: str) -> str:
    """Stands for a label of a tenant's documents."""
    return scope_token("label", tenant, kind, value)


def scope_token(*parts: str) -> str:
    """128 bits of a hash of the parts, length-prefixed so that no two lists of parts look alike."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(4, "big") + data)
    return digest.hexdigest()


def unit_vector(vector: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """The vector at length one; None for the zero vector, which has no direction.

    Raises ValueError on NaN or infinity.
    """
    flat = np.asarray(vector, dtype=np.float32).ravel()
    length = float(np.linalg.norm(flat))
    if not np.isfinite(length):
        raise ValueError("a vector has a component that is not a finite number")
    return flat / length if length > 0 else None
