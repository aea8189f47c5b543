"""What `sfumato upscale --redraw` does: a picture is enlarged and drawn again, by the recipe that
`sfumato generate --image PICTURE --strength 0 --hires X` has, at the picture's own size.
"""

from dataclasses import dataclass
from pathlib import Path

from sfumato.cli.console import warn
from sfumato.cli.drawing import draw_to_files
from sfumato.cli.outputs import wanted_suffix
from sfumato.cli.upscaling import FACTOR, Asked, plan_jobs, target_size
from sfumato.errors import RecipeError
from sfumato.imaging.io import open_picture
from sfumato.models.load import find_model
from sfumato.recipe.image import Recipe
from sfumato.recipe.numbers import optional_real, optional_whole
from sfumato.recipe.resolve import recipe_from_mapping
from sfumato.settings import Settings


@dataclass(frozen=True)
class Redraw:
    """What was asked for on the command line, as it was written: what the picture shows, and how to draw."""

    prompt: str
    model: str | None = None
    negative: str | None = None
    strength: str | None = None
    steps: str | None = None
    guidance: str | None = None
    seed: str | None = None


def redraw_files(
    pictures: tuple[Path, ...],
    asked: Asked,
    wanted: Redraw,
    settings: Settings,
    *,
    output: Path | None,
    format_: str | None,
    as_json: bool,
) -> None:
    """Draw a picture again, larger, and save it as `generate` does. Raises RecipeError for several pictures
    and for what a redrawing cannot be asked for, and what `draw_to_files` raises.
    """
    if len(pictures) > 1:
        raise RecipeError(
            "draws one picture at a time", field="redraw", value=len(pictures), hint="Name one picture."
        )
    if asked.network is not None:
        raise RecipeError(
            "is not possible with --redraw",
            field="network",
            value=str(asked.network),
            hint="The bundled network enlarges it, or --method lanczos.",
        )
    if asked.size is not None:
        raise RecipeError(
            "is not possible with --redraw", field="size", value=asked.size, hint="Give --factor."
        )
    suffix = wanted_suffix(format_, output, ".png")
    (job,) = plan_jobs(pictures, asked, output, suffix, settings)
    size = open_picture(job.source, settings.max_pixels).size
    recipe = recipe_of_redraw(job.source, asked, wanted, size)
    found = find_model(recipe.model, settings)
    multiple = found.defaults.multiple
    if size[0] % multiple or size[1] % multiple:
        sizes = f"{size[0]}x{size[1]} is no multiple of {multiple}"
        warn(f"{job.source}: {sizes}; it is drawn at the nearest size that is, and cropped to its shape")
    draw_to_files(
        recipe,
        found,
        settings,
        output=job.target,
        suffix=suffix,
        as_json=as_json,
    )


def recipe_of_redraw(source: Path, asked: Asked, wanted: Redraw, size: tuple[int, int]) -> Recipe:
    """Return the recipe that draws the picture `source`, of `size` (width, height), again. Raises
    RecipeError naming the option.
    """
    width, height = size
    target_size(asked, width, height)  # says what is wrong with a factor
    scale = float(FACTOR) if asked.factor is None else float(asked.factor.strip().removesuffix("x"))
    fields = {
        "model": wanted.model,
        "seed": optional_whole("seed", wanted.seed),
        "steps": optional_whole("steps", wanted.steps),
        "guidance": optional_real("guidance", wanted.guidance),
    }
    hires = {"strength": optional_real("strength", wanted.strength), "method": asked.method}
    return recipe_from_mapping(
        {
            **{name: value for name, value in fields.items() if value is not None},
            "width": width,
            "height": height,
            "parts": [
                {"kind": "text", "prompt": wanted.prompt, "negative": wanted.negative or ""},
                {"kind": "image", "source": str(source), "strength": 0.0},
                {"kind": "windows"},
                {"kind": "hires", "scale": scale, **hires},
            ],
        }
    )
