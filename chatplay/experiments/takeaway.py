"""The part of the experiment service that hands results out: files, a notebook, code, read-only links."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args
from uuid import UUID

from chatplay import snippets
from chatplay.errors import BadInput
from chatplay.experiments import export, notebook, records
from chatplay.experiments.blocks import seed_for
from chatplay.experiments.desk import Desk, hash_token, no_such, own, readable
from chatplay.experiments.judges import Judges
from chatplay.experiments.plan import messages_for
from chatplay.experiments.reads import Reads, find_trial, load_case, was_sent_system_prompt
from chatplay.experiments.values import ExportFormat, Link
from chatplay.generation.values import AnswerMetrics
from chatplay.store import Store
from db import experiments as db
from db import generations, judgements, trial_reads
from db.trial_reads import ExportRow

if TYPE_CHECKING:
    from chatplay.experiments.export import Layout

_PAGE_ROWS = 500


class TakeAway(Judges, Reads):
    """See the module; the methods' promises are those of `ExperimentService`."""

    _desk: Desk

    def export(
        self, *, user_id: int, experiment_id: UUID, fmt: ExportFormat, token: str | None = None
    ) -> Iterator[bytes]:
        """All trials with settings, columns, answers, figures and scores, in pieces as they are read; as `zip` together
        with the notebook, see `export_notebook`.

        Raises NotFound and BadInput at once, not with the first piece.
        """
        if fmt not in get_args(ExportFormat):
            raise BadInput(f"There is no export `{fmt}`.", param="fmt", cure="Choose csv, jsonl, parquet or zip.")
        if fmt == "zip":
            return self.export_notebook(user_id=user_id, experiment_id=experiment_id, token=token)
        layout = self._layout(user_id, experiment_id, token)
        return export.write(fmt, export.list_columns(layout), _pages(self._desk.store, experiment_id))

    def export_notebook(self, *, user_id: int, experiment_id: UUID, token: str | None = None) -> Iterator[bytes]:
        """A ZIP of a Jupyter notebook and the data it recomputes every figure from, in pieces as they are read."""
        whose: dict[str, Any] = {"user_id": user_id, "experiment_id": experiment_id, "token": token}
        judges = self.list_judges(**whose)
        pair_judges = [one.number for one in judges if one.plan.pairs]
        withdrawn = [one.number for one in judges if one.is_withdrawn]
        votes = {notebook.PEOPLE: self.list_votes(**whose)}
        votes |= {str(number): self.list_votes(**whose, judge=number) for number in pair_judges}
        swaps = {number: self.list_swaps(**whose, judge=number) for number in pair_judges}
        return notebook.pack(self.get(**whose), self.export(**whose, fmt="csv"), votes, swaps, withdrawn)

    def get_code(
        self,
        *,
        user_id: int,
        role: str,
        app_url: str,
        experiment_id: UUID,
        trial_id: int,
        language: snippets.Language,
        token: str | None = None,
    ) -> str:
        """A program that makes the trial's call again; the key comes from an environment variable.

        It asks the model's server for an administrator, else this app, which the person reaches at `app_url`. Raises
        BadInput for a model that is gone or not open to `role`.
        """
        with self._desk.store.reading() as conn:
            row = readable(conn, user_id, experiment_id, token)
            trial = find_trial(conn, experiment_id, trial_id)
            arm = records.load_arms(conn, row)[trial.arm]
            plan, case = records.load_plan(conn, row), load_case(conn, row, trial.case_no)
            sent = None
            if trial.generation_id is not None:
                sent = generations.find_sent(conn, generation_id=trial.generation_id)
        if sent is None:  # not run yet, or by a server that tells nothing: as it would be sent
            seed = seed_for(plan.seed_policy, arm.params.seed, plan.seed, trial.case_no, trial.repeat)
            sent = snippets.as_sent(arm.model.name, replace(arm.params, seed=seed))
        metrics = AnswerMetrics.from_json(trial.metrics_json or {})
        has_system = was_sent_system_prompt(self._desk.catalog, arm, [metrics])
        return snippets.write_code(
            language=language,
            catalog=self._desk.catalog,
            role=role,
            app_url=app_url,
            upstream=arm.model.upstream,
            sent=sent,
            messages=messages_for(arm, case.values, system=has_system),
        )

    # ---- links ---------------------------------------------------------------------------------

    def add_link(self, *, user_id: int, experiment_id: UUID) -> Link:
        """A read-only link for everyone who is signed in and has its token."""
        token = secrets.token_urlsafe(24)
        with self._desk.store.transaction() as conn:
            own(conn, user_id, experiment_id)
            row = db.insert_link(conn, experiment_id=experiment_id, token_hash=hash_token(token))
        return Link(row.id, row.created_at, token)

    def list_links(self, *, user_id: int, experiment_id: UUID) -> list[Link]:
        """Those that open it now, without their tokens: only a hash of each is kept."""
        with self._desk.store.reading() as conn:
            own(conn, user_id, experiment_id)
            return [Link(row.id, row.created_at) for row in db.list_links(conn, experiment_id=experiment_id)]

    def revoke_link(self, *, user_id: int, experiment_id: UUID, link_id: int) -> None:
        """From now on it opens nothing. Raises NotFound."""
        with self._desk.store.transaction() as conn:
            own(conn, user_id, experiment_id)
            if not db.delete_link(conn, experiment_id=experiment_id, link_id=link_id):
                raise no_such("link")

    def _layout(self, user_id: int, experiment_id: UUID, token: str | None) -> Layout:
        with self._desk.store.reading() as conn:
            row = readable(conn, user_id, experiment_id, token)
            judges = [one.number for one in judgements.list_judges(conn, experiment_id=row.id) if not one.plan["pairs"]]
            return export.Layout(
                records.load_plan(conn, row), records.load_arms(conn, row), tuple(row.case_columns), judges
            )


def _pages(store: Store, experiment_id: UUID) -> Iterator[list[ExportRow]]:
    after = 0
    while True:
        with store.reading() as conn:
            rows = trial_reads.list_export_rows(conn, experiment_id=experiment_id, after=after, limit=_PAGE_ROWS)
        if not rows:
            return
        yield rows
        after = rows[-1].id
