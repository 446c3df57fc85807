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
from memgrid.errors import InvalidInput

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


def need_store(settings: Settings, *, otherwise: str | None = None) -> None:
    """Raises InvalidInput where there is nothing to read: opening the embedded store would make an empty
    one. `otherwise` is what else may be meant."""
    if settings.wide_store == "sqlite" and not (settings.data_dir / "meta.sqlite").exists():
        remedies = ["run it where memgrid runs", "name the folder with --data-dir"]
        remedies += [] if otherwise is None else [otherwise]
        raise InvalidInput(
            f"there is no store in {settings.data_dir.resolve()}",
            field="data_dir",
            remedy=f"{', '.join(remedies[:-1])}, or {remedies[-1]}",
        )


async def with_store(settings: Settings, work: Callable[[WideStore], Awaitable[T]]) -> T:
    """`work` on the opened store, which is closed again."""
    from cluster.composition import open_store

    store = await open_store(settings)
    try:
        return await work(store)
    finally:
        await store.close()
