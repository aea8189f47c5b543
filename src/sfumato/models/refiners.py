"""Refiners: models that go on with the latents of another, found by name and checked against it.

Any model may refine another that works on the same latents; which of them were trained for it (the refiner of
Stable Diffusion XL, for the lowest fifth of the noise) nothing in their files says.
"""

from dataclasses import replace

import numpy as np

from sfumato.errors import ModelFileError, RecipeError
from sfumato.models.defaults import downsampling
from sfumato.models.files import ModelFiles
from sfumato.models.latents import LATENT_CHANNELS, Numbers, in_unit_variance, scaling_of
from sfumato.models.load import FoundModel, find_model
from sfumato.settings import Settings


def find_refiner(
    name_or_path: str, base: FoundModel, settings: Settings, *, paths: bool = True
) -> FoundModel:
    """Find the refiner called `name_or_path`, as `sfumato.models.load.find_model` does, and check that it can
    go on where `base` stops.

    Raises RecipeError about the refiner for a name that is not known and for a model that works on other
    latents, or needs a picture that the base has not; ModelFileError as `find_model` does, and for a file
    without an autoencoder: `--vae` and one that lies beside belong to the recipe's model.
    """
    try:
        found = find_model(name_or_path, settings, paths=paths)
    except RecipeError as error:
        raise RecipeError(error.message, field="refiner", value=error.value, hint=error.hint) from None
    check_latents(found, base)
    if found.files.vae.is_absent:
        raise ModelFileError(
            "this file has no autoencoder (VAE)",
            field="refiner",
            value=found.defaults.name,
            hint="Put one into a copy, and name that: sfumato convert MODEL OUT --vae FILE",
        )
    return found


def check_latents(refiner: FoundModel, base: FoundModel) -> None:
    """Raise RecipeError unless both models work on the same latents, and from words."""
    for one in (refiner, base):
        if one.defaults.upscales or one.defaults.instructed:
            what = "makes small pictures larger" if one.defaults.upscales else "is edited by instructions"
            raise _unfit(refiner, f"{one.defaults.name} {what}, and neither refines nor is refined")
    theirs, ours = _latents(refiner.files), _latents(base.files)
    for what, value in theirs.items():
        if value != ours[what]:
            others = f"works on other latents than {base.defaults.name}"
            raise _unfit(refiner, f"{others}: their {what} is {value}, not {ours[what]}")


def _latents(files: ModelFiles) -> dict[str, str]:
    """Return what latents are, in words: those of the autoencoder that the UNet was trained with."""
    own = files if files.own_vae is None else replace(files, vae=files.own_vae)
    config = in_unit_variance(own).vae.config
    scale, shift = scaling_of(config)
    return {
        "number of channels": str(config.get("latent_channels", LATENT_CHANNELS)),
        "scaling factor": _written(scale),
        "shift": _written(shift),
        "downsampling": str(downsampling(files)),
    }


def _written(numbers: Numbers) -> str:
    return ", ".join(f"{number:.5g}" for number in np.ravel(numbers).tolist())


def _unfit(refiner: FoundModel, what: str) -> RecipeError:
    return RecipeError(
        what,
        field="refiner",
        value=refiner.defaults.name,
        hint="Stable Diffusion XL and its relatives refine each other, and so do those of 1 and 2.",
    )
