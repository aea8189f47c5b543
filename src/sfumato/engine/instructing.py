"""Editing by instructions: the UNet is shown the picture beside x, and guided by it and by the prompt.

With predictions e of nothing, of the picture I alone, and of the picture and the prompt T, a step goes by
`e(0,0) + s_I (e(I,0) - e(0,0)) + s_T (e(I,T) - e(I,0))` (Brooks et al. 2023, arXiv 2211.09800, Eq. 3). As a
weighted sum: s_T of e(I,T), s_I - s_T of e(I,0), and 1 - s_I of e(0,0), which `sfumato.engine.conditions`
makes; those of no weight are not asked for. A branch without the picture is shown zeros.
"""

from collections.abc import Sequence

from sfumato.engine.edits import Edit, encode
from sfumato.engine.plan import Conditioning
from sfumato.errors import RecipeError
from sfumato.imaging.fitting import fit
from sfumato.imaging.inputs import Inputs
from sfumato.models.backends.base import Array
from sfumato.models.bundle import ModelBundle
from sfumato.recipe.image import Resolved
from sfumato.samplers.arrays import array_namespace


def check_instructed(resolved: Resolved, bundle: ModelBundle) -> None:
    """Raise RecipeError when model and recipe do not go together: only a model that is shown a picture
    follows one, and it always does.
    """
    if (resolved.image_guidance is None) != (bundle.shown is None):
        is_one = "is" if bundle.shown is not None else "is not"
        raise RecipeError(f"{is_one} edited by instructions", field="model", value=bundle.name)


def shown_channels(bundle: ModelBundle, edit: Edit | None) -> Array:
    """Return what the UNet takes beside x, `(1,C,h,w)`, for a drawing that begins with the picture of `edit`.
    Raises RecipeError without one.
    """
    if edit is None or bundle.shown is None:
        raise RecipeError("needs one picture to edit, whole", field="model", value=bundle.name)
    return bundle.shown.of(edit.latents, bundle.backend.asarray)


def shown_larger(resolved: Resolved, bundle: ModelBundle, inputs: Inputs) -> Array:
    """Return the same for a pass that draws the picture of `resolved` again at its own size: the picture that
    was edited, enlarged.
    """
    part = resolved.image
    if part is None or bundle.shown is None:
        raise RecipeError("needs one picture to edit, whole", field="model", value=bundle.name)
    pixels = inputs.picture(part.source.sha256, part.source.name).pixels
    drawn = fit(pixels, resolved.width, resolved.height, part.fit)
    return bundle.shown.of(encode(bundle, drawn, tiled=True), bundle.backend.asarray)


def rows_of(latents: Array, channels: Array, asked: Sequence[Conditioning]) -> Array:
    """Return the rows that a network is asked for every conditioning of `asked`: `latents (B,C,h,w)` with
    `channels (B,E,h,w)` beside them, zeros where a conditioning is blind.
    """
    xp = array_namespace(latents)
    seeing = xp.concat([latents, channels], axis=1)
    if not any(one.blind for one in asked):
        return xp.concat([seeing] * len(asked), axis=0)
    blind = xp.concat([latents, xp.zeros_like(channels)], axis=1)
    return xp.concat([blind if one.blind else seeing for one in asked], axis=0)
