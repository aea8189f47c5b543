"""`sfumato generate`: a prompt in, pictures out."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from sfumato.cli import flags, seeing_flags
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
    'sfumato generate "a cat on a beach" --image frog.png --strength 0.6',
    'sfumato generate "a cat" --image frog.png --mask 40,48,56x64',
    'sfumato generate "a beach" --image frog.png --outpaint right=64',
    'sfumato generate "a beach" --region "a frog@left" --region "a rocket@right"',
    "sfumato generate --recipe frog.toml --seed 8",
    "echo a frog | sfumato generate -",
)


@flags.describes_a_picture
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
    recipe: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Begin with a recipe: TOML, JSON, or a picture. Options given here replace what it says.",
            rich_help_panel=flags.WHAT,
        ),
    ] = None,
    *,
    asked: Flags,
    backend: flags.Backend = None,
    precision: flags.Precision = None,
    offload: flags.Offload = None,
    storage: flags.Storage = None,
    output: flags.Output = None,
    format_: flags.Format = None,
    preview: flags.Preview = None,
    trace: seeing_flags.Trace = None,
    animate: seeing_flags.Animate = None,
    animate_shows: seeing_flags.AnimateShows = None,
    exact_steps: seeing_flags.ExactSteps = False,
    attention: seeing_flags.Attention = None,
    as_json: flags.Json = False,
) -> None:
    """Draw pictures from words.

    Prints the path of each picture. Every picture carries its recipe: see "sfumato show" and "sfumato redo".
    """
    asked = replace(asked, prompt=prompt)
    described = asked.mix or asked.region or asked.image or asked.unconditional
    if prompt is None and recipe is None and not described:
        raise RecipeError(
            "is missing",
            field="prompt",
            hint='For example: sfumato generate "a frog on a beach"; or give --unconditional.',
        )
    settings = flags.settings_with(backend, precision, offload, storage)
    from sfumato.cli.drawing import draw_to_files
    from sfumato.cli.outputs import wanted_suffix
    from sfumato.cli.recipes import read_recipe, trust_of, warn_of_no_effect, with_flags, with_stdin
    from sfumato.models.load import find_model
    from sfumato.recipe.image import Recipe
    from sfumato.recipe.numbers import number_of

    # A model that was named here makes the one of another program's picture unimportant.
    base = Recipe() if recipe is None else read_recipe(recipe, settings if asked.model is None else None)
    wanted = with_flags(base, with_stdin(asked))
    warn_of_no_effect(wanted, asked)
    seeing = None
    if exact_steps or any(one is not None for one in (trace, animate, animate_shows, attention)):
        from sfumato.cli.seeing import plan_seeing

        seeing = plan_seeing(trace, animate, animate_shows, attention, exact=exact_steps)
    trust = trust_of(recipe, asked)
    draw_to_files(
        wanted,
        find_model(wanted.model, settings, paths=trust.model_paths),
        settings,
        output=output,
        suffix=wanted_suffix(format_, output, ".png"),
        preview_every=0 if preview is None else number_of("preview", preview),
        as_json=as_json,
        ahead=context.find_object(Ahead),
        trust=trust,
        seeing=seeing,
    )
