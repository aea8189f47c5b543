"""What `sfumato upscale` does: plans every file before the first one is made, makes them, and prints them.

A larger picture keeps the A1111 parameters of the smaller one, with A1111's own words for what was done, and
whether a model drew it (IPTC digital source type). It does not keep the resolved recipe: `verify` and `redo`
promise that the recipe in a picture draws its pixels, and it does not draw these. For the same reason the
backend that drew the small one is left out.
"""

import os
import re
import time
from collections.abc import Collection, Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Final

from PIL import Image

from sfumato.cli.console import Bar, bar, result, result_json, talk, warn
from sfumato.cli.outputs import wanted_suffix
from sfumato.engine.keeping import SOFTWARE
from sfumato.errors import (
    InputError,
    InterruptedRun,
    OutputError,
    PictureError,
    RecipeError,
    SfumatoError,
    closest,
)
from sfumato.imaging.io import FORMAT_OF, check_output, open_picture, save_picture
from sfumato.imaging.metadata import TRAINED, PictureMetadata, read_metadata, read_parameters
from sfumato.imaging.resize import scaled, with_longer_side
from sfumato.models.upscalers import FACTOR, Upscaler, factor_of, load_upscaler, upscale
from sfumato.settings import Settings

METHODS: Final = ("learned", "lanczos")
MAX_FACTOR: Final = 16
ENHANCED: Final = "algorithmicallyEnhanced"  # IPTC: a person's picture, improved by a program
# Where a network's picture is larger than what is asked for, it is made smaller afterwards: at most so many
# times the pixels that a result may have.
MAX_BETWEEN: Final = 4
MAX_NAME: Final = 60  # characters of a network's name in a picture's text
STRETCHED: Final = 0.01  # beyond this much, another shape is more than rounding

_SIZE = re.compile(r"(\d{1,9})(?:[xX×](\d{1,9}))?")  # noqa: RUF001 - people paste the sign
_FACTOR = re.compile(r"\d{1,3}(?:\.\d{1,6})?")
_WORDS = re.compile(r"[^\w.-]+")  # what a name in A1111's text may not have: it separates by commas
_PAIRS = re.compile(r"Steps: \d[^\n]*\Z")  # the last line of A1111's text, which says how


@dataclass(frozen=True)
class Asked:
    """What was asked for on the command line, as it was written. `times` is how many times as wide and high
    the network makes a picture.
    """

    factor: str | None = None
    size: str | None = None
    method: str = "learned"
    network: Path | None = None
    times: int = FACTOR


@dataclass(frozen=True)
class Job:
    """One picture: the file it is in, the file it goes to, and its size there.

    `replace`: the target was named by the user, and may exist already.
    """

    source: Path
    target: Path
    width: int
    height: int
    replace: bool


def upscale_files(
    pictures: tuple[Path, ...], asked: Asked, *, output: Path | None, format_: str | None, as_json: bool
) -> None:
    """Make `pictures` larger as `asked`, save them, and print their paths, or all as JSON.

    Everything is checked before the first one is made. Raises PictureError, RecipeError, ModelFileError,
    OutputError, and InterruptedRun on Ctrl-C: finished pictures stay.
    """
    settings = Settings.from_environment(os.environ)
    if asked.method not in METHODS:
        near = closest(asked.method, METHODS)
        guess = f"Did you mean {near}? " if near is not None else ""
        hint = f"{guess}Choose one of {', '.join(METHODS)}."
        raise RecipeError("unknown name", field="method", value=asked.method, hint=hint)
    if asked.network is not None and asked.method != "learned":
        raise RecipeError("is for the method learned", field="network", value=str(asked.network))
    if asked.network is not None:
        asked = replace(asked, times=factor_of(asked.network))
    jobs = plan_jobs(pictures, asked, output, wanted_suffix(format_, output, ".png"), settings)
    began = time.perf_counter()
    upscaler = load_upscaler(asked.network) if asked.method == "learned" else None
    paths: list[Path] = []
    try:
        with bar("upscaling") as progress:
            for job in jobs:
                path = _make(job, upscaler, asked, settings, progress)
                paths.append(path)
                if not as_json:
                    with progress.aside():
                        result(str(path))
    except KeyboardInterrupt:
        raise InterruptedRun(f"{len(paths)} of {len(jobs)} pictures were finished") from None
    seconds = time.perf_counter() - began
    if as_json:
        rows = [_row(job, path) for job, path in zip(jobs, paths, strict=True)]
        result_json({"pictures": rows, "method": asked.method, "seconds": seconds})
    else:
        sizes = sorted({f"{job.width}x{job.height}" for job in jobs})
        talk(f"{', '.join(sizes)}; {seconds:.1f} s ({asked.method})")


