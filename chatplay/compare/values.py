"""A comparison as pages see it: panes, the last answer of each, whether it is what was asked, the vote."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from chatplay import params as parameters
from chatplay import templates
from chatplay.chats.values import prompt_messages
from chatplay.errors import BadInput
from chatplay.fingerprint import body_of, differences, fingerprint_of
from chatplay.generation.values import AnswerMetrics, GenerationEnd
from chatplay.params import SPECS, Params
from chatplay.providers.base import Message, Request
from db.compare import ComparisonRow, PaneRow
from db.compare_runs import AnswerRow, RunRow, VoteRow

MIN_PANES, MAX_PANES = 2, 6
Choice = Literal["best", "tie", "none"]
Outcome = Literal["won", "lost", "tied", "rejected"]


@dataclass(frozen=True)
class Comparison:
    """What is asked of whom. `prompt` and the panes' system prompts are templates for `variables`; `history` are
    messages that every pane begins with.
    """

    id: UUID
    user_id: int
    title: str
    title_is_custom: bool
    prompt: str
    variables: Mapping[str, str]
    history: tuple[Message, ...]
    is_blind: bool
    begun_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class Pane:
    """One column: a model and its settings, the system prompt among them."""

    id: UUID
    position: int
    model_name: str
    upstream: str
    params: Params


@dataclass(frozen=True)
class Problem:
    """Why a model was not asked."""

    code: str
    message: str
    cure: str


@dataclass(frozen=True)
class Check:
    """Whether the upstream was sent what the pane says.

    `state`: "same"; "without" some refused parameters, else the same; "different"; "unknown" where the provider did
    not say or no part of an answer came; "pending" while it comes; "unasked" where nothing was sent. `fields` names
    what was left out or differs.
    """

    state: Literal["same", "without", "different", "unknown", "pending", "unasked"]
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class Window:
    """How much of a model's context window a prompt takes, in tokens."""

    prompt_tokens: int
    window_tokens: int


@dataclass(frozen=True)
class PaneAnswer:
    """The last thing a pane was asked and what came of it. `params` are the pane's of that moment;
    `prompt` and `system_prompt_sent` are as they were sent; `fingerprint` is of the request as it was to be sent.
    """

    id: int
    run_id: UUID
    pane_id: UUID
    prompt: str
    attempt: int
    generation_id: UUID | None
    model_name: str
    upstream: str
    params: Params
    system_prompt_sent: str
    fingerprint: str | None
    problem: Problem | None
    created_at: datetime
    content: str
    status: str
    metrics: AnswerMetrics | None
    check: Check

    @property
    def is_coming(self) -> bool:
        return self.status == "streaming"


@dataclass(frozen=True)
class Run:
    """One prompt as it was sent; with `is_blind`, names are hidden until the vote."""

    id: UUID
    prompt: str
    is_blind: bool
    created_at: datetime


@dataclass(frozen=True)
class Vote:
    """What a person found best in a run; `answer_id` and `pane_id` of the best answer. `ballot`: the answers that were
    on the page then, by pane.
    """

    choice: Choice
    answer_id: int | None
    pane_id: UUID | None
    is_blind: bool
    created_at: datetime
    ballot: Mapping[UUID, int]


@dataclass(frozen=True)
class ComparisonView:
    """A comparison opened: its panes from left to right, their last answers, the last run and the vote on it."""

    comparison: Comparison
    panes: tuple[Pane, ...]
    answers: Mapping[UUID, PaneAnswer]
    run: Run | None
    vote: Vote | None

    @property
    def of_run(self) -> tuple[PaneAnswer, ...]:
        """Answers that belong to the last run, of panes that are still there."""
        shown = (self.answers.get(pane.id) for pane in self.panes)
        return tuple(answer for answer in shown if answer and self.run and answer.run_id == self.run.id)

    @property
    def is_running(self) -> bool:
        return any(answer.is_coming for answer in self.answers.values())

    @property
    def is_veiled(self) -> bool:
        """Names, settings and figures are hidden: a blind run that waits for the vote."""
        return bool(self.run and self.run.is_blind and self.vote is None and len(self.of_run) >= MIN_PANES)

    @property
    def ballot(self) -> dict[UUID, int]:
        """What a vote given now would be on: answers by pane."""
        return {answer.pane_id: answer.id for answer in self.of_run}

    @property
    def is_voted_answer_gone(self) -> bool:
        """A pane that was found best, or as good as the others, has been asked again since: it shows an answer that
        nobody judged.
        """
        if self.vote is None:
            return False
        judged = self.vote.ballot.values() if self.vote.answer_id is None else [self.vote.answer_id]
        return not set(judged) <= {answer.id for answer in self.answers.values()}

    @property
    def is_vote_overtaken(self) -> bool:
        """There is an answer in the run that came after the vote."""
        return self.vote is not None and not set(self.ballot.values()) <= set(self.vote.ballot.values())

    def outcome_of(self, pane: Pane) -> Outcome | None:
        """What the vote says of the answer in the pane; None where it was not on that answer."""
        answer = self.answers.get(pane.id)
        return None if answer is None else outcome(self.vote, answer)

    def veiled_place_of(self, pane: Pane) -> int | None:
        """Where the pane's answer stood when it was voted on without names; None when it was not."""
        if self.run is None or self.vote is None or not self.vote.is_blind or self.outcome_of(pane) is None:
            return None
        return shuffled(self.run.id, self.vote.ballot).index(pane.id)

    @property
    def asks_now(self) -> str | None:
        """The prompt as the next run would send it; None while something is missing in it."""
        try:
            return templates.fill(self.comparison.prompt, filled_values(self.comparison.variables))
        except BadInput:
            return None

    @property
    def may_vote(self) -> bool:
        return len(self.of_run) >= MIN_PANES and not any(answer.is_coming for answer in self.of_run)

    @property
    def places(self) -> tuple[Pane, ...]:
        """The panes in the order of the page: while veiled, shuffled anew for each run, those it has not asked last."""
        if not self.is_veiled or self.run is None:
            return self.panes
        order, ballot = shuffled(self.run.id, [pane.id for pane in self.panes]), self.ballot
        return tuple(sorted(self.panes, key=lambda pane: (pane.id not in ballot, order.index(pane.id))))


