"""The option that lays adapters over a model."""

from typing import Annotated

import typer

PANEL = "What to draw"

Lora = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME[:WEIGHT]",
        help='Lay a LoRA over the model: a name, or a file; may be given several times. "NAME:0.8:0.6" '
        'weighs text encoder and UNet, as "<lora:NAME:0.8:0.6>" in the prompt does; off takes those of a '
        "recipe away.",
        rich_help_panel=PANEL,
    ),
]
