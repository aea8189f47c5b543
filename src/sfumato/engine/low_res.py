"""A small picture that a model makes larger: shown to the UNet beside the latents, with some noise on it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sfumato.engine.plan import Plan
from sfumato.errors import RecipeError
from sfumato.imaging.fitting import resize
from sfumato.imaging.inputs import Inputs
from sfumato.models.backends.base import Array
from sfumato.models.bundle import ModelBundle
from sfumato.recipe.image import Resolved
from sfumato.samplers.noise import Generator


@dataclass(frozen=True, eq=False)
class LowRes:
    """The picture `shown (3,h,w)` in [-1, 1], of the size of the latents; `kept` and `added` are what it and
    its noise are multiplied by at the noise level `level`. Make it with `prepare_low_res`.
    """

    shown: NDArray[np.float32]
    kept: float
    added: float
    level: int

    def channels(self, generators: Sequence[Generator]) -> NDArray[np.float32]:
        """Return what the UNet takes beside x, `(B,3,h,w)`: of each picture's generator the first numbers are
        its noise, as in diffusers.
        """
        noise = np.stack([generator.randn(self.shown.shape) for generator in generators])
        return (np.float32(self.kept) * self.shown + np.float32(self.added) * noise).astype(np.float32)

    def planned(self, plan: Plan, channels: Array) -> Plan:
        """Return `plan` with the `channels` of a batch, and the class that the UNet is told."""
        return replace(plan, channels=channels, label=self.level)


def prepare_low_res(resolved: Resolved, bundle: ModelBundle, inputs: Inputs) -> LowRes | None:
    """Return the small picture of a recipe, None without one. Raises PictureError when it is not among
    `inputs`, RecipeError when model and recipe do not go together.
    """
    part = resolved.low_res
    if part is None or bundle.low_res is None:
        if part is not None or bundle.low_res is not None:
            what = "is no upscaler" if part is not None else "is an upscaler, and needs a low_res part"
            raise RecipeError(what, field="model", value=bundle.name)
        return None
    picture = inputs.picture(part.source.sha256, part.source.name).pixels
    width, height = resolved.width // bundle.downsample, resolved.height // bundle.downsample
    pixels = resize(picture, width, height).astype(np.float32) / np.float32(127.5) - np.float32(1)
    kept, added = bundle.low_res.shares(part.noise_level)
    return LowRes(np.ascontiguousarray(np.moveaxis(pixels, -1, 0)), kept, added, part.noise_level)
