"""The options for drawing from pictures, and for prompts that have their place."""

from typing import Annotated

import typer

FROM = "A picture to begin with"
WHERE = "What goes where"

Image = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Begin with this picture (PNG, JPEG or WebP).", rich_help_panel=FROM),
]
Strength = Annotated[
    str | None,
    typer.Option(
        metavar="X",
        help="How much of it to draw anew: 0 gives it back, 1 keeps next to nothing; 0.75, with a mask 1.",
        rich_help_panel=FROM,
    ),
]
StartStep = Annotated[
    str | None,
    typer.Option(
        metavar="N",
        help="The same in steps: skip the first N, and begin with the picture and the noise of that moment.",
        rich_help_panel=FROM,
    ),
]
Fit = Annotated[
    str | None,
    typer.Option(
        metavar="HOW",
        help="Where the size differs: crop (the default), fill (continue its edge) or stretch.",
        rich_help_panel=FROM,
    ),
]
ImageGuidance = Annotated[
    str | None,
    typer.Option(
        metavar="X",
        help="How strictly a model that edits by instructions (instruct-pix2pix) follows the picture, 1 to "
        "100; 1.5. off: as other models have it.",
        rich_help_panel=FROM,
    ),
]
KeepColour = Annotated[
    bool,
    typer.Option("--keep-colour", help="Give the result the colours of the picture.", rich_help_panel=FROM),
]
Mask = Annotated[
    str | None,
    typer.Option(
        metavar="WHERE",
        help="Draw only this part anew; the rest comes back bit for bit. A picture (white is drawn), alpha "
        "(what is transparent), a name (left, top-right, center), or LEFT,TOP,WIDTHxHEIGHT in pixels.",
        rich_help_panel=FROM,
    ),
]
MaskInvert = Annotated[
    bool, typer.Option("--mask-invert", help="Draw everything but that part.", rich_help_panel=FROM)
]
MaskGrow = Annotated[
    str | None,
    typer.Option(metavar="N", help="Grow the mask by N pixels; -N shrinks it.", rich_help_panel=FROM),
]
MaskFeather = Annotated[
    str | None,
    typer.Option(metavar="N", help="Let the new part fade out over N pixels.", rich_help_panel=FROM),
]
MaskFill = Annotated[
    str | None,
    typer.Option(
        metavar="HOW",
        help="What the part begins with: noise, original, or blur (what is around it).",
        rich_help_panel=FROM,
    ),
]
MaskSoft = Annotated[
    bool,
    typer.Option(
        "--mask-soft", help="Grey in the mask is drawn anew less, the darker the less.", rich_help_panel=FROM
    ),
]
MaskedOnly = Annotated[
    bool,
    typer.Option(
        "--masked-only",
        help="Draw the part and what is around it enlarged to the model's size: more detail in small places.",
        rich_help_panel=FROM,
    ),
]
MaskPadding = Annotated[
    str | None,
    typer.Option(
        metavar="N", help="With --masked-only, how many pixels around it; 32.", rich_help_panel=FROM
    ),
]
Outpaint = Annotated[
    str | None,
    typer.Option(
        metavar="SIDES",
        help='Draw more around the picture: "right=64", "left=32,top=16", or 32 for every side.',
        rich_help_panel=FROM,
    ),
]
OutpaintStep = Annotated[
    str | None,
    typer.Option(
        metavar="N",
        help="Add at most so many pixels to a side at a time, each time in a window of the size that the "
        "model draws; 0: all at once. Default: a quarter of that size, where more than that is to be added.",
        rich_help_panel=FROM,
    ),
]
Variation = Annotated[
    str | None,
    typer.Option(
        metavar="X",
        help="Pictures near the one of --seed: 0.1 changes details, 0.5 the composition.",
        rich_help_panel=FROM,
    ),
]
VariationSeed = Annotated[
    str | None,
    typer.Option(metavar="N", help="Which of them: seeds N, N+1, ...; random.", rich_help_panel=FROM),
]
Control = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILE",
        help="Follow this picture with a ControlNet or a T2I-Adapter; may be given several times. "
        '"image" is the picture of --image.',
        rich_help_panel=WHERE,
    ),
]
ControlModel = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="The ControlNet or T2I-Adapter: a name, a folder or a file; edges, which comes along. Once for "
        "all, or once for each --control.",
        rich_help_panel=WHERE,
    ),
]
ControlAnnotator = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="What makes its map of the picture: canny, lineart, grey, colour, blur, segments, or none for a "
        "finished map; what goes with the ControlNet's name.",
        rich_help_panel=WHERE,
    ),
]
ControlWeight = Annotated[
    list[str] | None,
    typer.Option(metavar="X", help="How strongly it steers, 0 to 4; 1.", rich_help_panel=WHERE),
]
ControlStart = Annotated[
    list[str] | None,
    typer.Option(metavar="X", help="From this fraction of the steps; 0.", rich_help_panel=WHERE),
]
ControlStop = Annotated[
    list[str] | None,
    typer.Option(metavar="X", help="Up to this fraction of the steps; 1.", rich_help_panel=WHERE),
]
Region = Annotated[
    list[str] | None,
    typer.Option(
        metavar='"TEXT@WHERE"',
        help="A prompt for one part of the picture: a name (left, top-right), LEFT,TOP,WIDTHxHEIGHT, or a "
        "picture of its mask; may be given several times. PROMPT is for the rest.",
        rich_help_panel=WHERE,
    ),
]
RegionFeather = Annotated[
    str | None,
    typer.Option(
        metavar="X",
        help="How far neighbouring regions run into each other, as a fraction of the shorter side; 0.1.",
        rich_help_panel=WHERE,
    ),
]
