"""Every setting, in one typed class: defaults < config.yaml < .env < environment."""

from __future__ import annotations

import difflib
import os
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import yaml
from dotenv.parser import parse_stream
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    TypeAdapter,
    ValidationError,
)

from cluster.llm.prices import parse_prices
from cluster.older_settings import meanings, without_meaning
from memgrid.errors import InvalidInput

PREFIX = "MEMGRID_"
NOT_SETTINGS = frozenset(
    {
        *("MEMGRID_URL", "MEMGRID_API_KEY"),
        *("MEMGRID_TEST_DATA", "MEMGRID_TEST_CRDS", "MEMGRID_TEST_SERVERS", "MEMGRID_SOAK_SECONDS"),
        "MEMGRID_TEST_SMALL_MODEL",
    }
)
"""Of the clients and of the tests: they may be in the same environment."""


def _prices(text: str) -> str:
    parse_prices(text)
    return text


class Settings(BaseModel):
    """What memgrid can be told. Each field is `MEMGRID_<NAME>` in the environment, `<name>` in YAML.

    Constructing one reads nothing: `load_settings` looks at the files and the environment.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True
    )

    _origins: dict[str, str] = PrivateAttr(default_factory=dict[str, str])

    # where
    host: str = "127.0.0.1"
    """Address to listen on; anything but loopback needs API keys."""
    port: int = Field(8005, ge=1, le=65535)
    """Port to listen on."""
    data_dir: Path = Path("data")
    """Where the embedded stores live."""
    ray_address: str | None = None
    """An existing Ray cluster; unset: one is started on this machine."""

    # shape
    shards: int = Field(256, ge=1, le=65_536)
    """Logical shards: decided when a store is created."""
    shard_actors: int = Field(1, ge=1, le=1024)
    """Actors the shards are spread over; each is a process of its own."""
    ingress_replicas: int = Field(1, ge=1, le=64)
    """HTTP front ends that share the port."""
    haproxy: bool = True
    """Serve's HAProxy mode, where the platform has it."""

    # stores
    wide_store: Literal["sqlite", "cassandra"] = "sqlite"
    """Where messages and memories are kept: `sqlite` is embedded, `cassandra` is for several machines."""
    cassandra_contact_points: str = "127.0.0.1"
    """Nodes to ask first, separated by commas; the others are found through them."""
    cassandra_port: int = Field(9042, ge=1, le=65535)
    """Where the nodes speak CQL."""
    cassandra_keyspace: str = Field("memgrid", pattern=r"^[a-z][a-z0-9_]{0,47}$")
    """Keyspace of this store; created when it is not there."""
    cassandra_replication: str | None = Field(None, pattern=r"^\s*[\w.-]+:\d+(\s*,\s*[\w.-]+:\d+)*\s*$")
    """Copies in each datacentre when the keyspace is created, as `dc1:3,dc2:3`; unset: three (or as many as
    there are nodes) in the local one."""
    cassandra_local_dc: str | None = None
    """Datacentre whose nodes are asked; unset: that of the node reached first."""
    cassandra_consistency: Literal["local_quorum", "quorum"] = "local_quorum"
    """`local_quorum` while one datacentre writes; `quorum` when several write to this keyspace."""
    cassandra_username: str | None = None
    """Login, where Cassandra asks for one."""
    cassandra_password: SecretStr | None = None
    """Password of `cassandra_username`."""
    cassandra_tls: bool = False
    """Speak TLS; implied by any of the files below."""
    cassandra_ca: Path | None = None
    """CA bundle (PEM) to check the nodes' certificates with, for a private authority."""
    cassandra_certificate: Path | None = None
    """Certificate (PEM) to show, where nodes ask for one."""
    cassandra_key: Path | None = None
    """Private key (PEM) of `cassandra_certificate`."""
    cassandra_tls_verify: bool = True
    """Check the nodes' certificates."""
    cassandra_timeout_seconds: float = Field(10.0, gt=0)
    """How long one request to Cassandra may take, a second try on another node included."""
    cassandra_connect_timeout_seconds: float = Field(10.0, gt=0)
    """How long connecting to a node may take."""
    cassandra_max_in_flight: int = Field(1024, ge=1)
    """Requests to Cassandra at a time in one process; more of them wait."""
    cassandra_speculative_seconds: float = Field(0.5, ge=0)
    """Wait after which an idempotent request is sent to a second node, too; 0: never."""
    search_index: Literal["fts5", "opensearch"] = "fts5"
    """Full text and vectors: `fts5` is embedded, `opensearch` is for several machines."""
    opensearch_url: str = Field(
        "http://127.0.0.1:9200", pattern=r"^https?://[^,\s]+(\s*,\s*https?://[^,\s]+)*$"
    )
    """Where OpenSearch answers; several nodes of one cluster are separated by commas."""
    opensearch_username: str | None = None
    """Login, where OpenSearch asks for one."""
    opensearch_password: SecretStr | None = None
    """Password of `opensearch_username`."""
    opensearch_tls_verify: bool = True
    """Check OpenSearch's certificate."""
    opensearch_tls_certificate: Path | None = None
    """CA bundle (PEM) to check it with, for a private authority."""
    opensearch_index_prefix: str = Field("memgrid", pattern=r"^[a-z0-9][a-z0-9_-]{0,99}$")
    """How the names of memgrid's indices begin: two memgrids on one OpenSearch need two."""
    opensearch_knn_engine: Literal["lucene", "faiss"] = "lucene"
    """Engine for vectors when an index is made; `faiss` needs the k-NN plugin's native libraries."""
    opensearch_shards: int = Field(1, ge=1, le=1024)
    """Primary shards of an index when it is made: one for every 30 GB or so."""
    opensearch_replicas: int = Field(1, ge=0, le=16)
    """Copies of each shard, as far as there are nodes for them."""
    opensearch_timeout_seconds: float = Field(10.0, gt=0)
    """How long one request that writes may take, and how long a busy server is asked again."""

    # buffer and extraction
    buffer_full_tokens: int = Field(8192, ge=1)
    """Tokens at which a buffer is extracted."""
    buffer_run_tokens: int = Field(16384, ge=1)
    """At most so many tokens in one extraction run."""
    buffer_idle_seconds: float | None = Field(None, gt=0)
    """Quiet time after which a buffer is extracted; unset: 1 s with the rules, 60 s with an LLM."""
    extraction_max_in_flight: int = Field(4, ge=1)
    """Extraction runs at a time in one shard actor."""
    extraction_attempts: int = Field(5, ge=1)
    """Tries before a run is parked."""
    extraction_backoff_seconds: float = Field(1.0, gt=0)
    """Pause before a failed run is tried again; doubles with each failure."""
    extraction_context_messages: int = Field(5, ge=0)
    """Earlier messages given to the extractor as context."""
    extraction_assistant_characters: int = Field(256, ge=0)
    """How much of an assistant's message an LLM is shown."""
    prompts_dir: Path | None = None
    """Folder of prompts that take the place of memgrid's own; a folder in it is named after its tenant."""

    # memory
    max_memories_per_subject: int = Field(10_000, ge=1)
    """Memories of one subject beyond which the least useful make room."""
    memory_ttl_days: int | None = Field(None, ge=1)
    """Memories not updated for so long are removed by the sweep; off unless set."""
    cleanup_interval_hours: float = Field(24.0, gt=0)
    """How often the sweep looks for expired memories."""
    max_pending_messages: int = Field(100_000, ge=1)
    """Un-extracted messages of one subject beyond which adds answer 429."""
    max_inflight_requests: int = Field(512, ge=1)
    """Requests at a time in one shard actor beyond which it answers 429. As many again may wait for an
    extraction, and take no room from these."""

    # caches
    hot_bytes: int = Field(512 * 1024 * 1024, ge=1024 * 1024)
    """Memory for hot subjects in one shard actor; one subject may use an eighth of it."""
    result_cache_bytes: int = Field(64 * 1024 * 1024, ge=0)
    """Search and profile answers kept in one shard actor."""

    # embedding
    embedding_model: str = "multilingual-e5-small"
    """`multilingual-e5-small` and `universal-sentence-encoder` are bundled; any other name needs
    embedding_base_url."""
    embedding_base_url: str | None = Field(None, pattern=r"^https?://")
    """OpenAI-compatible endpoint for embeddings, for example https://api.openai.com/v1."""
    embedding_api_key: SecretStr | None = None
    """Key for `embedding_base_url`."""
    embedding_dimension: int | None = Field(None, ge=1)
    """Length of the vectors an endpoint gives; unset: what its first answer has."""
    embedding_batch_size: int = Field(32, ge=1)
    """Texts in one call of the model."""
    embedding_timeout_seconds: float = Field(60.0, gt=0)
    """How long one call of the endpoint may take."""
    embedding_max_retries: int = Field(3, ge=0)
    """Tries after the first, when the endpoint fails for a moment."""
    embedding_threads: int = Field(1, ge=1)
    """Threads a bundled model computes with."""
    embedding_query_cache: int = Field(4096, ge=0)
    """Query vectors kept in one shard actor."""
    embedding_tls_verify: bool = True
    """Check the endpoint's certificate."""
    embedding_tls_certificate: Path | None = None
    """CA bundle (PEM) to check it with, for a private authority."""

    # llm
    llm_base_url: str | None = Field(None, pattern=r"^https?://")
    """OpenAI-compatible endpoint for extraction; unset, with a key: OpenAI's own."""
    llm_api_key: SecretStr | None = None
    """Key for the LLM; without key and endpoint the built-in rules extract."""
    llm_model: str = "gpt-4o-mini"
    """Model that extracts."""
    llm_temperature: float = Field(0.1, ge=0, le=2)
    """Sampling temperature."""
    llm_max_tokens: int = Field(2000, ge=1)
    """Most tokens in one answer."""
    llm_timeout_seconds: float = Field(60.0, gt=0)
    """How long one call may take."""
    llm_max_retries: int = Field(3, ge=0)
    """Tries after the first, when the endpoint fails for a moment."""
    llm_tls_verify: bool = True
    """Check the endpoint's certificate."""
    llm_tls_certificate: Path | None = None
    """CA bundle (PEM) to check it with, for a private authority."""
    llm_requests_per_minute: float | None = Field(None, gt=0)
    """Most LLM requests a minute of the whole cluster; each shard actor has an even share."""
    llm_tokens_per_minute: float | None = Field(None, gt=0)
    """Most LLM tokens a minute, in and out, shared in the same way."""
    llm_max_in_flight: int | None = Field(32, ge=1)
    """Most LLM calls at a time in the whole cluster; at least one for each shard actor."""
    llm_prices: Annotated[str, AfterValidator(_prices)] = ""
    """What models cost, per million tokens in and out: gpt-4o-mini=0.15/0.6, qwen-plus=0.8/2."""
    llm_allow_private_endpoints: bool = False
    """Let tenants name LLM endpoints inside this network; else public addresses only."""
    secrets_key: SecretStr | None = Field(None, min_length=32)
    """What API keys that tenants store are encrypted with; without it they are refused."""

    # http
    max_body_bytes: int = Field(10 * 1024 * 1024, ge=1024)
    """Largest request body; beyond it 413."""
    max_messages_per_add: int = Field(10_000, ge=1)
    """Most messages in one add; beyond it 413."""
    max_json_depth: int = Field(32, ge=2)
    """Deepest nesting of a request body."""
    search_timeout_seconds: float = Field(5.0, gt=0)
    """How long a search may take."""
    request_timeout_seconds: float = Field(60.0, gt=0)
    """How long a request waits for a lost actor to come back; `wait` waits half as long for an extraction."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe level that is logged."""
    log_file: Path | None = None
    """JSON logs also go here; rotated daily, 30 days kept."""

    @property
    def uses_llm(self) -> bool:
        """An LLM extracts when an endpoint or a key is given, else the rules do."""
        return self.llm_api_key is not None or self.llm_base_url is not None

    @property
    def idle_seconds(self) -> float:
        """The effective quiet time of a buffer."""
        if self.buffer_idle_seconds is not None:
            return self.buffer_idle_seconds
        return 60.0 if self.uses_llm else 1.0

    def origin(self, name: str) -> str:
        """Where the value of field `name` comes from, in words: "default", a file, a variable."""
        return self._origins.get(name) or ("given in code" if name in self.model_fields_set else "default")

    def with_origins(self, origins: Mapping[str, str]) -> Settings:
        """The same settings, knowing where these fields come from."""
        copy = self.model_copy()
        copy._origins = dict(origins)
        return copy


