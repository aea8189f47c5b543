"""`sfumato grid`: two or three settings crossed into one labelled sheet."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from sfumato.cli import flags
from sfumato.cli.console import examples
from sfumato.cli.flags import Flags
from sfumato.errors import RecipeError

EXAMPLES = examples(
    'sfumato grid "a frog on a beach" --x steps=4,8,20 --y guidance=1,2,4',
    'sfumato grid "a frog" --x seed=1..4 --y sampler=ddim,euler_a --z spacing=trailing,karras',
    'sfumato grid --x "prompt=a frog,a rabbit,a rocket" --y seed=7,8 --output sheet',
)

CROSSED = "What to cross"


@flags.describes_a_picture
def grid(
    prompt: Annotated[
        str | None,
        typer.Argument(metavar="PROMPT", help='What to draw; "-" reads it from standard input.'),
    ] = None,
    x: Annotated[
        str | None,
        typer.Option(
            "--x",
            metavar="NAME=VALUES",
            help="What differs from column to column: any option of a picture and its values, separated by "
            r"commas; \, stands for a comma inside a value, 1..4 for 1,2,3,4.",
            rich_help_panel=CROSSED,
        ),
    ] = None,
    y: Annotated[
        str | None,
        typer.Option(
            "--y", metavar="NAME=VALUES", help="What differs from row to row.", rich_help_panel=CROSSED
        ),
    ] = None,
    z: Annotated[
        str | None,
        typer.Option(
            "--z", metavar="NAME=VALUES", help="What differs from block to block.", rich_help_panel=CROSSED
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
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Where the pictures, the sheet (grid.png) and the page (index.html) go. Without it, a "
            "folder here, named after the prompt.",
            rich_help_panel=flags.RESULT,
        ),
    ] = None,
    as_json: flags.Json = False,
) -> None:
    """Cross two or three settings into one labelled sheet of pictures.

    Every combination is checked before the first is drawn. Each is a picture of its own with its recipe;
    when the run is interrupted, the same command goes on where it stopped.
    """
    asked = replace(asked, prompt=prompt)
    if x is None:
        raise RecipeError("is missing", field="x", hint="For example: --x steps=4,8,20 --y guidance=1,2,4.")
    if z is not None and y is None:
        raise RecipeError("needs --y as well", field="z", value=z, hint="Call it --y.")
    settings = flags.settings_with(backend, precision, offload, storage)
    from sfumato.cli.crossing import parse_axis
    from sfumato.cli.recipes import read_recipe, trust_of, with_stdin
    from sfumato.cli.sheets import draw_grid_to_folder
    from sfumato.engine.crossing import Named
    from sfumato.models.load import find_model
    from sfumato.recipe.image import Recipe

    written = {"x": x, "y": y, "z": z}
    axes = [
        parse_axis(name, values, settings.max_count) for name, values in written.items() if values is not None
    ]
    described = prompt is not None or asked.mix or asked.unconditional or recipe is not None or asked.image
    if not described and not any(axis.field in ("prompt", "image") for axis in axes):
        hint = 'For example: sfumato grid "a frog" --x steps=4,8,20; or cross it: --x "prompt=a frog,a cat".'
        raise RecipeError("is missing", field="prompt", hint=hint)
    base = Recipe() if recipe is None else read_recipe(recipe, settings if asked.model is None else None)
    model = base.model if asked.model is None else asked.model
    trust = trust_of(recipe, asked)
    named = Named(find_model(model, settings, paths=trust.model_paths), settings, trust)
    draw_grid_to_folder(base, with_stdin(asked), axes, named, output=output, as_json=as_json)
