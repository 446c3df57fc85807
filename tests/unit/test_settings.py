"""Settings: where they come from, what wins, what is refused, and how they are shown."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from cluster import configuration
from cluster.configuration import SECTIONS, describe, example_env, example_yaml
from cluster.llm.prices import Price, parse_prices
from cluster.older_settings import OLDER_NAMES, OPENAI_URL
from cluster.settings import Settings, SettingsWarning, load_settings, variable_of
from memgrid.errors import InvalidInput

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(environ: Mapping[str, str] | None = None, *, dotenv: str = "", config: str = "") -> Settings:
    """With these sources, and no other."""
    if dotenv:
        Path(".env").write_text(dotenv, encoding="utf-8")
    if config:
        Path("config.yaml").write_text(config, encoding="utf-8")
    return load_settings(environ=environ or {})


# sources


def test_nothing_given_is_the_defaults() -> None:
    assert load() == Settings()


def test_constructing_settings_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("MEMGRID_PORT=1\n")
    Path("config.yaml").write_text("port: 2\n")
    monkeypatch.setenv("MEMGRID_PORT", "3")
    assert Settings().port == 8005


def test_the_environment_of_the_process_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMGRID_PORT", "3")
    assert load_settings().port == 3


def test_each_source_is_stronger_than_the_one_before() -> None:
    assert load(config="port: 2").port == 2
    assert load(dotenv="MEMGRID_PORT=3\n").port == 3
    settings = load({"MEMGRID_PORT": "4"})
    assert settings.port == 4
    assert settings.origin("port") == "environment variable MEMGRID_PORT"


def test_sources_are_merged_setting_by_setting() -> None:
    settings = load({"MEMGRID_HOST": "::1"}, dotenv="MEMGRID_SHARDS=3\n", config="port: 2")
    assert (settings.host, settings.shards, settings.port) == ("::1", 3, 2)
    assert settings.origin("host") == "environment variable MEMGRID_HOST"
    assert settings.origin("shards") == ".env MEMGRID_SHARDS"
    assert settings.origin("port") == "config.yaml port"
    assert settings.origin("log_level") == "default"


def test_a_config_file_can_be_named_and_must_then_be_there(tmp_path: Path) -> None:
    Path("config.yaml").write_text("port: 1")
    (tmp_path / "other.yaml").write_text("port: 2\n# 注释\ndata_dir: 数据\n", encoding="utf-8")
    settings = load_settings(tmp_path / "other.yaml", environ={})
    assert (settings.port, settings.data_dir) == (2, Path("数据"))
    with pytest.raises(InvalidInput, match="absent"):
        load_settings(tmp_path / "absent.yaml", environ={})


def test_the_env_file_can_be_left_out() -> None:
    Path(".env").write_text("MEMGRID_PORT=1\n")
    assert load_settings(env_file=None, environ={}).port == 8005


def test_an_empty_variable_is_not_set() -> None:
    settings = load({"MEMGRID_LLM_API_KEY": "", "MEMGRID_PORT": ""}, config="port: 2")
    assert settings.port == 2
    assert not settings.uses_llm


def test_an_env_file_may_quote_export_and_comment() -> None:
    settings = load(dotenv="# 注释\nexport MEMGRID_HOST='::1'\n\nMEMGRID_LLM_API_KEY=\"a#$b\" # key\n")
    assert settings.host == "::1"
    assert settings.llm_api_key is not None
    assert settings.llm_api_key.get_secret_value() == "a#$b"


def test_settings_and_their_origins_survive_the_way_to_an_actor() -> None:
    settings = load({"MEMGRID_PORT": "4"})
    copy = pickle.loads(pickle.dumps(settings))
    assert copy == settings
    assert copy.origin("port") == settings.origin("port")


# refused


@pytest.mark.parametrize(
    ("environ", "dotenv", "config"),
    [
        ({"MEMGRID_SHARD_ACTOR": "2"}, "", ""),
        ({}, "MEMGRID_SHARD_ACTOR=2\n", ""),
        ({}, "", "shard_actor: 2"),
    ],
    ids=["environment", ".env", "config.yaml"],
)
def test_an_unknown_setting_is_refused_with_a_suggestion(
    environ: dict[str, str], dotenv: str, config: str, request: pytest.FixtureRequest
) -> None:
    with pytest.raises(InvalidInput) as error:
        load(environ, dotenv=dotenv, config=config)
    source = request.node.callspec.id  # pyright: ignore[reportUnknownMemberType]
    assert source in error.value.message
    assert (error.value.field or "").lower().endswith("shard_actor")
    assert "shard_actors" in (error.value.remedy or "").lower()


def test_an_unknown_setting_unlike_any_other_is_refused_too() -> None:
    with pytest.raises(InvalidInput, match="MEMGRID_XYZZY"):
        load({"MEMGRID_XYZZY": "2"})


def test_other_variables_are_ignored() -> None:
    others = {"HOME": "/", "MEMGRIDLY": "1", "MEMGRID_URL": "http://x", "MEMGRID_API_KEY": "k"}
    assert load(others, dotenv="FOO=1\nMEMGRID_TEST_DATA=/data\n") == Settings()


@pytest.mark.parametrize(
    ("environ", "dotenv", "config", "source"),
    [
        ({"MEMGRID_PORT": "eighty"}, "", "", "environment variable MEMGRID_PORT"),
        ({"MEMGRID_PORT": "0"}, "", "", "environment variable MEMGRID_PORT"),
        ({}, "MEMGRID_PORT=70000\n", "", ".env MEMGRID_PORT"),
        ({}, "", "port: null", "config.yaml port"),
        ({}, "", "port: [1]", "config.yaml port"),
        ({"MEMORY_SERVICE_PORT": "x"}, "", "", "environment variable MEMORY_SERVICE_PORT"),
    ],
)
def test_an_invalid_value_is_refused_and_says_where_it_is(
    environ: dict[str, str], dotenv: str, config: str, source: str
) -> None:
    with pytest.raises(InvalidInput) as error:
        load(environ, dotenv=dotenv, config=config)
    assert error.value.field == "port"
    assert source in error.value.message
    assert "8005" in (error.value.remedy or "")


@pytest.mark.parametrize("name", ["llm_base_url", "embedding_base_url"])
def test_an_endpoint_is_a_url(name: str) -> None:
    with pytest.raises(InvalidInput) as error:
        load(config=f"{name}: api.openai.com")
    assert error.value.field == name


def test_an_invalid_secret_is_not_repeated() -> None:
    with pytest.raises(InvalidInput) as error:
        load(config="llm_api_key: [sk-geheim]")
    assert "geheim" not in f"{error.value} {error.value.remedy}"
    assert error.value.__cause__ is None
    with pytest.raises(ValidationError) as raw:
        Settings.model_validate({"llm_api_key": ["sk-geheim"]})
    assert "geheim" not in str(raw.value)


@pytest.mark.parametrize("config", ["- port", "port: 1: 2", "port", "\x00"])
def test_a_config_file_that_is_none_is_refused(config: str) -> None:
    with pytest.raises(InvalidInput, match=r"config\.yaml"):
        load(config=config)


def test_a_line_of_an_env_file_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidInput, match="line 2"):
        load(dotenv="MEMGRID_PORT=1\nMEMGRID_HOST='unterminated\n")


def test_variables_that_kubernetes_sets_for_services_are_ignored() -> None:
    links = {
        "MEMGRID_PORT": "tcp://10.0.0.1:8005",
        "MEMGRID_SERVICE_HOST": "10.0.0.1",
        "MEMGRID_SERVICE_PORT": "8005",
        "MEMGRID_SERVICE_PORT_HTTP": "8005",
        "MEMGRID_PORT_8005_TCP": "tcp://10.0.0.1:8005",
        "MEMGRID_PORT_8005_TCP_ADDR": "10.0.0.1",
        "MEMGRID_HEAD_SVC_SERVICE_HOST": "10.0.0.1",
        "MEMGRID_HEAD_SVC_PORT_6379_TCP_PROTO": "tcp",
        "QDRANT_SERVICE_HOST": "10.0.0.1",
    }
    assert load(links) == Settings()
    assert load(links | {"MEMGRID_PORT": "9000"}).port == 9000


# older names


def test_every_older_name_means_a_field_of_today() -> None:
    assert set(OLDER_NAMES.values()) <= set(Settings.model_fields)


@pytest.mark.parametrize(
    ("name", "value", "field", "meaning"),
    [
        ("MEMORY_SERVICE_PORT", "9000", "port", 9000),
        ("MEMORY_SERVICE_WORKERS", "4", "ingress_replicas", 4),
        ("MEMORY_SERVICE_DEBUG", "true", "log_level", "debug"),
        ("MEMORY_SERVICE_DEBUG", "false", "log_level", "info"),
        ("MEMORY_SERVICE_LLM_MODEL", "gpt-4o", "llm_model", "gpt-4o"),
        ("MEMORY_SERVICE_MAX_MEMORIES_PER_USER", "5", "max_memories_per_subject", 5),
        ("MEMORY_SERVICE_MEMORY_TTL_DAYS", "365", "memory_ttl_days", 365),
        ("MEMORY_SERVICE_CLEANUP_INTERVAL_HOURS", "12", "cleanup_interval_hours", 12.0),
        ("MEMORY_SERVICE_SEARCH_TIMEOUT", "3", "search_timeout_seconds", 3.0),
        ("MEMORY_SERVICE_EMBEDDING_BATCH_SIZE", "8", "embedding_batch_size", 8),
        ("MEMOBASE_LLM_BASE_URL", "http://llm/v1", "llm_base_url", "http://llm/v1"),
        ("MEMOBASE_LLM_MODEL", "qwen3", "llm_model", "qwen3"),
        ("MEMOBASE_BEST_LLM_MODEL", "qwen3", "llm_model", "qwen3"),
        ("MEMOBASE_EMBEDDING_MODEL", "bge-m3", "embedding_model", "bge-m3"),
        ("EMBED_SSL_VERIFY", "false", "embedding_tls_verify", False),
        ("EMBED_SSL_CERT", "/ca.pem", "embedding_tls_certificate", Path("/ca.pem")),
        ("LLM_SSL_VERIFY", "false", "llm_tls_verify", False),
        ("AI_MSG_GEN_MAX_LEN", "64", "extraction_assistant_characters", 64),
        ("HISTORY_WINDOW_SIZE_TO_GEN_MEM", "3", "extraction_context_messages", 3),
        ("SSRF_PROTECT_ENABLED", "false", "llm_allow_private_endpoints", True),
        ("SSRF_PROTECT_ENABLED", "true", "llm_allow_private_endpoints", False),
    ],
)
def test_an_older_name_keeps_its_meaning(name: str, value: str, field: str, meaning: object) -> None:
    assert getattr(load({name: value}), field) == meaning
    assert getattr(load(dotenv=f"{name}={value}\n"), field) == meaning


@pytest.mark.parametrize("prices", ["gpt-4o", "gpt-4o=1", "gpt-4o=a/b", "=1/2", "m=-1/2", "m=1/nan"])
def test_prices_that_are_none_are_refused(prices: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        load_settings(environ={"MEMGRID_LLM_PRICES": prices})
    assert refused.value.field == "llm_prices"


def test_prices_are_per_million_tokens() -> None:
    prices = parse_prices("gpt-4o-mini=0.15/0.6, org/qwen=plus=0.8/2")
    assert prices["gpt-4o-mini"].of(1_000_000, 500_000) == pytest.approx(0.45)
    assert prices["org/qwen=plus"] == Price(0.8, 2)


def test_the_time_to_live_is_off_unless_set() -> None:
    assert load().memory_ttl_days is None


@pytest.mark.parametrize("source", ["environment", ".env", "config.yaml"])
def test_a_new_name_wins_over_an_older_one_with_a_warning(source: str) -> None:
    new = {"environment": {"MEMGRID_PORT": "1"}}.get(source, {})
    dotenv = "MEMGRID_PORT=1\n" if source == ".env" else ""
    config = "port: 1" if source == "config.yaml" else ""
    with pytest.warns(SettingsWarning, match="MEMORY_SERVICE_PORT has no effect"):
        assert load({"MEMORY_SERVICE_PORT": "2", **new}, dotenv=dotenv, config=config).port == 1


def test_an_older_name_that_says_the_same_needs_no_warning() -> None:
    older = {"MEMORY_SERVICE_PORT": "1", "EMBED_SSL_VERIFY": "True"}
    assert load(older, config="port: 1\nembedding_tls_verify: true").port == 1


def test_an_older_name_in_the_environment_wins_over_one_in_the_env_file() -> None:
    assert load({"MEMORY_SERVICE_PORT": "2"}, dotenv="MEMORY_SERVICE_PORT=1\n").port == 2


@pytest.mark.parametrize(
    "name",
    [
        "QDRANT_HOST",
        "DATABASE_URL",
        "LINDORM_TABLE_HOST",
        "RESTFUL_SSL_VERIFY",
        "MEMORY_SERVICE_CACHE_TTL",
        "MEMORY_SERVICE_BATCH_SIZE",
        "MEMOBASE_LINDORM_SEARCH_TABLE",
        "MEMOBASE_LANGUAGE",
    ],
)
def test_a_name_without_a_meaning_warns_and_never_shows_its_value(name: str) -> None:
    with pytest.warns(SettingsWarning, match=name) as caught:
        assert load({name: "geheim"}) == Settings()
    assert len(caught) == 1
    assert "geheim" not in str(caught[0].message)


@pytest.mark.parametrize("prefix", ["LINDORM_SEARCH_", "MEMOBASE_LINDORM_SEARCH_"])
def test_an_older_name_of_an_opensearch_means_that_one(prefix: str) -> None:
    older = {"HOST": "search.example", "PORT": "30070", "USERNAME": "me", "PASSWORD": "geheim"}
    found = load({prefix + name: value for name, value in older.items()})
    assert (found.search_index, found.opensearch_url) == ("opensearch", "http://search.example:30070")
    assert (found.opensearch_username, key_of(found, "opensearch_password")) == ("me", "geheim")
    assert load({f"{prefix}HOST": "https://search.example"}).opensearch_url == "https://search.example"
    assert load({f"{prefix}HOST": "a"}).opensearch_url == "http://a:9200"
    with pytest.warns(SettingsWarning, match=f"{prefix}HOST has no effect"):
        assert load({f"{prefix}HOST": "a", "MEMGRID_SEARCH_INDEX": "fts5"}).search_index == "fts5"


def test_many_names_without_a_meaning_are_one_warning() -> None:
    with pytest.warns(SettingsWarning) as caught:
        load({"QDRANT_HOST": "a", "QDRANT_PORT": "1", "DATABASE_URL": "b"})
    assert len(caught) == 1


# keys


def key_of(settings: Settings, field: str) -> str | None:
    secret = getattr(settings, field)
    return None if secret is None else secret.get_secret_value()


def test_the_services_key_is_the_llms_and_leaves_the_embedding_model_alone() -> None:
    settings = load({"MEMORY_SERVICE_OPENAI_API_KEY": "sk"})
    assert key_of(settings, "llm_api_key") == "sk"
    assert key_of(settings, "embedding_api_key") is None
    assert settings.embedding_model == Settings().embedding_model
    assert settings.embedding_base_url is None


def test_the_services_key_is_the_embeddings_where_these_come_from_openai() -> None:
    key = {"MEMORY_SERVICE_OPENAI_API_KEY": "sk"}
    older = load(key | {"MEMORY_SERVICE_EMBEDDING_MODEL": "text-embedding-3-small"})
    assert older.embedding_base_url == OPENAI_URL
    assert key_of(older, "embedding_api_key") == "sk"
    assert key_of(load(key, config=f"embedding_base_url: {OPENAI_URL}"), "embedding_api_key") == "sk"


@pytest.mark.parametrize("endpoint", ["http://localhost:11434/v1", "https://api.openai.com.evil.example/v1"])
def test_an_openai_key_is_not_sent_to_another_endpoint_for_embeddings(endpoint: str) -> None:
    both = {"MEMORY_SERVICE_OPENAI_API_KEY": "sk", "OPENAI_API_KEY": "sk"}
    settings = load(both | {"MEMGRID_EMBEDDING_BASE_URL": endpoint})
    assert key_of(settings, "embedding_api_key") is None


def test_a_bare_openai_key_turns_nothing_on() -> None:
    settings = load({"OPENAI_API_KEY": "sk"})
    assert not settings.uses_llm
    assert settings == Settings()


@pytest.mark.parametrize("asked", [{"MEMGRID_LLM_MODEL": "gpt-4o"}, {"MEMGRID_LLM_BASE_URL": OPENAI_URL}])
def test_a_bare_openai_key_is_used_where_openai_is_asked_for(asked: dict[str, str]) -> None:
    assert key_of(load({"OPENAI_API_KEY": "sk", **asked}), "llm_api_key") == "sk"


def test_a_bare_openai_key_is_not_sent_to_another_endpoint() -> None:
    settings = load({"OPENAI_API_KEY": "sk", "MEMGRID_LLM_BASE_URL": "http://localhost:8000/v1"})
    assert key_of(settings, "llm_api_key") is None


def test_a_key_of_its_own_wins_without_a_word() -> None:
    keys = {"MEMGRID_LLM_API_KEY": "own", "MEMORY_SERVICE_OPENAI_API_KEY": "sk", "OPENAI_API_KEY": "sk2"}
    assert key_of(load(keys), "llm_api_key") == "own"


def test_an_embedding_model_of_todays_name_decides_alone() -> None:
    older = {
        "MEMORY_SERVICE_EMBEDDING_MODEL": "text-embedding-3-small",
        "MEMGRID_EMBEDDING_MODEL": "multilingual-e5-small",
    }
    with pytest.warns(SettingsWarning, match="MEMORY_SERVICE_EMBEDDING_MODEL"):
        assert load(older).embedding_base_url is None


# shown


def test_describing_masks_secrets_and_says_where_each_comes_from() -> None:
    settings = load(
        {"MEMGRID_LLM_API_KEY": "sk-geheim", "MEMGRID_LLM_BASE_URL": "https://user:geheim@llm/v1"},
        config="port: 9000",
    )
    rows = {row.name: row for row in describe(settings)}
    assert list(rows) == list(Settings.model_fields)
    assert rows["port"].value == "9000"
    assert rows["port"].source == "config.yaml port"
    assert rows["shards"] == ("shards", "256", "default", rows["shards"].description)
    assert rows["embedding_api_key"].value == "not set"
    assert rows["llm_base_url"].value == "https://********@llm/v1"
    assert "geheim" not in str(rows)
    assert "geheim" not in repr(settings.llm_api_key)


def test_every_setting_has_a_description_and_a_section() -> None:
    assert all(row.description for row in describe(Settings()))
    assert set(SECTIONS) <= set(Settings.model_fields)
    assert next(iter(SECTIONS)) == next(iter(Settings.model_fields))


def test_the_example_files_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert configuration.main(["--check"]) == 0, capsys.readouterr().err
    assert (ROOT / "example.env").read_text(encoding="utf-8") == example_env()
    assert (ROOT / "config.yaml.example").read_text(encoding="utf-8") == example_yaml()


def test_the_example_files_load_as_they_are() -> None:
    assert load(dotenv=example_env(), config=example_yaml()) == Settings()


def uncommented(text: str) -> str:
    """With every setting in effect: those are the lines that begin with # and no blank."""
    lines = (line.removeprefix("#") for line in text.splitlines() if line[:2].strip() != "#")
    return "\n".join(lines) + "\n"


def test_the_example_files_name_every_setting_with_its_default() -> None:
    given = yaml.safe_load(uncommented(example_yaml()))
    assert set(given) == set(Settings.model_fields)
    assert load(config=uncommented(example_yaml())).model_dump() == Settings().model_dump()
    Path("config.yaml").unlink()
    env = uncommented(example_env())
    assert all(f"{variable_of(name)}=" in env for name in Settings.model_fields)
    assert load(dotenv=env).model_dump() == Settings().model_dump()


def test_no_warning_where_there_is_nothing_to_say() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load({"MEMGRID_PORT": "1"}, dotenv="MEMGRID_HOST=::1\n", config="shards: 2")
