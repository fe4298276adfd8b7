"""How often each combination of settings won, over the votes on all runs of a comparison.

Settings are known again by what they are, whichever pane they stood in; those that a model does not take are no part
of them. Votes are told by their run, so a vote on answers that were asked again since counts for what it was given to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from chatplay.compare.values import Outcome, Pane, PaneAnswer, Run, Vote, outcome
from chatplay.params import SPECS, Params

Kind = Literal["all", "blind", "open"]
LEAST_PROMPTS, LEAST_REPEATED_PROMPTS = 5, 10


@dataclass(frozen=True)
class PastRun:
    """A run with its answers in the order in which they were asked for: where it was voted on, those that stood there
    then, else the last of each pane.
    """

    run: Run
    answers: tuple[PaneAnswer, ...]
    vote: Vote | None

    def outcome_of(self, answer: PaneAnswer) -> Outcome | None:
        return outcome(self.vote, answer)


@dataclass(frozen=True)
class Setup:
    """A model and the settings that act on its answer; the system prompt is the template."""

    model_name: str
    upstream: str
    params: Params


@dataclass(frozen=True)
class Chance:
    """To win a vote that is no tie against settings of average strength, with its 95 % interval; 0 to 1."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Standing:
    """What the votes on runs with these settings came to: `votes` of them, each won, lost, tied or `rejected` (none was
    good). `chance` is None where there are too few votes. Of two `group`s no settings ever stood side by side.
    """

    setup: Setup
    votes: int
    won: int
    tied: int
    rejected: int
    lost: int
    group: int
    chance: Chance | None


@dataclass(frozen=True)
class Tally:
    """`standings`, the strongest first, from `votes` on `prompts` different prompts; `uncounted` votes say nothing of
    settings: fewer than two kinds of them had an answer, or a server was sent something else than its pane showed.
    """

    standings: tuple[Standing, ...]
    votes: int
    prompts: int
    uncounted: int

    @property
    def is_enough(self) -> bool:
        """Whether there are intervals: from so few votes on they hold the truth as often as they say."""
        return is_enough(self.votes, self.prompts)

    @property
    def leader(self) -> Standing | None:
        """Whose interval lies above those of all others; None where that cannot be told."""
        chances = [one.chance for one in self.standings if one.group == 0]
        first = chances[0] if len(chances) == len(self.standings) > 1 else None
        if first is None or any(other is None or other.high >= first.low for other in chances[1:]):
            return None
        return self.standings[0]


def is_enough(votes: int, prompts: int) -> bool:
    """Votes on the same prompt are alike: with some of those, more prompts are needed."""
    return prompts >= LEAST_REPEATED_PROMPTS or (prompts == votes >= LEAST_PROMPTS)


def setup_of(answer: PaneAnswer) -> Setup:
    """What acted on the answer: without settings that its model does not take."""
    names = answer.check.fields if answer.check.state == "without" else ()
    unset: dict[str, Any] = {spec.name: () if spec.kind == "list" else None for spec in SPECS if spec.name in names}
    params = replace(answer.params, **unset)
    if not answer.system_prompt_sent:
        params = replace(params, system_prompt="")
    return Setup(answer.model_name, answer.upstream, params)


def setup_of_pane(pane: Pane, answer: PaneAnswer | None) -> Setup:
    """The pane's settings as they stand in a tally; `answer` is its last."""
    asked = (answer.model_name, answer.upstream, answer.params) if answer is not None else None
    if answer is not None and asked == (pane.model_name, pane.upstream, pane.params):
        return setup_of(answer)
    return Setup(pane.model_name, pane.upstream, pane.params)


@dataclass(frozen=True)
class _Ballot:
    """A vote as it counts: the setup and outcome of each answer that was judged."""

    prompt: str
    judged: tuple[tuple[Setup, Outcome], ...]
    is_as_shown: bool

    @property
    def winner(self) -> int | None:
        return next((place for place, (_, outcome) in enumerate(self.judged) if outcome == "won"), None)

    @property
    def says_something(self) -> bool:
        has_best = self.winner is not None or all(outcome != "lost" for _, outcome in self.judged)
        return self.is_as_shown and has_best and len({setup for setup, _ in self.judged}) > 1


def tally(runs: Sequence[PastRun], kind: Kind = "all") -> Tally:
    """Counts the votes of this kind, and how likely each setup is to win, by `stats.rank_choices`."""
    from chatplay.experiments.stats import rank_choices
    from chatplay.experiments.stats.values import Choice

    voted = [_ballot(run) for run in runs if run.vote and kind in ("all", "blind" if run.vote.is_blind else "open")]
    told = [ballot for ballot in voted if ballot.says_something]
    arms = {setup: arm for arm, setup in enumerate(dict.fromkeys(setup for one in told for setup, _ in one.judged))}
    cases = {prompt: case for case, prompt in enumerate(dict.fromkeys(one.prompt for one in told))}
    choices = [Choice(tuple(arms[setup] for setup, _ in one.judged), one.winner, cases[one.prompt]) for one in told]
    enough, setups = is_enough(len(told), len(cases)), list(arms)
    standings = [
        _standing(setups[one.arm], told, one.group, Chance(one.win_chance, one.low, one.high) if enough else None)
        for one in rank_choices(choices, arms=len(arms)).strengths
    ]
    return Tally(tuple(standings), len(told), len(cases), len(voted) - len(told))


def _ballot(run: PastRun) -> _Ballot:
    found = [(answer, outcome) for answer in run.answers if (outcome := run.outcome_of(answer)) is not None]
    is_as_shown = all(answer.check.state != "different" for answer, _ in found)
    return _Ballot(run.run.prompt, tuple((setup_of(answer), outcome) for answer, outcome in found), is_as_shown)


def _standing(setup: Setup, told: Sequence[_Ballot], group: int, chance: Chance | None) -> Standing:
    found = [{outcome for mine, outcome in one.judged if mine == setup} for one in told]
    won, tied, rejected = (sum(name in one for one in found) for name in ("won", "tied", "rejected"))
    votes = sum(bool(one) for one in found)
    return Standing(setup, votes, won, tied, rejected, votes - won - tied - rejected, group, chance)
