"""The extractor that a brief asks for: the configured one, or the LLM that its tenant or group has chosen."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

from cluster.model import Memory, Message
from cluster.pipeline.port import (
    Brief,
    Distiller,
    EndpointChoice,
    Experience,
    Extraction,
    Extractor,
    Trace,
    Trajectory,
)

MAX_CHOSEN: Final = 256
"""Extractors of tenants kept open; the least recently used is closed for another."""


class ChosenExtractor:
    """Makes an extractor for each choice with `build`, when it is first needed: what is found out about an
    endpoint (what it understands, whether it fails) is remembered with it."""

    def __init__(self, base: Extractor, build: Callable[[EndpointChoice], Extractor]) -> None:
        self._base = base
        self._build = build
        self._chosen: OrderedDict[EndpointChoice, Extractor] = OrderedDict()
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def name(self) -> str:
        """The configured extractor's."""
        return self._base.name

    async def extract(
        self,
        messages: Sequence[Message],
        *,
        earlier: Sequence[Message],
        known: Sequence[Memory],
        brief: Brief | None = None,
        trace: Trace | None = None,
    ) -> Extraction:
        """See `Extractor`."""
        extractor = self._of(None if brief is None else brief.endpoint)
        return await extractor.extract(messages, earlier=earlier, known=known, brief=brief, trace=trace)

    async def distil(self, trajectory: Trajectory, *, brief: Brief, trace: Trace) -> Experience | None:
        """See `Distiller`."""
        extractor = self._of(brief.endpoint)
        if not isinstance(extractor, Distiller):
            return None
        return await extractor.distil(trajectory, brief=brief, trace=trace)

    async def close(self) -> None:
        """Close them all."""
        await asyncio.gather(*self._closing)
        for extractor in (self._base, *self._chosen.values()):
            await extractor.close()

    def _of(self, choice: EndpointChoice | None) -> Extractor:
        if choice is None:
            return self._base
        extractor = self._chosen.get(choice)
        if extractor is None:
            extractor = self._chosen[choice] = self._build(choice)
        self._chosen.move_to_end(choice)
        if len(self._chosen) > MAX_CHOSEN:
            # A call under way there fails, and its run is tried again.
            closing = asyncio.create_task(self._chosen.popitem(last=False)[1].close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
        return extractor
