"""What the page says of films: a part of its words."""

from collections.abc import Mapping
from typing import Final

FILMS: Final[Mapping[str, str]] = {
    "film": "As a film",
    "film_settings": "How the film goes",
    "film_about": "From the first prompt to the other, and on to the third where there is one.",
    "film_frames": "Pictures in all",
    "film_frames_info": "Empty: 12 from each to the next",
    "film_fps": "Pictures a second",
    "film_hold": "Seconds that each of them stays",
    "film_seeds": "From seed to seed",
    "film_seeds_info": "1,2 or 1..3: one for each prompt, or several for one prompt",
    "film_loop": "Return to the first at the end",
    "film_shown": "The film",
    "film_no_video": 'MP4 as well: pip install "sfumato[video]"',
    "film_save": "Download the film",
}
