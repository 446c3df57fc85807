"""The settings as people see them: what is in effect and why, and the two example files.

`python -m cluster.configuration --write` generates `example.env` and `config.yaml.example` from the class;
`--check` says whether they are up to date.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import SecretStr

from cluster.settings import Settings, variable_of

SECTIONS: dict[str, str] = {
    "host": "Where",
    "shards": "Shape",
    "wide_store": "Stores",
    "buffer_full_tokens": "Buffer and extraction",
    "max_memories_per_subject": "Memory",
    "hot_bytes": "Caches",
    "embedding_model": "Embedding",
    "llm_base_url": "LLM",
    "max_body_bytes": "HTTP and logs",
}
"""The first field of each section → its title."""

_MASK = "********"
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")


class SettingRow(NamedTuple):
    """One setting as it is in effect."""

    name: str
    value: str
    """In words; secrets are masked, and `not set` stands for None."""
    source: str
    description: str


def describe(settings: Settings) -> list[SettingRow]:
    """Every setting with its value and where that comes from, in the order of the class."""
    return [
        SettingRow(name, _shown(getattr(settings, name)), settings.origin(name), info.description or "")
        for name, info in Settings.model_fields.items()
    ]


def example_env() -> str:
    """The text of `example.env`: every variable with its default, commented out."""
    head = (
        "Every setting of memgrid with its default. Copy this file to .env and uncomment what you change.\n"
        "Stronger than config.yaml; the process's own environment is stronger still."
    )
    return _example(head, lambda name, value: f"{variable_of(name)}={_plain(value)}")


def example_yaml() -> str:
    """The text of `config.yaml.example`: every setting with its default, commented out."""
    head = (
        "Every setting of memgrid with its default. Copy this file to config.yaml and uncomment what you\n"
        "change. The .env file and the environment are stronger."
    )
    return _example(head, lambda name, value: yaml.safe_dump({name: _simple(value)}).rstrip())


def _example(head: str, line: Callable[[str, Any], str]) -> str:
    return "\n".join(_example_lines(head, line)) + "\n"


def _example_lines(head: str, line: Callable[[str, Any], str]) -> Iterator[str]:
    """Comments begin with `# `, settings that are commented out with `#`."""
    yield from (f"# {each}" for each in head.splitlines())
    for name, info in Settings.model_fields.items():
        if name in SECTIONS:
            yield ""
            yield f"# --- {SECTIONS[name]} ---"
        yield ""
        yield from textwrap.wrap(
            info.description or "", 100, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
        )
        yield f"#{line(name, info.default)}"


def _simple(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _plain(value: Any) -> str:
    """As in an environment variable; None is the empty text, which counts as not set."""
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _shown(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, SecretStr):
        return _MASK
    return _CREDENTIALS.sub(f"{_MASK}@", _plain(value))


def main(arguments: list[str] | None = None) -> int:
    """Write or check the example files of the repository."""
    parser = argparse.ArgumentParser(description=__doc__)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", action="store_true", help="write the example files")
    action.add_argument("--check", action="store_true", help="fail when they are not up to date")
    options = parser.parse_args(arguments)
    root = Path(__file__).parents[1]
    stale: list[str] = []
    for name, text in (("example.env", example_env()), ("config.yaml.example", example_yaml())):
        path = root / name
        if options.write:
            path.write_text(text, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
    if stale:
        sys.stderr.write(f"out of date: {', '.join(stale)}; run python -m cluster.configuration --write\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
