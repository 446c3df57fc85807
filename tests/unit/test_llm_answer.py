"""Reading what models write instead of JSON: whole claims are taken, and nothing is made up."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.llm.errors import MalformedCompletion
from cluster.pipeline.llm_answer import read_answer


def claim(text: str, **fields: Any) -> dict[str, Any]:
    return {"text": text, "kind": "fact", "evidence": [1], "quote": "q", **fields}


TWO = json.dumps({"memories": [claim("喜欢茶, 不喜欢}咖啡]"), claim('says "hi", [so]')]}, ensure_ascii=False)


def said(text: str) -> list[str]:
    return [each.text for each in read_answer(text).memories]


@pytest.mark.parametrize(
    "text",
    [
        TWO,
        f"```json\n{TWO}\n```",
        f'<think>maybe {{"memories": []}}?</think>{TWO}',
        f"Sure! {TWO} Anything else?",
        TWO.replace('"}, {', '",}, {').replace('"}]}', '",},],}'),
        TWO[:-2] + ",]}",
        TWO.replace("\n", ""),
    ],
    ids=["plain", "fence", "thinking", "chatter", "trailing commas", "comma before bracket", "one line"],
)
def test_what_is_around_and_between_does_not_matter(text: str) -> None:
    assert said(text) == ["喜欢茶, 不喜欢}咖啡]", 'says "hi", [so]']
    assert read_answer(text).whole


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(TWO)))
def test_cut_off_anywhere_it_gives_what_was_whole_and_says_so(at: int) -> None:
    whole = ["喜欢茶, 不喜欢}咖啡]", 'says "hi", [so]']
    try:
        answer = read_answer(TWO[:at])
    except MalformedCompletion:
        assert at < TWO.index('}, {"text"') + 1, "the first claim was whole"
        return
    texts = [each.text for each in answer.memories]
    assert texts == whole[: len(texts)]
    assert answer.whole == (at >= len(TWO) - 1)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.sampled_from('{}[]",:\\ memoristx1喜'), max_size=80))
def test_whatever_is_written_is_read_or_refused(noise: str) -> None:
    for text in (noise, '{"memories": [' + noise, '{"memories": [' + noise + "]}"):
        with contextlib.suppress(MalformedCompletion):
            assert read_answer(text).claims >= 0


def test_claims_of_another_form_are_told_beside_those_that_are_right() -> None:
    answer = read_answer(
        json.dumps({"memories": [claim("good"), {"text": "bad"}, claim("odd", kind="x"), 7]})
    )
    assert [each.text for each in answer.memories] == ["good"]
    assert [text for text, _ in answer.faults] == ["bad", "odd", ""]


def test_summary_and_variables_survive_a_cut() -> None:
    text = (
        '{"summary": "谈了\\"茶\\"", "variables": [{"name": "n", "value": "v", "evidence": [1]}], '
        '"memories": [{"te'
    )
    answer = read_answer(text)
    assert (answer.summary, [each.value for each in answer.variables]) == ('谈了"茶"', ["v"])
    assert not answer.whole