class SettingsWarning(UserWarning):
    """A setting that was given has no effect."""


class Given(NamedTuple):
    """A value for a field, and where it was written."""

    value: Any
    source: str
    """In words, and as precise as can be."""


def load_settings(
    config_file: Path | None = None,
    env_file: Path | None = Path(".env"),
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """The effective settings: defaults < `config_file` < `env_file` < `environ` (the process's own).

    Without a `config_file`, `config.yaml` in the working directory is read if there is one; so is
    `env_file`. An empty variable counts as not set. Names of older services are understood where they
    have a meaning, and give way to ours wherever those are. Raises InvalidInput on an unknown or
    invalid setting; what has no effect is a `SettingsWarning`.
    """
    dotenv = _read_env_file(env_file) if env_file is not None else {}
    variables = _without_service_links(os.environ if environ is None else environ)
    given = _from_yaml(config_file)
    older: dict[str, Given] = {}
    for source, values in ((str(env_file), dotenv), ("environment variable", variables)):
        given |= _from_variables(values, source)
        older |= {name: Given(value, f"{source} {name}") for name, value in values.items()}
    _add_older(given, older)
    try:
        settings = Settings.model_validate({name: each.value for name, each in given.items()})
    except ValidationError as error:
        raise _invalid(error, given) from None
    return settings.with_origins({name: each.source for name, each in given.items()})


def variable_of(field: str) -> str:
    """The environment variable of a field."""
    return PREFIX + field.upper()


def _from_yaml(config_file: Path | None) -> dict[str, Given]:
    path = config_file or Path("config.yaml")
    if config_file is None and not path.is_file():
        return {}
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be read: {error.strerror}", field="config_file", remedy="name a readable file"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} is not YAML: {error}", remedy="see config.yaml.example") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise InvalidInput(f"{path} is not a list of `name: value`", remedy="see config.yaml.example")
    given = {str(name): Given(value, f"{path} {name}") for name, value in content.items()}
    for name in given:
        if name not in Settings.model_fields:
            raise _unknown(name, str(path), list(Settings.model_fields))
    return given


