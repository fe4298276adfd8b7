"""Requests made from our own OpenAPI document: none is our fault, and no answer is undocumented."""

from __future__ import annotations

import random

import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import CHECKS

from chatplay.api.app import build_app

DOCUMENT = schemathesis.openapi.from_dict(build_app(lambda: None).openapi())
CHECKED = [
    CHECKS.get_one(name)
    for name in (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
    )
]


@DOCUMENT.parametrize()
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_answers_are_as_documented(case, own_house):
    guest, luck = own_house.ada, random.Random(repr(case.path_parameters) + repr(case.body))
    if luck.random() < 0.6:  # made-up ids are only ever 404
        session_id = guest.new_session() if case.path_parameters.keys() & {"session_id", "generation_id"} else ""
        if "session_id" in case.path_parameters:
            case.path_parameters["session_id"] = session_id
        if "generation_id" in case.path_parameters:
            case.path_parameters["generation_id"] = guest.ask(session_id)["generation_id"]
        if "experiment_id" in case.path_parameters:
            case.path_parameters["experiment_id"] = guest.new_experiment()
    case.call_and_validate(
        base_url=own_house.url, headers={"Authorization": f"Bearer {guest.token}"}, checks=CHECKED, timeout=20
    )
