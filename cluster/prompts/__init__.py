"""Prompts and answer schemas, each a file with its version in its name: a run records which it used.

A project can have its own: files of the same names in a folder of the operator's, for everyone or, in a
folder named after it, for one tenant.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from cluster.logs import get_log
from memgrid.errors import InvalidInput

MAX_PROMPT_BYTES = 65_536
_log = get_log()
_TENANT_FOLDER = re.compile(r"(?!\.)[^/\\\0]{1,256}")


@cache
def prompt(name: str) -> str:
    """The prompt `name` (for example `extract.v2.zh`) as it comes with memgrid."""
    return files(__name__).joinpath(f"{name}.txt").read_text(encoding="utf-8")


@cache
def schema(name: str) -> dict[str, Any]:
    """The JSON schema `name` (for example `extract.v2`)."""
    return msgspec.json.decode(
        files(__name__).joinpath(f"{name}.schema.json").read_bytes(), type=dict[str, Any]
    )


@cache
def names() -> frozenset[str]:
    """The prompts there are."""
    found = (entry.name for entry in files(__name__).iterdir())
    return frozenset(name.removesuffix(".txt") for name in found if name.endswith(".txt"))


def _newest(name: str) -> str:
    """The version of a prompt that is asked with now."""
    kind, _, language = name.split(".")
    return max(
        (each for each in names() if each.startswith(f"{kind}.") and each.endswith(f".{language}")),
        key=lambda each: int(each.split(".")[1].removeprefix("v")),
    )


class Prompt(NamedTuple):
    text: str
    version: str
    """The name, and of an edited one a hash of its text."""


class Prompts:
    """The prompts in use: those that come with memgrid, and what `folder` has in their place.

    `folder/<name>.txt` is for everyone, `folder/<tenant>/<name>.txt` for one tenant. Read once, here:
    raises InvalidInput for a file that is no prompt's, too large or not UTF-8.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._edited: dict[tuple[str | None, str], Prompt] = {}
        if folder is None:
            return
        if not folder.is_dir():
            raise InvalidInput(f"{folder} is not a folder", field="prompts_dir")
        for path in sorted(folder.iterdir()):
            if path.is_dir() and _TENANT_FOLDER.fullmatch(path.name):
                for own in sorted(path.glob("*.txt")):
                    self._read(path.name, own)
            elif path.suffix == ".txt":
                self._read(None, path)

    def get(self, name: str, tenant: str) -> Prompt:
        """The tenant's own, else the operator's, else memgrid's."""
        for whose in (tenant, None):
            if (edited := self._edited.get((whose, name))) is not None:
                return edited
        return Prompt(prompt(name), name)

    def _read(self, tenant: str | None, path: Path) -> None:
        name = path.stem
        if name not in names():
            raise InvalidInput(
                f"{path} is no prompt's name", field="prompts_dir", remedy=f"there are {sorted(names())}"
            )
        try:
            raw = path.read_bytes()
            text = raw.decode()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"{path} cannot be read as UTF-8: {error}", field="prompts_dir") from error
        if not text.strip() or len(raw) > MAX_PROMPT_BYTES:
            raise InvalidInput(
                f"{path} is empty, or larger than {MAX_PROMPT_BYTES} bytes", field="prompts_dir"
            )
        if name != _newest(name):
            _log.warning(
                "an edited prompt of a version before is not used", path=str(path), now=_newest(name)
            )
        digest = hashlib.blake2b(raw, digest_size=4).hexdigest()
        self._edited[tenant, name] = Prompt(text, f"{name}+{digest}")
