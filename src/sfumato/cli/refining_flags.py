"""The options that have another model end the picture."""

from typing import Annotated

import typer

PANEL = "How to draw it"

Refiner = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Another model that draws the last steps, on the same latents: a name, a folder or a file; off: "
        "none.",
        rich_help_panel=PANEL,
    ),
]
RefineFrom = Annotated[
    str | None,
    typer.Option(
        metavar="X",
        help="From which share of the noise levels on it draws, above 0 and below 1. Default: 0.8, the last "
        "fifth.",
        rich_help_panel=PANEL,
    ),
]
