"""The options that show how a picture came to be."""

from pathlib import Path
from typing import Annotated

import typer

PANEL = "See it happen"

Trace = Annotated[
    Path | None,
    typer.Option(
        "--trace",
        metavar="FOLDER",
        help="Write what every step did: two pictures, the numbers as JSON and CSV, and a page with a slider "
        "(index.html). The folder is new, empty, or an earlier trace, which is replaced.",
        rich_help_panel=PANEL,
    ),
]
Animate = Annotated[
    Path | None,
    typer.Option(
        "--animate",
        metavar="FILE",
        help="Write the drawing as an animation: .gif, .webp, or .mp4 (pip install sfumato\\[video]).",
        rich_help_panel=PANEL,
    ),
]
AnimateShows = Annotated[
    str | None,
    typer.Option(
        "--animate-shows",
        metavar="NAME",
        help="What the animation shows on the way: x0, what the network expects to come out (the default), "
        "or noisy, the latent itself.",
        rich_help_panel=PANEL,
    ),
]
ExactSteps = Annotated[
    bool,
    typer.Option(
        "--exact-steps",
        help="Decode every step of --trace and --animate in full, as finished pictures are, instead of by "
        "the small decoder of previews: two decodes more at each step.",
        rich_help_panel=PANEL,
    ),
]
Attention = Annotated[
    Path | None,
    typer.Option(
        "--attention",
        metavar="FOLDER",
        help="Write where every word acted: an overlay for each, all on one grid (attention.png), and "
        "numbers as JSON. Needs --backend torch. The folder is new, empty, or an earlier one of these.",
        rich_help_panel=PANEL,
    ),
]
