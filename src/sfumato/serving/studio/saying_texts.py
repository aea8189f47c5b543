"""What the page says to be helpful, and of what went wrong: a part of its words."""

from collections.abc import Mapping
from typing import Final

SAYING: Final[Mapping[str, str]] = {
    "prompt_needed": "Say what you would like to see, or take an example.",
    "prompt_needed_edit": "Say what you would like to see.",
    "surprise": "🎲 Surprise me",
    "name_mask": "Mask",
    "say_mask": "Paint over what is to be drawn anew first.",
    "say_other": "Say in “Mixed with” what is to be mixed in.",
    "say_beside": "Say in {0} what the picture is to be put beside.",
    "say_vanished": "The picture {1} is no longer there: its file was removed or moved.",
    "say_sides": "Give at least one side some pixels.",
    "say_number": "{0}: {1} is not a number. Type one such as 0.5 or 7, or leave it empty.",
    "say_whole": "{0}: {1} is not a whole number from {2} to {3}. Type one, or leave it empty.",
    "say_at_least": "{0} must be at least {2}, not {1}.",
    "say_at_most": "{0} must be at most {2}, not {1}.",
    "empty_sure": "All that is in the bin is deleted for good. Pictures: {0}.",
    "empty_yes": "Delete for good",
    "empty_no": "Keep them",
    "grid_done_none": "No picture was drawn.",
    "start_afresh": "Start afresh: empty all fields",
}
