"""Which plain rows go into an archive, and whose they are: that is known of the tables named here only."""

from __future__ import annotations

from collections.abc import AsyncIterator

from cluster.search_index.behind import INDEX_BEHIND
from cluster.search_index.imported import INDEX_IMPORTED
from cluster.wide_store.port import PlainRow, WideStore
from memgrid.subject import Subject

BY_SUBJECT = frozenset({"daily_stats"})
"""Their keys are the subject's, in hexadecimal, a slash, and what is their own."""
BY_TENANT = frozenset({"extraction_config", "profile_config"})
"""Their keys are the tenant's name, and perhaps a NUL and what is their own."""
OF_THIS_STORE = frozenset({INDEX_BEHIND, INDEX_IMPORTED, "usage_days"})
"""About a store's own search index, and sums that are made again from the runs."""


async def rows_of(
    store: WideStore, *, tenant: str | None = None, subject: Subject | None = None
) -> AsyncIterator[PlainRow]:
    """The rows of a subject, of a tenant with its subjects, or all."""
    cursor: str | None = None
    while True:
        page, cursor = await store.rows(cursor=cursor)
        for row in page:
            if row.table not in OF_THIS_STORE and _is_of(row, tenant, subject):
                yield row
        if cursor is None:
            return


def _is_of(row: PlainRow, tenant: str | None, subject: Subject | None) -> bool:
    if subject is not None:
        return subject_key_of(row) == subject.key.hex()
    if tenant is None:
        return True
    if row.table in BY_TENANT:
        return row.key.partition("\0")[0] == tenant
    name = tenant.encode()
    return (subject_key_of(row) or "").startswith((len(name).to_bytes(4, "big") + name).hex())


def subject_key_of(row: PlainRow) -> str | None:
    """The key, in hexadecimal, of the subject whose row it is; None for one of no subject."""
    return row.key.partition("/")[0] if row.table in BY_SUBJECT else None
