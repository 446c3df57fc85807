"""Jobs and extraction runs, by id."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from starlette.requests import Request
from starlette.responses import Response

from cluster.api import examples
from cluster.api.exchange import exchange, json_response
from cluster.api.route import Section
from cluster.jobs import decode_job
from memgrid.extraction import RunDetail
from memgrid.models import Identifier, Job, ProcessResult
from memgrid.operations import ById

JobId = Annotated[str, Path(alias="id", max_length=2048, examples=[examples.JOB_ID])]
RunId = Annotated[Identifier, Path(alias="id", examples=[examples.RUN_ID])]


async def get_job(request: Request, job_id: JobId) -> Response:
    """The job of an add: pending, running, done or parked, and what it did to memories."""
    call = exchange(request)
    subject = decode_job(job_id).subject(call.tenant)
    return json_response(await call.ask("job", subject, ById(id=job_id)))


async def get_run(request: Request, run_id: RunId) -> Response:
    """Which messages went in, what came out, what it cost, each call of a model, each decision with its
    reason, each claim that was not believed; and the error of a parked one.
    """
    call = exchange(request)
    subject = await call.owner_of_run(run_id)
    return json_response(await call.ask("run", subject, ById(id=run_id)))


async def drive_run(request: Request, run_id: RunId) -> Response:
    """Try the messages of a parked run once more. It waits as long as an add would: `running` goes on, and
    the run tells what became of it.
    """
    call = exchange(request)
    subject = await call.owner_of_run(run_id)
    return json_response(await call.ask("drive_run", subject, ById(id=run_id)))


def add_routes(section: Section) -> None:
    """Put them into the section."""
    reads, writes = section.reads, section.writes
    reads.get("/jobs/{id}", response_model=Job, summary="How far an add has come")(get_job)
    reads.get("/runs/{id}", response_model=RunDetail, summary="One extraction run")(get_run)
    writes.post("/runs/{id}/drive", response_model=ProcessResult, summary="Drive a parked run again")(
        drive_run
    )