def _read_env_file(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    values: dict[str, str] = {}
    with path.open(encoding="utf-8") as stream:
        for binding in parse_stream(stream):
            if binding.error:
                line = binding.original.line
                raise InvalidInput(
                    f"{path}, line {line} is not `NAME=value`",
                    remedy="correct the line, or put a # before it",
                )
            if binding.key is not None and binding.value:
                values[binding.key] = binding.value
    return values


def _from_variables(values: Mapping[str, str], source: str) -> dict[str, Given]:
    fields = {variable_of(name): name for name in Settings.model_fields}
    given: dict[str, Given] = {}
    for name, value in values.items():
        if not name.startswith(PREFIX) or name in NOT_SETTINGS:
            continue
        if name not in fields:
            raise _unknown(name, source, list(fields))
        given[fields[name]] = Given(value, f"{source} {name}")
    return given


# Kubernetes tells every pod where the services of its namespace are, in variables named after them: a
# service called `memgrid` gives MEMGRID_PORT=tcp://10.0.0.1:8005 and MEMGRID_SERVICE_HOST.
_LINK_VALUE = re.compile(r"(tcp|udp|sctp)://")
_LINK_NAME = re.compile(
    r"(?!MEMORY_SERVICE_PORT$)"
    r"\w+_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)


def _without_service_links(variables: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in variables.items()
        if value
        and not (name.endswith("_PORT") and _LINK_VALUE.match(value))
        and not _LINK_NAME.fullmatch(name)
    }


def _add_older(given: dict[str, Given], variables: Mapping[str, Given]) -> None:
    chosen = {field: each.value for field, each in given.items()}
    for name, field, value in meanings({name: each.value for name, each in variables.items()}, chosen):
        older = Given(value, f"{variables[name].source} (older name of {variable_of(field)})")
        known = given.setdefault(field, older)
        if known is not older and not _same(field, known.value, value):
            warnings.warn(
                f"{variables[name].source} has no effect: {known.source} says otherwise",
                SettingsWarning,
                stacklevel=3,
            )
    ignored = without_meaning(variables)
    if ignored:
        listed = "; ".join(f"{name} ({why})" for name, why in ignored.items())
        warnings.warn(f"these settings have no effect: {listed}", SettingsWarning, stacklevel=3)


def _same(field: str, one: Any, other: Any) -> bool:
    adapter: TypeAdapter[Any] = TypeAdapter(Settings.model_fields[field].rebuild_annotation())
    try:
        return adapter.validate_python(one) == adapter.validate_python(other)
    except ValidationError:
        return one == other


def _unknown(name: str, source: str, known: list[str]) -> InvalidInput:
    # Without the prefix: with it any two variables are close.
    tails = {each.removeprefix(PREFIX): each for each in known}
    close = [tails[tail] for tail in difflib.get_close_matches(name.removeprefix(PREFIX), tails, n=1)]
    hint = f"did you mean {close[0]}?" if close else "`memgrid config` lists the settings there are"
    return InvalidInput(f"unknown setting {name} ({source})", field=name, remedy=hint)


def _invalid(error: ValidationError, given: Mapping[str, Given]) -> InvalidInput:
    """What is wrong, where it was written, and what would be right. Never the value: it may be a secret."""
    problems: list[str] = []
    for each in error.errors(include_input=False, include_url=False):
        field = str(each["loc"][0])
        problems.append(f"{field} ({given[field].source}): {each['msg']}")
    first = str(error.errors(include_input=False)[0]["loc"][0])
    info = Settings.model_fields[first]
    return InvalidInput(
        "; ".join(problems),
        field=first,
        remedy=f"correct it, or leave it out for the default ({info.default}). {info.description}",
    )
