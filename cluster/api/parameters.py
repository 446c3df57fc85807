"""Query parameters that come as a model, and what is JSON among them."""

from __future__ import annotations

from typing import Annotated, Any, cast

from pydantic import AfterValidator, BaseModel, Field

from cluster.api.body import parse_json
from cluster.api.exchange import Whose
from cluster.retrieval.filters import parse_filter
from memgrid.errors import InvalidInput
from memgrid.models import Identifier, Limit, MemoryKind, ResultType, Strategy, Visible
from memgrid.operations import Cursor

WithSlashes = AfterValidator(lambda text: text.replace("\0", "/"))
"""Of a part of the path: the ingress brings a "/" that was written %2F through the router as a NUL."""
JsonText = Annotated[str, Field(max_length=262_144)]


class Parameters(BaseModel):
    """Base of all models of query parameters; the route refuses unknown ones."""


class WhoseParameters(Parameters):
    """Whose memory is meant: at least one; the first of user, agent, app, run is the subject."""

    user_id: Identifier | None = None
    agent_id: Identifier | None = None
    app_id: Identifier | None = None
    run_id: Identifier | None = None

    @property
    def whose(self) -> Whose:
        """The ids given."""
        return Whose(self.user_id, self.agent_id, self.app_id, self.run_id)


class SearchParameters(WhoseParameters):
    """The GET form of a search."""

    query: Annotated[str, Field(min_length=1, max_length=32_768, examples=["他喜欢什么运动？"]), Visible]
    everyone: bool = Field(False, description="Of all users, agents, apps and runs; none is named then.")
    limit: Limit | None = Field(None, description="How many results; 5 unless given.")
    top_k: Limit | None = Field(None, description="The same as `limit`.")
    strategy: Strategy = "hybrid"
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.0
    filters: JsonText | None = Field(None, description="The filter language, as JSON.")
    types: list[ResultType] | None = None
    kinds: list[MemoryKind] | None = None
    session_id: Identifier | None = None
    latest_only: bool = True
    explain: bool = Field(False, description="Say in each result what its score is made of.")


class ListParameters(WhoseParameters):
    """Which memories to list."""

    kinds: list[MemoryKind] | None = None
    filters: JsonText | None = Field(None, description="The filter language, as JSON.")
    latest_only: bool = True
    limit: Limit = 100
    cursor: Cursor | None = None


class DeleteParameters(WhoseParameters):
    """Which memories to delete."""

    kinds: list[MemoryKind] | None = None
    filters: JsonText | None = Field(None, description="The filter language, as JSON.")
    labels: JsonText | None = Field(
        None, description='Further labels as JSON, for example `{"agent": "a1"}`; agent_id=a1 says the same.'
    )


def json_object(text: str | None, field: str, max_depth: int) -> dict[str, Any] | None:
    """A JSON object given as a query parameter. Raises InvalidInput."""
    if text is None:
        return None
    try:
        value = parse_json(text.encode(), max_depth, "it")
    except InvalidInput as error:
        raise InvalidInput(f"{field}: {error.message}", field=field, remedy=error.remedy) from error
    if not isinstance(value, dict):
        raise InvalidInput(f"{field}: must be a JSON object", field=field, remedy='send {"key": value}')
    return cast("dict[str, Any]", value)


def check_filters(filters: dict[str, Any] | None) -> None:
    """Raises InvalidInput with the path of what is wrong, before anything is asked of the owner."""
    if filters:
        parse_filter(filters)
