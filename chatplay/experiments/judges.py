"""The part of the experiment service where people and judge models say what they think of answers."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

from chatplay import params as parameters
from chatplay import templates
from chatplay.errors import BadInput, Conflict
from chatplay.experiments import records
from chatplay.experiments.blocks import MAX_LOT_TRIALS, MAX_TRIALS
from chatplay.experiments.desk import Desk, no_such, own, readable
from chatplay.experiments.judging import judge_from_json, judge_to_json
from chatplay.experiments.plan import prompt_for
from chatplay.experiments.reads import load_case
from chatplay.experiments.runs import Runs
from chatplay.experiments.values import Judge, JudgeColumns, JudgePlan, PairItem, ReviewItem
from chatplay.store import Connection
from db import judgements, reviews, trials
from db.experiments import ExperimentRow
from db.trials import NewTrial

if TYPE_CHECKING:
    from chatplay.experiments.stats.values import Vote, Winner

_NOTE_CHARS = 2_000
_WINNERS = ("left", "right", "tie", "neither")
_Subject = tuple[int, int, int, int]  # trial, arm, case, repeat


class Judges(Runs):
    """See the module; the methods' promises are those of `ExperimentService`."""

    _desk: Desk

    # ---- by hand -------------------------------------------------------------------------------

    def add_hand_score(self, *, user_id: int, experiment_id: UUID, trial_id: int, score: float, note: str = "") -> None:
        """`score` from 0 to 1 (thumbs: 0, 1); a person's second score of a trial replaces the first.

        Raises BadInput for another score, NotFound for a trial without an answer.
        """
        if not math.isfinite(score) or not 0 <= score <= 1:
            raise BadInput("A score is from 0 to 1.", param="score", cure="Choose one in between.")
        if len(note) > _NOTE_CHARS:
            raise BadInput(f"A note has at most {_NOTE_CHARS:,} characters.", param="note", cure="Shorten it.")
        if bad := parameters.unsendable_character(note):
            raise BadInput(f"The note holds {bad}.", param="note", cure="Remove it.")
        with self._desk.store.transaction() as conn:
            own(conn, user_id, experiment_id)
            found = reviews.upsert_hand_score(
                conn, experiment_id=experiment_id, trial_id=trial_id, user_id=user_id, score=score, note=note
            )
        if not found:
            raise no_such("answer")

    def next_for_review(self, *, user_id: int, experiment_id: UUID, skip: Sequence[int] = ()) -> ReviewItem | None:
        """An answer this person has not scored yet, in random but stable order; None when all are scored."""
        with self._desk.store.reading() as conn:
            row = own(conn, user_id, experiment_id)
            found, left = reviews.next_for_review(conn, experiment_id=row.id, user_id=user_id, skip=skip)
            if found is None:
                return None
            arms, case = records.load_arms(conn, row), load_case(conn, row, found.case_no)
        return ReviewItem(
            found.trial_id, case, prompt_for(arms[found.arm], case.values), found.content, max(left - 1, 0)
        )

    # ---- votes ---------------------------------------------------------------------------------

    def next_pair(self, *, user_id: int, experiment_id: UUID, skip: Sequence[tuple[int, int]] = ()) -> PairItem | None:
        """Differing answers of two arms to a case and repeat that this person has not voted on; None at the end."""
        with self._desk.store.reading() as conn:
            row = own(conn, user_id, experiment_id)
            pair, left = reviews.next_pair(conn, experiment_id=row.id, user_id=user_id, skip=skip)
            if pair is None:
                return None
            found = reviews.list_reviewable(conn, experiment_id=row.id, trial_ids=pair)
            first, second = found[pair[0]], found[pair[1]]
            arms, case = records.load_arms(conn, row), load_case(conn, row, first.case_no)
        # The same places each time it is shown, but neither side is always the lower arm's.
        if random.Random(f"{user_id}:{pair}").random() < 0.5:
            first, second = second, first
        prompt = prompt_for(arms[first.arm], case.values)
        return PairItem(first.trial_id, second.trial_id, case, prompt, first.content, second.content, max(left - 1, 0))

    def add_vote(
        self, *, user_id: int, experiment_id: UUID, left_trial_id: int, right_trial_id: int, winner: Winner
    ) -> None:
        """`winner` is the side as it was shown. A second vote on the same pair replaces the first.

        Raises BadInput for two answers that can't be compared, NotFound for those that are not there.
        """
        if winner not in _WINNERS:
            raise BadInput(f"`{winner}` is no vote.", param="winner", cure=f"Vote {', '.join(_WINNERS)}.")
        ids = (left_trial_id, right_trial_id)
        with self._desk.store.transaction() as conn:
            own(conn, user_id, experiment_id)
            found = reviews.list_reviewable(conn, experiment_id=experiment_id, trial_ids=ids)
            if any(trial_id not in found for trial_id in ids):
                raise no_such("answer")
            left, right = found[left_trial_id], found[right_trial_id]
            if left.case_no != right.case_no or left.arm == right.arm:
                raise BadInput(
                    "These are not answers of two arms to one case.", param="winner", cure="Reload the page."
                )
            reviews.upsert_vote(
                conn,
                experiment_id=experiment_id,
                user_id=user_id,
                left_trial_id=left_trial_id,
                right_trial_id=right_trial_id,
                winner=winner,
            )

    def list_votes(
        self, *, user_id: int, experiment_id: UUID, token: str | None = None, judge: int | None = None
    ) -> list[Vote]:
        """People's votes, or those of pair judge `judge`, as `stats.rank_votes` takes them."""
        from chatplay.experiments.stats.values import Vote

        with self._desk.store.reading() as conn:
            row = readable(conn, user_id, experiment_id, token)
            if judge is None:
                found = reviews.list_votes(conn, experiment_id=row.id)
            else:
                found = judgements.list_judge_votes(conn, experiment_id=row.id, judge=judge)
        return [Vote(one.left_arm, one.right_arm, _winner(one.winner), one.case_no) for one in found]

    # ---- judges --------------------------------------------------------------------------------

    def run_judge(self, *, user_id: int, role: str, experiment_id: UUID, plan: JudgePlan) -> int:
        """Sets a judge to work on all ended trials; returns its number. Its calls run like trials, under the same caps:
        those of a paused experiment once it is resumed. What was cancelled of an experiment stays so.

        Raises BadInput for an empty rubric or unknown model, Conflict when there is nothing to judge yet or a
        cancellation is under way.
        """
        with self._desk.store.transaction() as conn:
            row = own(conn, user_id, experiment_id, for_update=True)
            info = self._desk.find_model(conn, plan.model, role)
            if info is None:
                raise BadInput("This model is not there, or not open to you.", param="model", cure="Choose another.")
            parameters.validate(plan.params, overrides=info.ranges)
            _check_rubric(plan, row, arms=len(records.load_arms(conn, row)), priced=info.price is not None)
            subjects = judgements.list_subjects(conn, experiment_id=row.id)
            number = judgements.insert_judge(conn, experiment_id=row.id, user_id=user_id, plan=judge_to_json(plan))
            work = _judgements(plan, number, subjects, *trials.next_places(conn, experiment_id=row.id))
            if not work:
                raise Conflict("There is nothing to judge yet.", cure="Wait for the first answers.")
            trials.insert_trials(conn, experiment_id=row.id, rows=work)
            self._run_what_waits(conn, row)
        return number

    def list_judges(self, *, user_id: int, experiment_id: UUID, token: str | None = None) -> list[Judge]:
        """With how far each is."""
        with self._desk.store.reading() as conn:
            row = readable(conn, user_id, experiment_id, token)
            rows = judgements.list_judges(conn, experiment_id=row.id)
            counts = judgements.count_judgements(conn, experiment_id=row.id)
        nothing = judgements.JudgeCount(0, 0, 0, 0)
        return [_judge(one, counts.get(one.number, nothing)) for one in rows]

    def remove_judge(self, *, user_id: int, experiment_id: UUID, judge: int) -> None:
        """Ends a judge's work. One without a verdict is gone as if it had never been asked, but for what its calls
        cost. One with verdicts is withdrawn: they stay in exports and with their answers, and count in no figure until
        `readmit_judge`; what it has not judged yet is dropped. Raises NotFound.
        """
        with self._desk.store.transaction() as conn:
            row = own(conn, user_id, experiment_id, for_update=True)
            _find_judge(conn, row, judge)
            count = judgements.count_judgements(conn, experiment_id=row.id).get(judge)
            keeps = count is not None and count.verdicts > 0
            running = judgements.drop_judgements(conn, experiment_id=row.id, judge=judge, only_undone=keeps)
            if keeps:
                judgements.set_withdrawn(conn, experiment_id=row.id, judge=judge, is_withdrawn=True)
            else:
                judgements.delete_judge(conn, experiment_id=row.id, judge=judge)
            trials.finish_if_over(conn, experiment_id=row.id)
        self._stop(running)

    def readmit_judge(self, *, user_id: int, experiment_id: UUID, judge: int) -> None:
        """Counts the verdicts of a withdrawn judge again. Raises NotFound."""
        with self._desk.store.transaction() as conn:
            row = own(conn, user_id, experiment_id, for_update=True)
            _find_judge(conn, row, judge)
            judgements.set_withdrawn(conn, experiment_id=row.id, judge=judge, is_withdrawn=False)

    def get_judge_columns(
        self, *, user_id: int, experiment_id: UUID, judge: int, token: str | None = None
    ) -> JudgeColumns:
        """For `stats.compare_judge`: trials that have a score of the judge and one by hand."""
        with self._desk.store.reading() as conn:
            row = readable(conn, user_id, experiment_id, token)
            found = judgements.list_beside_hand(conn, experiment_id=row.id, judge=judge)
        return JudgeColumns(
            tuple(one[0] for one in found), tuple(one[1] for one in found), tuple(one[2] for one in found)
        )

    def list_swaps(
        self, *, user_id: int, experiment_id: UUID, judge: int, token: str | None = None
    ) -> list[tuple[Winner, Winner]]:
        """For `stats.check_swaps`: both verdicts on each pair, as the places the judge saw."""
        from chatplay.experiments.judging import unswapped

        with self._desk.store.reading() as conn:
            row = readable(conn, user_id, experiment_id, token)
            found = judgements.list_swaps(conn, experiment_id=row.id, judge=judge)
        return [(_winner(one), unswapped(_winner(other), swapped=True) or "tie") for one, other in found]


