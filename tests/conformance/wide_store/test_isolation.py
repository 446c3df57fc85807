"""Nobody sees another's rows, however alike their names are."""

from __future__ import annotations

from cluster.wide_store.port import MessageQuery, WideStore
from memgrid.subject import Subject
from tests.conformance.wide_store.samples import (
    ANY,
    MODEL,
    all_messages,
    erase,
    ids,
    memory,
    message,
    put,
    run,
    same_vector,
    vector,
)

ALIKE = [
    Subject("t", "user", "a"),
    Subject("t", "user", "a\0"),
    Subject("t", "user", "\0a"),
    Subject("t", "user", "A"),
    Subject("t", "user", "a "),
    Subject("t", "user", "a%"),
    Subject("t", "user", "_"),
    Subject("t", "user", "é"),
    Subject("t", "user", "e\u0301"),
    Subject("t", "user", "張三"),
    Subject("t", "user", "张三"),
    Subject("t", "user", "a\nb"),
    Subject("t", "user", "'; DROP TABLE messages; --"),
    Subject("t", "user", "\U0010ffff"),
    Subject("t", "agent", "a"),
    Subject("tu", "user", "a"),
    Subject("t\0", "user", "a"),
    Subject("T", "user", "a"),
    Subject("t", "run", "a"),
    Subject("", "user", "ta"),
]


async def test_subjects_with_names_alike_share_nothing(store: WideStore) -> None:
    # The same ids and labels everywhere: only the subject tells the rows apart.
    said = [message(session=session, marks=("m",)) for session in ("s", "s\0", "S")]
    for n, subject in enumerate(ALIKE):
        mine = [message(f"{n} said", id=m.id, session=m.session, marks=m.marks) for m in said]
        assert await store.append(subject, 0, mine)
        known = memory(f"{n} known", id="same", labels={"user": "a"})
        await put(
            store, subject, put=(known,), runs=(run(said[0], id="run", model=str(n)),), settings={"n": n}
        )
        await store.put_vectors(subject, 0, "memory", MODEL, [vector("same", n)])
    for n, subject in enumerate(ALIKE):
        assert {m.content for m in await all_messages(store, subject)} == {f"{n} said"}
        assert await store.count_messages(subject, ANY) == 3
        assert await store.count_messages(subject, MessageQuery(session="s")) == 1
        assert await store.count_messages(subject, MessageQuery(mark="m")) == 3
        loaded = await store.load(subject)
        assert (loaded.head.revision, loaded.head.settings) == (1, {"n": n})
        assert [m.text for m in loaded.memories] == [f"{n} known"]
        assert ids(loaded.pending) == ids(said[1:])
        (found,) = await store.memory_vectors(subject, MODEL)
        assert same_vector(found, vector("same", n))
        done = await store.get_run(subject, "run")
        assert done is not None
        assert done.model == str(n)
    for tenant in ("t", "tu", "t\0", "T", ""):
        mine = {(s, "same") for s in ALIKE if s.tenant == tenant}
        rows, _ = await store.scope(tenant, "user", "a")
        assert (len(rows), set(rows)) == (len(mine), mine)
        owner = await store.resolve_memory(tenant, "same")
        assert owner is not None
        assert owner.tenant == tenant

    await erase(store, ALIKE[0])
    assert await all_messages(store, ALIKE[0]) == []
    for subject in ALIKE[1:]:
        assert await store.count_messages(subject, ANY) == 3
        assert len((await store.load(subject)).memories) == 1
        assert len(await store.memory_vectors(subject, MODEL)) == 1


async def test_ids_alike_are_different_messages(store: WideStore) -> None:
    names = ["a", "a\0", "A", "a ", "é", "e\u0301", "%", "_", ""]
    said = [message(name, id=f"{name}-id") for name in names] + [
        message("bare", id="a\0b"),
        message("b", id="a"),
    ]
    await store.append(ALIKE[0], 0, said)
    for m in said:
        assert await store.get_messages(ALIKE[0], [m.id]) == [m]
    assert len(await all_messages(store, ALIKE[0], limit=2)) == len(said)
    await put(store, ALIKE[0], delete_messages=("a",))
    assert len(await store.get_messages(ALIKE[0], ids(said))) == len(said) - 1
