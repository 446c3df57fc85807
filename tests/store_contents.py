"""What a store holds, read through its port: stores are compared by it, whichever adapters they are."""

from __future__ import annotations

from typing import Any

from cluster.wide_store.port import MessageQuery, StoredVector, WideStore
from memgrid.subject import Subject
from tests.conformance.wide_store.samples import every_page


async def contents(store: WideStore, *, model: str | None = None) -> dict[Any, Any]:
    """Everything but what is about its index: subjects, keys and plain rows; vectors of `model`."""
    subjects = await every_page(lambda cursor: store.subjects(cursor=cursor, limit=7))
    rows = await every_page(lambda cursor: store.rows(cursor=cursor, limit=7))
    return {
        "keys": {row.id: row for row in await store.api_keys()},
        "rows": {(row.table, row.key): row.value for row in rows if not row.table.startswith("index_")},
        **{subject: await contents_of(store, subject, model=model) for subject in subjects},
    }


async def contents_of(store: WideStore, subject: Subject, *, model: str | None = None) -> dict[str, Any]:
    """Everything of one subject."""
    loaded = await store.load(subject)
    runs = await every_page(lambda cursor: store.runs(subject, cursor=cursor, limit=7))
    messages = (await store.messages(subject, MessageQuery(), limit=100_000)).messages
    memories = {memory.id: memory for memory in loaded.memories}
    changes = await store.changes(subject, 0, 100_000)
    touched = dict.fromkeys(entry.memory_id for change in changes for entry in change.entries)
    claims = await every_page(lambda cursor: store.claims(subject, cursor=cursor, limit=7))
    sessions = await every_page(lambda cursor: store.sessions(subject, cursor=cursor, limit=7))
    labels = {label for memory in loaded.memories for label in memory.labels.items()}
    found: dict[str, Any] = {
        "head": loaded.head,
        "memories": memories,
        "pending": list(loaded.pending),
        "parked": {run.id: run for run in loaded.parked},
        "messages": list(messages),
        "runs": runs,
        "records": {run.id: await store.run_record(subject, run.id) for run in runs},
        "runs of": {
            message.id: {run.id for run in await store.runs_of(subject, [message.id])} for message in messages
        },
        "changes": list(changes),
        "history": {id: list(await store.memory_history(subject, id)) for id in touched},
        "claims": {(claim.kind, claim.key): claim for claim in claims},
        "sessions": {row.session: row for row in sessions},
        "owners": {id: await store.resolve_memory(subject.tenant, id) for id in memories},
        "run owners": {run.id: await store.resolve_run(subject.tenant, run.id) for run in runs},
        "scopes": {
            label: {
                id
                for whose, id in await every_page(
                    lambda cursor, label=label: store.scope(subject.tenant, *label, cursor=cursor)
                )
                if whose == subject
            }
            for label in labels
        },
    }
    if model is not None:
        ids = [message.id for message in messages]
        found["memory vectors"] = _plain(await store.memory_vectors(subject, model))
        found["message vectors"] = _plain(await store.message_vectors(subject, model, ids))
    return found


def _plain(vectors: Any) -> dict[str, tuple[bytes, list[float]]]:
    stored: list[StoredVector] = list(vectors)
    return {each.id: (each.content_hash, each.vector.tolist()) for each in stored}
