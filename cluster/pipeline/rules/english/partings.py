"""Couples that part: rules for English."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cluster.pipeline.rules.english.values import PARTNER, Context
from cluster.pipeline.rules.lexicon import EN_RELATIONS
from cluster.pipeline.rules.registry import Rules
from cluster.pipeline.rules.slots import Claim

RULES: Rules[Context] = Rules(re.IGNORECASE)

_MY_PARTNER = rf"my (?:\w+ )??(?P<x>{PARTNER})"
_ENDED = (
    r"(?: have| are| got|'ve|'re)?(?: now| just| recently| finally| officially| also| sadly)* "
    r"(?P<did>broke up|broken up|split up|parted ways|called it quits|no longer together|"
    r"not together any ?more|separated|divorced)\b(?P<rest>.*)$"
)
_FROM_WHOM = re.compile(
    rf"\s+(?:with|from) (?:my (?:\w+ )??(?P<x>{PARTNER})\b,? ?)?(?P<v>(?-i:[A-Z][\w'-]+))?"
    r"(?P<they>h[ie][mr]\b)?",
    re.I,
)
_NOT_FOR_GOOD = re.compile(
    r"\bback together\b|\bgot back\b|\bmade up\b|^ (?:once|twice|several|many|for (?:an?|one|two|three) )",
    re.I,
)


@RULES.rule(
    rf"{_MY_PARTNER},? (?P<v>(?-i:[A-Z][\w'-]+)),? and (?:i|me){_ENDED}",
    rf"{_MY_PARTNER}(?P<v>) and (?:i|me){_ENDED}",
    rf"(?P<x>)(?P<v>(?-i:[A-Z][\w'-]+)) and (?:i|me){_ENDED}",
    rf"(?:i|we)(?P<x>)(?P<v>){_ENDED}",
    (
        rf"{_MY_PARTNER}(?P<v> (?-i:[A-Z][\w'-]+))? (?:(?:just|recently|finally) )*"
        r"(?P<did>broke up with|left|dumped) me\b(?P<rest>)"
    ),
)
def _parted(match: re.Match[str], context: Context) -> Iterator[Claim]:
    relation, name, rest = match["x"] or "", (match["v"] or "").strip(), match["rest"]
    if context.future or _NOT_FOR_GOOD.search(rest):
        return
    if not relation and not name:
        whom = _FROM_WHOM.match(rest)
        relation, name = (whom["x"] or "", whom["v"] or "") if whom else ("", "")
        unnamed = not relation and not name and not (whom and whom["they"])
        if unnamed and (whom or match[0][:2].lower() != "we" or re.match(r" (?:in|into|the|to|by)\b", rest)):
            return  # "We split up into groups", "I broke up the party"
    did = match["did"].lower()
    if did in {"separated", "divorced"}:
        yield Claim("marital", did)
        return
    partner = f"their {EN_RELATIONS[relation.lower()]} {name}" if relation else name or "their partner"
    yield Claim("event", f"broke up with {partner}".strip(), dated=True, confidence=0.85)
