"""The parts of a resolved recipe: nothing is left open, pictures are named by the digest of their file."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field, model_validator

from sfumato.recipe.adapters import ResolvedAdapters
from sfumato.recipe.extras import ExtrasPart
from sfumato.recipe.hires import ResolvedHires, ResolvedWindows
from sfumato.recipe.low_res import NoiseLevel
from sfumato.recipe.micro import MicroPart
from sfumato.recipe.of_model import ResolvedVae, SchedulePart
from sfumato.recipe.parts import Extent, Fill, Fit, MixMode, MixPrompt, NewFill, check_window
from sfumato.recipe.refining import ResolvedRefine
from sfumato.recipe.values import (
    FROZEN,
    MAX_CONTROLS,
    MAX_MIXED,
    MAX_REGIONS,
    Fraction,
    Name,
    Pixels,
    PromptText,
    Ratio,
    Seed,
    Sha256,
    Share,
    SignedPixels,
    Switch,
    Weight,
)

PixelBox = Annotated[tuple[Pixels, Pixels, Pixels, Pixels], Field(description="left, top, right, bottom")]
FractionBox = Annotated[
    tuple[Fraction, Fraction, Fraction, Fraction], Field(description="left, top, width, height")
]


ALMOST: Final = 1e-9
MAX_NAME: Final = 200  # a name goes through the form sha256:<64 hex digits>/name


class Source(BaseModel):
    """A picture by the sha256 (hex) of its file; `name` is what the file was called, for people."""

    model_config = FROZEN

    sha256: Sha256
    name: Annotated[Name, Field(max_length=MAX_NAME)]


class ResolvedText(BaseModel):
    """`TextPart` with nothing left open."""

    model_config = FROZEN

    kind: Literal["text"] = "text"
    prompt: PromptText
    negative: PromptText
    guidance_rescale: Fraction
    guidance_start: Fraction
    guidance_stop: Fraction

    @model_validator(mode="after")
    def _window(self) -> "ResolvedText":
        check_window(self.guidance_start, self.guidance_stop)
        return self


class ResolvedMix(BaseModel):
    """`MixPart` with shares in (0, 1) that sum to one: `ratio` is the text part's share."""

    model_config = FROZEN

    kind: Literal["mix"] = "mix"
    prompts: Annotated[tuple[MixPrompt, ...], Field(min_length=1, max_length=MAX_MIXED)]
    ratio: Ratio
    mode: MixMode

    @model_validator(mode="after")
    def _shares(self) -> "ResolvedMix":
        total = self.ratio + sum(item.ratio for item in self.prompts)
        if abs(total - 1.0) > ALMOST:
            raise ValueError("the shares of a resolved mix must sum to 1")
        return self

    @property
    def shares(self) -> tuple[float, ...]:
        """The share of each prompt, the text part's first."""
        return self.ratio, *(item.ratio for item in self.prompts)


class ResolvedRegion(BaseModel):
    """`Region` with its place: a rectangle in fractions of the picture, or a mask."""

    model_config = FROZEN

    prompt: PromptText
    box: FractionBox | None = None
    source: Source | None = None
    ratio: Share

    @model_validator(mode="after")
    def _one_place(self) -> "ResolvedRegion":
        if (self.box is None) == (self.source is None):
            raise ValueError("a resolved region has either a box or a source")
        if self.box is not None:
            left, top, width, height = self.box
            if width <= 0 or height <= 0 or max(left + width, top + height) > 1 + ALMOST:
                raise ValueError("the box of a resolved region must lie within the picture")
        return self


class ResolvedRegions(BaseModel):
    """`RegionsPart` with nothing left open."""

    model_config = FROZEN

    kind: Literal["regions"] = "regions"
    regions: Annotated[tuple[ResolvedRegion, ...], Field(min_length=1, max_length=MAX_REGIONS)]
    feather: Fraction


class ResolvedControl(BaseModel):
    """`Control` with nothing left open; `digest` identifies the ControlNet's weights."""

    model_config = FROZEN

    model: Name
    digest: Sha256
    source: Source
    annotator: Name
    weight: Weight
    start: Fraction
    stop: Fraction

    @model_validator(mode="after")
    def _span(self) -> "ResolvedControl":
        if self.start > self.stop:
            raise ValueError(f"start {self.start} lies after stop {self.stop}")
        return self


class ResolvedControls(BaseModel):
    """`ControlPart` with nothing left open."""

    model_config = FROZEN

    kind: Literal["control"] = "control"
    controls: Annotated[tuple[ResolvedControl, ...], Field(min_length=1, max_length=MAX_CONTROLS)]


class ResolvedImage(BaseModel):
    """`ImagePart` with nothing left open; the step to begin at follows from `strength`."""

    model_config = FROZEN

    kind: Literal["image"] = "image"
    source: Source
    strength: Fraction
    fit: Fit
    keep_colour: Switch


class ResolvedMask(BaseModel):
    """`MaskPart` with nothing left open: its place is a `source`, a `box` in pixels of the image, or, with
    neither, what is transparent in the image.
    """

    model_config = FROZEN

    kind: Literal["mask"] = "mask"
    source: Source | None = None
    box: PixelBox | None = None
    invert: Switch
    grow: SignedPixels
    feather: Pixels
    soft: Switch
    extent: Extent
    padding: Pixels
    fill: Fill

    @model_validator(mode="after")
    def _one_place(self) -> "ResolvedMask":
        if self.source is not None and self.box is not None:
            raise ValueError("a resolved mask has a box or a source, not both")
        if self.box is not None and (self.box[0] >= self.box[2] or self.box[1] >= self.box[3]):
            raise ValueError("the box of a resolved mask must not be empty")
        return self


class ResolvedExtend(BaseModel):
    """`ExtendPart` with nothing left open. A `reach` of 0 is not written, so that recipes keep the digest
    they had before there were passes.
    """

    model_config = FROZEN

    kind: Literal["extend"] = "extend"
    left: Pixels
    right: Pixels
    top: Pixels
    bottom: Pixels
    fill: NewFill
    reach: Annotated[Pixels, Field(exclude_if=lambda value: value == 0)] = 0

    @model_validator(mode="after")
    def _somewhere(self) -> "ResolvedExtend":
        if self.left + self.right + self.top + self.bottom == 0:
            raise ValueError("at least one of left, right, top and bottom must be above 0")
        return self


class ResolvedLowRes(BaseModel):
    """`LowResPart` with nothing left open."""

    model_config = FROZEN

    kind: Literal["low_res"] = "low_res"
    source: Source
    noise_level: NoiseLevel


class ResolvedVariation(BaseModel):
    """`VariationPart` with nothing left open."""

    model_config = FROZEN

    kind: Literal["variation"] = "variation"
    strength: Fraction
    seed: Seed


ResolvedPart = Annotated[
    ResolvedText
    | ResolvedMix
    | ResolvedRegions
    | ResolvedControls
    | ResolvedImage
    | ResolvedMask
    | ResolvedExtend
    | ResolvedLowRes
    | ResolvedWindows
    | ResolvedHires
    | ResolvedVariation
    | ExtrasPart
    | MicroPart
    | ResolvedVae
    | SchedulePart
    | ResolvedAdapters
    | ResolvedRefine,
    Field(discriminator="kind"),
]
