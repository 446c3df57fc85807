"""Names that settings had in older memory services: what they mean here, if anything.

What a name meant there is kept, with two deliberate exceptions:

- A key never chooses a model. Vectors of two embedding models are never compared, so an OpenAI key that is
  merely present leaves the bundled embedding model in place; it is used for embeddings only where these
  already come from OpenAI's endpoint.
- `OPENAI_API_KEY` without a prefix is not addressed to memgrid. It is used where an LLM at OpenAI has been
  asked for (`llm_model`, or `llm_base_url` at api.openai.com); alone it must not start sending conversations
  to somebody's account.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

OPENAI_URL = "https://api.openai.com/v1"
OPENAI_EMBEDDING_MODELS = "text-embedding-"
"""How OpenAI's embedding models begin."""

# Where several mean the same field, the first wins.
OLDER_NAMES: dict[str, str] = {
    "MEMORY_SERVICE_PORT": "port",
    "MEMORY_SERVICE_WORKERS": "ingress_replicas",
    "MEMORY_SERVICE_LLM_MODEL": "llm_model",
    "MEMORY_SERVICE_EMBEDDING_MODEL": "embedding_model",
    "MEMORY_SERVICE_EMBEDDING_BATCH_SIZE": "embedding_batch_size",
    "MEMORY_SERVICE_MAX_MEMORIES_PER_USER": "max_memories_per_subject",
    "MEMORY_SERVICE_MEMORY_TTL_DAYS": "memory_ttl_days",
    "MEMORY_SERVICE_CLEANUP_INTERVAL_HOURS": "cleanup_interval_hours",
    "MEMORY_SERVICE_SEARCH_TIMEOUT": "search_timeout_seconds",
    "MEMOBASE_LLM_BASE_URL": "llm_base_url",
    "MEMOBASE_LLM_API_KEY": "llm_api_key",
    "MEMOBASE_LLM_MODEL": "llm_model",
    "MEMOBASE_BEST_LLM_MODEL": "llm_model",
    "MEMOBASE_EMBEDDING_API_KEY": "embedding_api_key",
    "MEMOBASE_EMBEDDING_MODEL": "embedding_model",
    "EMBED_SSL_VERIFY": "embedding_tls_verify",
    "EMBED_SSL_CERT": "embedding_tls_certificate",
    "LLM_SSL_VERIFY": "llm_tls_verify",
    "AI_MSG_GEN_MAX_LEN": "extraction_assistant_characters",
    "HISTORY_WINDOW_SIZE_TO_GEN_MEM": "extraction_context_messages",
}

_SERVICE_DEBUG = "MEMORY_SERVICE_DEBUG"
_SSRF_PROTECT = "SSRF_PROTECT_ENABLED"
_SERVICE_KEY = "MEMORY_SERVICE_OPENAI_API_KEY"
_OPENAI_KEY = "OPENAI_API_KEY"
_SEARCH_PREFIXES = ("MEMOBASE_LINDORM_SEARCH_", "LINDORM_SEARCH_")
"""Of an OpenSearch: who names its host means it to be used."""
_SEARCH_NAMES = {"USERNAME": "opensearch_username", "PASSWORD": "opensearch_password"}
_SEARCH_PORT = "9200"
_HANDLED = frozenset(
    {
        *OLDER_NAMES,
        _SERVICE_DEBUG,
        _SSRF_PROTECT,
        _SERVICE_KEY,
        _OPENAI_KEY,
        *(prefix + name for prefix in _SEARCH_PREFIXES for name in ("HOST", "PORT", *_SEARCH_NAMES)),
    }
)
_MEANINGLESS: dict[str, str] = {
    "DATABASE_URL": "there is no relational database",
    "RESTFUL_SSL_VERIFY": "memgrid calls no REST tools; see MEMGRID_LLM_TLS_VERIFY",
    "MEMORY_SERVICE_CACHE_TTL": "cached answers are never stale, and bounded by MEMGRID_RESULT_CACHE_BYTES",
    "MEMORY_SERVICE_BATCH_SIZE": "a batch is as large as the request says",
}
_MEANINGLESS_PREFIXES: dict[str, str] = {
    "QDRANT_": "vectors are kept without Qdrant",
    "LINDORM_TABLE_": "Lindorm is not used",
    **dict.fromkeys(_SEARCH_PREFIXES, "an OpenSearch has a HOST, a PORT, a USERNAME and a PASSWORD"),
    "MEMORY_SERVICE_": "it has no meaning here",
    "MEMOBASE_": "it has no meaning here",
}