def outcome(vote: Vote | None, answer: PaneAnswer) -> Outcome | None:
    """What the vote says of the answer; None where it was not on it, or there was no text to judge."""
    if vote is None or not answer.content or vote.ballot.get(answer.pane_id) != answer.id:
        return None
    if vote.choice == "best":
        return "won" if answer.id == vote.answer_id else "lost"
    return "tied" if vote.choice == "tie" else "rejected"


def shuffled(run_id: UUID, pane_ids: Iterable[UUID]) -> list[UUID]:
    """The panes in an order that is the run's own, however many there are beside them."""
    return sorted(pane_ids, key=lambda pane_id: hashlib.sha256(run_id.bytes + pane_id.bytes).digest())


def filled_values(variables: Mapping[str, str]) -> dict[str, str]:
    """Without those that were left empty on the page."""
    return {name: value for name, value in variables.items() if value}


def comparison_of(row: ComparisonRow) -> Comparison:
    values = {name: getattr(row, name) for name in Comparison.__dataclass_fields__ if name != "history"}
    return Comparison(**values, history=messages_of(row))


def messages_of(row: ComparisonRow) -> tuple[Message, ...]:
    return tuple(Message(entry["role"], entry["content"]) for entry in row.history)  # type: ignore[arg-type]


def pane_of(row: PaneRow) -> Pane:
    return Pane(row.id, row.position, row.model_name, row.upstream, parameters.from_json(row.params))


def run_of(row: RunRow) -> Run:
    return Run(row.id, row.prompt, row.is_blind, row.created_at)


def vote_of(row: VoteRow, ballot: Mapping[UUID, int]) -> Vote:
    return Vote(row.choice, row.answer_id, row.pane_id, row.is_blind, row.created_at, ballot)  # type: ignore[arg-type]


def answer_of(row: AnswerRow, history: tuple[Message, ...]) -> PaneAnswer:
    """The row typed, and checked against what the upstream was sent."""
    answer = PaneAnswer(
        id=row.id,
        run_id=row.run_id,
        pane_id=row.pane_id,
        prompt=row.prompt,
        attempt=row.attempt,
        generation_id=row.generation_id,
        model_name=row.model_name,
        upstream=row.upstream,
        params=parameters.from_json(row.params),
        system_prompt_sent=row.system_prompt_sent,
        fingerprint=row.fingerprint,
        problem=Problem(**row.problem) if row.problem else None,
        created_at=row.created_at,
        content=row.content or "",
        status=row.status or "failed",
        metrics=AnswerMetrics.from_json(row.metrics or {}),
        check=Check("pending"),
    )
    return replace(answer, check=checked(answer, history, row.sent))


def ended(answer: PaneAnswer, history: tuple[Message, ...], end: GenerationEnd) -> PaneAnswer:
    """The answer as it will be stored, some milliseconds before it is."""
    now = replace(answer, content=end.content, status=end.status, metrics=end.metrics)
    return replace(now, check=checked(now, history, None))


def request_of(model: str, history: tuple[Message, ...], prompt: str, params: Params) -> Request:
    """What a pane asks; the system prompt in `params` is filled already."""
    return Request(model, prompt_messages((*history, Message("user", prompt)), params), params)


def asked(answer: PaneAnswer, history: tuple[Message, ...]) -> tuple[Message, ...]:
    """The messages that the pane's model was sent."""
    return _request(answer, history).messages


def _request(answer: PaneAnswer, history: tuple[Message, ...]) -> Request:
    params = replace(answer.params, system_prompt=answer.system_prompt_sent)
    return request_of(answer.model_name, history, answer.prompt, params)


def checked(answer: PaneAnswer, history: tuple[Message, ...], sent: Mapping[str, Any] | None) -> Check:
    """Compares what the page says was asked with what the upstream got; `sent` is that body without messages."""
    metrics = answer.metrics
    if answer.problem is not None:
        return Check("unasked")
    if answer.is_coming:
        return Check("pending")
    if metrics is None or metrics.fingerprint is None:
        return Check("unknown")
    request = _request(answer, history)
    is_mine = fingerprint_of(request) == answer.fingerprint and metrics.model == answer.model_name
    if is_mine and metrics.fingerprint == answer.fingerprint:
        return Check("same")
    left_out = metrics.ignored_params
    if is_mine and left_out and metrics.fingerprint == fingerprint_of(request, without=left_out):
        return Check("without", left_out)
    expected = {name: value for name, value in body_of(request).items() if name != "messages"}
    return Check("different", differences(expected, sent) if sent else ())


def differing(panes: Iterable[Pane]) -> frozenset[str]:
    """Names of the settings in which the panes differ; `model` among them."""
    panes = tuple(panes)
    names = {spec.name for spec in SPECS if len({getattr(pane.params, spec.name) for pane in panes}) > 1}
    models = {(pane.model_name, pane.upstream) for pane in panes}
    return frozenset(names | ({"model"} if len(models) > 1 else set()))
