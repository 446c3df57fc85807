"""The one place where settings become objects. Nothing else chooses an adapter.

What talks to an endpoint is imported when it is asked for: the embedded default does without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster.embedding.batching import BatchingEmbedder
from cluster.embedding.bundled import BUNDLED_MODELS, BundledEmbedder
from cluster.embedding.port import Embedder
from cluster.extraction_config import ExtractionConfigs
from cluster.llm.budget import Budget, Limits
from cluster.llm.prices import parse_prices
from cluster.pipeline.chosen import ChosenExtractor
from cluster.pipeline.port import EndpointChoice, Extractor
from cluster.pipeline.rules.extractor import RuleExtractor
from cluster.prompts import Prompts
from cluster.search_index.fts5 import Fts5Index
from cluster.search_index.port import SearchIndex
from cluster.secret_box import SecretBox
from cluster.settings import Settings
from cluster.wide_store.port import WideStore
from cluster.wide_store.sqlite import SqliteStore
from memgrid.errors import InvalidInput, MemgridError

if TYPE_CHECKING:
    from opensearchpy import AsyncOpenSearch

    from cluster.wide_store.cassandra_connection import CassandraConnection

_ENDPOINT_REQUESTS = 4
"""Batches at a time to an embedding endpoint; a bundled model has one worker."""


async def open_store(settings: Settings) -> WideStore:
    """The wide store, opened: its schema is there, and its number of shards is the setting's."""
    store: WideStore
    if settings.wide_store == "cassandra":
        from cluster.wide_store.cassandra import CassandraStore

        store = CassandraStore(build_cassandra_connection(settings))
    else:
        store = SqliteStore(settings.data_dir, files=settings.shard_actors)
    await store.open(shards=settings.shards)
    return store


def build_cassandra_connection(settings: Settings) -> CassandraConnection:
    """The way to Cassandra, not connected yet."""
    from cluster.wide_store.cassandra_connection import CassandraConnection, CassandraOptions

    password = settings.cassandra_password
    return CassandraConnection(
        CassandraOptions(
            contact_points=[host.strip() for host in settings.cassandra_contact_points.split(",")],
            port=settings.cassandra_port,
            keyspace=settings.cassandra_keyspace,
            local_dc=settings.cassandra_local_dc,
            replication=settings.cassandra_replication,
            consistency=settings.cassandra_consistency,
            username=settings.cassandra_username,
            password=password.get_secret_value() if password else None,
            tls=settings.cassandra_tls,
            ca=settings.cassandra_ca,
            certificate=settings.cassandra_certificate,
            key=settings.cassandra_key,
            tls_verify=settings.cassandra_tls_verify,
            timeout=settings.cassandra_timeout_seconds,
            connect_timeout=settings.cassandra_connect_timeout_seconds,
            max_in_flight=settings.cassandra_max_in_flight,
            speculative_delay=settings.cassandra_speculative_seconds or None,
        )
    )


async def open_index(settings: Settings, dimension: int | None = None) -> SearchIndex:
    """The search index, opened. `dimension` is that of the embeddings: who fills an index has to say, who
    only searches need not."""
    index: SearchIndex
    if settings.search_index == "opensearch":
        from cluster.search_index.opensearch import OpenSearchIndex

        index = OpenSearchIndex(
            build_opensearch_client(settings),
            dimension=dimension,
            prefix=settings.opensearch_index_prefix,
            engine=settings.opensearch_knn_engine,
            shards=settings.opensearch_shards,
            replicas=settings.opensearch_replicas,
            patience=settings.opensearch_timeout_seconds,
            # what is left of a search's time is for answering without the index
            search_timeout=settings.search_timeout_seconds / 2,
        )
    else:
        index = Fts5Index(settings.data_dir, files=settings.shard_actors)
    try:
        await index.open()
    except MemgridError:
        await index.close()
        raise
    return index


def build_opensearch_client(settings: Settings) -> AsyncOpenSearch:
    """The way to OpenSearch, not connected yet."""
    from cluster.search_index.opensearch_client import connect

    password = settings.opensearch_password
    return connect(
        [url.strip() for url in settings.opensearch_url.split(",")],
        user=settings.opensearch_username,
        password=password.get_secret_value() if password else None,
        tls_verify=settings.opensearch_tls_verify,
        tls_certificate=settings.opensearch_tls_certificate,
        timeout=settings.opensearch_timeout_seconds,
    )


