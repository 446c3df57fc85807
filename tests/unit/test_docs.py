"""What the documents name is there: files, tests, modules, commands and routes."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in (ROOT, ROOT / "docs", ROOT / "docs/decisions", ROOT / "k8s")
    for path in folder.glob("*.md")
)
READMES = ("README.md", "README.zh-CN.md")


def text_of(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def code_of(document: str) -> str:
    """The shell commands of a document."""
    return "\n".join(re.findall(r"^```bash\n(.*?)^```", text_of(document), re.M | re.S))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", text_of(document))
    assert [link for link in links if not (ROOT / document).parent.joinpath(link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_files_and_tests_that_are_named_are_there(document: str) -> None:
    text = text_of(document)
    paths = set(re.findall(r"`((?:tests|cluster|actors|memgrid|benchmarks|docs|k8s)/[\w./-]*)", text))
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    tests = set(re.findall(r"::(test_\w+)", text))
    assert [test for test in sorted(tests) if f"def {test}(" not in sources] == []


def test_the_code_map_has_every_module() -> None:
    text = text_of("ARCHITECTURE.md")
    for layer in ("actors", "cluster", "memgrid"):
        section = text.partition(f"| **{layer}/** | |")[2].partition("| **")[0]
        for path in (ROOT / layer).iterdir():
            name = path.name if path.suffix == ".py" else f"{path.name}/"
            if path.name.startswith("_") or path.suffix not in {".py", ""} or path.name == "py.typed":
                continue
            assert f"`{name}`" in section, f"{layer}/{name}"


@pytest.mark.parametrize("document", READMES)
def test_commands_are_there(document: str) -> None:
    code = code_of(document)
    targets = set(re.findall(r"^make ([\w-]+)", code, re.M))
    makefile = text_of("Makefile")
    assert targets >= {"run", "test", "check", "bench"}
    assert [target for target in targets if f"\n{target}:" not in makefile] == []
    modules = re.findall(r"python -m ([\w.]+)", code)
    assert [module for module in modules if importlib.util.find_spec(module) is None] == []


def test_both_readmes_say_the_same() -> None:
    """Headings, examples and tables in one language have their twins in the other."""
    english, chinese = map(text_of, READMES)
    for what in (r"^#+ ", r"^```\w+", r"^\| .*`", r"^- "):
        assert len(re.findall(what, english, re.M)) == len(re.findall(what, chinese, re.M)), what
    routes = r"`(?:GET|POST|PUT|PATCH|DELETE)[^`]*`"
    assert re.findall(routes, english) == re.findall(routes, chinese)
