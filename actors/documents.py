"""Documents: kept as messages, one a part, and as notes that say where in the text they stand."""

from __future__ import annotations

from actors.adding import Adding
from cluster.documents import as_add
from memgrid.kinds import Document
from memgrid.models import AddResult
from memgrid.subject import Subject


class Documents:
    """Adds texts that nobody said."""

    def __init__(self, adding: Adding) -> None:
        self._adding = adding

    async def add_document(self, subject: Subject, request: Document, request_id: str) -> AddResult:
        """Make the parts durable; `document_id` makes sending it again harmless, and is refused with Conflict
        for another text: forget the earlier one first."""
        return await self._adding.add(subject, as_add(request, request_id), request_id)