class Meaning(NamedTuple):
    """What an older name says: a value for a field."""

    name: str
    field: str
    value: str


def meanings(variables: Mapping[str, str], chosen: Mapping[str, object]) -> list[Meaning]:
    """What the older names among `variables` mean, the strongest first.

    `chosen` are the fields that have a value under their own name: these decide whose endpoint is
    configured, and so whether an OpenAI key is of use there.
    """
    found = [
        Meaning(name, field, variables[name]) for name, field in OLDER_NAMES.items() if name in variables
    ]
    if variables.get(_SERVICE_DEBUG, "").lower() in {"1", "true", "yes", "on"}:
        found.append(Meaning(_SERVICE_DEBUG, "log_level", "debug"))
    if (protect := variables.get(_SSRF_PROTECT, "").lower()) in {"0", "false", "no", "off"}:
        found.append(Meaning(_SSRF_PROTECT, "llm_allow_private_endpoints", "true"))
    elif protect:
        found.append(Meaning(_SSRF_PROTECT, "llm_allow_private_endpoints", "false"))
    for prefix in _SEARCH_PREFIXES:
        found += _search(prefix, variables)
    effective: dict[str, object] = {each.field: each.value for each in reversed(found)} | dict(chosen)
    for each in found:
        # These services had no other endpoint in mind than OpenAI's when they named an OpenAI model.
        if (
            each.field == "embedding_model"
            and effective["embedding_model"] == each.value
            and "embedding_model" not in chosen
            and each.value.startswith(OPENAI_EMBEDDING_MODELS)
            and "embedding_base_url" not in effective
        ):
            effective["embedding_base_url"] = OPENAI_URL
            found.append(Meaning(each.name, "embedding_base_url", OPENAI_URL))
            break
    asked_for_openai = _is_openai(effective.get("llm_base_url")) or (
        "llm_model" in effective and effective.get("llm_base_url") is None
    )
    for name in (_SERVICE_KEY, _OPENAI_KEY):
        if name not in variables:
            continue
        if "llm_api_key" not in effective and (name == _SERVICE_KEY or asked_for_openai):
            effective["llm_api_key"] = variables[name]
            found.append(Meaning(name, "llm_api_key", variables[name]))
        if "embedding_api_key" not in effective and _is_openai(effective.get("embedding_base_url")):
            effective["embedding_api_key"] = variables[name]
            found.append(Meaning(name, "embedding_api_key", variables[name]))
    return found


def without_meaning(names: Iterable[str]) -> dict[str, str]:
    """Those of `names` that other services knew and memgrid does not, with the reason."""
    found: dict[str, str] = {}
    for name in names:
        if name in _HANDLED:
            continue
        why = _MEANINGLESS.get(name) or next(
            (why for prefix, why in _MEANINGLESS_PREFIXES.items() if name.startswith(prefix)), None
        )
        if why is not None:
            found[name] = why
    return found


def _search(prefix: str, variables: Mapping[str, str]) -> list[Meaning]:
    name = f"{prefix}HOST"
    found: list[Meaning] = []
    if host := variables.get(name):
        port = variables.get(f"{prefix}PORT", _SEARCH_PORT)
        url = host if "://" in host else f"http://{host}:{port}"
        found += [Meaning(name, "search_index", "opensearch"), Meaning(name, "opensearch_url", url)]
    return found + [
        Meaning(prefix + name, field, variables[prefix + name])
        for name, field in _SEARCH_NAMES.items()
        if prefix + name in variables
    ]


def _is_openai(url: object) -> bool:
    return isinstance(url, str) and urlsplit(url).hostname == "api.openai.com"
