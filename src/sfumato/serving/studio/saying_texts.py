"""What the page says to be helpful, and of what went wrong: a part of its words."""

from collections.abc import Mapping
from typing import Final

SAYING: Final[Mapping[str, str]] = {
    "prompt_needed": "Say what you would like to see, or take an example.",
    "prompt_needed_edit": "Say what you would like to see.",
    "surprise": "🎲 Surprise me",
}
