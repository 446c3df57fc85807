"""Prompts and answer schemas, each a file with its version in its name: a run records which it used."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import msgspec


@cache
def prompt(name: str) -> str:
    """The prompt `name` (for example `extract.v1.zh`)."""
    return files(__name__).joinpath(f"{name}.txt").read_text(encoding="utf-8")


@cache
def schema(name: str) -> dict[str, Any]:
    """The JSON schema `name` (for example `extract.v1`)."""
    return msgspec.json.decode(
        files(__name__).joinpath(f"{name}.schema.json").read_bytes(), type=dict[str, Any]
    )
