"""Whether a prompt fits the model's context window, and what is left out of it when it does not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chatplay.chats.values import ContextUse, MessageRecord, OverflowPolicy, prompt_messages
from chatplay.errors import ContextFull
from chatplay.generation.values import AnswerMetrics
from chatplay.models.catalog import ModelInfo
from chatplay.models.view import takes_system_prompt
from chatplay.params import Params
from chatplay.providers.base import Message
from chatplay.tokens.counting import Count, TokenCounter, describe_overflow
from chatplay.tokens.estimate import estimate_message
from db.messages import MessageRow, SaidRow

Thread = Sequence[MessageRow | MessageRecord | SaidRow]


@dataclass(frozen=True)
class Plan:
    """What is sent: `messages`, without the oldest `omitted_messages` of the thread, about `omitted_tokens`."""

    messages: tuple[Message, ...]
    omitted_messages: int = 0
    omitted_tokens: int = 0


def plan(thread: Thread, *, params: Params, model: ModelInfo, policy: OverflowPolicy, counter: TokenCounter) -> Plan:
    """The prompt that ends with the thread's last prompt. Raises ContextFull when it can't be made to fit."""
    whole = Plan(messages_for(thread, params, model))
    if model.context_tokens is None:
        return whole
    reserved = params.max_tokens or 0
    used = count_thread(thread, params=params, model=model, counter=counter, whole=True, asking=False)
    over = used.tokens + reserved - model.context_tokens
    if over <= 0:
        return whole
    if policy == "drop_oldest":
        return _without_oldest(thread, used, over, params, model, counter)
    raise _full(used, reserved, model)


def use(
    thread: Thread,
    *,
    draft: str,
    params: Params,
    model: ModelInfo | None,
    policy: OverflowPolicy,
    counter: TokenCounter,
) -> ContextUse:
    """What the next prompt would take. `thread` may lack old messages that a later answer's usage covers."""
    counter.refresh(model)
    known = counter.known(model)
    base = count_thread(thread, params=params, model=model, counter=counter, whole=policy == "hold_back")
    typed = counter.count([draft] if draft else [], model)
    reserved = params.max_tokens or 0
    return ContextUse(
        used_tokens=base.tokens + typed.tokens,
        window_tokens=model.context_tokens if model else None,
        estimated=base.estimated or typed.estimated,
        reserved_tokens=reserved,
        method=typed.method if draft else base.method,
        error_share=known.calibration.error_share if known.calibration.is_known else None,
        error_answers=known.calibration.answers,
        system_prompt=params.system_prompt,
        system_tokens=_size(_system_prompt(params, model), model, counter),
        weights=known.weights,
        policy=policy,
    )


def count_thread(
    thread: Thread,
    *,
    params: Params,
    model: ModelInfo | None,
    counter: TokenCounter,
    whole: bool,
    asking: bool = True,
) -> Count:
    """Tokens of system prompt and thread. The last usage covers all before it, so only the rest is counted.

    `whole`: with what earlier prompts left out; else without, as the next one probably will. `asking`: the model's
    server may be asked, in the background.
    """
    rest: list[str] = []
    for place, entry in reversed(list(enumerate(thread))):
        metrics = _metrics(entry)
        if entry.status == "complete" and metrics is not None and _is_believable(metrics, model):
            return _after(metrics, thread[: place + 1], rest, params, model, counter, whole)
        if entry.content:
            rest.append(entry.content)
    messages = messages_for(thread, params, model) if thread else ()
    last = thread[-1] if thread and asking else None
    counted = None
    if last is not None and last.status != "streaming" and not isinstance(last, SaidRow):
        counted = counter.find_server_count(model, last.id, messages)
    if counted is not None:
        return Count(counted, "server", estimated=False)
    system = _system_prompt(params, model)
    return counter.count([*([system] if system else []), *rest], model)


def _is_believable(metrics: AnswerMetrics, model: ModelInfo | None) -> bool:
    """A usage beyond the window cannot be true: there was an answer. Believed, it would close the chat for good."""
    if metrics.prompt_tokens is None:
        return False
    window = model.context_tokens if model else None
    return window is None or metrics.prompt_tokens + (metrics.completion_tokens or 0) <= window


