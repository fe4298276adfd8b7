"""Experiments whose answers are written down by the test instead of asked for: quick, and known to the last figure."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from uuid import uuid4

from sqlalchemy import text

from chatplay.experiments.scoring import Answer as ScoredAnswer
from chatplay.experiments.scoring import Contains, Scored, score_answer
from chatplay.experiments.values import AxisText, CaseTable, Experiment, JudgePlan, ModelRef, Plan

MODEL = ModelRef("demo-small", "demo")
RULE = Contains("{{expected}}")
Answer = Callable[[int, int, int], "str | None"]  # of arm, case and repeat; None: the trial fails


def right_at_first(arm: int, case: int, repeat: int) -> str | None:
    """The first arm is always right; others only in every second case."""
    return f"It is w{case}." if arm == 0 or case % 2 else f"No idea {repeat}."


def finish(
    services,
    user_id,
    answer: Answer = right_at_first,
    *,
    axes="0, 1",
    others=None,
    cases=6,
    repeats=2,
    rules=True,
    blank=(),
) -> Experiment:
    """An experiment of `user_id` that has run: `axes` are the temperatures, each an arm with each value of `others`,
    parameter to values. The cases of `blank` expect nothing, so the rule has no word on their answers.
    """
    service = services.experiments
    version = service.save_prompt(user_id=user_id, name="Words", prompt="Say {{word}}")
    plan = Plan(
        prompts=(version,),
        models=(MODEL,),
        axes=(AxisText("temperature", axes), *(AxisText(name, values) for name, values in (others or {}).items())),
        repeats=repeats,
        rules=(RULE,) if rules else (),
    )
    expected = ["" if number in blank else f"w{number}" for number in range(cases)]
    rows = tuple((f"word {number}", text) for number, text in enumerate(expected))
    draft = service.create(user_id=user_id, name="Words", plan=plan, cases=CaseTable(("word", "expected"), rows))
    service.start(user_id=user_id, role="analyst", experiment_id=draft.id)
    with services.store.transaction() as conn:
        query = text("SELECT id, arm, case_no, repeat FROM experiment_trials WHERE experiment_id = :id")
        for row in conn.execute(query, {"id": draft.id}).all():
            _end(conn, user_id, row, answer(*row[1:]), expected=expected[row.case_no] if rules else None)
        conn.execute(text("UPDATE experiments SET state = 'done', ended_at = now() WHERE id = :id"), {"id": draft.id})
        conn.execute(text("DELETE FROM procrastinate_jobs"))
    return service.get(user_id=user_id, experiment_id=draft.id)


_GENERATION = "INSERT INTO generations (id, user_id, status, owner) VALUES (:call, :user, 'complete', :call)"
_ANSWER = (
    "INSERT INTO answers (generation_id, content, status, metrics_json) VALUES (:call, :text, 'complete', :metrics)"
)
_USAGE = (
    "INSERT INTO usage (generation_id, user_id, source, provider, upstream, model, status, ttft_ms, ended_at) "
    "VALUES (:call, :user, 'experiment', 'demo', 'demo', 'demo-small', 'complete', 100, now())"
)
_TRIAL = """
UPDATE experiment_trials SET state = :state, attempt = 1, generation_id = :call, ended_at = now(), score = :score,
  passed = :passed, rule_scores = CAST(:rules AS jsonb), ttft_ms = :ttft, duration_ms = :duration,
  tokens_per_second = :speed, completion_tokens = :tokens, answer_hash = :hash, error = :error WHERE id = :id
"""


def _end(conn, user_id, row, answer: str | None, *, expected: str | None) -> None:
    """`expected` None: no rule scores."""
    trial_id, arm, case, repeat = row
    call = uuid4()
    metrics = json.dumps({"provider": "demo", "model": "demo-small", "ttft_ms": 100.0})
    values = {"call": call, "user": user_id, "text": answer or "", "metrics": metrics}
    for statement in (_GENERATION, _ANSWER, _USAGE):
        conn.execute(text(statement), values)
    scored = None if answer is None or expected is None else _score(answer, expected)
    conn.execute(
        text(_TRIAL),
        {
            "id": trial_id,
            "call": call,
            "state": "failed" if answer is None else "done",
            "score": scored and scored.score,
            "passed": scored and scored.passed,
            "rules": scored and json.dumps([asdict(scored)]),
            **_figures(None if answer is None else 100.0 + 50 * arm + repeat + case),
            "hash": None if answer is None else hash(answer) >> 1,
            "error": "The server did not answer." if answer is None else None,
        },
    )


def cut_off(services, experiment: Experiment, *, arm: int) -> None:
    """All answers of an arm were as long as they might be."""
    about = {"id": experiment.id, "arm": arm}
    with services.store.transaction() as conn:
        conn.execute(text(_CUT_OFF), about)
        conn.execute(text(_CUT_OFF_ANSWERS), about)


def pause(services, experiment):
    with services.store.transaction() as conn:
        conn.execute(text("UPDATE experiments SET state = 'paused' WHERE id = :id"), {"id": experiment.id})


def judge(services, experiment: Experiment, user_id: int, *, score=0.5, plan: JudgePlan | None = None) -> Experiment:
    """A judge has given the same score to every answer."""
    wanted = plan or JudgePlan(MODEL, "Good?")
    services.experiments.run_judge(user_id=user_id, role="analyst", experiment_id=experiment.id, plan=wanted)
    with services.store.transaction() as conn:
        conn.execute(text(_JUDGED), {"id": experiment.id, "score": score})
        conn.execute(
            text("UPDATE experiments SET state = 'done', ended_at = now() WHERE id = :id"), {"id": experiment.id}
        )
        conn.execute(text("DELETE FROM procrastinate_jobs"))
    return experiment


_JUDGED = """
UPDATE experiment_trials SET state = 'done', attempt = 1, ended_at = now(), score = :score
WHERE experiment_id = :id AND judge IS NOT NULL AND state = 'waiting'
"""
_CUT_OFF = "UPDATE experiment_trials SET finish_reason = 'length' WHERE experiment_id = :id AND arm = :arm"
_CUT_OFF_ANSWERS = """
UPDATE answers SET metrics_json = metrics_json || '{"finish_reason": "length"}' WHERE generation_id IN
  (SELECT generation_id FROM experiment_trials WHERE experiment_id = :id AND arm = :arm)
"""


def _score(answer: str, expected: str) -> Scored:
    return score_answer(RULE, ScoredAnswer(answer), columns={"expected": expected})


def _figures(ttft_ms: float | None) -> dict[str, float | None]:
    if ttft_ms is None:
        return dict.fromkeys(("ttft", "duration", "speed", "tokens"))
    return {"ttft": ttft_ms, "duration": 4 * ttft_ms, "speed": 30.0, "tokens": 5}
