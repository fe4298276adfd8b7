"""The answers the mock model gives: Markdown of our own, cut into tokens of about four characters.

The first token holds `R<id>` and the last `Z<id>`, so that a reader can recognise both in any page or frame.
"""

from __future__ import annotations

from itertools import cycle

TOKEN_CHARS = 4

_BLOCKS = (
    "A river is read from its **edges** inwards. Where the bank is undercut the current is fast and the bed is "
    "deep; where the bank slopes the water is slow, warm and full of small life. Walk upstream for an hour and "
    "the same three forms come back in the same order: pool, riffle, run.",
    "Three things decide how quickly it carries sand:\n\n- the *slope* of the bed over a few hundred metres\n"
    "- the depth at which the flow turns rough\n- the size of the grains, which vary more than the flow does",
    "The usual estimate takes the shear stress at the bed and compares it with what a grain can bear. Below the "
    "threshold nothing moves; a little above it the grains roll and stop, and far above it they travel in a "
    "cloud that reaches `h/3` over the bed. The threshold itself is soft, since no two grains lie alike.",
    "```python\ndef shear_stress(depth_m, slope):\n    density, gravity = 1000.0, 9.81\n"
    "    return density * gravity * depth_m * slope\n```",
    "None of this needs a gauge. A stick with marks every ten centimetres, a float and a watch give the depth "
    "and the speed within a tenth, which is closer than the formula that follows them. Repeat it in spring, "
    "when the snow comes down, and again in the dry weeks of late summer.",
    "1. Choose a straight reach of thirty metres.\n2. Time the float five times and keep the middle value.\n"
    "3. Multiply by 0.85, because the surface is faster than the rest.",
)


def tokens(count: int, answer_id: str) -> list[str]:
    """`count` tokens (at least 2) of one answer; joined they are valid Markdown with paragraphs."""
    opening, ending = f"R{answer_id} ", f" Z{answer_id}."
    body = _text((count - 2) * TOKEN_CHARS)
    cut = [body[at : at + TOKEN_CHARS] for at in range(0, len(body), TOKEN_CHARS)]
    return [opening, *cut, ending]


def _text(chars: int) -> str:
    parts, length = [], 0
    for block in cycle(_BLOCKS):
        if length >= chars:
            break
        parts.append(block)
        length += len(block) + 2
    return "\n\n".join(parts)[:chars].ljust(chars, ".")
