"""A judge's verdict, wherever in its answer it stands; no answer takes long to read."""

import json
import time

import pytest

from chatplay.experiments import judging

VERDICT = '{"score": 0.5, "reason": "fine"}'


@pytest.mark.parametrize(
    "answer",
    [
        VERDICT,
        f"```json\n{VERDICT}\n```",
        f"The set {{a, b}} counts. {VERDICT}",
        f"{VERDICT}\nNote: {{done}}",
        f"{'if (a) { b } ' * 2_000}{VERDICT}",
        f'I reply with {{"score": a number}}: {VERDICT}',
        f'{{"steps": [{{"of": 2}}]}} {VERDICT} {{"score": 0.9}}',
        f'{{"score": 7}} is out of range. {VERDICT}',
        f'{{"score": {"9" * 5_000}}} {VERDICT}',
    ],
)
def test_first_object_with_a_verdict_counts_whatever_stands_around_it(answer):
    assert judging.read(answer, pairs=False) == judging.Verdict(0.5, None, "fine")


def test_winner_is_read_past_braces_that_are_no_verdict():
    found = judging.read('{A} against {B}: {"winner": "B", "reason": "shorter"}', pairs=True)
    assert (found.winner, found.reason) == ("right", "shorter")


@pytest.mark.parametrize("answer", ["", "I would rather not.", "{", '{"score": true}', '{"score": 0.5', "[0.5]"])
def test_answer_without_a_verdict_is_kept_as_its_own_reason(answer):
    assert judging.read(answer, pairs=False) == judging.Verdict(reason=answer)


MILLION = 1_000_000
LEVEL = '{"a":[' + "1," * 1_000
HOSTILE = {
    "braces": "{" * MILLION,
    "nested": '{"a":' * (MILLION // 5),
    "lists": '{"a":' + "[" * MILLION,
    "levels": LEVEL * (MILLION // len(LEVEL)),
    "closed": '{"a":' * 900 + "1" + "}" * 900,
    "quotes": '{"' * (MILLION // 2),
    "escaped": '{"' + '{\\"' * (MILLION // 3),
    "spaces": ("{" + " " * 1_000) * (MILLION // 1_000),
    "objects": "{}" * (MILLION // 2),
    "digits": '{"a":[' * 900 + "9" * MILLION,
    "scores": json.dumps({"score": 2}) * (MILLION // 12),
}


@pytest.mark.parametrize("answer", HOSTILE.values(), ids=HOSTILE)
def test_hostile_answer_of_a_million_characters_is_read_at_once(answer):
    began = time.process_time()
    assert judging.read(answer, pairs=False) == judging.Verdict(reason=answer[:2_000])
    assert time.process_time() - began < 2
