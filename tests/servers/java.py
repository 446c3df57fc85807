"""Which Java to run a server on."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.servers.places import ServersUnavailable

FOLDERS = (Path("/usr/lib/jvm"), Path("/opt"), Path("/Library/Java/JavaVirtualMachines"))
_VARIABLE = re.compile(r"JAVA_?\d*_?HOME")


class Jdk(NamedTuple):
    """An installed Java."""

    home: Path
    version: int
    """The feature version: 17, 21."""
    release: str
    """The exact version."""

    def tool(self, name: str) -> str:
        """The path of `java`, `keytool`, ..."""
        return str(self.home / "bin" / name)


def choose(accepted: Sequence[int], found: Iterable[Jdk], *, wanted_by: str) -> Jdk:
    """The first of the best: `accepted` is in order of preference. Raises ServersUnavailable."""
    jdks = [jdk for jdk in found if jdk.version in accepted]
    if not jdks:
        first, *others = accepted
        also = "later" if len(others) > 1 else " or ".join(map(str, others))
        raise ServersUnavailable(
            f"{wanted_by} needs Java {first} or {also}, and there is none: install it"
            f" (Debian: apt install openjdk-{first}-jdk-headless), or name one with JAVA{first}_HOME."
        )
    return min(jdks, key=lambda jdk: accepted.index(jdk.version))


def installed(
    environment: Mapping[str, str] = os.environ, folders: Sequence[Path] = FOLDERS
) -> Iterator[Jdk]:
    """Every Java of this machine: those that the environment names first."""
    seen: set[Path] = set()
    for home in _homes(environment, folders):
        resolved = home.resolve()
        if resolved not in seen:
            seen.add(resolved)
            if (jdk := jdk_in(resolved)) is not None:
                yield jdk


def jdk_in(home: Path) -> Jdk | None:
    """The Java in `home`; None when there is none."""
    if not (home / "bin/java").is_file():
        return None
    try:
        release = (home / "release").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    version = re.search(r'^JAVA_VERSION="(?:1\.)?(\d+)', release, re.M)
    exact = re.search(r'^JAVA_RUNTIME_VERSION="([\w.+-]+)"', release, re.M)
    return Jdk(home, int(version[1]), exact[1] if exact else version[1]) if version else None


def _homes(environment: Mapping[str, str], folders: Sequence[Path]) -> Iterator[Path]:
    named = sorted(name for name in environment if _VARIABLE.fullmatch(name) and environment[name])
    for name in named:
        yield Path(environment[name])
    if java := shutil.which("java", path=environment.get("PATH", "")):
        yield Path(java).resolve().parent.parent
    for folder in folders:
        if folder.is_dir():
            for home in sorted(folder.iterdir()):
                yield home
                yield home / "Contents/Home"
