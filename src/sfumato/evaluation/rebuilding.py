"""What a model's autoencoder leaves of real pictures: what draws in its latents can hardly do better."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sfumato.models import tiling
from sfumato.models.bundle import ModelBundle

BEST: Final = 60.0  # dB of pictures without any difference, so that means stay finite

Pixels = NDArray[np.uint8]


def round_trip(bundle: ModelBundle, pixels: Pixels) -> Pixels:
    """Return `pixels (H,W,3)`, sides a multiple of the model's downsampling, after its autoencoder, there and
    back.
    """
    inputs = np.moveaxis(pixels.astype(np.float32) / np.float32(127.5) - 1, -1, 0)[None]
    latents = tiling.encode(
        bundle.backend, np.ascontiguousarray(inputs), bundle.downsample, bundle.max_latents
    )
    decoded = tiling.decode(bundle.backend, latents, bundle.downsample, bundle.max_latents)[0]
    return np.rint((np.moveaxis(decoded, 0, -1) + 1) * 127.5).clip(0, 255).astype(np.uint8)


def psnr(picture: Pixels, wanted: Pixels) -> float:
    """Return the PSNR in dB of two pictures `(H,W,3)` of one size over all channels, at most `BEST`."""
    error = float(np.square(picture.astype(np.float64) - wanted).mean())
    return min(BEST, 10 * math.log10(255**2 / error)) if error > 0 else BEST
