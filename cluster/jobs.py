"""Job ids. A job is not stored: its id says whose messages it covers, and its status is derived from
whether those messages are in an extraction run."""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple

import msgspec

from memgrid.errors import NotFound
from memgrid.subject import SUBJECT_KINDS, Subject, SubjectKind


class JobKey(NamedTuple):
    """The messages of one add: those of the subject with `first` <= id <= `last`."""

    kind: SubjectKind
    id: str
    first: str
    last: str

    def subject(self, tenant: str) -> Subject:
        return Subject(tenant, self.kind, self.id)


def encode_job(key: JobKey) -> str:
    """The job id that callers see."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(key)).decode().rstrip("=")


def decode_job(job_id: str) -> JobKey:
    """The inverse of `encode_job`. Raises NotFound for anything else."""
    try:
        raw = base64.urlsafe_b64decode(job_id + "=" * (-len(job_id) % 4))
        kind, subject_id, first, last = msgspec.msgpack.decode(raw, type=tuple[str, str, str, str])
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise NotFound("there is no such job", field="job_id") from error
    for known in SUBJECT_KINDS:
        if kind == known:
            return JobKey(known, subject_id, first, last)
    raise NotFound("there is no such job", field="job_id")
