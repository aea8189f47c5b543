"""The options that steer the sampling."""

from typing import Annotated

import typer

PANEL = "Steer the sampling"

ClipSkip = Annotated[
    str | None,
    typer.Option(
        metavar="N",
        help="Read the text encoder at its Nth layer from the end: 1 is the last (the default), 2 the one "
        "before.",
        rich_help_panel=PANEL,
    ),
]
Tiling = Annotated[
    str | None,
    typer.Option(
        metavar="AXES",
        help="A picture that fits itself: left to right (x), top to bottom (y), both, or off.",
        rich_help_panel=PANEL,
    ),
]
ApgFlag = Annotated[
    str | None,
    typer.Option(
        "--apg",
        metavar="ETA[,NORM[,MOMENTUM]]",
        help="Adaptive projected guidance, for strong --guidance: keep the share ETA of what only "
        "saturates, such as 0 (with 0.06,-0.5 where they are not given); or off.",
        rich_help_panel=PANEL,
    ),
]
Threshold = Annotated[
    str | None,
    typer.Option(
        metavar="X",
        help="Dynamic thresholding, for strong --guidance: the percentile, 0.5 to 1 (0.995), or off.",
        rich_help_panel=PANEL,
    ),
]
Pag = Annotated[
    str | None,
    typer.Option(
        metavar="X",
        help="Perturbed-attention guidance, 0 (off) to 100: away from what the model draws without seeing "
        "structure; half as much work again.",
        rich_help_panel=PANEL,
    ),
]
FreeUFlag = Annotated[
    str | None,
    typer.Option(
        "--freeu",
        metavar="B1,B2,S1,S2",
        help="FreeU: factors of the UNet's own features (1.1 to 1.6) and of what skips its depth (0.2 to 1), "
        "in its first two up blocks; or off.",
        rich_help_panel=PANEL,
    ),
]
