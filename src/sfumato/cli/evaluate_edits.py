"""`sfumato evaluate-edits`: what a model makes of pictures, masks, outlines and mixes, in figures."""

from pathlib import Path
from typing import Annotated

import typer

from sfumato.cli import flags
from sfumato.cli.console import examples
from sfumato.cli.flags import Flags

EXAMPLES = examples(
    "sfumato evaluate-edits",
    "sfumato evaluate-edits --only replace,mix --scenes 100 --sheet sheets",
    "sfumato evaluate-edits runs/diffusion/model --judge runs/judge/judge.safetensors --json > edits.json",
)


def evaluate_edits(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model's name or folder; see: sfumato models.")
    ] = "bundled",
    only: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Tasks, with commas between: outside, replace, colour, sketch, night, day, restyle, "
            "control, mix, mix-bands, mix-branches, mix-embeddings, mix-words, attention, upscale. Without "
            "it, all but the four that say how to mix.",
        ),
    ] = None,
    scenes: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="Scenes for each task, 1 to 10000. Without it, 50; 100 for control, 30 for mixes.",
        ),
    ] = None,
    steps: flags.Steps = None,
    sampler: flags.Sampler = None,
    spacing: flags.Spacing = None,
    guidance: flags.Guidance = None,
    cache_interval: flags.CacheInterval = None,
    fast: flags.Fast = False,
    seed: Annotated[
        str | None, typer.Option(metavar="N", help="Decides scenes and noise.", rich_help_panel=flags.HOW)
    ] = None,
    backend: flags.Backend = None,
    precision: flags.Precision = None,
    offload: flags.Offload = None,
    storage: flags.Storage = None,
    judge: flags.Judge = None,
    font: flags.Font = None,
    sheet: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="An existing folder for sheets of pictures, TASK.png, replaced if they exist: the first 24 "
            "edits of each task, before and after.",
            rich_help_panel=flags.RESULT,
        ),
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option("--format", metavar="NAME", help="png, jpg or webp.", rich_help_panel=flags.RESULT),
    ] = None,
    as_json: flags.Json = False,
) -> None:
    """Score a model by what it makes of pictures.

    Edits scenes and has them judged. Outside: what is outside a mask stays, bit for bit. Replace: one object
    of two becomes another. Colour, sketch, night, day, restyle: a picture changes, and its object stays.
    Control: outlines are followed. Mix: two prompts make one thing. Attention: words act where their objects
    are (torch alone shows that). Upscale: the network against Lanczos. Each figure has its sample size, a
    95 % interval and what to read it against, drawn with the same prompts and seeds.
    """
    settings = flags.settings_with(backend, precision, offload, storage)
    from sfumato.cli.recipes import with_flags
    from sfumato.cli.scoring_edits import score_edits
    from sfumato.recipe.image import Recipe

    asked = Flags(
        model=model,
        steps=steps,
        sampler=sampler,
        spacing=spacing,
        guidance=guidance,
        cache_interval=cache_interval,
        fast=fast,
        seed=seed,
    )
    recipe = with_flags(Recipe(), asked)
    score_edits(
        recipe,
        settings,
        only=only,
        scenes=scenes,
        judge=judge,
        font=font,
        sheet=sheet,
        format_=format_,
        as_json=as_json,
    )
