"""Every setting, in one typed class: defaults < config.yaml < environment and .env."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What memgrid can be told. Each field is `MEMGRID_<NAME>` in the environment, `<name>` in YAML."""

    model_config = SettingsConfigDict(env_prefix="MEMGRID_", env_file=".env", extra="forbid")

    # where
    host: str = "127.0.0.1"
    """Address to listen on; anything but loopback needs API keys."""
    port: int = Field(8005, ge=1, le=65535)
    data_dir: Path = Path("data")
    """Where the embedded stores live."""
    ray_address: str | None = None
    """An existing Ray cluster; None starts a local one."""

    # shape
    shards: int = Field(256, ge=1, le=65_536)
    """Logical shards: decided when a store is created."""
    shard_actors: int = Field(1, ge=1, le=1024)
    ingress_replicas: int = Field(1, ge=1, le=64)
    haproxy: bool = True
    """Serve's HAProxy mode, where the platform has it."""

    # stores
    wide_store: Literal["sqlite"] = "sqlite"
    search_index: Literal["fts5"] = "fts5"

    # buffer and extraction
    buffer_full_tokens: int = Field(8192, ge=1)
    buffer_run_tokens: int = Field(16384, ge=1)
    """At most so many tokens in one extraction run."""
    buffer_idle_seconds: float | None = Field(None, gt=0)
    """Quiet time after which a buffer is extracted; None: 1 s with the rules, 60 s with an LLM."""
    extraction_max_in_flight: int = Field(4, ge=1)
    """Extraction runs at a time in one shard actor."""
    extraction_attempts: int = Field(5, ge=1)
    """Tries before a run is parked."""
    extraction_backoff_seconds: float = Field(1.0, gt=0)
    extraction_context_messages: int = Field(5, ge=0)
    """Earlier messages given to the extractor as context."""

    # memory
    max_memories_per_subject: int = Field(10_000, ge=1)
    memory_ttl_days: int | None = Field(None, ge=1)
    """Memories not updated for so long are removed by the sweep; off unless set."""
    cleanup_interval_hours: float = Field(24.0, gt=0)
    max_pending_messages: int = Field(100_000, ge=1)
    """Un-extracted messages of one subject beyond which adds answer 429."""
    max_inflight_requests: int = Field(512, ge=1)
    """Requests at a time in one shard actor beyond which it answers 429."""

    # caches
    hot_bytes: int = Field(512 * 1024 * 1024, ge=1024 * 1024)
    """Memory for hot subjects in one shard actor; one subject may use an eighth of it."""
    result_cache_bytes: int = Field(64 * 1024 * 1024, ge=0)
    """Search and profile answers kept in one shard actor."""

    # embedding
    embedding_model: str = "multilingual-e5-small"
    """`multilingual-e5-small` and `universal-sentence-encoder` are bundled; any other name needs
    embedding_base_url."""
    embedding_base_url: str | None = None
    embedding_api_key: SecretStr | None = None
    embedding_dimension: int | None = Field(None, ge=1)
    embedding_batch_size: int = Field(32, ge=1)
    embedding_timeout_seconds: float = Field(60.0, gt=0)
    embedding_max_retries: int = Field(3, ge=0)
    embedding_threads: int = Field(1, ge=1)
    embedding_query_cache: int = Field(4096, ge=0)
    """Query vectors kept in one shard actor."""
    embedding_tls_verify: bool = True
    embedding_tls_certificate: Path | None = None

    # llm
    llm_base_url: str | None = None
    llm_api_key: SecretStr | None = None
    llm_model: str = "gpt-4o-mini"
    llm_temperature: float = Field(0.1, ge=0, le=2)
    llm_max_tokens: int = Field(2000, ge=1)
    llm_timeout_seconds: float = Field(60.0, gt=0)
    llm_max_retries: int = Field(3, ge=0)
    llm_tls_verify: bool = True
    llm_tls_certificate: Path | None = None

    # http
    max_body_bytes: int = Field(10 * 1024 * 1024, ge=1024)
    max_messages_per_add: int = Field(10_000, ge=1)
    max_json_depth: int = Field(32, ge=2)
    search_timeout_seconds: float = Field(5.0, gt=0)
    request_timeout_seconds: float = Field(60.0, gt=0)
    """How long a request waits for a lost actor to come back."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
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
