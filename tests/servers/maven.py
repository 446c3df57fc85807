"""Jars by Maven: which repository they come from is Maven's own configuration."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.servers.places import ServersUnavailable

COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
TIMEOUT_SECONDS = 900
_PROJECT = '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
_ALL = "<groupId>*</groupId><artifactId>*</artifactId>"


class Artifact(NamedTuple):
    """A published file at its version. `alone`: without what it depends on."""

    group: str
    name: str
    version: str
    type: str = "jar"
    alone: bool = False

    def dependency(self) -> str:
        """As a pom says it."""
        excluded = f"<exclusions><exclusion>{_ALL}</exclusion></exclusions>" if self.alone else ""
        return (
            f"<dependency><groupId>{self.group}</groupId><artifactId>{self.name}</artifactId>"
            f"<version>{self.version}</version><type>{self.type}</type>{excluded}</dependency>"
        )


def fetch(sets: Mapping[str, Sequence[Artifact]], folder: Path) -> None:
    """Each set with all it depends on into `folder/<name of the set>`: versions are chosen set by set.

    Raises ServersUnavailable when there is no Maven, or it cannot get them.
    """
    maven = shutil.which("mvn")
    if maven is None:
        raise ServersUnavailable("the servers' jars come by Maven, and there is no mvn (apt install maven)")
    poms = folder / "poms"
    for name, artifacts in sets.items():
        (poms / name).mkdir(parents=True)
        (poms / name / "pom.xml").write_text(
            f"{_PROJECT}<parent><groupId>servers</groupId><artifactId>all</artifactId><version>1</version></parent>"
            f"<artifactId>{name}</artifactId>"
            f"<dependencies>{''.join(each.dependency() for each in artifacts)}</dependencies></project>",
            encoding="utf-8",
        )
    modules = "".join(f"<module>{name}</module>" for name in sets)
    (poms / "pom.xml").write_text(
        f"{_PROJECT}<groupId>servers</groupId><artifactId>all</artifactId><version>1</version>"
        f"<packaging>pom</packaging><modules>{modules}</modules></project>",
        encoding="utf-8",
    )
    target = f"-DoutputDirectory={folder.absolute()}/${{project.artifactId}}"
    done = subprocess.run(
        [maven, "-B", "-q", "-C", COPY, "-DincludeScope=runtime", target],
        cwd=poms,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    shutil.rmtree(poms)
    if done.returncode:
        raise ServersUnavailable(
            f"Maven could not fetch the servers' jars:\n{(done.stdout + done.stderr)[-3000:]}"
        )
