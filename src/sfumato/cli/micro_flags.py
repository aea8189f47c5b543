"""The options that say what models like Stable Diffusion XL are told of a picture beside its text."""

from typing import Annotated

import typer

PANEL = "Tell the model of the picture (Stable Diffusion XL)"

OriginalSize = Annotated[
    str | None,
    typer.Option(
        metavar="WxH",
        help="How large the picture was before it was resized; small ones are blurred. Default: as drawn.",
        rich_help_panel=PANEL,
    ),
]
Crop = Annotated[
    str | None,
    typer.Option(
        metavar="X,Y",
        help="What was cut off of it at the left and at the top, in pixels. Default: 0,0.",
        rich_help_panel=PANEL,
    ),
]
TargetSize = Annotated[
    str | None,
    typer.Option(
        metavar="WxH",
        help="The size that it was cut to; others show what pictures of that shape show. Default: as drawn.",
        rich_help_panel=PANEL,
    ),
]
NegativeOriginalSize = Annotated[
    str | None,
    typer.Option(
        metavar="WxH",
        help="The original size that guidance leads away from, such as 512. Default: --original-size.",
        rich_help_panel=PANEL,
    ),
]
Score = Annotated[
    str | None,
    typer.Option(
        "--score",
        metavar="X",
        help="How beautiful the refiner takes it to be, 0 to 10. Default: 6.",
        rich_help_panel=PANEL,
    ),
]
NegativeScore = Annotated[
    str | None,
    typer.Option(
        metavar="X",
        help="The score that guidance leads away from, 0 to 10. Default: 2.5.",
        rich_help_panel=PANEL,
    ),
]
