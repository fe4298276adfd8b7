"""The experiment service: what pages and routes may ask. What is not the person's own does not exist for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from chatplay.experiments.values import (
    Attempt,
    CasePage,
    CaseTable,
    Cell,
    CellFilter,
    CodeLanguage,
    Experiment,
    ExperimentLine,
    ExportFormat,
    Judge,
    JudgeColumns,
    JudgePlan,
    Link,
    PairItem,
    Plan,
    Preview,
    Progress,
    PromptVersion,
    Results,
    ReviewItem,
    Trial,
)

if TYPE_CHECKING:
    from chatplay.experiments.stats.values import Vote, Winner


class ExperimentService:
    """See the module. Methods that take `token` also read through a read-only link; all raise NotFound for what is
    neither the person's own nor linked.
    """

    # ---- prompts -------------------------------------------------------------------------------

    def save_prompt(self, *, user_id: int, name: str, prompt: str, system_prompt: str = "") -> PromptVersion:
        """A new version of the template called `name`, or its newest version when that has the same texts.

        Raises BadInput for texts that can't be sent.
        """
        raise NotImplementedError

    def list_prompts(self, *, user_id: int) -> list[PromptVersion]:
        """The newest version of each of the person's templates, last used first."""
        raise NotImplementedError

    def list_prompt_versions(self, *, user_id: int, name: str) -> list[PromptVersion]:
        """All versions, the newest first."""
        raise NotImplementedError

    # ---- the plan ------------------------------------------------------------------------------

    def create(
        self, *, user_id: int, name: str, plan: Plan | None = None, cases: CaseTable | None = None
    ) -> Experiment:
        """A draft. Raises BadInput for an empty or endless name."""
        raise NotImplementedError

    def rename(self, *, user_id: int, experiment_id: UUID, name: str) -> None:
        raise NotImplementedError

    def delete(self, *, user_id: int, experiment_id: UUID) -> None:
        """Ends and removes it with its answers; its usage rows stay."""
        raise NotImplementedError

    def clone(self, *, user_id: int, experiment_id: UUID, token: str | None = None) -> Experiment:
        """A draft of the person's own with the same plan and cases."""
        raise NotImplementedError

    def save_plan(self, *, user_id: int, experiment_id: UUID, plan: Plan) -> None:
        """Keeps the draft's plan as it is, also one that can't start yet. Raises Conflict after the start."""
        raise NotImplementedError

    def save_cases(self, *, user_id: int, experiment_id: UUID, cases: CaseTable) -> None:
        """Replaces the draft's cases. Raises Conflict after the start."""
        raise NotImplementedError

    def get_cases(self, *, user_id: int, experiment_id: UUID, token: str | None = None) -> CaseTable:
        raise NotImplementedError

    def preview(
        self,
        *,
        user_id: int,
        role: str,
        experiment_id: UUID,
        plan: Plan | None = None,
        cases: CaseTable | None = None,
        forecast: bool = True,
    ) -> Preview:
        """The grid, the number of trials, what they will take, and every problem that keeps them from starting.

        `plan` and `cases` in place of the stored ones: a draft as it is typed, or how to extend a started one
        (`new_trials` are then the missing ones). Never raises BadInput: problems are part of the answer.
        """
        raise NotImplementedError

    # ---- the run -------------------------------------------------------------------------------

    def start(self, *, user_id: int, role: str, experiment_id: UUID) -> Experiment:
        """Lays out the trials and lets workers begin. Raises BadInput for the first problem of the plan, Conflict when
        it has started already.
        """
        raise NotImplementedError

    def extend(
        self, *, user_id: int, role: str, experiment_id: UUID, plan: Plan, cases: CaseTable | None = None
    ) -> int:
        """More repeats, arms or cases (`cases`: new rows, added to those there); runs only what is missing, and takes
        over the plan's caps, pace and rules. Returns the number of new trials. Raises BadInput; Conflict for a draft.
        """
        raise NotImplementedError

    def pause(self, *, user_id: int, experiment_id: UUID) -> None:
        """Begins no more calls; those that run end and count."""
        raise NotImplementedError

    def resume(self, *, user_id: int, experiment_id: UUID) -> None:
        """Goes on after a pause or a cap. Raises Conflict when it is over or a cap still stands in the way."""
        raise NotImplementedError

    def cancel(self, *, user_id: int, experiment_id: UUID) -> None:
        """Stops the calls that run, and begins no more. `extend` with the same plan runs what was cancelled."""
        raise NotImplementedError

    def set_caps(self, *, user_id: int, experiment_id: UUID, plan: Plan) -> None:
        """Takes over `plan.caps` and `plan.pace`, also while it runs."""
        raise NotImplementedError

    def rerun_cell(self, *, user_id: int, experiment_id: UUID, arm: int, case: int) -> int:
        """Runs all repeats of one cell again; the new answers take the place of the old. Returns how many.

        Raises Conflict while one of them runs.
        """
        raise NotImplementedError

    def get_progress(self, *, user_id: int, experiment_id: UUID, token: str | None = None) -> Progress:
        """Cheap: may be asked every second."""
        raise NotImplementedError

    # ---- reading -------------------------------------------------------------------------------

    def list_experiments(self, *, user_id: int, limit: int = 50, offset: int = 0) -> list[ExperimentLine]:
        """The person's own, last touched first."""
        raise NotImplementedError

    def get(self, *, user_id: int, experiment_id: UUID, token: str | None = None) -> Experiment:
        raise NotImplementedError

    def get_shared(self, *, user_id: int, token: str) -> Experiment:
        """The experiment behind a read-only link. Raises NotFound for a link that was revoked."""
        raise NotImplementedError

    def get_results(
        self, *, user_id: int, experiment_id: UUID, token: str | None = None, scored_by: str = "rules"
    ) -> Results:
        """Every trial that has ended, as arrays. `scored_by`: "rules", "hand" (the mean of people's scores) or
        "judge:<number>".
        """
        raise NotImplementedError

    def list_cells(
        self,
        *,
        user_id: int,
        experiment_id: UUID,
        token: str | None = None,
        only: CellFilter = "all",
        search: str = "",
        offset: int = 0,
        limit: int = 50,
    ) -> CasePage:
        """Rows of the case table. `search` looks in the cases' columns."""
        raise NotImplementedError

    def get_cell(self, *, user_id: int, experiment_id: UUID, arm: int, case: int, token: str | None = None) -> Cell:
        """Every repeat with its whole answer and all its scores."""
        raise NotImplementedError

    def get_trial(self, *, user_id: int, experiment_id: UUID, trial_id: int, token: str | None = None) -> Trial:
        raise NotImplementedError

    def list_attempts(
        self, *, user_id: int, experiment_id: UUID, trial_id: int, token: str | None = None
    ) -> list[Attempt]:
        """The flight recorder of a trial: every call made for it, the first one first."""
        raise NotImplementedError

    # ---- scores by people and judges -----------------------------------------------------------

    def add_hand_score(self, *, user_id: int, experiment_id: UUID, trial_id: int, score: float, note: str = "") -> None:
        """`score` from 0 to 1 (thumbs: 0, 1); a person's second score of a trial replaces the first."""
        raise NotImplementedError

    def next_for_review(self, *, user_id: int, experiment_id: UUID, skip: Sequence[int] = ()) -> ReviewItem | None:
        """An answer this person has not scored yet, in random but stable order; None when all are scored."""
        raise NotImplementedError

    def next_pair(self, *, user_id: int, experiment_id: UUID, skip: Sequence[tuple[int, int]] = ()) -> PairItem | None:
        """Answers of two arms to the same case and repeat that this person has not voted on; None at the end."""
        raise NotImplementedError

    def add_vote(
        self, *, user_id: int, experiment_id: UUID, left_trial_id: int, right_trial_id: int, winner: Winner
    ) -> None:
        """`winner` is the side as it was shown. A second vote on the same pair replaces the first."""
        raise NotImplementedError

    def list_votes(
        self, *, user_id: int, experiment_id: UUID, token: str | None = None, judge: int | None = None
    ) -> list[Vote]:
        """People's votes, or those of pair judge `judge`, as `stats.rank_votes` takes them."""
        raise NotImplementedError

    def run_judge(self, *, user_id: int, role: str, experiment_id: UUID, plan: JudgePlan) -> int:
        """Sets a judge to work on all ended trials; returns its number. Its calls run like trials, under the same caps.

        Raises BadInput for an empty rubric or unknown model, Conflict when there is nothing to judge yet.
        """
        raise NotImplementedError

    def list_judges(self, *, user_id: int, experiment_id: UUID, token: str | None = None) -> list[Judge]:
        raise NotImplementedError

    def get_judge_columns(
        self, *, user_id: int, experiment_id: UUID, judge: int, token: str | None = None
    ) -> JudgeColumns:
        """For `stats.compare_judge`."""
        raise NotImplementedError

    def list_swaps(
        self, *, user_id: int, experiment_id: UUID, judge: int, token: str | None = None
    ) -> list[tuple[Winner, Winner]]:
        """For `stats.check_swaps`: both verdicts on each pair, as places."""
        raise NotImplementedError

    # ---- take away -----------------------------------------------------------------------------

    def export(
        self, *, user_id: int, experiment_id: UUID, fmt: ExportFormat, token: str | None = None
    ) -> Iterator[bytes]:
        """All trials with settings, columns, answers, figures and scores, in pieces as they are read."""
        raise NotImplementedError

    def export_notebook(self, *, user_id: int, experiment_id: UUID, token: str | None = None) -> bytes:
        """A ZIP of a Jupyter notebook and the data it recomputes every figure from."""
        raise NotImplementedError

    def get_code(
        self,
        *,
        user_id: int,
        experiment_id: UUID,
        trial_id: int,
        language: CodeLanguage,
        token: str | None = None,
    ) -> str:
        """A program that makes the trial's call again; the key comes from an environment variable.

        Raises BadInput for a built-in model, which has no address.
        """
        raise NotImplementedError

    def add_link(self, *, user_id: int, experiment_id: UUID) -> Link:
        """A read-only link for everyone who is signed in and has its token."""
        raise NotImplementedError

    def list_links(self, *, user_id: int, experiment_id: UUID) -> list[Link]:
        raise NotImplementedError

    def revoke_link(self, *, user_id: int, experiment_id: UUID, link_id: int) -> None:
        raise NotImplementedError
