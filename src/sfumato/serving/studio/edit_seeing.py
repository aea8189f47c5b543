"""What the tab Edit shows besides what it draws: the picture behind frames, what ControlNets are shown, and a
picture before and after.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sfumato.errors import RecipeError, SfumatoError
from sfumato.imaging.annotators import ANNOTATORS
from sfumato.imaging.fitting import fit
from sfumato.imaging.input_store import INPUTS
from sfumato.imaging.pages import picture_source
from sfumato.models.load import find_model
from sfumato.recipe.image import Resolved
from sfumato.recipe.resolve_edits import usual_annotator
from sfumato.serving.desk import Desk
from sfumato.serving.studio.dragging import seen
from sfumato.serving.uploads import check_upload, read_upload

Pixels = NDArray[np.uint8]
LONGEST: Final = 512  # pixels of a side, behind frames
_GREY: Final = 128  # where a picture before had nothing yet


def annotated_of(
    pixels: Pixels, annotator: str, control: str, size: tuple[int, int] | None, model: str, desk: Desk
) -> Pixels:
    """Return what a ControlNet is shown of a picture `(H,W,3)` in a drawing of `size` (width, height), None
    for the model's own; with an empty `annotator`, by that which goes with the name of the `control`. Raises
    PictureError for a picture that is too large, RecipeError for an annotator that there is not.
    """
    check_upload(pixels, desk.settings)
    name = annotator or usual_annotator(control)
    if name != "none" and name not in ANNOTATORS:
        raise RecipeError("unknown annotator", field="control-annotator", value=name)
    native, _ = _own(model, desk)
    shown = fit(pixels, *(native if size is None else size), "crop")  # as `engine.controls` does
    return shown if name == "none" else ANNOTATORS[name](shown)


def seen_of(pixels: Pixels | None, size: tuple[int, int] | None, model: str, desk: Desk) -> dict[str, Any]:
    """Return what frames show: a picture `(H,W,3)`, or without one an empty place of `size` (width, height),
    None for the model's own. Raises PictureError for a picture that is too large.
    """
    native, step = _own(model, desk)
    if pixels is None:
        return seen("", *(native if size is None else size), step)
    check_upload(pixels, desk.settings)
    return seen(picture_source(pixels, LONGEST), pixels.shape[1], pixels.shape[0], step)


def compared_of(desk: Desk, number: int, owner: str) -> tuple[Pixels, Pixels] | None:
    """Return the picture that a drawing began with, or whose lines it followed, and what came of it, in one
    size `(H,W,3)`; None where it began with none, or where that is not kept any more. Where the drawing added
    something around the picture, the first is grey there.
    """
    try:
        kept = desk.gallery.get(number, owner)
        resolved = desk.gallery.resolved(kept)
        source = _beginning(resolved)
        if source is None:
            return None
        before = read_upload(desk.settings.data_dir / INPUTS / source, desk.settings)
        after = read_upload(kept.path, desk.settings)
    except SfumatoError:
        return None
    height, width = after.shape[:2]
    if (part := resolved.extend) is not None:
        sides = (part.top, part.bottom), (part.left, part.right), (0, 0)
        before = np.pad(before, sides, constant_values=_GREY)
    how = "crop" if resolved.image is None else resolved.image.fit
    return fit(before, width, height, how), after


def _beginning(resolved: Resolved) -> str | None:
    """Return the digest of the picture that a drawing begins with."""
    if resolved.image is not None:
        return resolved.image.source.sha256
    return None if resolved.control is None else resolved.control.controls[0].source.sha256


def _own(model: str, desk: Desk) -> tuple[tuple[int, int], int]:
    """Return the size that a model draws unasked, and what sizes are multiples of, in pixels."""
    try:
        own = find_model(model, desk.settings, paths=False).defaults
    except SfumatoError:  # it went away meanwhile, which is said when somebody draws
        return (512, 512), 8
    return (own.width, own.height), own.multiple
