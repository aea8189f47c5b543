"""`sfumato compile`: store compiled graphs, and say how far they compute from float32."""

from typing import Annotated

import typer

from sfumato.cli import flags
from sfumato.cli.console import examples

EXAMPLES = examples(
    "sfumato compile bundled",
    "sfumato compile bundled --precision int8 --pictures 32",
    "sfumato compile bundled --precision int8-full",
    "sfumato compile ~/models/mine --precision bf16 --json",
)


def compile(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model's name or folder; see: sfumato models.")
    ],
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What the networks compute in: auto (bf16 where the processor has it, else f32), f32, bf16, "
            "int8 (weights alone), or int8-full (the UNet multiplies whole numbers).",
        ),
    ] = None,
    pictures: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="Pictures to draw and compare, 0 to 1000. Without it 8, or 1 of a large model.",
        ),
    ] = None,
    as_json: flags.Json = False,
) -> None:
    """Compile a model for this processor once, so that every later start is quicker.

    Graphs of small networks, and of those with weights of eight bits, are stored in the data folder; drawing
    finds and checks them there. Pictures stay the same: what is missing, damaged or of another version is
    compiled in memory, as without this command. For int8-full, pictures are drawn first, to measure the
    ranges of what is rounded; nothing draws in it before that. Then everything is compared with float32: the
    relative error of each network, and the PSNR of pictures. The report is stored as well; "sfumato models"
    shows it.
    """
    settings = flags.settings_with("openvino", precision)
    from sfumato.cli.compiling import compile_model

    compile_model(model, settings, pictures=pictures, as_json=as_json)
