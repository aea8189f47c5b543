"""Draw a picture again from its metadata and measure the difference."""

import math
import re
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sfumato.cli.console import Bar
from sfumato.cli.flags import Flags
from sfumato.cli.recipes import naming, read_resolved, with_flags
from sfumato.engine.events import Picture, StepDone
from sfumato.engine.gathering import DISTRUSTED, Gathered, gather
from sfumato.engine.preparing import batch_of
from sfumato.engine.run import draw
from sfumato.errors import InputError, MissingExtraError, ModelFileError, RecipeError, SfumatoError, shown
from sfumato.imaging.io import as_saved, open_picture
from sfumato.imaging.metadata import read_metadata
from sfumato.models.bundle import ModelBundle
from sfumato.models.load import find_model
from sfumato.recipe.again import recipe_of, single
from sfumato.recipe.image import Resolved
from sfumato.settings import BACKENDS, DEVICES, DTYPES, STORAGES, Settings

TOLERANCE = 1  # of 255: what rounding may do
UNNAMED = "torch cpu float32"  # drew the pictures that name no backend: there was no other then


@dataclass(frozen=True)
class Comparison:
    """How far two pictures are apart, in levels of 0 to 255. `size` tells when they differ in size; then
    nothing else is known.

    `largest` and `mean` are of the absolute differences, `share` the fraction of pixels beyond the tolerance,
    `psnr` in decibels, infinite for equal pictures. `backends` are the names of the two that drew them, the
    picture's first, when these differ.
    """

    size: str | None
    largest: int
    mean: float
    share: float
    psnr: float
    backends: tuple[str, str] | None = None

    @property
    def identical(self) -> bool:
        return self.size is None and self.largest <= TOLERANCE

    def __str__(self) -> str:
        if self.size is not None:
            return f"different: the file has another size, {self.size}"
        by = "" if self.backends is None else f"; drawn by {self.backends[0]}, now by {self.backends[1]}"
        if self.identical:
            return f"identical (largest difference {self.largest}/255){by}"
        return (
            f"different: largest difference {self.largest}/255, mean {self.mean:.2g}/255, "
            f"{self.share:.1%} of the pixels, PSNR {self.psnr:.1f} dB{by}"
        )

    @property
    def advice(self) -> str:
        """What may be behind a difference, as a sentence."""
        if self.backends is None:
            return (
                "Another processor or another version of a library may round differently; with another "
                "memory limit, a large picture is decoded in other tiles."
            )
        return "Another backend or precision rounds differently; the PSNR says how near the two pictures are."

    def report(self) -> dict[str, object]:
        """Return the figures for JSON, which knows no infinity: null stands for it."""
        figures = {"largest": self.largest, "mean": self.mean, "share": self.share}
        known = figures if self.size is None else dict.fromkeys(figures)
        psnr = self.psnr if self.size is None and math.isfinite(self.psnr) else None
        names = None if self.backends is None else list(self.backends)
        return {"identical": self.identical, "size": self.size, **known, "psnr": psnr, "backends": names}


def compare(picture: Path, model: str | None, settings: Settings, progress: Bar) -> Comparison:
    """Draw what `picture` says it is and compare; `model` names the folder of its model when that has moved.

    What is "auto" in `settings` is as it was when the picture was drawn; where that cannot be, `settings` are
    taken as they are, and the comparison tells the two backends. Raises PictureError and RecipeError for a
    picture that tells too little, ModelFileError, and SfumatoError when the model found is not the one that
    drew it.
    """
    resolved = read_resolved(picture)
    reference = np.asarray(open_picture(picture, settings.max_pixels))
    recipe = with_flags(recipe_of(resolved), Flags(model=model))
    found = find_model(recipe.model, settings, paths=model is not None)
    if found.defaults.digest != resolved.model_digest:
        raise SfumatoError(
            "has other weights than the one that drew this picture",
            field="model",
            value=recipe.model,
            hint="Give the right one: --model FOLDER.",
        )
    # Metadata is not trusted: what it asks for goes through the same checks as a user's recipe.
    with naming(picture):
        near = picture.parent, Path()
        gathered = gather(recipe, found, settings, near=near, trust=DISTRUSTED)
        run = gathered.resolved(recipe, settings)
    drew = read_metadata(picture).backend or UNNAMED
    bundle = _load_as_drawn(gathered, run, drew, settings)
    run = run.model_copy(update={"index": resolved.index})
    comparison = redraw(run, bundle, gathered, picture, reference, progress)
    now = bundle.backend.name
    if without_number(now) == without_number(drew):
        return comparison
    return replace(comparison, backends=(drew if is_backend(drew) else shown(drew), now))


