"""`sfumato convert`: a model from one layout to the other."""

from pathlib import Path
from typing import Annotated

import typer

from sfumato.cli import flags
from sfumato.cli.console import examples

EXAMPLES = examples(
    "sfumato convert model.safetensors model/",
    "sfumato convert model/ model.safetensors --dtype float16",
    "sfumato convert model.safetensors better.safetensors --vae vae-ft-mse-840000-ema-pruned.safetensors",
    "sfumato convert model.safetensors its-vae.safetensors --only vae",
    "sfumato convert model.safetensors inked.safetensors --lora ink:0.8 --lora watercolour.safetensors:0.5",
)


def convert(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A single file (.safetensors), a diffusers folder, or its name."
        ),
    ],
    output: Annotated[
        Path,
        typer.Argument(
            metavar="OUT", help="What to write: a single file if it ends in .safetensors, else a folder."
        ),
    ],
    dtype: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="float32, float16 or bfloat16. Default: as it is stored, bit by bit."
        ),
    ] = None,
    vae: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="The autoencoder of this file or folder in the place of the model's."
        ),
    ] = None,
    lora: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:WEIGHT]",
            help="Bake a LoRA or one of its relatives in: a name, or a file; may be given several times. "
            '"NAME:0.8:0.6" weighs text encoder and UNet.',
        ),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(metavar="PART", help="vae: write the autoencoder alone."),
    ] = None,
    as_json: flags.Json = False,
) -> None:
    """Turn a single file into a diffusers folder, a folder into a single file, or change how it is stored.

    Single files are of the layout that Stable Diffusion was published in, which A1111 and ComfyUI read. Of
    the tensors nothing changes, not a bit, unless --dtype, --vae or --lora says so. What training left in the
    file (averages, optimisers) and networks that are not drawn with stay behind. What a single file cannot
    say goes into NAME.sfumato.json beside it; which LoRAs were baked in, into the metadata. Pickles (.ckpt,
    .pt, .bin) are refused, never opened. Prints the path.
    """
    from sfumato.cli.converting import convert_model

    convert_model(model, output, dtype=dtype, vae=vae, loras=lora or [], only=only, as_json=as_json)