def only_with_model(**options: object) -> None:
    """Raise RecipeError for the first of `options` that was given: they are for --model."""
    for name, value in options.items():
        if value is not None:
            raise RecipeError(
                "is for a diffusion model",
                field=name.replace("_", "-"),
                value=value,
                hint="Name one with --model, or leave this out.",
            )


def plan_jobs(
    pictures: tuple[Path, ...], asked: Asked, output: Path | None, suffix: str, settings: Settings
) -> tuple[Job, ...]:
    """Return what is to be made, every picture read once and every place checked to be writable.

    `output` is a file (one picture only), a folder, or None for each picture's own. Files get a name made of
    the picture's and what was done, and never replace one that exists. Raises PictureError, RecipeError and
    OutputError.
    """
    tag = tag_of(asked)
    jobs: list[Job] = []
    for source in pictures:
        with naming_one(source, len(pictures)):
            small = open_picture(source, settings.max_pixels).size
            width, height = target_size(asked, *small)
            _check_size(asked, small, (width, height), settings.max_pixels)
        try:
            target = _target(source, output, tag, suffix, len(pictures), [job.target for job in jobs])
        except OSError as error:  # a path longer than the system takes, a folder that may not be looked into
            reason = error.strerror or "unknown reason"
            raise OutputError(f"cannot be used: {reason}", field="output", value=str(output)) from error
        jobs.append(Job(source, target, width, height, replace=target == output))
        if abs(width / height * small[1] / small[0] - 1) > STRETCHED:
            warn(f"{source}: {width}x{height} has another shape than {small[0]}x{small[1]}; it is stretched")
    return tuple(jobs)


def target_size(asked: Asked, width: int, height: int) -> tuple[int, int]:
    """Return the size that a picture of `width` x `height` should get. Raises RecipeError."""
    if asked.size is None:
        return scaled(width, height, _factor(asked))
    if asked.factor is not None:
        raise RecipeError(
            "says the same as --size", field="factor", value=asked.factor, hint="Leave one out."
        )
    match = _SIZE.fullmatch(asked.size.strip())
    if match is None or int(match[1]) < 1 or (match[2] is not None and int(match[2]) < 1):
        hint = "Write 512x512, or 512 for the longer side."
        raise RecipeError("must be width x height", field="size", value=asked.size, hint=hint)
    size = int(match[1])
    wanted = with_longer_side(width, height, size) if match[2] is None else (size, int(match[2]))
    if wanted[0] < width or wanted[1] < height:
        raise RecipeError(
            f"is smaller than the picture, {width}x{height}",
            field="size",
            value=asked.size,
            hint="This command only makes pictures larger.",
        )
    return wanted


def tag_of(asked: Asked) -> str:
    """Return what names of files say was done: "4x", "1.5x", or "512x512" when a size was asked for."""
    if asked.size is not None:
        return re.sub("[X×]", "x", asked.size.strip())  # noqa: RUF001
    return f"{_factor(asked):g}x"


def carried(source: Path, asked: Asked) -> PictureMetadata:
    """Return what the larger version of the picture at `source` says about itself; see above.

    Metadata that cannot be read is left out, with a warning.
    """
    try:
        parameters = read_parameters(source)
    except PictureError as error:
        warn(f"{source}: {error.message}; it is left out")
        parameters = ""
    try:
        drawn = read_metadata(source).digital_source_type
    except PictureError:  # no drawing of Sfumato's
        drawn = ""
    # Whoever wrote these parameters drew with a model of this kind.
    kind = drawn or (TRAINED if parameters else ENHANCED)
    return PictureMetadata(
        resolved_json="",
        parameters=_with_upscaling(parameters, asked),
        software=SOFTWARE,
        digital_source_type=kind,
    )


