"""`sfumato merge`: several checkpoints become one."""

from pathlib import Path
from typing import Annotated

import typer

from sfumato.cli import flags
from sfumato.cli.console import examples

EXAMPLES = examples(
    "sfumato merge a.safetensors b.safetensors --output half.safetensors",
    "sfumato merge a.safetensors b.safetensors --weight 0.3 --part OUT11=0 --part VAE=0 "
    "--output mine.safetensors",
    "sfumato merge inpaint.safetensors a.safetensors b.safetensors --method difference -o c.safetensors",
    "sfumato merge --recipe half.toml --output again.safetensors",
)


def merge(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="The safetensors file to write."),
    ],
    models: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="A B [C]", help="Checkpoints of the original layout and one family, as safetensors."
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="weighted: (1 - w) A + w B, the default; slerp: the same along an arc; "
            "difference: A + w (B - C).",
        ),
    ] = None,
    weight: Annotated[
        str | None,
        typer.Option(metavar="W", help="0 is A, 1 is B; for a difference, how much of it. Default: 0.5."),
    ] = None,
    part: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PART=W",
            help="A weight of its own for a part: IN00 to IN11, M00, OUT00 to OUT11, BASE (the rest of the "
            "UNet), TEXT, VAE. May be given again.",
        ),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="float32, float16 or bfloat16. Default: as A is stored."),
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A merge that was written down: TOML, or a merged file, whose metadata has it. The models "
            "are looked for beside it; flags change it.",
        ),
    ] = None,
    as_json: flags.Json = False,
) -> None:
    """Merge checkpoints into one.

    Tensors are merged one at a time in float32, so that large models take little memory. The recipe, with the
    sha256 of every model, is in the metadata of the result and beside it as FILE.toml. Nothing is left
    half-written.
    """
    from sfumato.cli.merging import merge_models

    merge_models(
        models or [],
        output,
        method=method,
        weight=weight,
        parts=part or [],
        dtype=dtype,
        recipe=recipe,
        as_json=as_json,
    )
