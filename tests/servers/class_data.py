"""Parsed classes, kept from one start for the next: a third less work for the processor at every start.

Class data sharing of the JDK (Java 13 and later). What a server wrote when it was stopped is put in place
by a rename: no server ever reads what another is still writing.
"""

from __future__ import annotations

from pathlib import Path

from tests.servers.java import Jdk
from tests.servers.places import root


class ClassData:
    """The class data of one server on one JDK. `server` is its name and version."""

    def __init__(self, jdk: Jdk, server: str) -> None:
        self._supported = jdk.version >= 13
        self._kept = root() / "class-data" / f"{server}-java-{jdk.release}.jsa"

    @property
    def wanted(self) -> bool:
        """Whether a server should be stopped with a SIGTERM, so that it writes them."""
        return self._supported and not self._kept.exists()

    def flags(self, folder: Path) -> list[str]:
        """What tells the server, which may write into `folder`, to use or to write them."""
        if self._kept.exists():
            return [f"-XX:SharedArchiveFile={self._kept}"]
        if not self._supported:
            return []
        # Without the hundreds of lines on what cannot be kept, which would be the end of every log.
        return [f"-XX:ArchiveClassesAtExit={_written(folder)}", "-Xlog:cds=off", "-Xlog:cds+dynamic=off"]

    def keep(self, folder: Path) -> None:
        """Keep what a server that has ended wrote into `folder`, if it did."""
        if self.wanted and _written(folder).exists():
            self._kept.parent.mkdir(exist_ok=True)
            _written(folder).replace(self._kept)


def _written(folder: Path) -> Path:
    return folder / "class-data.jsa"
