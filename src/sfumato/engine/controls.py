"""ControlNets and T2I-Adapters of a drawing: found, given their maps, and asked at the steps they act at."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sfumato.engine.edits import Edit
from sfumato.engine.steering import Controls, ControlSteering, FeatureSteering, Steering
from sfumato.errors import RecipeError
from sfumato.imaging.annotators import ANNOTATORS
from sfumato.imaging.fitting import fit, resize
from sfumato.imaging.inputs import Inputs
from sfumato.models.bundle import ModelBundle
from sfumato.models.control_fit import check_fit
from sfumato.models.controlnets import ControlFiles, find_controlnet
from sfumato.models.files import ModelFiles
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.resolved_parts import ResolvedControl
from sfumato.settings import Settings


def find_controls(recipe: Recipe, files: ModelFiles, settings: Settings, *, paths: bool = True) -> Controls:
    """Find the ControlNets and T2I-Adapters that `recipe` names, and check that they fit the model.

    `paths` False takes names only. Raises RecipeError and ModelFileError as `find_controlnet` does, and
    RecipeError for one that does not fit.
    """
    found: dict[str, ControlFiles] = {}
    for one in () if recipe.control is None else recipe.control.controls:
        if one.model not in found:
            found[one.model] = find_controlnet(one.model, settings, paths=paths)
            check_fit(found[one.model], files, one.model)
    return found


def digests_of(controls: Controls) -> dict[str, str]:
    """Return the digest of each ControlNet by its name: what `resolve` asks for."""
    return {name: files.digest() for name, files in controls.items()}


def chosen(resolved: Resolved, controls: Controls) -> tuple[ControlFiles, ...]:
    """Return the files of the ControlNets of a resolved recipe. Raises RecipeError for one that is missing,
    or has other weights than it was resolved with.
    """
    by_digest = {files.digest(): files for files in controls.values()}
    wanted = () if resolved.control is None else resolved.control.controls
    for one in wanted:
        if one.digest not in by_digest:
            raise RecipeError(
                "is not the ControlNet this recipe was resolved for",
                field="control",
                value=one.model,
                hint="Find that ControlNet, or resolve the recipe again.",
            )
    return tuple(by_digest[one.digest] for one in wanted)


def prepare_controls(
    resolved: Resolved, bundle: ModelBundle, inputs: Inputs, files: Sequence[ControlFiles], edit: Edit | None
) -> tuple[Steering, ...]:
    """Return the ControlNets `files` of a drawing, open and with their maps. Raises PictureError for a
    picture that is missing, and what opening one raises.
    """
    if resolved.control is None:
        return ()
    made: list[Steering] = []
    for one, network in zip(resolved.control.controls, files, strict=True):
        picture = inputs.picture(one.source.sha256, one.source.name).pixels
        shown = _placed(picture, resolved, edit)
        if one.annotator != "none":
            shown = ANNOTATORS[one.annotator](shown)
        if network.hint_channels == 1:
            shown = _grey(shown)
        pixels = np.moveaxis(shown, -1, 0)[None].astype(np.float32) / np.float32(255)
        hint = bundle.backend.asarray(np.ascontiguousarray(pixels))
        steps = _steps(one, resolved.steps)
        if network.kind == "T2I-Adapter":
            adapter = bundle.backend.t2i_adapter(network)
            made.append(FeatureSteering(adapter, hint, one.weight, steps))
        else:
            made.append(ControlSteering(bundle.backend.control(network), hint, one.weight, steps))
    return tuple(made)


def _grey(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture `(H,W,3)` as `(H,W,1)`: its luma, as Pillow rounds it."""
    return np.asarray(Image.fromarray(picture).convert("L"))[..., None]


def _steps(one: ResolvedControl, num_steps: int) -> frozenset[int]:
    return frozenset(
        step
        for step in range(num_steps)
        if one.start <= step / num_steps and (step + 1) / num_steps <= one.stop and one.weight > 0
    )


def _placed(picture: NDArray[np.uint8], resolved: Resolved, edit: Edit | None) -> NDArray[np.uint8]:
    """Return `picture` at the size of the drawing; beside a mask it lies on the image as the mask does."""
    width, height = resolved.width, resolved.height
    if edit is None or edit.window is None:
        return fit(picture, width, height, "crop" if resolved.image is None else resolved.image.fit)
    high, wide = edit.canvas.shape[:2]
    extend = resolved.extend
    whole = resize(picture, wide, high)
    if extend is not None:
        inner = high - extend.top - extend.bottom, wide - extend.left - extend.right
        if picture.shape[:2] == inner:  # a map of the image alone, which says nothing about what is new
            whole = np.zeros((high, wide, 3), np.uint8)
            whole[extend.top : extend.top + inner[0], extend.left : extend.left + inner[1]] = picture
    return resize(edit.window.of(whole), width, height)
