"""`sfumato evaluate`: scores of a model, by a judge that never met it."""

from pathlib import Path
from typing import Annotated

import typer

from sfumato.cli import flags
from sfumato.cli.console import examples
from sfumato.cli.flags import Flags

EXAMPLES = examples(
    "sfumato evaluate",
    "sfumato evaluate runs/diffusion/model --scenes 32 --output sheet.png",
    "sfumato evaluate --guidance 5 --json > scores.json",
    "sfumato evaluate --fast --scenes 32",
)


def evaluate(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model's name or folder; see: sfumato models.")
    ] = "bundled",
    scenes: Annotated[
        str,
        typer.Option(
            metavar="N", help="Single objects to draw, 4 to 10000; everything else is drawn in proportion."
        ),
    ] = "312",
    size: flags.Size = None,
    steps: flags.Steps = None,
    sampler: flags.Sampler = None,
    spacing: flags.Spacing = None,
    guidance: flags.Guidance = None,
    cache_interval: flags.CacheInterval = None,
    fast: flags.Fast = False,
    seed: Annotated[
        str | None, typer.Option(metavar="N", help="Decides prompts and noise.", rich_help_panel=flags.HOW)
    ] = None,
    backend: flags.Backend = None,
    precision: flags.Precision = None,
    offload: flags.Offload = None,
    storage: flags.Storage = None,
    judge: flags.Judge = None,
    font: flags.Font = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The sheet of judged pictures, replaced if it exists. Without it, a new name here.",
            rich_help_panel=flags.RESULT,
        ),
    ] = None,
    as_json: flags.Json = False,
) -> None:
    """Score a model by what it draws.

    Draws captioned scenes and has them judged: are object, background and style as the prompt said; are
    both objects of a pair there; and the same for combinations that training never showed. Every score
    comes with its sample size, a 95 % interval, and what the judge makes of real pictures, as they are and
    after the model's autoencoder, which limits what it can draw. Prints a table, and the path of a sheet of
    pictures.
    """
    settings = flags.settings_with(backend, precision, offload, storage)
    from sfumato.cli.recipes import with_flags
    from sfumato.cli.scoring import score
    from sfumato.recipe.image import Recipe

    asked = Flags(
        model=model,
        size=size,
        steps=steps,
        sampler=sampler,
        spacing=spacing,
        guidance=guidance,
        cache_interval=cache_interval,
        fast=fast,
        seed=seed,
    )
    recipe = with_flags(Recipe(), asked)
    score(recipe, settings, scenes=scenes, judge=judge, font=font, output=output, as_json=as_json)
