"""What `sfumato upscale --model` does: a diffusion model draws each picture anew, larger, told what it shows.

The pictures are drawn by the one engine from recipes with a low_res part. One that is saved at the size at
which it was drawn carries its recipe, as every drawing does; one that Lanczos brought to another size does
not, as for all that `sfumato upscale` makes.
"""

import time
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from sfumato.cli.console import Bar, bar, result, result_json, talk, warn
from sfumato.cli.outputs import wanted_suffix
from sfumato.cli.upscaling import Asked, Job, naming_one, plan_jobs, tag_of
from sfumato.engine.events import Picture, Started, StepDone, SteppedDown
from sfumato.engine.keeping import SOFTWARE, free_path
from sfumato.engine.run import draw
from sfumato.errors import InterruptedRun, RecipeError, SfumatoError
from sfumato.imaging.inputs import Inputs, keep_inputs, read_inputs
from sfumato.imaging.io import save_picture
from sfumato.imaging.metadata import PictureMetadata
from sfumato.imaging.resize import lanczos
from sfumato.models.bundle import ModelBundle
from sfumato.models.load import FoundModel, find_model, load
from sfumato.recipe.codec import to_json, to_parameters
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.numbers import optional_real, optional_whole
from sfumato.recipe.resolve import recipe_from_mapping, resolve
from sfumato.recipe.resolve_low_res import check_family
from sfumato.settings import Settings


@dataclass(frozen=True)
class Wanted:
    """What was asked of the model on the command line, as it was written."""

    model: str
    prompt: str | None = None
    negative: str | None = None
    noise_level: str | None = None
    steps: str | None = None
    guidance: str | None = None
    seed: str | None = None


@dataclass(frozen=True, eq=False)
class Planned:
    """One picture: where it goes, and how it is drawn."""

    job: Job
    resolved: Resolved
    inputs: Inputs


def upscale_by_model(
    pictures: tuple[Path, ...],
    asked: Asked,
    wanted: Wanted,
    settings: Settings,
    *,
    output: Path | None,
    format_: str | None,
    as_json: bool,
) -> None:
    """Make `pictures` larger with a model, save them, and print their paths, or all as JSON.

    Everything is checked before the model is loaded. Raises PictureError, RecipeError, ModelFileError,
    OutputError, NumericalError, and InterruptedRun on Ctrl-C: finished pictures stay.
    """
    if asked.network is not None or asked.method != "learned":
        field = "method" if asked.network is None else "network"
        value = asked.method if asked.network is None else str(asked.network)
        raise RecipeError("cannot be chosen beside --model", field=field, value=value, hint="Leave one out.")
    found = find_model(wanted.model, settings)
    check_family(_recipe(wanted, Path("picture")), wanted.model, found.defaults.upscales)
    asked = replace(asked, times=found.defaults.upscales)
    jobs = plan_jobs(pictures, asked, output, wanted_suffix(format_, output, ".png"), settings)
    planned = [_planned(job, wanted, found, settings, len(jobs)) for job in jobs]
    for one in planned:
        for note in keep_inputs(one.inputs, settings):
            warn(note)
    began = time.perf_counter()
    rows: list[dict[str, object]] = []
    try:
        with bar("loading the model") as progress:
            bundle = load(found, settings)
            for one in planned:
                path = _make(one, bundle, asked, progress)
                rows.append(_row(one, path))
                if not as_json:
                    with progress.aside():
                        result(str(path))
    except KeyboardInterrupt:
        raise InterruptedRun(f"{len(rows)} of {len(jobs)} pictures were finished") from None
    seconds = time.perf_counter() - began
    if as_json:
        result_json({"pictures": rows, "method": found.defaults.name, "seconds": seconds})
    else:
        seeds = ", ".join(sorted({str(one.resolved.seed) for one in planned}))
        talk(f"seed {seeds}; {seconds:.1f} s ({bundle.backend.name})")
    bundle.backend.store()


def _planned(job: Job, wanted: Wanted, found: FoundModel, settings: Settings, number: int) -> Planned:
    with naming_one(job.source, number):
        recipe = _recipe(wanted, job.source)
        inputs = read_inputs(recipe, settings)
        return Planned(job, resolve(recipe, found.defaults, settings=settings, sources=inputs.facts), inputs)


def _recipe(wanted: Wanted, source: Path) -> Recipe:
    level = optional_whole("noise-level", wanted.noise_level)
    if level is not None and not 0 <= level < 1000:  # the model itself may allow less
        raise RecipeError("must be between 0 and 999", field="noise-level", value=level, hint="20 is usual.")
    text: dict[str, Any] = {"kind": "text", "prompt": wanted.prompt or ""}
    if wanted.negative is not None:
        text["negative"] = wanted.negative
    return recipe_from_mapping(
        {
            "model": wanted.model,
            "steps": optional_whole("steps", wanted.steps),
            "guidance": optional_real("guidance", wanted.guidance),
            "seed": optional_whole("seed", wanted.seed),
            "parts": [text, {"kind": "low_res", "source": str(source), "noise_level": level}],
        }
    )


def _make(one: Planned, bundle: ModelBundle, asked: Asked, progress: Bar) -> Path:
    progress.label(one.job.source.name)
    drawn: Picture | None = None
    with closing(draw(one.resolved, bundle, inputs=one.inputs)) as events:
        for event in events:
            match event:
                case Started() | SteppedDown():
                    for warning in event.warnings:
                        warn(warning)
                case StepDone():
                    progress.update(event.finished_steps, event.total_steps)
                case Picture():
                    drawn = event
                case _:
                    pass
    if drawn is None:
        raise SfumatoError("nothing was drawn", field="picture", value=str(one.job.source))
    size = one.job.width, one.job.height
    image = Image.fromarray(drawn.pixels)
    image = image if image.size == size else lanczos(image, *size)
    path = one.job.target if one.job.replace else free_path(one.job.target)
    existed = path.exists()
    save_picture(image, path, _metadata(one, asked, bundle))
    if existed:
        talk(f"replaced {path}")
    return path


def _metadata(one: Planned, asked: Asked, bundle: ModelBundle) -> PictureMetadata:
    parameters = to_parameters(one.resolved, software=SOFTWARE)
    if (one.job.width, one.job.height) == (one.resolved.width, one.resolved.height):
        return PictureMetadata(to_json(one.resolved), parameters, SOFTWARE, backend=bundle.backend.name)
    done = f"to: {tag_of(asked)}" if asked.size is not None else f"by: {tag_of(asked).removesuffix('x')}"
    parameters = f"{parameters}, Postprocess upscale {done}, Postprocess upscaler: Lanczos"
    return PictureMetadata("", parameters, SOFTWARE)


def _row(one: Planned, path: Path) -> dict[str, object]:
    return {
        "path": str(path),
        "source": str(one.job.source),
        "width": one.job.width,
        "height": one.job.height,
        "seed": one.resolved.seed,
        "recipe": one.resolved.model_dump(mode="json"),
    }
