"""What the document of the API shows is what is sent: an example of each JSON body, in the shape it promises."""

from __future__ import annotations

from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from chatplay.api.app import build_app
from chatplay.api.docs import page_of
from chatplay.api.examples import EXAMPLES, STARTED
from chatplay.api.shapes import Started
from tests.api.test_matrix import routes_of

APP = build_app(lambda: None)
MODELS = {route.name: route.response_model for route in routes_of(APP) if isinstance(route, APIRoute)}


def test_example_has_every_field_of_its_answer_and_no_other():
    for name, example in EXAMPLES.items():
        shape = TypeAdapter(MODELS[name])
        assert shape.dump_python(shape.validate_python(example), mode="json") == example, name
    assert Started(**STARTED).model_dump(mode="json") == STARTED


def test_every_json_answer_has_an_example():
    for path, item in APP.openapi()["paths"].items():
        for method, operation in item.items():
            for status, response in operation["responses"].items():
                shown = response.get("content", {}).get("application/json")
                assert status >= "300" or shown is None or "example" in shown, (method, path, status)


def test_every_json_body_has_an_example():
    document = APP.openapi()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if body is not None and "example" not in body:
                schema = body["schema"].get("$ref") or next(one["$ref"] for one in body["schema"]["anyOf"])
                fields = document["components"]["schemas"][schema.rsplit("/", 1)[1]]["properties"]
                assert any("examples" in field for field in fields.values()), (method, path)


def test_page_shows_the_examples():
    page = page_of(APP.openapi())
    assert "Qwen-2-7B-Instruct" in page
    assert page.count("&quot;reasoning_tokens&quot;") == 2  # of an answer and of a trial
    assert "event: delta" in page


def test_page_breaks_off_no_sentence_and_lists_the_values_of_a_parameter():
    page = page_of(APP.openapi())
    assert "stands for\nthe first of them" in page.partition("/v1/models</code>")[2].partition("</summary>")[0]
    assert "One of <code>waiting</code>, <code>running</code>" in page
