"""What a language model gets wrong."""

from __future__ import annotations

from memgrid.errors import MemgridError


class MalformedCompletion(MemgridError):
    """The model's answer is not what was asked for: refused, cut off, no JSON, another schema."""

    code = "unavailable"
