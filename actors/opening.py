"""What the server's commands begin with: the settings in effect, and the store that they name."""

from __future__ import annotations

import os
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from cluster.settings import Settings, SettingsWarning, load_settings, variable_of
from cluster.wide_store.port import WideStore
from memgrid.cli.output import note

T = TypeVar("T")


def settings_from(config: Path | None, **given: object) -> Settings:
    """The effective settings, options of the command line first. What has no effect is noted on stderr."""
    options = {variable_of(name): str(value) for name, value in given.items() if value is not None}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SettingsWarning)
        settings = load_settings(config, environ={**os.environ, **options})
    for each in caught:
        note(f"warning: {each.message}", "yellow")
    return settings


async def with_store(settings: Settings, work: Callable[[WideStore], Awaitable[T]]) -> T:
    """`work` on the opened store, which is closed again."""
    from cluster.composition import open_store

    store = await open_store(settings)
    try:
        return await work(store)
    finally:
        await store.close()
