"""What is said of an answer that did not come to its end, in a chat and on Compare alike."""

from __future__ import annotations

UNFINISHED = {
    "stopped": "You stopped this answer. What had come is kept.",
    "interrupted": "The app was restarted while this answer came. What had come is kept.",
}
