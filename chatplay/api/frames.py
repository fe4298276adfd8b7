"""What clients may send over `/ws/chat/{session_id}/`: JSON objects of three kinds."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationError

from chatplay.api.edge import too_deep
from chatplay.api.shapes import Body, ParamsIn

_OWN = {
    "message": {"content", "message_id", "params", "idempotency_key"},
    "follow": {"message_id", "after_seq", "params"},
    "stop": set(),
}


class Frame(Body):
    """A `message` begins an answer; `follow` reads on, after `after_seq` of the answer `message_id` (the newest
    without one); `stop` ends the answer that is coming. `params` hold for the messages after them, too: a first frame
    may hold nothing else.
    """

    type: Literal["message", "follow", "stop"] | None = None
    content: str | None = Field(None, min_length=1)
    message_id: int | None = Field(None, ge=1, le=2**63 - 1)
    params: ParamsIn = Field(default_factory=dict)
    after_seq: int | None = Field(None, ge=0, le=999_999_999)
    idempotency_key: str | None = Field(None, min_length=1, max_length=255)

    @property
    def kind(self) -> str:
        return self.type or ("follow" if self.content is None else "message")

    @property
    def stray(self) -> str | None:
        """A field that says nothing in a frame of this kind."""
        given = {name for name in self.model_fields_set if getattr(self, name) is not None} - {"type"}
        return min(given - _OWN[self.kind], default=None)


class BadFrame(Exception):
    """A frame that cannot be used; `param` names the field at fault."""

    def __init__(self, message: str, *, param: str | None = None, cure: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.cure = cure


def read_frame(text: str | None, *, most_chars: int) -> Frame:
    """Raises BadFrame. `text` is None for bytes."""
    if text is None:
        raise BadFrame("A frame must be text that holds a JSON object.", cure="Send text instead of bytes.")
    if len(text) > most_chars or too_deep(text.encode("utf-8", "surrogatepass")):
        raise BadFrame(
            f"The frame has more than {most_chars:,} characters or is nested too deep.", cure="Send a smaller one."
        )
    try:
        frame = Frame.model_validate_json(text)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
        path = ".".join(map(str, problem["loc"])) or None
        message = f"The frame cannot be used: {problem['msg']}."
        raise BadFrame(message, param=path, cure="Mend it and send it again.") from None
    if frame.stray is not None:
        raise BadFrame(
            f"`{frame.stray}` does not belong to a frame of the type `{frame.kind}`.",
            param=frame.stray,
            cure=f"Leave it out, or send it in a frame of its own; `{frame.kind}` was not carried out.",
        )
    return frame