def _find_judge(conn: Connection, row: ExperimentRow, judge: int) -> None:
    if all(one.number != judge for one in judgements.list_judges(conn, experiment_id=row.id)):
        raise no_such("judge")


def _check_rubric(plan: JudgePlan, row: ExperimentRow, *, arms: int, priced: bool) -> None:
    if not plan.rubric.strip():
        raise BadInput("The rubric is empty.", param="rubric", cure="Say what makes an answer good.")
    spec = parameters.get_spec("system_prompt")  # a rubric is as long as that may be
    parameters.check(replace(spec, name="rubric", label="Rubric"), plan.rubric)
    for name in templates.missing((plan.rubric,), dict.fromkeys(row.case_columns, "")):
        raise BadInput(f"The cases have no column `{name}`.", param="rubric", cure="Correct its name.")
    if plan.pairs and not 0 <= plan.baseline < arms:
        raise BadInput("There is no such arm.", param="baseline", cure="Choose one of the arms.")
    if row.max_cost_usd is not None and not priced:
        raise BadInput(
            "The judge's price is not known, so the cap on cost can't hold.", param="model", cure="Take off the cap."
        )


def _judgements(
    plan: JudgePlan, number: int, subjects: Sequence[_Subject], first_lot: int, first_position: int
) -> list[NewTrial]:
    work = _pairs(plan, subjects) if plan.pairs else [(subject, None, None) for subject in subjects]
    if len(work) > MAX_TRIALS:
        raise BadInput(f"These are {len(work):,} judgements; the limit is {MAX_TRIALS:,}.", param="pairs")
    return [
        NewTrial(
            arm=arm,
            case_no=case,
            repeat=repeat,
            lot=first_lot + place // MAX_LOT_TRIALS,
            position=first_position + place,
            upstream=plan.model.upstream,
            judge=number,
            subject_id=trial_id,
            against_id=against,
            swapped=swapped,
        )
        for place, ((trial_id, arm, case, repeat), against, swapped) in enumerate(work)
    ]


def _pairs(plan: JudgePlan, subjects: Sequence[_Subject]) -> list[tuple[_Subject, int | None, bool | None]]:
    """Each answer with the baseline's to the same case and repeat, once in either place."""
    base = {(case, repeat): trial_id for trial_id, arm, case, repeat in subjects if arm == plan.baseline}
    found: list[tuple[_Subject, int | None, bool | None]] = []
    for subject in subjects:
        _, arm, case, repeat = subject
        against = base.get((case, repeat))
        if arm != plan.baseline and against is not None:
            found += [(subject, against, False), (subject, against, True)]
    return found


def _judge(row: judgements.JudgeRow, count: judgements.JudgeCount) -> Judge:
    return Judge(
        number=row.number,
        plan=judge_from_json(row.plan),
        total=count.total,
        done=count.done,
        unreadable=count.unreadable,
        verdicts=count.verdicts,
        is_withdrawn=row.is_withdrawn,
        created_at=row.created_at,
    )


def _winner(stored: str) -> Winner:
    return stored  # type: ignore[return-value]  # held to these words by the table
