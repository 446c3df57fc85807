"""Who is an employer and no place: "I've moved to Siemens" is no change of home."""

from __future__ import annotations

import re

from cluster.pipeline.rules.lexicon import EN_EMPLOYERS

_NAMED = (
    r"(?:\b(?:work(?:s|ed|ing)?|job|position|role|internship|interview(?:ed|ing)?|contract|career|"
    r"colleagues?|"
    r"(?:job )?offer|hired|employed|recruited|headhunted|laid off|fired) (?:\w+ ){0,2}?(?:at|for|with|"
    r"from|by) "
    r"|\b(?:join(?:ed|ing)?|left|leaving|quit|resigned from|applied (?:to|at)) )%s\b"
    r"|\b%s (?:has |have |just )*(?:hired|headhunted|poached|offered|recruited|pays|paid)\b"
)
_AS_WORKER = r"\b%s (?:as (?:an?|the|their) (?!student\b|child\b|kid\b|family\b|couple\b|refugee\b)|team\b)"


def is_employer(name: str, said: str, moved: str) -> bool:
    """Whether `name` is where somebody works, and no place where they live: a company everybody knows, one
    that what was `said` names as an employer, or where they `moved` "as an engineer"."""
    if name.casefold() in EN_EMPLOYERS:
        return True
    escaped = re.escape(name)
    return bool(
        re.search(_NAMED % (escaped, escaped), said, re.I) or re.search(_AS_WORKER % escaped, moved, re.I)
    )