def _after(
    metrics: AnswerMetrics,
    covered: Thread,
    rest: list[str],
    params: Params,
    model: ModelInfo | None,
    counter: TokenCounter,
    whole: bool,
) -> Count:
    """The usage of an answer, which covers the thread up to it, and what came after it."""
    said = _said(metrics, covered[-1].content, model, counter)
    tokens = (metrics.prompt_tokens or 0) + said.tokens
    before, now = _system_prompt(metrics.params or Params(), model), _system_prompt(params, model)
    if now != before:
        # Never less than the thread: the estimate of a long prompt that is gone may be too high.
        least = min(counter.count([entry.content for entry in covered if entry.content], model).tokens, tokens)
        tokens = max(tokens - _size(before, model, counter), least) + _size(now, model, counter)
    if whole:
        tokens += metrics.omitted_tokens or 0
    more = counter.count(rest, model)
    is_other = model is not None and (metrics.provider, metrics.model) != (model.upstream, model.name)
    estimated = bool(
        metrics.tokens_estimated
        or said.estimated
        or rest
        or now != before
        or is_other
        or (whole and metrics.omitted_tokens)
    )
    return Count(tokens + more.tokens, more.method if estimated else "reported", estimated)


def _said(metrics: AnswerMetrics, text: str, model: ModelInfo | None, counter: TokenCounter) -> Count:
    """What an answer takes of the next prompt: its text, since reasoning is not sent again."""
    tokens = metrics.completion_tokens or 0
    if metrics.reasoning_tokens is not None:
        return Count(tokens - metrics.reasoning_tokens, "reported", estimated=False)
    if metrics.reasoning_ms is None:
        return Count(tokens, "reported", estimated=False)
    counted = counter.count([text] if text else [], model)  # it reasoned, and its server did not say how much
    return Count(min(counted.tokens, tokens), counted.method, estimated=True)


def _without_oldest(
    thread: Thread, used: Count, over: int, params: Params, model: ModelInfo, counter: TokenCounter
) -> Plan:
    weights = counter.known(model).weights
    sizes = [estimate_message(entry.content, weights) if entry.content else 0 for entry in thread]
    said = used.tokens - _size(_system_prompt(params, model), model, counter)
    scale = max(said, 0) / max(sum(sizes), 1)  # the estimate of parts, made to agree with the count of the whole
    omitted, saved = 0, 0.0
    for start, end in _turns(thread):
        if saved >= over or end == len(thread):
            break
        omitted, saved = end, saved + sum(sizes[start:end]) * scale
    if saved < over:
        raise _full(Count(round(used.tokens - saved), used.method, used.estimated), params.max_tokens or 0, model)
    return Plan(messages_for(thread[omitted:], params, model), omitted, round(saved))


def _turns(thread: Thread) -> Iterator[tuple[int, int]]:
    """From each prompt to the next: (start, end). The last one holds the prompt to answer."""
    starts = [place for place, entry in enumerate(thread) if entry.role == "user" and place] + [len(thread)]
    begin = 0
    for start in starts:
        yield begin, start
        begin = start


def messages_for(thread: Thread, params: Params, model: ModelInfo | None) -> tuple[Message, ...]:
    """What the model reads of a thread, without the system prompt where it takes none."""
    return prompt_messages(thread, params, system=takes_system_prompt(model))


def _system_prompt(params: Params, model: ModelInfo | None) -> str:
    """As it is sent; empty when none is."""
    return params.system_prompt if params.system_prompt.strip() and takes_system_prompt(model) else ""


def _size(text: str, model: ModelInfo | None, counter: TokenCounter) -> int:
    return counter.count([text] if text else [], model).tokens


def _metrics(entry: MessageRow | MessageRecord | SaidRow) -> AnswerMetrics | None:
    if entry.role != "assistant" or isinstance(entry, SaidRow):
        return None
    return entry.metrics if isinstance(entry, MessageRecord) else AnswerMetrics.from_json(entry.metrics)


def _full(used: Count, reserved: int, model: ModelInfo) -> ContextFull:
    return ContextFull(
        describe_overflow(used, reserved, model),
        param="text",
        cure="Shorten the message, begin a new chat, lower Max tokens, or let this chat leave out its oldest turns. "
        "Nothing was sent.",
    )
