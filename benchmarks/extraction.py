"""What extraction makes of labelled dialogues: `make bench-extraction`.

Each dialogue (`benchmarks/labelled/{zh,en}.yaml`) goes through extraction and merge, session by session, and
the memories that are current at its end are compared with its labels. Three extractors, one table: the
rules; a small real model, where its packages are installed (it shows the wiring, not what a good model
does); any OpenAI-compatible endpoint that is named.

The figures, for each language and in total:

precision   current memories that say a labelled fact which no other says, of all current memories but those
            that say optional facts only
recall      labelled facts that a current memory says, optional ones left out
F1          the harmonic mean of the two
duplicates  current memories that say nothing which another does not say
junk        the share of all current memories that say no labelled fact: invented, misread, somebody else's,
            or no longer so
traps       junk that a label warned of (somebody else's allergy, a joke, a corrected value)
dropped     claims that the pipeline did not believe, because no message bears them out
failed      sessions whose extraction failed for good (they would be parked) and gave nothing
calls       model calls per 1,000 tokens of dialogue, as memgrid counts tokens
tokens      model tokens, in and out, as the model counts them, per 1,000 tokens of dialogue
seconds     for all the dialogues of the row, one after the other

Which memory "says" which fact is defined in `benchmarks/labelled/matching.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.extraction_model import MODEL, SmallModel, missing_packages
from benchmarks.extraction_pipeline import Figures, Outcome, extract_and_merge, figures_of
from benchmarks.labelled import Dialogue, load
from benchmarks.labelled.dialogues import LANGUAGES
from cluster.composition import build_extractor
from cluster.logs import configure_logs
from cluster.pipeline.port import Extractor
from cluster.settings import Settings

SMALL_TIMEOUT_SECONDS = 600.0
"""A call of the small model on a busy machine; an answer is cut off at SMALL_MAX_TOKENS."""
SMALL_MAX_TOKENS = 400

_COLUMNS: dict[str, Callable[[Figures], str]] = {
    "dialogues": lambda figures: str(figures.dialogues),
    "precision": lambda figures: "–" if figures.precision is None else f"{figures.precision:.3f}",
    "recall": lambda figures: f"{figures.recall:.3f}",
    "F1": lambda figures: f"{figures.f1:.3f}",
    "duplicates": lambda figures: str(figures.duplicates),
    "junk": lambda figures: f"{figures.junk:.3f}",
    "traps": lambda figures: str(figures.traps),
    "dropped": lambda figures: str(figures.dropped),
    "failed": lambda figures: str(figures.failed),
    "calls": lambda figures: f"{figures.calls:.1f}",
    "tokens": lambda figures: f"{figures.tokens:,.0f}",
    "seconds": lambda figures: f"{figures.seconds:.1f}",
}


def chosen(names: Sequence[str], limit: int | None) -> list[Dialogue]:
    """The first `limit` dialogues of each language among those named, by id or by language. Raises
    SystemExit for a name that is neither."""
    everything = [dialogue for language in LANGUAGES for dialogue in load(language)]
    unknown = set(names).difference(LANGUAGES, (dialogue.id for dialogue in everything))
    if unknown:
        raise SystemExit(f"no such dialogue: {', '.join(sorted(unknown))}")
    named = [one for one in everything if not names or one.id in names or one.language in names]
    return [
        dialogue
        for language in LANGUAGES
        for dialogue in [one for one in named if one.language == language][:limit]
    ]


async def run(
    extractor: Extractor, dialogues: Sequence[Dialogue], name: str, console: Console
) -> list[Outcome]:
    """All the dialogues, one after the other."""
    try:
        return [
            await extract_and_merge(extractor, dialogue)
            for dialogue in track(dialogues, description=name, console=console, transient=True)
        ]
    finally:
        await extractor.close()


def figures_by_language(outcomes: Sequence[Outcome]) -> dict[str, Figures]:
    """The figures of each language that has dialogues, and of all."""
    groups = {
        language: [one for one in outcomes if one.judgement.dialogue.language == language]
        for language in LANGUAGES
    }
    rows = {language: figures_of(group) for language, group in groups.items() if group}
    return {**rows, "total": figures_of(outcomes)}


def print_table(results: dict[str, list[Outcome]], console: Console) -> None:
    table = Table("extractor", "", *_COLUMNS, box=box.SIMPLE)
    for name, outcomes in results.items():
        for at, (group, figures) in enumerate(figures_by_language(outcomes).items()):
            row = [cell(figures) for cell in _COLUMNS.values()]
            table.add_row("" if at else name, group, *row, end_section=group == "total")
    # Unfolded, though a terminal may be narrower: a figure that is cut is no figure.
    Console(width=max(console.width, 160)).print(table)


def print_details(name: str, outcomes: Sequence[Outcome], console: Console) -> None:
    """Every memory that is not right, every fact that was missed, every failure."""
    for outcome in outcomes:
        judgement = outcome.judgement
        lines = [
            f"  again   {one.memory.text}" if one.again else f"  junk    {one.memory.text}"
            for one in judgement.judged
            if one.again or one.junk
        ]
        lines += [f"  missed  {fact.slot} {fact.value}" for fact in judgement.missed]
        lines += [f"  failed  {error}" for error in outcome.cost.errors]
        if lines:
            console.print(f"{name}: {judgement.dialogue.id}", *lines, sep="\n", markup=False, highlight=False)


def extractors(
    arguments: argparse.Namespace, stack: ExitStack, console: Console
) -> dict[str, tuple[Extractor, int | None]]:
    """The extractors to run, each with how many dialogues of a language it gets."""
    built: dict[str, tuple[Extractor, int | None]] = {
        "rules": (build_extractor(Settings.model_validate({})), arguments.limit),
    }
    if arguments.llm_base_url is not None:
        key = os.environ.get(arguments.llm_api_key_env)
        settings = Settings.model_validate(
            {"llm_base_url": arguments.llm_base_url, "llm_model": arguments.llm_model, "llm_api_key": key}
        )
        built[arguments.llm_model] = build_extractor(settings), arguments.limit
    small = arguments.small_limit if arguments.limit is None else min(arguments.small_limit, arguments.limit)
    if small and (missing := missing_packages()):
        console.print(f"without the small model: {', '.join(missing)} not installed", style="yellow")
    elif small:
        with console.status("starting the small model"):
            model = stack.enter_context(SmallModel())
        built[MODEL] = build_extractor(small_model_settings(model)), small
    return built


def small_model_settings(model: SmallModel) -> Settings:
    """The settings that make the pipeline use this model."""
    return Settings.model_validate(
        {
            "llm_base_url": model.base_url,
            "llm_model": MODEL,
            "llm_timeout_seconds": SMALL_TIMEOUT_SECONDS,
            "llm_max_tokens": SMALL_MAX_TOKENS,
            "llm_max_retries": 0,
        }
    )


async def measure(arguments: argparse.Namespace, console: Console) -> None:
    results: dict[str, list[Outcome]] = {}
    with ExitStack() as stack:
        for name, (extractor, limit) in extractors(arguments, stack, console).items():
            results[name] = await run(extractor, chosen(arguments.dialogues, limit), name, console)
    if arguments.details:
        for name, outcomes in results.items():
            print_details(name, outcomes, console)
    if arguments.json:
        rows = {
            name: {group: dataclasses.asdict(row) for group, row in figures_by_language(outcomes).items()}
            for name, outcomes in results.items()
        }
        print(json.dumps(rows, indent=2))
    else:
        print_table(results, console)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--llm-base-url", help="an OpenAI-compatible endpoint, which the dialogues go to")
    parser.add_argument("--llm-model", default="gpt-4o-mini", help="its model (default %(default)s)")
    parser.add_argument(
        "--llm-api-key-env",
        default="MEMGRID_LLM_API_KEY",
        metavar="NAME",
        help="the environment variable with its key (default %(default)s)",
    )
    parser.add_argument("--dialogues", nargs="+", default=[], metavar="ID", help="only these; zh, en or ids")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N of each language")
    parser.add_argument(
        "--small-limit",
        type=int,
        default=8,
        metavar="N",
        help="dialogues of each language for the small model, which is slow; 0 leaves it out (default 8)",
    )
    parser.add_argument("--details", action="store_true", help="list what was wrong, missed or failed")
    parser.add_argument("--json", action="store_true", help="the figures as JSON instead of the table")
    arguments = parser.parse_args()
    configure_logs(Settings.model_validate({"log_level": "error"}))
    asyncio.run(measure(arguments, Console(stderr=True)))


if __name__ == "__main__":
    main()
