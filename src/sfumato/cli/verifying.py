"""Draw a picture again from its metadata and measure the difference."""

import math
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sfumato.cli.console import Bar
from sfumato.cli.flags import Flags
from sfumato.cli.recipes import naming, read_resolved, with_flags
from sfumato.engine.events import Picture, StepDone
from sfumato.engine.run import batch_of, draw
from sfumato.errors import SfumatoError
from sfumato.imaging.io import as_saved, open_picture
from sfumato.models.bundle import ModelBundle
from sfumato.models.load import find_model, load
from sfumato.recipe.image import Resolved
from sfumato.recipe.resolve import recipe_of, resolve, single
from sfumato.settings import Settings

TOLERANCE = 1  # of 255: what rounding may do


@dataclass(frozen=True)
class Comparison:
    """How far two pictures are apart, in levels of 0 to 255. `size` tells when they differ in size; then
    nothing else is known.

    `largest` and `mean` are of the absolute differences, `share` the fraction of pixels beyond the tolerance,
    `psnr` in decibels, infinite for equal pictures.
    """

    size: str | None
    largest: int
    mean: float
    share: float
    psnr: float

    @property
    def identical(self) -> bool:
        return self.size is None and self.largest <= TOLERANCE

    def __str__(self) -> str:
        if self.size is not None:
            return f"different: the file has another size, {self.size}"
        if self.identical:
            return f"identical (largest difference {self.largest}/255)"
        return (
            f"different: largest difference {self.largest}/255, mean {self.mean:.2g}/255, "
            f"{self.share:.1%} of the pixels, PSNR {self.psnr:.1f} dB"
        )

    def report(self) -> dict[str, object]:
        """Return the figures for JSON, which knows no infinity: null stands for it."""
        figures = {"largest": self.largest, "mean": self.mean, "share": self.share}
        known = figures if self.size is None else dict.fromkeys(figures)
        psnr = self.psnr if self.size is None and math.isfinite(self.psnr) else None
        return {"identical": self.identical, "size": self.size, **known, "psnr": psnr}


def compare(picture: Path, model: str | None, settings: Settings, progress: Bar) -> Comparison:
    """Draw what `picture` says it is and compare; `model` names the folder of its model when that has moved.

    Raises PictureError and RecipeError for a picture that tells too little, ModelFileError, and SfumatoError
    when the model found is not the one that drew it.
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
        run = resolve(recipe, found.defaults, settings=settings)
    bundle = load(found, settings)
    return redraw(run.model_copy(update={"index": resolved.index}), bundle, picture, reference, progress)


def redraw(
    resolved: Resolved, bundle: ModelBundle, picture: Path, reference: NDArray[np.uint8], progress: Bar
) -> Comparison:
    """Draw the picture that `resolved` is and compare it with `reference`, uint8 `(H,W,3)`, read from the
    file `picture`.
    """
    alone = difference(as_saved(_drawn(single(resolved), bundle, (0,), 0, progress), picture), reference)
    if alone.identical or resolved.count == 1:
        return alone
    # In a batch of another size a network rounds differently. One level is nothing, but JPEG and WebP make
    # more of it: so the picture is drawn once more in the company it had.
    batch = batch_of(resolved, bundle, resolved.index)
    pixels = _drawn(resolved, bundle, batch, resolved.index, progress)
    together = difference(as_saved(pixels, picture), reference)
    return together if together.identical else alone


def _drawn(
    resolved: Resolved, bundle: ModelBundle, indices: tuple[int, ...], wanted: int, progress: Bar
) -> NDArray[np.uint8]:
    """Return the pixels `(H,W,3)` of the picture `wanted`, drawn in one batch with all of `indices`."""
    with closing(draw(resolved, bundle, indices=indices)) as events:
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