def as_drawn(drew: str, settings: Settings) -> Settings:
    """Return `settings` with backend, device and dtype of the backend called `drew` where they are "auto".

    They stay as they are for a name that says nothing, and where another backend or device is asked for.
    """
    if not is_backend(drew):
        return settings
    backend, device, dtype, *stored = without_number(drew).split()
    if settings.backend not in ("auto", backend) or without_number(settings.device) not in ("auto", device):
        return settings
    return replace(
        settings,
        backend=backend,
        device=device if settings.device == "auto" else settings.device,
        dtype=dtype if settings.dtype == "auto" else settings.dtype,
        storage=stored[0] if stored and settings.storage == "auto" else settings.storage,
    )


def is_backend(name: str) -> bool:
    """Tell whether a name out of a picture is that of a backend: "torch cuda:0 float16", or with how weights
    are kept, "torch cpu float32 int8".
    """
    words = without_number(name).split(" ")
    known = (BACKENDS, DEVICES, DTYPES, STORAGES)
    return 3 <= len(words) <= 4 and all(
        word != "auto" and word in names for word, names in zip(words, known, strict=False)
    )


def without_number(name: str) -> str:
    """Return the name of a backend or device without the device's number: which of two equal ones it was."""
    return re.sub(r":[0-9]+", "", name)


def _load_as_drawn(gathered: Gathered, run: Resolved, drew: str, settings: Settings) -> ModelBundle:
    try:
        return gathered.load(run, as_drawn(drew, settings))
    except (ModelFileError, RecipeError):
        raise
    except (InputError, MissingExtraError):  # this machine lacks the device, or torch
        return gathered.load(run, settings)


def redraw(
    resolved: Resolved,
    bundle: ModelBundle,
    gathered: Gathered,
    picture: Path,
    reference: NDArray[np.uint8],
    progress: Bar,
) -> Comparison:
    """Draw the picture that `resolved` is, from what was `gathered`, and compare it with `reference`, uint8
    `(H,W,3)`, read from the file `picture`.
    """
    pixels = _drawn(single(resolved), bundle, gathered, (0,), 0, progress)
    alone = difference(as_saved(pixels, picture), reference)
    if alone.identical or resolved.count == 1:
        return alone
    # In a batch of another size a network rounds differently. One level is nothing, but JPEG and WebP make
    # more of it: so the picture is drawn once more in the company it had.
    batch = batch_of(resolved, bundle, resolved.index)
    pixels = _drawn(resolved, bundle, gathered, batch, resolved.index, progress)
    together = difference(as_saved(pixels, picture), reference)
    return together if together.identical else alone


def _drawn(
    resolved: Resolved,
    bundle: ModelBundle,
    gathered: Gathered,
    indices: tuple[int, ...],
    wanted: int,
    progress: Bar,
) -> NDArray[np.uint8]:
    """Return the pixels `(H,W,3)` of the picture `wanted`, drawn in one batch with all of `indices`."""
    with closing(
        draw(resolved, bundle, indices=indices, inputs=gathered.inputs, controls=gathered.controls)
    ) as events:
        for event in events:
            if isinstance(event, StepDone):
                progress.update(event.finished_steps, event.total_steps)
            elif isinstance(event, Picture) and event.index == wanted:
                return event.pixels
    raise SfumatoError("nothing was drawn", field="picture", value=wanted)


def difference(drawn: NDArray[np.uint8], reference: NDArray[np.uint8]) -> Comparison:
    """Compare two pictures, uint8 `(H,W,3)`."""
    if drawn.shape != reference.shape:
        return Comparison(f"{reference.shape[1]}x{reference.shape[0]}", 0, 0.0, 0.0, math.inf)
    apart: NDArray[np.float64] = np.abs(drawn.astype(np.float64) - reference)
    worst: NDArray[np.float64] = apart.max(axis=2)
    squares = float(np.square(apart).mean())
    return Comparison(
        size=None,
        largest=int(worst.max()),
        mean=float(apart.mean()),
        share=float((worst > TOLERANCE).mean()),
        psnr=math.inf if squares == 0 else 10 * math.log10(255**2 / squares),
    )
