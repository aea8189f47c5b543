"""`sfumato bench`: the time and memory of one picture, cold in fresh processes and warm in this one."""

import os
from typing import Annotated

import typer

from sfumato.cli import flags
from sfumato.cli.console import bar, examples, result, result_json
from sfumato.cli.flags import Flags
from sfumato.settings import Settings

EXAMPLES = examples("sfumato bench", "sfumato bench --steps 50 --repeats 5 --json")


def bench(
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="What to draw.")] = "a frog on a beach",
    repeats: Annotated[str, typer.Option(metavar="N", help="Pictures of each kind.")] = "3",
    size: flags.Size = None,
    steps: flags.Steps = "20",
    sampler: flags.Sampler = None,
    model: flags.Model = None,
    as_json: flags.Json = False,
) -> None:
    """Measure what one picture costs: time by stage, and memory.

    Cold is the whole command "sfumato generate" in a fresh process, warm a picture with the model already
    loaded. Figures are medians.
    """
    settings = Settings.from_environment(os.environ)
    from sfumato.cli.benchmark import measure
    from sfumato.cli.recipes import number_of, with_flags
    from sfumato.models.load import find_model
    from sfumato.recipe.image import Recipe

    asked = Flags(prompt=prompt, size=size, steps=steps, sampler=sampler, model=model, seed="7")
    recipe = with_flags(Recipe(), asked)
    wanted = number_of("repeats", repeats)
    found = find_model(recipe.model, settings)
    with bar("measuring") as progress:
        benchmark = measure(recipe, found, settings, wanted, progress)
    if as_json:
        result_json(benchmark.report())
    else:
        result(benchmark.text())
