"""OpenSearch as it is when unpacked: the server, its modules and two plugins, put together from jars.

The distribution itself is not published as a Maven artifact.
"""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

from tests.servers.maven import Artifact, fetch
from tests.servers.places import built_once, root

VERSION = "3.5.0"
KNN = "3.5.0.0"
LUCENE = "10.3.2"
"""What this version of the server has in it: the Chinese analyzer's dictionary must be of the same."""
_PLUGIN = "org.opensearch.plugin"

SERVER = [
    Artifact("org.opensearch", "opensearch", VERSION),
    Artifact("org.opensearch", "opensearch-plugin-classloader", VERSION),
    Artifact("org.apache.logging.log4j", "log4j-core", "2.25.3"),
    Artifact("org.locationtech.jts", "jts-core", "1.15.0"),
    Artifact("org.locationtech.spatial4j", "spatial4j", "0.7"),
]
AGENT = Artifact("org.opensearch", "opensearch-agent-bootstrap", "3.8.0", alone=True)
MODULES = {
    "transport-netty4": "org.opensearch.transport.Netty4ModulePlugin",
    "lang-painless": "org.opensearch.painless.PainlessModulePlugin",
    "analysis-common": "org.opensearch.analysis.common.CommonAnalysisModulePlugin",
    "reindex": "org.opensearch.index.reindex.ReindexModulePlugin",
    "mapper-extras": "org.opensearch.index.mapper.MapperExtrasModulePlugin",
    "parent-join": "org.opensearch.join.ParentJoinModulePlugin",
    "lang-mustache": "org.opensearch.script.mustache.MustacheModulePlugin",
    "lang-expression": "org.opensearch.script.expression.ExpressionModulePlugin",
    "ingest-common": "org.opensearch.ingest.common.IngestCommonModulePlugin",
    "rank-eval": "org.opensearch.index.rankeval.RankEvalModulePlugin",
    "aggs-matrix-stats": "org.opensearch.search.aggregations.matrix.MatrixAggregationModulePlugin",
    "percolator": "org.opensearch.percolator.PercolatorModulePlugin",
    "geo": "org.opensearch.geo.GeoModulePlugin",
}
_PUBLISHED_AS_CLIENT = {
    "transport-netty4", "reindex", "mapper-extras", "parent-join", "lang-mustache", "rank-eval",
    "aggs-matrix-stats", "percolator",
}  # fmt: skip
_EXTENDS = {"analysis-common": "lang-painless", "ingest-common": "lang-painless"}
KNN_PLUGIN = [
    Artifact(_PLUGIN, "opensearch-knn", KNN, "zip", alone=True),
    # They come with the module transport-grpc in the distribution; that module is not published.
    Artifact("com.google.guava", "guava", "33.4.8-jre", alone=True),
    Artifact("com.google.guava", "failureaccess", "1.0.3", alone=True),
    Artifact(_PLUGIN, "transport-grpc-spi", "3.6.0", alone=True),
    Artifact("org.opensearch", "protobufs", "1.3.0", alone=True),
]
SMARTCN_PLUGIN = [
    Artifact(_PLUGIN, "analysis-smartcn", "3.8.0", alone=True),
    Artifact("org.apache.lucene", "lucene-analysis-smartcn", LUCENE, alone=True),
]
SECURITY = "3.4.0.0"
"""The last that is published; it runs in this server when it says so."""
SECURITY_PLUGIN = [
    Artifact(_PLUGIN, "opensearch-security", SECURITY, "zip", alone=True),
    Artifact("org.apache.commons", "commons-collections4", "4.4", alone=True),
]
_DESCRIPTOR = f"""description={{name}}
version={VERSION}
name={{name}}
classname={{classname}}
java.version=21
opensearch.version={VERSION}
custom.foldername=
extended.plugins={{extends}}
has.native.controller=false
"""


def home() -> Path:
    """The folder of the unpacked server, built when it is missing. Raises ServersUnavailable."""
    return built_once(root() / f"opensearch-{VERSION}", _build)


def secured_home() -> Path:
    """The same with the security plugin, which cannot be there and do nothing. Raises ServersUnavailable."""
    return built_once(root() / f"opensearch-{VERSION}-secured", _build_secured)


def _build_secured(folder: Path) -> None:
    shutil.copytree(home(), folder, copy_function=os.link, dirs_exist_ok=True)
    plugins = folder / "plugins"
    fetch({"opensearch-security": SECURITY_PLUGIN}, plugins)
    _unpack(
        plugins / "opensearch-security",
        f"opensearch-security-{SECURITY}.zip",
        {"opensearch.version": VERSION, "extended.plugins": ""},
    )


def _build(folder: Path) -> None:
    modules = {f"module-{name}": _module_artifacts(name) for name in MODULES}
    fetch({"lib": SERVER, "agent": [AGENT], "knn": KNN_PLUGIN, "smartcn": SMARTCN_PLUGIN, **modules}, folder)
    lib, plugins = folder / "lib", folder / "plugins"
    for jar in (folder / "agent").iterdir():
        jar.rename(lib / jar.name)
    (folder / "agent").rmdir()
    for name in ("bin", "modules", "plugins"):
        # It makes those that are missing, which it has no right to.
        (folder / name).mkdir()
    for name, classname in MODULES.items():
        module = (folder / f"module-{name}").rename(folder / "modules" / name)
        for jar in list(module.iterdir()):
            # A class that a module brings must not be the server's, too.
            if (lib / jar.name).exists() or re.search(r"native-quic.*(osx|windows|aarch)", jar.name):
                jar.unlink()
        _describe(module, name, classname, _EXTENDS.get(name, ""))
    _unpack(
        (folder / "knn").rename(plugins / "opensearch-knn"),
        f"opensearch-knn-{KNN}.zip",
        {"extended.plugins": "lang-painless,transport-grpc;optional=true"},
    )
    smartcn = (folder / "smartcn").rename(plugins / "analysis-smartcn")
    _describe(
        smartcn, "analysis-smartcn", "org.opensearch.plugin.analysis.smartcn.AnalysisSmartChinesePlugin", ""
    )


def _module_artifacts(name: str) -> list[Artifact]:
    published = f"{name}-client" if name in _PUBLISHED_AS_CLIENT else name
    artifacts = [Artifact(_PLUGIN, published, VERSION)]
    if name == "lang-painless":
        artifacts.append(Artifact(_PLUGIN, "opensearch-scripting-painless-spi", VERSION))
    return artifacts


def _describe(folder: Path, name: str, classname: str, extends: str) -> None:
    text = _DESCRIPTOR.format(name=name, classname=classname, extends=extends)
    (folder / "plugin-descriptor.properties").write_text(text, encoding="ascii")


def _unpack(folder: Path, package: str, properties: Mapping[str, str]) -> None:
    """A plugin published whole, and what its descriptor must say to be loaded here."""
    with zipfile.ZipFile(folder / package) as files:
        files.extractall(folder)
    (folder / package).unlink()
    descriptor = folder / "plugin-descriptor.properties"
    text = descriptor.read_text(encoding="utf-8")
    for name, value in properties.items():
        text = re.sub(rf"^{re.escape(name)}=.*", f"{name}={value}", text, flags=re.M)
    descriptor.write_text(text, encoding="utf-8")
