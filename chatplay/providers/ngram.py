"""A word-level n-gram sampler over a few pages of text: small, seeded, and driven by the usual parameters.

The chance of the next word mixes the contexts of n-1, n-2, ... 1 words by Witten-Bell weights (Chen & Goodman
1998, section 2.6). Every occurrence in the text is weighted by how well its page fits the prompt. Penalties,
temperature and top-p then act in that order, as in OpenAI's API.
"""

from __future__ import annotations

import math
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from chatplay.params import Params
from chatplay.providers.demo_text import Page

_TOKEN = re.compile(r"\s*(?:\w+(?:[.'’-]\w+)*|[^\w\s])")
_WORD = re.compile(r"\w{2,}(?:-\w+)*")
_BLOCK = ("```", "- ", "1. ", "| ", "> ")
_COMMON = frozenset(
    re.findall(
        r"\w+",
        "the and for you that with this not are was but all can has have what how why is it of to in on do does did "
        "tell me about write give make your my an as at be by or so please explain some any would could should",
    )
)
_AFTER_BLOCK = "\n"
_PAGE_END = ""
_SMOOTHING = 0.03  # how much of the chance goes to shorter contexts
_USED = 0.05  # weight left to a place in the text that this answer has used: it keeps greedy answers out of loops
_TOLD = 0.2  # the same for pages that earlier answers of the chat were about
_OFF_TOPIC = 0.03
_EARLIEST_END_TOKENS = 80


Choice = TypeVar("Choice")


@dataclass(frozen=True)
class Token:
    """`text` with the blanks before it, `key` as a context sees it, `page` it stands on."""

    text: str
    key: str
    page: int


def split_tokens(text: str) -> list[str]:
    """Words and marks, each with the blanks before it."""
    return _TOKEN.findall(text.rstrip())  # blanks at the end belong to no word and would be looked at again for each


class Text:
    """The pages as one row of tokens, and where each context of up to `order` - 1 keys occurs."""

    def __init__(self, pages: Sequence[Page], order: int) -> None:
        self.pages = pages
        self.order = order
        self.tokens = [token for number, page in enumerate(pages) for token in _page_tokens(number, page.text)]
        self.starts = [at for at, token in enumerate(self.tokens) if self._opens(at, token)]
        self.after: Mapping[tuple[str, ...], list[int]] = self._contexts()
        self._words = [Counter(_words(f"{page.keywords} " * 4 + page.text)) for page in pages]
        self._spread = Counter(word for words in self._words for word in words)

    def _opens(self, at: int, token: Token) -> bool:
        begins_page = at == 0 or self.tokens[at - 1].text == _PAGE_END
        return begins_page or (token.text.startswith("\n\n") and token.key.isalpha() and token.key != "here")

    def _contexts(self) -> dict[tuple[str, ...], list[int]]:
        after: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for at in range(1, len(self.tokens)):
            for length in range(1, min(self.order - 1, at) + 1):
                after[tuple(token.key for token in self.tokens[at - length : at])].append(at)
        return dict(after)

    def relevance(self, prompt: str, told: str) -> list[float]:
        """How well each page fits `prompt`, 0 to 1; less for pages that `told` has been taken from."""
        asked = set(_words(prompt[-4000:]))
        scores = [
            sum(min(words[word], 5) / self._spread[word] for word in asked if word in words) for words in self._words
        ]
        best = max(scores)
        if best == 0:
            scores, best = [1.0] + [0.0] * (len(scores) - 1), 1.0
        return [
            score / best * (_TOLD if page.text[:40] in told else 1.0)
            for score, page in zip(scores, self.pages, strict=True)
        ]


