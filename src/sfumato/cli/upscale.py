"""`sfumato upscale`: pictures in, larger ones out."""

from pathlib import Path
from typing import Annotated

import typer

from sfumato.cli import flags
from sfumato.cli.console import examples
from sfumato.errors import RecipeError

EXAMPLES = examples(
    "sfumato upscale frog.png",
    "sfumato upscale frog.png --factor 2 --output large.webp",
    "sfumato upscale frog.png owl.png --size 1024 --output .",
    "sfumato upscale photo.jpg --method lanczos --format jpg",
    "sfumato upscale photo.jpg --network 4x_Some_ESRGAN.safetensors",
    'sfumato upscale frog.png --factor 2 --redraw "a frog"',
    'sfumato upscale frog.png --model stable-diffusion-x4-upscaler --prompt "a frog"',
)

MODEL = "With a diffusion model"


def upscale(
    pictures: Annotated[
        list[Path], typer.Argument(metavar="PICTURE...", help="PNG, JPEG or WebP files, by whatever program.")
    ],
    factor: Annotated[
        str | None,
        typer.Option(
            metavar="X",
            help="How many times as wide and high, above 1 and up to 16. Default: what the network does, 4.",
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(metavar="WxH", help="Width x height in pixels, or one number for the longer side."),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="learned: a network makes it larger, the bundled one four times, and Lanczos does the rest; "
            "or lanczos.",
        ),
    ] = "learned",
    network: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Another network than the bundled one: an ESRGAN file (.safetensors), or RUN/upscaler of a "
            "training run.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Draw it larger with a diffusion model made for that, of the family of "
            "stable-diffusion-x4-upscaler: its name or folder.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="With --model: what the picture shows.", rich_help_panel=MODEL),
    ] = None,
    negative: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="With --model: what it should not show.", rich_help_panel=MODEL),
    ] = None,
    noise_level: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="With --model: how much noise is put on the picture first, usually up to 350. More lets the "
            "model invent more. Default: 20.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    steps: Annotated[
        str | None,
        typer.Option(metavar="N", help="With --model: denoising steps.", rich_help_panel=MODEL),
    ] = None,
    guidance: Annotated[
        str | None,
        typer.Option(
            metavar="X", help="With --model: how strictly to follow the prompt.", rich_help_panel=MODEL
        ),
    ] = None,
    redraw: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Enlarge it, and draw it again with the bundled model, or that of --model, in overlapping "
            "windows: what the picture shows. Takes --negative, --steps, --guidance and --seed as well.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    strength: Annotated[
        str | None,
        typer.Option(
            metavar="X",
            help="With --redraw: how much to draw anew, 0 to 1. Default: 0.2, above twice as large 0.1.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    seed: Annotated[
        str | None,
        typer.Option(metavar="N", help="With --model: where the noise begins.", rich_help_panel=MODEL),
    ] = None,
    backend: flags.Backend = None,
    precision: flags.Precision = None,
    offload: flags.Offload = None,
    storage: flags.Storage = None,
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
    from sfumato.cli.upscaling import Asked, only_with_model, upscale_files

    asked = Asked(factor=factor, size=size, method=method, network=network)
    if redraw is not None:
        from sfumato.cli.redrawing import Redraw, redraw_files

        if prompt is not None or noise_level is not None:
            one = "prompt" if prompt is not None else "noise-level"
            raise RecipeError("is not possible with --redraw", field=one, hint="Leave it out.")
        how = Redraw(redraw, model, negative, strength, steps, guidance, seed)
        settings = flags.settings_with(backend, precision, offload, storage)
        redraw_files(tuple(pictures), asked, how, settings, output=output, format_=format_, as_json=as_json)
        return
    if strength is not None:
        raise RecipeError("is for --redraw", field="strength", value=strength, hint="Leave it out.")
    if model is not None:
        from sfumato.cli.upscaling_by_model import Wanted, upscale_by_model

        wanted = Wanted(model, prompt, negative, noise_level, steps, guidance, seed)
        settings = flags.settings_with(backend, precision, offload, storage)
        upscale_by_model(
            tuple(pictures), asked, wanted, settings, output=output, format_=format_, as_json=as_json
        )
        return
    only_with_model(
        prompt=prompt,
        negative=negative,
        noise_level=noise_level,
        steps=steps,
        guidance=guidance,
        seed=seed,
        backend=backend,
        precision=precision,
    )
    upscale_files(tuple(pictures), asked, output=output, format_=format_, as_json=as_json)
