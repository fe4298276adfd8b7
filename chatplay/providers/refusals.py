"""What a server says when it refuses a call, read from whichever shape it uses: why, of what, how long to wait."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from chatplay.params import SAMPLING

_MOST_CHARS, _MOST_NAME_CHARS = 2_000, 200  # of a message and of its code: what says why stands at the beginning
# From here on a server repeats what it was sent, which must not be taken for its own words: a validation error as
# pydantic prints it (vLLM, SGLang), or the messages that llama-server could not read.
_REPEATS = re.compile(r"""["']input["']: |\binput_value=|; (?:messages|tools) = """)
_GAP = r"[^.]{0,200}"  # within a sentence; without an end to it the work would grow with the square of the text
_OVERFLOW = re.compile(
    r"context_length_exceeded|exceed_context_size|maximum context length"
    rf"|context (length|window|size){_GAP}(exceed|only)|exceed{_GAP}context|input token count{_GAP}exceeds"
    r"|longer than the model's context|prompt is too long|max_new_tokens` must be"
    r"|trying to keep the first \d+ tokens",
    re.IGNORECASE,
)
_NO_STREAMING = re.compile(
    rf"stream{_GAP}(not supported|unsupported|not available|not allowed|disabled)|(not|n't) support{_GAP}\bstream"
    r"|verified to stream",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    rf"model_not_found|model{_GAP}(not found|does not exist|not exist|unknown|not loaded)", re.IGNORECASE
)
_PARAMETER = re.compile(r"(?<![a-z_])(" + "|".join((*SAMPLING, "max_completion_tokens")) + r")(?![a-z_])")

# Nothing is given back: a header may hold thousands of digits and blanks.
_DURATION = re.compile(
    r"(?<!\d)(\d++(?:\.\d++)?)\s*+(ms|milliseconds?|s|seconds?|m|minutes?|h|hours?)(?![a-z])", re.IGNORECASE
)
_TRY_AGAIN = re.compile(
    r"(?:try again|retry|wait)\s++(?:in|after|for|at least)?\s*+((?:\d++(?:\.\d++)?\s*+[a-z]++\s*+){1,4})",
    re.IGNORECASE,
)
_UNIT_SEC = {"m": 60.0, "h": 3600.0, "s": 1.0}
_LONGEST_WAIT_SEC = 86_400 * 7


@dataclass(frozen=True)
class Refusal:
    """What a server said when it refused, read from whichever shape it used. `message` is the beginning of it,
    without what the server repeats of the request.
    """

    message: str = ""
    code: str = ""
    param: str | None = None
    status: int | None = None

    @property
    def words(self) -> str:
        return f"{self.code} {self.message}"


def parameter_named(refusal: Refusal) -> str | None:
    """The one of our parameters that the refusal is about, or None."""
    found = _PARAMETER.search(refusal.param or "") or _PARAMETER.search(refusal.message)
    return found.group(1).replace("max_completion_tokens", "max_tokens") if found else None


def read_refusal(body: object, status: int | None) -> Refusal:
    """What `body` says, in the shapes of OpenAI, vLLM, llama-server, Ollama, LM Studio and FastAPI."""
    if isinstance(body, Mapping) and isinstance(body.get("error"), (Mapping, str)):
        body = body["error"]
    if isinstance(body, str):
        return Refusal(message=_own_words(body), status=status)
    if not isinstance(body, Mapping):
        return Refusal(status=status)
    if isinstance(body.get("detail"), list):
        return _validation_refusal(body["detail"], status)
    return Refusal(
        message=_own_words(str(body.get("message") or body.get("detail") or "")),
        code=_word(body.get("code")) or _word(body.get("type")),
        param=body["param"][:_MOST_NAME_CHARS] if isinstance(body.get("param"), str) else None,
        status=status if status is not None else _status_in(body),
    )


def _own_words(message: str) -> str:
    return _REPEATS.split(message[:_MOST_CHARS], maxsplit=1)[0]


def _word(code: object) -> str:
    """`code` where it is a word: llama-server's and vLLM's is the HTTP status again, their word is the type."""
    return code[:_MOST_NAME_CHARS] if isinstance(code, str) and not code.isdigit() else ""


def _status_in(body: Mapping[str, Any]) -> int | None:
    code = str(body.get("code") or body.get("status") or "")
    return int(code) if code.isascii() and code.isdigit() and len(code) == 3 and 400 <= int(code) < 600 else None


def _validation_refusal(items: list[Any], status: int | None) -> Refusal:
    first = items[0] if items and isinstance(items[0], Mapping) else {}
    place = first.get("loc")
    param = str(place[-1])[:_MOST_NAME_CHARS] if isinstance(place, (list, tuple)) and place else None
    return Refusal(message=_own_words(str(first.get("msg", ""))), param=param, status=status)


def is_overflow(refusal: Refusal) -> bool:
    return refusal.status != 429 and _OVERFLOW.search(refusal.words) is not None


def names_missing_model(refusal: Refusal) -> bool:
    return _NO_MODEL.search(refusal.words) is not None and (refusal.status or 404) in (400, 404, 422)


def says_no_streaming(refusal: Refusal) -> bool:
    return _NO_STREAMING.search(refusal.message) is not None


# ---- how long to wait --------------------------------------------------------------------------


def wait_sec(headers: Mapping[str, str], message: str = "", now: datetime | None = None) -> float | None:
    """Seconds until the next try, from the headers in use (Retry-After, OpenAI's retry-after-ms and x-ratelimit-reset)
    or from the words; None when nothing says so.
    """
    if (exact := _seconds(headers.get("retry-after-ms"))) is not None:
        return _plausible(exact / 1000)
    if (asked := retry_after_sec(headers.get("retry-after"), now)) is not None:
        return asked
    resets = [
        _duration_sec(headers.get(f"x-ratelimit-reset-{what}", ""))
        for what in ("requests", "tokens")
        if headers.get(f"x-ratelimit-remaining-{what}") == "0"
    ]
    known = [reset for reset in resets if reset is not None]
    if known:
        return _plausible(max(known))
    found = _TRY_AGAIN.search(message)
    return _plausible(_duration_sec(found[1])) if found else None


def retry_after_sec(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds to wait from a Retry-After header (a number or an HTTP date); None when it says nothing usable."""
    if not value:
        return None
    seconds = _seconds(value)
    if seconds is None:
        try:
            then = parsedate_to_datetime(value)
        except ValueError:
            return None
        then = then if then.tzinfo else then.replace(tzinfo=UTC)
        seconds = (then - (now or datetime.now(UTC))).total_seconds()
    return _plausible(seconds)


def _seconds(value: str | None) -> float | None:
    try:
        return float(value) if value else None
    except ValueError:
        return None


def _duration_sec(text: str) -> float | None:
    """Of `20s`, `6m0s`, `1.5 seconds` or `350ms`."""
    parts = _DURATION.findall(text)
    if not parts:
        return None
    return sum(float(count) * _unit_sec(unit.lower()) for count, unit in parts)


def _unit_sec(unit: str) -> float:
    return 0.001 if unit.startswith(("ms", "mil")) else _UNIT_SEC[unit[0]]


def _plausible(seconds: float | None) -> float | None:
    return max(seconds, 0.0) if seconds is not None and seconds < _LONGEST_WAIT_SEC else None
