"""The floor that every figure is held against, in the same Ray and Serve: a route that does nothing, and the
same with one call of an actor method that does nothing."""

from __future__ import annotations

import ray
from fastapi import FastAPI
from ray import serve
from starlette.responses import Response

from memgrid.subject import RAY_NAMESPACE, actor_name

app = FastAPI()


@serve.deployment(name="floor", max_ongoing_requests=1024, ray_actor_options={"num_cpus": 0})
@serve.ingress(app)
class Floor:
    """Answers without work."""

    def __init__(self) -> None:
        self._actor = ray.get_actor(actor_name(0), namespace=RAY_NAMESPACE)

    @app.post("/noop")
    async def noop(self) -> Response:
        return Response(b"{}", media_type="application/json")

    @app.post("/actor")
    async def actor(self) -> Response:
        return Response(await self._actor.noop.remote(b"{}"), media_type="application/json")


def deploy() -> None:
    """Beside memgrid, under /floor, with as many replicas: one."""
    serve.run(Floor.bind(), name="floor", route_prefix="/floor")
