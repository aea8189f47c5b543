"""The options for sizes beyond the model's own."""

from typing import Annotated

import typer

PANEL = "Larger than the model"

Hires = Annotated[
    str | None,
    typer.Option(
        metavar="X",
        help="Draw the finished picture again, X times as wide and high (above 1, up to 16), with the same "
        "prompt; 1: not.",
        rich_help_panel=PANEL,
    ),
]
HiresStrength = Annotated[
    str | None,
    typer.Option(
        metavar="X",
        help="How much of it to draw anew, 0 to 1; 0 only enlarges. Default: 0.2, above twice as large 0.1.",
        rich_help_panel=PANEL,
    ),
]
HiresMethod = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="What enlarges it before: learned (a small network, the default), lanczos, or latent.",
        rich_help_panel=PANEL,
    ),
]
HiresSteps = Annotated[
    str | None,
    typer.Option(
        metavar="N",
        help="Denoising steps, of which the strength is the share that is drawn; as --steps.",
        rich_help_panel=PANEL,
    ),
]
HiresPasses = Annotated[
    str | None,
    typer.Option(
        metavar="N",
        help="In how many equal enlargements, 1 to 4. Default: so that none is by more than two.",
        rich_help_panel=PANEL,
    ),
]
HiresKeep = Annotated[
    str | None,
    typer.Option(
        metavar="X",
        help="During which share of its steps, 0 to 1, what is coarse stays as it was before. Default: 1.",
        rich_help_panel=PANEL,
    ),
]
Windows = Annotated[
    str | None,
    typer.Option(
        "--windows",
        metavar="N",
        help="Draw in overlapping windows of N pixels wherever the picture is larger, so that --size may be "
        "any; auto: of the model's own size; off: not.",
        rich_help_panel=PANEL,
    ),
]
WindowOverlap = Annotated[
    str | None,
    typer.Option(
        metavar="X",
        help="How much of a window its neighbours share, 0 to 0.75. Default: 0.5.",
        rich_help_panel=PANEL,
    ),
]
