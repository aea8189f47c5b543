"""A mask that cannot be used is found before the seconds that loading a model takes."""

from sfumato.imaging.inputs import Inputs
from sfumato.imaging.masks import make_mask
from sfumato.recipe.image import Resolved


def check_mask(resolved: Resolved, inputs: Inputs) -> None:
    """Raise PictureError when the recipe's mask is empty or of other proportions than the image, or its
    picture is not among `inputs`. Without a mask there is nothing to check.
    """
    image, mask = resolved.image, resolved.mask
    if image is None or mask is None:
        return
    source = None if mask.source is None else inputs.picture(mask.source.sha256, mask.source.name)
    make_mask(mask, inputs.picture(image.source.sha256, image.source.name), source)