def _with_upscaling(parameters: str, asked: Asked) -> str:
    """Return A1111's text with the words that its own upscaling adds; text that says no steps as it is."""
    if _PAIRS.search(parameters) is None:
        return parameters
    done = f"to: {tag_of(asked)}" if asked.size is not None else f"by: {tag_of(asked).removesuffix('x')}"
    name = "Lanczos" if asked.method == "lanczos" else f"Sfumato {FACTOR}x"
    if asked.network is not None and asked.network.is_file():
        name = _WORDS.sub(" ", asked.network.stem).strip()[:MAX_NAME] or name
    return f"{parameters}, Postprocess upscale {done}, Postprocess upscaler: {name}"


def _make(job: Job, upscaler: Upscaler | None, asked: Asked, settings: Settings, progress: Bar) -> Path:
    progress.label(job.source.name)
    picture = open_picture(job.source, settings.max_pixels)
    larger: Image.Image | None = None
    with closing(upscale(picture, job.width, job.height, upscaler)) as reports:
        for report in reports:
            progress.update(report.finished, report.total)
            larger = report.picture
    if larger is None:
        raise SfumatoError("nothing was made", field="picture", value=str(job.source))
    path = job.target if job.replace else _free(job.target, ())  # somebody else may have taken the name
    existed = path.exists()
    save_picture(larger, path, carried(job.source, asked))
    if existed:
        talk(f"replaced {path}")
    return path


def _factor(asked: Asked) -> float:
    if asked.factor is None:
        return float(asked.times)
    text = asked.factor.strip().removesuffix("x")
    if _FACTOR.fullmatch(text) is None or not 1 < float(text) <= MAX_FACTOR:
        hint = "For example 2 or 4."
        raise RecipeError(
            f"must be above 1, and {MAX_FACTOR} at most", field="factor", value=asked.factor, hint=hint
        )
    return float(text)


def _check_size(asked: Asked, small: tuple[int, int], large: tuple[int, int], max_pixels: int) -> None:
    field, value = ("factor", asked.factor or asked.times) if asked.size is None else ("size", asked.size)
    if large[0] * large[1] > max_pixels:
        raise RecipeError(
            f"the picture would be {large[0]}x{large[1]}, more than {max_pixels} pixels",
            field=field,
            value=value,
            hint="Ask for less.",
        )
    if asked.method == "learned" and small[0] * small[1] * asked.times**2 > MAX_BETWEEN * max_pixels:
        raise RecipeError(
            f"the picture is too large, {small[0]}x{small[1]}, for a network that makes it "
            f"{asked.times} times as wide and high first",
            field=field,
            value=value,
            hint="Use --method lanczos.",
        )


def _target(source: Path, output: Path | None, tag: str, suffix: str, number: int, taken: list[Path]) -> Path:
    if output is None or output.is_dir():
        folder = source.parent if output is None else output
        target = _free(folder / f"{source.stem}-{tag}{suffix}", taken)
        check_output(target)
        return target
    if number > 1:
        raise OutputError(
            f"must be a folder for {number} pictures",
            field="output",
            value=str(output),
            hint=f"Create it first: mkdir -p {output}",
        )
    if not output.suffix:
        raise OutputError(
            "neither a folder nor a picture file",
            field="output",
            value=str(output),
            hint=f"Create the folder first (mkdir -p {output}), or end the name in {', '.join(FORMAT_OF)}.",
        )
    check_output(output)
    if output.exists() and output.samefile(source):
        raise OutputError(
            "is the picture itself", field="output", value=str(output), hint="Choose another name."
        )
    return output


def _free(path: Path, taken: Collection[Path]) -> Path:
    """Return `path`, or the first of "name-2", "name-3", ... that neither exists nor is taken."""
    names = (path if n == 1 else path.with_name(f"{path.stem}-{n}{path.suffix}") for n in count(1))
    return next(name for name in names if name not in taken and not name.exists())


@contextmanager
def naming_one(source: Path, number: int) -> Generator[None]:
    """Put a picture's name before whatever is wrong with it, where it is one of several."""
    try:
        yield
    except InputError as error:
        if number == 1 or error.value == str(source):
            raise
        raise type(error)(
            error.message, field=f"{source.name}: {error.field}", value=error.value, hint=error.hint
        ) from None


def _row(job: Job, path: Path) -> dict[str, object]:
    return {"path": str(path), "source": str(job.source), "width": job.width, "height": job.height}
