"""Parts of a recipe for sizes beyond the model's own: a second drawing, larger, and drawing in windows."""

import math
from types import MappingProxyType
from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field, Strict, model_validator

from sfumato.recipe.values import FROZEN, MAX_SIZE, Fraction, Size, Steps

MAX_SCALE: Final = 16.0
MAX_PASSES: Final = 4
ALMOST: Final = 1e-9  # a strength of k / n, rounded, is k steps of n
MAX_OVERLAP: Final = 0.75  # each window more of it costs four times as many

Method = Literal["latent", "lanczos", "learned"]
METHODS: Final[tuple[Method, ...]] = ("latent", "lanczos", "learned")

RANGES: Final = MappingProxyType(
    {
        "hires.scale": f"above 1 and up to {MAX_SCALE:g}",
        "hires.strength": "0 to 1: 0 only enlarges the picture",
        "hires.passes": f"1 to {MAX_PASSES}",
        "hires.keep": "0 to 1, a fraction of the steps that are drawn",
        "hires.overlap": f"0 to {MAX_OVERLAP:g}, a fraction of a window",
        "windows.size": f"1 to {MAX_SIZE}, or leave it out for the model's own size",
        "windows.overlap": f"0 to {MAX_OVERLAP:g}, a fraction of a window",
    }
)
"""The whole range of every field, for hints."""

Scale = Annotated[float, Strict(), Field(gt=1.0, le=MAX_SCALE)]
Passes = Annotated[int, Strict(), Field(ge=1, le=MAX_PASSES)]
Overlap = Annotated[float, Strict(), Field(ge=0.0, le=MAX_OVERLAP)]


class HiresPart(BaseModel):
    """Draw the finished picture once more, `scale` times as wide and high, guided by the same prompt.

    In `passes` equal factors, it is enlarged by `method` and drawn again from noise of `strength` on: of
    `steps` steps, that share is drawn. "latent" enlarges latents, "lanczos" and "learned" (a small network,
    see `sfumato.models.upscalers`) pixels. `keep` in [0, 1] is the share of the drawn steps during which
    everything coarser than the picture before stays as it was there.

    It is drawn in windows of `window` pixels a side, which overlap by the share `overlap` of it. Left open:
    the window of the recipe's windows part, else the model's own size; as many passes as no factor above two
    asks for; the strength, method and overlap that `sfumato.recipe.resolve_hires` names.
    """

    model_config = FROZEN

    kind: Literal["hires"] = "hires"
    scale: Scale
    strength: Fraction | None = None
    method: Method | None = None
    steps: Steps | None = None
    passes: Passes | None = None
    keep: Fraction | None = None
    window: Size | None = None
    overlap: Overlap | None = None


class WindowsPart(BaseModel):
    """Draw in windows of `size` pixels a side (the model's own size when None), which overlap by the share
    `overlap` of it, wherever the picture is larger: then it may also be larger than the model allows.
    """

    model_config = FROZEN

    kind: Literal["windows"] = "windows"
    size: Size | None = None
    overlap: Overlap | None = None


class ResolvedHires(BaseModel):
    """`HiresPart` with nothing left open. `sizes` are width and height of every pass, in pixels; the last
    one is the picture's.
    """

    model_config = FROZEN

    kind: Literal["hires"] = "hires"
    scale: Scale
    sizes: Annotated[tuple[tuple[Size, Size], ...], Field(min_length=1, max_length=MAX_PASSES)]
    strength: Fraction
    method: Method
    steps: Steps
    keep: Fraction
    window: Size
    overlap: Overlap

    @property
    def first_step(self) -> int:
        """The step that each pass begins at: `steps` when its strength asks for none."""
        return self.steps - min(self.steps, int(self.steps * self.strength + ALMOST))

    @property
    def num_steps(self) -> int:
        """The steps that each pass draws."""
        return self.steps - self.first_step

    @model_validator(mode="after")
    def _growing(self) -> "ResolvedHires":
        for before, after in zip(self.sizes, self.sizes[1:], strict=False):
            if after[0] < before[0] or after[1] < before[1]:
                raise ValueError("no pass of hires may be smaller than the one before")
        return self


class ResolvedWindows(BaseModel):
    """`WindowsPart` with nothing left open."""

    model_config = FROZEN

    kind: Literal["windows"] = "windows"
    size: Size
    overlap: Overlap


def usual_passes(scale: float) -> int:
    """Return the fewest passes of which none enlarges by more than two."""
    return min(MAX_PASSES, max(1, math.ceil(math.log2(scale) - 1e-9)))
