"""The HTTP ingress as a Ray Serve application: `memgrid serve`, or `serve run serve_app:build`.

Nothing of memory is decided here: a replica opens the stores, finds the shard actors, and serves the API of
`cluster.api` with them.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from fastapi import FastAPI
from ray import serve

from actors.directory import ShardDirectory
from actors.runtime import close_handle_port
from cluster.api.app import create_app
from cluster.api.health_check import TIMEOUT as PROBE_SECONDS
from cluster.composition import open_index, open_store
from cluster.logs import configure_logs
from cluster.security import check_bind, has_keys
from cluster.settings import Settings, load_settings

_IN_FLIGHT = 1024
"""Requests at a time in one replica; more wait in Serve."""


@serve.deployment(
    name="ingress",
    max_ongoing_requests=_IN_FLIGHT,
    health_check_period_s=5,
    health_check_timeout_s=10,
    graceful_shutdown_timeout_s=30,
    ray_actor_options={"num_cpus": 0},
)
@serve.ingress()  # pyright: ignore[reportUntypedClassDecorator]
class Ingress:
    """One replica."""

    async def __init__(self, settings: Settings) -> None:
        """Open the stores, and create the shard actors that are missing.

        Raises InvalidInput where the network would be served without keys.
        """
        configure_logs(settings)
        close_handle_port()
        self._store = await open_store(settings)
        check_bind(settings.host, await has_keys(self._store))
        self._index = await open_index(settings)
        self._directory = ShardDirectory(settings)
        await self._directory.start()
        self._app = create_app(
            self._directory,
            self._store,
            self._index,
            settings,
            replica=f"{os.uname().nodename}-{os.getpid()}",
        )

    def __serve_build_asgi_app__(self) -> FastAPI:
        """What Serve serves; it asks for it once the constructor is done."""
        return self._app

    async def check_health(self) -> None:
        """Serve replaces a replica whose store no longer answers it."""
        async with asyncio.timeout(PROBE_SECONDS):
            await self._store.ping()


def build(args: dict[str, Any]) -> serve.Application:
    """The application. `args` are settings by name, over those of the environment and config.yaml."""
    environment = {f"MEMGRID_{name.upper()}": str(value) for name, value in args.items()}
    return application(load_settings(environ={**os.environ, **environment}))


def application(settings: Settings) -> serve.Application:
    """The application with these settings."""
    # A replica may have another working directory than whoever deploys it.
    absolute = settings.model_copy(update={"data_dir": settings.data_dir.absolute()})
    return Ingress.options(num_replicas=settings.ingress_replicas).bind(absolute)
