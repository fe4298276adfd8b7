"""Answers in OpenAI's words: what came in pieces beside the text is one text again."""

from chatplay.api.completions_events import whole
from chatplay.generation.values import AnswerMetrics, GenerationEnd


def message_of(*raws, content="Hi"):
    end = GenerationEnd("complete", content, AnswerMetrics("openai", "m"))
    body = whole(completion_id="x", created=1, model="m", end=end, raws=raws, said=None)
    return body["choices"][0]["message"]


def test_pieces_beside_the_text_are_joined_by_their_names():
    deltas = [{"reasoning": "Let ", "role": "assistant"}, {"reasoning": "me", "refusal": ""}, {"content": "Hi"}]
    found = message_of(*({"delta": delta} for delta in deltas), {"delta": None})
    assert found == {"role": "assistant", "content": "Hi", "refusal": "", "reasoning": "Let me"}


def test_message_that_came_whole_is_handed_on_as_it_is():
    said = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
    assert message_of({"message": said}) == said


def test_hours_of_reasoning_take_linear_work():
    found = message_of(*[{"delta": {"reasoning_content": "a word, "}}] * 400_000)
    assert len(found["reasoning_content"]) == 8 * 400_000
