"""The options that put something in the place of what the model brings: its autoencoder, and its schedule."""

from typing import Annotated

import typer

PANEL = "How to draw it"

Vae = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Another autoencoder (VAE) than the model's: a name, a file or a folder; own for the model's.",
        rich_help_panel=PANEL,
    ),
]
Prediction = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="What the network predicts, where the model's files do not say so: eps (noise), v "
        "(velocity) or x0.",
        rich_help_panel=PANEL,
    ),
]
ZeroSnr = Annotated[
    bool | None,
    typer.Option(
        "--zero-snr/--no-zero-snr",
        help="The model was trained with zero terminal SNR, or was not, where its files do not say so.",
        rich_help_panel=PANEL,
    ),
]
