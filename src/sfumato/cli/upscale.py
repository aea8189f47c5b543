"""`sfumato upscale`: pictures in, larger ones out."""

from pathlib import Path
from typing import Annotated

import typer

from sfumato.cli import flags
from sfumato.cli.console import examples

EXAMPLES = examples(
    "sfumato upscale frog.png",
    "sfumato upscale frog.png --factor 2 --output large.webp",
    "sfumato upscale frog.png owl.png --size 1024 --output .",
    "sfumato upscale photo.jpg --method lanczos --format jpg",
)


def upscale(
    pictures: Annotated[
        list[Path], typer.Argument(metavar="PICTURE...", help="PNG, JPEG or WebP files, by whatever program.")
    ],
    factor: Annotated[
        str | None,
        typer.Option(metavar="X", help="How many times as wide and high, above 1 and up to 16. Default: 4."),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(metavar="WxH", help="Width x height in pixels, or one number for the longer side."),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="learned: a small network makes it four times as large, and Lanczos does the rest; or "
            "lanczos.",
        ),
    ] = "learned",
    network: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Another network than the bundled one: RUN/upscaler of a training run."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="A file (.png, .jpg, .webp; replaced if it exists) or an existing folder. Without it, a new "
            "name beside each picture, NAME-4x.png.",
            rich_help_panel=flags.RESULT,
        ),
    ] = None,
    format_: flags.Format = None,
    as_json: flags.Json = False,
) -> None:
    """Make pictures larger.

    The bundled network learned on drawings of the bundled model's world. It draws sharper edges than Lanczos
    there; a photograph gains less. Prints the path of each picture. What other programs read, the A1111
    parameters, goes along; the recipe that "sfumato verify" draws again does not, as these pixels are no
    drawing of it.
    """
    from sfumato.cli.upscaling import Asked, upscale_files

    asked = Asked(factor=factor, size=size, method=method, network=network)
    upscale_files(tuple(pictures), asked, output=output, format_=format_, as_json=as_json)
