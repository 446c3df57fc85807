"""Messages that are not to be kept: forgotten once they are extracted."""

from __future__ import annotations

from collections.abc import Sequence

from actors.commits import CHUNK, Commits
from actors.resident import Residents
from cluster.ids import Clock, new_id
from cluster.model import Changes
from memgrid.subject import Subject


async def vanish(
    residents: Residents, commits: Commits, subject: Subject, ids: Sequence[str], clock: Clock
) -> None:
    """Forget these messages, those that wait or are parked aside."""
    async with residents.use(subject, fresh=False) as resident:

        def build() -> Changes | None:
            parked = {i for run in resident.parked.values() for i in run.input_ids}
            gone = [
                i
                for i in ids
                if i not in resident.pending and i not in parked and resident.hot.message(i) is not None
            ]
            if not gone:
                return None
            return Changes(
                commit_id=new_id(), at=clock(), actor="extraction", delete_messages=tuple(gone[:CHUNK])
            )

        for _ in range(0, len(ids), CHUNK):
            await commits.commit(resident, build)
