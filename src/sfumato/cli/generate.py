"""`sfumato generate`: a prompt in, pictures out."""

from pathlib import Path
from typing import Annotated

import typer

from sfumato.cli import flags
from sfumato.cli.console import examples
from sfumato.cli.flags import Flags
from sfumato.errors import RecipeError
from sfumato.models.ahead import Ahead

EXAMPLES = examples(
    'sfumato generate "a frog on a beach"',
    'sfumato generate "a frog" --seed 7 --steps 30 --output frog.png',
    'sfumato generate "a frog" --count 4 --output . --format webp',
    'sfumato generate "a frog" --mix "a rabbit:0.5"',
    'sfumato generate "a frog" --backend torch --precision f32',
    'sfumato generate "a (red:1.3) house [in snow:at night:0.4]"',
    "sfumato generate --recipe frog.toml --seed 8",
    "echo a frog | sfumato generate -",
)


def generate(
    context: typer.Context,
    prompt: Annotated[
        str | None,
        typer.Argument(
            metavar="PROMPT",
            help='What to draw; "-" reads it from standard input. (word:1.3) weighs a word, '
            r"\[day:night:0.4] changes after 40 % of the steps, \[day|night] takes turns, AND combines.",
        ),
    ] = None,
    negative: flags.Negative = None,
    mix: flags.Mix = None,
    mix_mode: flags.MixMode = None,
    unconditional: flags.Unconditional = False,
    recipe: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Begin with a recipe: TOML, JSON, or a picture. Options given here replace what it says.",
            rich_help_panel=flags.WHAT,
        ),
    ] = None,
    seed: flags.Seed = None,
    count: flags.Count = None,
    size: flags.Size = None,
    steps: flags.Steps = None,
    sampler: flags.Sampler = None,
    spacing: flags.Spacing = None,
    eta: flags.Eta = None,
    guidance: flags.Guidance = None,
    guidance_rescale: flags.GuidanceRescale = None,
    guidance_start: flags.GuidanceStart = None,
    guidance_stop: flags.GuidanceStop = None,
    cache_interval: flags.CacheInterval = None,
    fast: flags.Fast = False,
    model: flags.Model = None,
    backend: flags.Backend = None,
    precision: flags.Precision = None,
    output: flags.Output = None,
    format_: flags.Format = None,
    preview: flags.Preview = None,
    as_json: flags.Json = False,
) -> None:
    """Draw pictures from words.

    Prints the path of each picture. Every picture carries its recipe: see "sfumato show" and "sfumato redo".
    """
    asked = Flags(
        prompt=prompt,
        negative=negative,
        mix=tuple(mix or ()),
        mix_mode=mix_mode,
        unconditional=unconditional,
        seed=seed,
        count=count,
        size=size,
        steps=steps,
        sampler=sampler,
        spacing=spacing,
        eta=eta,
        guidance=guidance,
        guidance_rescale=guidance_rescale,
        guidance_start=guidance_start,
        guidance_stop=guidance_stop,
        cache_interval=cache_interval,
        fast=fast,
        model=model,
    )
    if prompt is None and not asked.mix and not unconditional and recipe is None:
        raise RecipeError(
            "is missing",
            field="prompt",
            hint='For example: sfumato generate "a frog on a beach"; or give --unconditional.',
        )
    settings = flags.settings_with(backend, precision)
    from sfumato.cli.drawing import draw_to_files
    from sfumato.cli.outputs import wanted_suffix
    from sfumato.cli.recipes import number_of, read_recipe, warn_of_no_effect, with_flags, with_stdin
    from sfumato.models.load import find_model
    from sfumato.recipe.image import Recipe

    # A model that was named here makes the one of another program's picture unimportant.
    base = Recipe() if recipe is None else read_recipe(recipe, settings if model is None else None)
    wanted = with_flags(base, with_stdin(asked))
    warn_of_no_effect(wanted, asked)
    draw_to_files(
        wanted,
        find_model(wanted.model, settings),
        settings,
        output=output,
        suffix=wanted_suffix(format_, output, ".png"),
        preview_every=0 if preview is None else number_of("preview", preview),
        as_json=as_json,
        ahead=context.find_object(Ahead),
    )
