"""The experiment a newcomer starts with: ready to run without a key, and quick to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatplay.experiments.scoring import Contains
from chatplay.experiments.values import EXPECTED, AxisText, CaseTable, Experiment, ModelRef, Plan
from chatplay.models.catalog import ModelInfo
from chatplay.params import Params

if TYPE_CHECKING:
    from chatplay.experiments.service import ExperimentService

NAME = "Sample: does temperature matter?"
_PROMPT = "Explain {{topic}} in two sentences."
# Words of the Demo model's own pages: likely at temperature 0, less so above.
_CASES = CaseTable(
    ("topic", EXPECTED),
    (("temperature", "likely"), ("a token", "characters"), ("a seed", "dice")),
)


def create(service: ExperimentService, models: tuple[ModelInfo, ...], *, user_id: int) -> Experiment:
    """A draft that compares three temperatures on three cases, on the smallest model there is."""
    prompt = service.save_prompt(user_id=user_id, name="Sample", prompt=_PROMPT)
    model = next((model for model in models if model.name == "demo-small"), models[0] if models else None)
    plan = Plan(
        prompts=(prompt,),
        models=(ModelRef(model.name, model.upstream),) if model else (),
        base=Params(max_tokens=256),
        axes=(AxisText("temperature", "0, 0.7, 1"),),
        repeats=3,
        rules=(Contains("{{" + EXPECTED + "}}", ignore_case=True),),
    )
    return service.create(user_id=user_id, name=NAME, plan=plan, cases=_CASES)
