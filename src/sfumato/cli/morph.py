"""`sfumato morph`: from one prompt, or one seed, to the next, as an animation."""

from pathlib import Path
from typing import Annotated

import typer

from sfumato.cli import flags
from sfumato.cli.console import examples
from sfumato.cli.flags import Flags

EXAMPLES = examples(
    'sfumato morph "a frog" "a rabbit" "an owl" --output morph.webp',
    'sfumato morph "a castle in a meadow" --seeds 1,2,3 --frames 48 --loop',
    'sfumato morph "a house" "a house at night" --seed 7 --fps 20 --output day.mp4',
    'sfumato morph "a frog" "a rabbit" --frames-folder frames --output morph.gif',
    "sfumato morph --recipe morph.webp --steps 50 --output better.webp",
)

GOING = "How it goes from one to the next"


@flags.describes_a_picture
def morph(
    prompts: Annotated[
        list[str] | None,
        typer.Argument(metavar="PROMPT...", help="What to go through; one is enough with --seeds."),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,...",
            help="Go from seed to seed, 1,2,3 or 1..3: one for each prompt, or several for one prompt.",
            rich_help_panel=GOING,
        ),
    ] = None,
    frames: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="How many pictures in all. Default: 12 from each to the next.",
            rich_help_panel=GOING,
        ),
    ] = None,
    fps: Annotated[
        str | None,
        typer.Option("--fps", metavar="X", help="Pictures a second; 12.", rich_help_panel=GOING),
    ] = None,
    hold: Annotated[
        str | None,
        typer.Option(metavar="SECONDS", help="How long each of them stays; 0.5.", rich_help_panel=GOING),
    ] = None,
    loop: Annotated[
        bool, typer.Option("--loop", help="Return to the first at the end.", rich_help_panel=GOING)
    ] = False,
    recipe: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Begin with a recipe (TOML, JSON, a picture), or with a morph (.webp). Options given here "
            "replace what it says.",
            rich_help_panel=flags.WHAT,
        ),
    ] = None,
    *,
    asked: Flags,
    backend: flags.Backend = None,
    precision: flags.Precision = None,
    offload: flags.Offload = None,
    storage: flags.Storage = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The animation: .gif, .webp, or .mp4 (pip install sfumato\\[video]); replaced if it exists. "
            "Without it, a new .webp here, named after the prompt.",
            rich_help_panel=flags.RESULT,
        ),
    ] = None,
    frames_folder: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Also keep every frame as a picture with its recipe; each is then drawn by itself. The "
            "folder is new, empty, or an earlier one of these, which is replaced.",
            rich_help_panel=flags.RESULT,
        ),
    ] = None,
    as_json: flags.Json = False,
) -> None:
    """Draw the way from one prompt, or one seed, to the next as an animation.

    Every frame is a recipe of its own: a mix of two prompts whose ratio changes, or the noise of one seed
    turned towards that of the next. When the run is interrupted, the frames that are done make a shorter
    animation.
    """
    settings = flags.settings_with(backend, precision, offload, storage)
    from sfumato.cli.morphing import Going, draw_morph_to_file, planned_morph

    going = Going(tuple(prompts or ()), seeds, frames, fps, hold, loop)
    plan = planned_morph(going, asked, recipe, settings)
    draw_morph_to_file(plan, settings, output=output, frames_folder=frames_folder, as_json=as_json)