def build_embedder(settings: Settings) -> Embedder:
    """The embedding model, batched over users and with a cache of queries."""
    key = settings.embedding_api_key
    inner: Embedder
    if settings.embedding_base_url is not None:
        from cluster.embedding.openai import OpenAIEmbedder

        inner = OpenAIEmbedder(
            base_url=settings.embedding_base_url,
            api_key=key.get_secret_value() if key else None,
            model=settings.embedding_model,
            dimension=settings.embedding_dimension,
            batch_size=settings.embedding_batch_size,
            timeout=settings.embedding_timeout_seconds,
            max_retries=settings.embedding_max_retries,
            tls_verify=settings.embedding_tls_verify,
            tls_certificate=settings.embedding_tls_certificate,
        )
    elif settings.embedding_model in BUNDLED_MODELS:
        inner = BundledEmbedder(settings.embedding_model, threads=settings.embedding_threads)
    else:
        raise InvalidInput(
            f"embedding model {settings.embedding_model!r} is not bundled",
            field="embedding_model",
            remedy=f"choose one of {', '.join(sorted(BUNDLED_MODELS))}, or set embedding_base_url",
        )
    return BatchingEmbedder(
        inner,
        batch_size=settings.embedding_batch_size,
        query_cache=settings.embedding_query_cache,
        parallel=1 if settings.embedding_base_url is None else _ENDPOINT_REQUESTS,
    )


def build_extraction_configs(settings: Settings, store: WideStore) -> ExtractionConfigs:
    """What tenants and groups have said about extraction."""
    secret = settings.secrets_key
    return ExtractionConfigs(
        store,
        SecretBox(None if secret is None else secret.get_secret_value()),
        private_endpoints=settings.llm_allow_private_endpoints,
    )


def build_extractor(settings: Settings) -> Extractor:
    """The LLM when an endpoint or a key is configured, else the rules; and the LLMs of tenants who have
    chosen their own. Raises InvalidInput for limits or prompts that cannot be."""
    if settings.llm_max_in_flight is not None and settings.llm_max_in_flight < settings.shard_actors:
        raise InvalidInput(
            f"llm_max_in_flight ({settings.llm_max_in_flight}) is below shard_actors "
            f"({settings.shard_actors}), and each of these makes one call at a time",
            field="llm_max_in_flight",
            remedy="raise it, or have fewer shard actors",
        )
    limits = Limits(
        requests_per_minute=settings.llm_requests_per_minute,
        tokens_per_minute=settings.llm_tokens_per_minute,
        in_flight=settings.llm_max_in_flight,
    )
    budget = Budget(limits.share(settings.shard_actors))
    prompts = Prompts(settings.prompts_dir)

    def asking(choice: EndpointChoice | None) -> Extractor:
        from cluster.llm.openai import OpenAILlm
        from cluster.pipeline.llm import LlmExtractor

        if choice is None:
            key = settings.llm_api_key
            llm = OpenAILlm(
                base_url=settings.llm_base_url,
                api_key=key.get_secret_value() if key else None,
                model=settings.llm_model,
                temperature=settings.llm_temperature,
                max_tokens=settings.llm_max_tokens,
                timeout=settings.llm_timeout_seconds,
                max_retries=settings.llm_max_retries,
                tls_verify=settings.llm_tls_verify,
                tls_certificate=settings.llm_tls_certificate,
                budget=budget,
            )
        else:  # which authorities the operator trusts, or not to check, is about the operator's own endpoint
            temperature, max_tokens = choice.temperature, choice.max_tokens
            llm = OpenAILlm(
                base_url=choice.base_url,
                api_key=choice.api_key,
                model=choice.model,
                temperature=settings.llm_temperature if temperature is None else temperature,
                max_tokens=settings.llm_max_tokens if max_tokens is None else max_tokens,
                timeout=settings.llm_timeout_seconds,
                max_retries=settings.llm_max_retries,
                budget=budget,
                public_only=not settings.llm_allow_private_endpoints,
            )
        return LlmExtractor(
            llm,
            prompts=prompts,
            other_characters=settings.extraction_assistant_characters,
            prices=parse_prices(settings.llm_prices),
        )

    return ChosenExtractor(asking(None) if settings.uses_llm else RuleExtractor(), asking)