class Writer:
    """One answer in the making. `tokens` yields its words; `finished` tells whether it ended by itself."""

    def __init__(self, text: Text, params: Params, dice: random.Random, *, prompt: str, told: str = "") -> None:
        self._text = text
        self._params = params
        self._dice = dice
        self._topic = text.relevance(prompt, told)
        self._history: list[str] = []
        self._counts: Counter[str] = Counter()
        self._used: set[int] = set()

    def tokens(self) -> Iterator[str]:
        """The words, without end where the text never comes to a page's end."""
        first = self._opening()
        yield first.lstrip()
        written = 1
        while (text := self._next(written)) != _PAGE_END:
            yield text
            written += 1

    def _opening(self) -> str:
        text = self._text
        at = self._choose({at: self._topic[text.tokens[at].page] ** 3 + 1e-6 for at in text.starts})
        self._history = [token.key for token in text.tokens[max(0, at - text.order + 1) : at]]
        self._take(at)
        return text.tokens[at].text

    def _next(self, written: int) -> str:
        chances, places = self._chances(written)
        if len(chances) == 1:
            text = next(iter(chances))
        else:
            text = self._choose({text: self._penalised(text, chance, places) for text, chance in chances.items()})
        self._take(places[text])
        return text

    def _chances(self, written: int) -> tuple[dict[str, float], dict[str, int]]:
        """The chance of each next token, and for each the place where its longest context occurs."""
        chances: dict[str, float] = defaultdict(float)
        places: dict[str, int] = {}
        share = 1.0
        for length in range(min(self._text.order - 1, len(self._history)), 0, -1):
            found = self._text.after.get(tuple(self._history[-length:]))
            if not found:
                continue
            weights, total = self._weigh(found, written, places)
            kept = share if length == 1 else share * total / (total + _SMOOTHING * len(weights))
            for text, weight in weights.items():
                chances[text] += kept * weight / total
            share -= kept
        return chances, places

    def _weigh(self, found: list[int], written: int, places: dict[str, int]) -> tuple[dict[str, float], float]:
        weights: dict[str, float] = defaultdict(float)
        total = 0.0
        tokens, topic, used = self._text.tokens, self._topic, self._used
        for at in found:
            token = tokens[at]
            weight = _OFF_TOPIC + topic[token.page]
            if at in used:
                weight *= _USED
            if token.text == _PAGE_END:
                weight *= min(1.0, written / _EARLIEST_END_TOKENS) ** 2 + 1e-6
            weights[token.text] += weight
            total += weight
            places.setdefault(token.text, at)
        return weights, total

    def _penalised(self, text: str, chance: float, places: Mapping[str, int]) -> float:
        count = self._counts[self._text.tokens[places[text]].key]
        if not count:
            return chance
        presence, frequency = self._params.presence_penalty or 0.0, self._params.frequency_penalty or 0.0
        return chance * math.exp(-presence - frequency * count)

    def _choose(self, chances: Mapping[Choice, float]) -> Choice:
        temperature = 1.0 if self._params.temperature is None else self._params.temperature
        ranked = sorted(chances.items(), key=lambda item: -item[1])
        if temperature < 0.01:
            return ranked[0][0]
        top = ranked[0][1]
        ranked = [(choice, (chance / top) ** (1 / temperature)) for choice, chance in ranked]
        ranked = _nucleus(ranked, self._params.top_p)
        return self._dice.choices([choice for choice, _ in ranked], [weight for _, weight in ranked])[0]

    def _take(self, at: int) -> None:
        key = self._text.tokens[at].key
        self._used.add(at)
        self._counts[key] += 1
        self._history.append(key)


def _nucleus(ranked: list[tuple[Choice, float]], top_p: float | None) -> list[tuple[Choice, float]]:
    """The first choices that together reach `top_p` of the whole; always one at least."""
    if top_p is None or top_p >= 1:
        return ranked
    limit, reached, kept = top_p * sum(weight for _, weight in ranked), 0.0, 0
    for _, weight in ranked:
        kept += 1
        reached += weight
        if reached >= limit:
            break
    return ranked[:kept]


def _page_tokens(number: int, text: str) -> Iterator[Token]:
    """The tokens of a page. Lists, fences, quotes and tables, and the colon that leads to one, get keys of their
    own: once begun they go on to their end, so that their Markdown stays whole.
    """
    paragraphs = _paragraphs(text)
    for place, paragraph in enumerate(paragraphs):
        leads_to_block = paragraphs[place + 1 : place + 2] and paragraphs[place + 1].startswith(_BLOCK)
        is_block = paragraph.startswith(_BLOCK)
        pieces = re.findall(r"\s*\S+", "\n\n" + paragraph) if is_block else split_tokens("\n\n" + paragraph)
        for at, piece in enumerate(pieces):
            last = at == len(pieces) - 1
            own = f"#{number}.{place}.{at}"
            if is_block:
                key = _AFTER_BLOCK if last else own
            else:
                key = own if last and leads_to_block else piece.strip().lower()
            yield Token(piece, key, number)
    yield Token(_PAGE_END, _PAGE_END, number)


def _paragraphs(text: str) -> list[str]:
    """Parts between blank lines, code fences kept whole."""
    parts: list[str] = []
    for part in text.split("\n\n"):
        if parts and parts[-1].count("```") % 2:
            parts[-1] += "\n\n" + part
        else:
            parts.append(part)
    return parts


def _words(text: str) -> list[str]:
    """Telling words in lower case, plurals cut to singular."""
    words = (word.lower() for word in _WORD.findall(text))
    return [word.rstrip("s") if len(word) > 3 else word for word in words if word not in _COMMON]
