"""What a client of memgrid can do, whether HTTP (`memgrid.client`) or Ray (`memgrid.ray_client`) carries it.

Written once, as async code; the sync form in `memgrid/_sync/` is generated (`memgrid._unasync`).
"""

from __future__ import annotations

from memgrid._kinds import KindsApi
from memgrid._memories import MemoriesApi
from memgrid._projects import ProjectsApi
from memgrid._subjects import SubjectsApi
from memgrid._transport import Transport

__all__ = ["MemgridApi", "Transport"]


class MemgridApi(MemoriesApi, SubjectsApi, KindsApi, ProjectsApi):
    """Everything memgrid can do for an application.

    Whose memory it is is said with `user_id`, `agent_id`, `app_id` or `run_id`; where several are given, the
    memory lives with the first in that order and carries all as labels. All methods raise the errors of
    `memgrid.errors`: `InvalidInput` before anything is sent when an argument is out of range,
    `Unavailable` when memgrid cannot be reached.
    """
