"""The parts of a recipe: what steers a drawing beyond size, steps and seed.

At most one of each kind, in any order; `sfumato.recipe.resolved_parts` has them with nothing left open.
"""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field, model_validator

from sfumato.recipe.adapters import AdaptersPart
from sfumato.recipe.areas import AreaText
from sfumato.recipe.extras import ExtrasPart
from sfumato.recipe.hires import HiresPart, WindowsPart
from sfumato.recipe.low_res import LowResPart
from sfumato.recipe.micro import MicroPart
from sfumato.recipe.of_model import SchedulePart, VaePart
from sfumato.recipe.refining import RefinePart
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
    Share,
    SignedPixels,
    StartStep,
    Switch,
    Weight,
)

Fit = Literal["crop", "fill", "stretch"]
Fill = Literal["original", "noise", "blur"]
NewFill = Literal["noise", "blur"]
Extent = Literal["whole", "masked"]
MixMode = Literal["branches", "embeddings", "bands"]


class TextPart(BaseModel):
    """A prompt, in the prompt language of `sfumato.recipe.syntax`; an empty one is legal.

    `guidance_rescale` in [0, 1] pulls the guided prediction back to the contrast of the unguided one (Lin et
    al. 2023, arXiv 2305.08891, section 3.4); None means the model's own default. Guidance acts at step `i` of
    `n` when `guidance_start <= i / n < guidance_stop`; at the other steps the unconditional branch is not
    evaluated (Kynkäänniemi et al. 2024, arXiv 2404.07724). A window of which neither end is given is open:
    all steps, or the model's own window in a fast recipe; an end that is missing beside the other is 0 or 1.
    """

    model_config = FROZEN

    kind: Literal["text"] = "text"
    prompt: PromptText
    negative: PromptText = ""
    guidance_rescale: Fraction | None = None
    guidance_start: Fraction | None = None
    guidance_stop: Fraction | None = None

    @model_validator(mode="after")
    def _window(self) -> "TextPart":
        if self.guidance_start is not None and self.guidance_stop is not None:
            check_window(self.guidance_start, self.guidance_stop)
        return self


class MixPrompt(BaseModel):
    """One prompt of a mix and its ratio, above 0 and at most 1000."""

    model_config = FROZEN

    prompt: PromptText
    ratio: Ratio


class MixPart(BaseModel):
    """Prompts mixed into the text part's prompt.

    A ratio is the share of the picture that its prompt decides. The text part's prompt has the share `ratio`;
    when that is None it takes what the others leave below 1, and counts 1 when they leave nothing. Shares
    that do not sum to one are scaled so that they do: "frog" with "rabbit" 0.5 is half and half, and so is
    "frog" with "rabbit" 1. Without a text part, the first prompt here takes its place (then `ratio` must be
    None).

    `mode` "branches" predicts with each prompt and averages the predictions; "embeddings" averages the
    encoded texts; "bands" averages predictions as well, but each prompt counts most in a band of the picture
    as high as its share, the text part's uppermost, see `sfumato.engine.regions`. None means what the model
    does best.
    """

    model_config = FROZEN

    kind: Literal["mix"] = "mix"
    prompts: Annotated[tuple[MixPrompt, ...], Field(min_length=1, max_length=MAX_MIXED)]
    ratio: Ratio | None = None
    mode: MixMode | None = None


class Region(BaseModel):
    """A prompt for one part of the picture: a rectangle (`area`, see `sfumato.recipe.areas`), or what is
    white in the picture `source`, which is stretched over the drawing. `ratio` is the region's own share
    there; the rest is the recipe's main prompt's.
    """

    model_config = FROZEN

    prompt: PromptText
    area: AreaText | None = None
    source: Name | None = None
    ratio: Share = 1.0

    @model_validator(mode="after")
    def _one_place(self) -> "Region":
        if (self.area is None) == (self.source is None):
            raise ValueError("a region needs either an area or a source, a picture of its mask")
        return self


class RegionsPart(BaseModel):
    """Prompts for parts of the picture; where there are none, the text part's prompt decides.

    `feather` in [0, 1] is how far neighbours run into each other, as a share of the picture's shorter side.
    Where regions overlap they share the place equally.
    """

    model_config = FROZEN

    kind: Literal["regions"] = "regions"
    regions: Annotated[tuple[Region, ...], Field(min_length=1, max_length=MAX_REGIONS)]
    feather: Fraction = 0.1


class Control(BaseModel):
    """A ControlNet (`model`, a name or a folder) and the picture it follows, `source`; without one, the image
    that the drawing begins with.

    `annotator` makes its map of the picture (see `sfumato.imaging.annotators`); "none" means the picture is
    one, None what goes with the ControlNet's name. `weight` in [0, 4] multiplies what it adds. It acts at
    step `i` of `n` when `start <= i / n` and `(i + 1) / n <= stop`.
    """

    model_config = FROZEN

    model: Name = "edges"
    source: Name | None = None
    annotator: Name | None = None
    weight: Weight = 1.0
    start: Fraction = 0.0
    stop: Fraction = 1.0

    @model_validator(mode="after")
    def _span(self) -> "Control":
        if self.start > self.stop:
            raise ValueError(f"start {self.start} lies after stop {self.stop}")
        return self


class ControlPart(BaseModel):
    """ControlNets that steer the drawing together (Zhang et al. 2023, arXiv 2302.05543)."""

    model_config = FROZEN

    kind: Literal["control"] = "control"
    controls: Annotated[tuple[Control, ...], Field(min_length=1, max_length=MAX_CONTROLS)]


class ImagePart(BaseModel):
    """A picture to begin with: the path of a file, or `sha256:...` of one that was used before.

    `strength` in [0, 1] is the share of the steps that is drawn: 0 gives the picture back, 1 keeps only what
    shines through the strongest noise. `start_step` k of n says the same as strength 1 - k / n. With neither,
    0.75; with a mask 1.

    `fit` brings the picture to the size of the drawing: crop its longer side, fill the missing side with
    what is at the edge, or stretch it. `keep_colour` gives the result the picture's distribution of colours
    (Reinhard et al. 2001, "Color Transfer between Images").
    """

    model_config = FROZEN

    kind: Literal["image"] = "image"
    source: Name
    strength: Fraction | None = None
    start_step: StartStep | None = None
    fit: Fit | None = None
    keep_colour: Switch = False

    @model_validator(mode="after")
    def _one_beginning(self) -> "ImagePart":
        if self.strength is not None and self.start_step is not None:
            raise ValueError("strength and start_step say the same; give one of them")
        return self


class MaskPart(BaseModel):
    """What of the image is drawn anew; the rest comes back bit for bit, and the result has its size.

    The mask is what is white in the picture `source`, what is transparent in the image (`alpha`), or a
    rectangle (`area`). Then, in this order: `invert`; `grow` by so many pixels (shrink below zero); `feather`
    it over so many pixels, outwards. All pixels are the image's.

    `extent` "masked" draws only the mask's surroundings, `padding` pixels around it, enlarged to the size of
    the drawing. `fill` says what the mask holds at the beginning: noise alone, the original, or the
    surroundings blurred into it; with neither, noise at strength 1 and the original below. `soft` has grey
    places of the mask follow later: what is half grey, from half of the steps on (Levin and Fried 2023, arXiv
    2306.00950).
    """

    model_config = FROZEN

    kind: Literal["mask"] = "mask"
    source: Name | None = None
    alpha: Switch = False
    area: AreaText | None = None
    invert: Switch = False
    grow: SignedPixels = 0
    feather: Pixels = 0
    soft: Switch = False
    extent: Extent = "whole"
    padding: Pixels = 32
    fill: Fill | None = None

    @model_validator(mode="after")
    def _one_mask(self) -> "MaskPart":
        if (self.source is not None) + self.alpha + (self.area is not None) != 1:
            raise ValueError("a mask needs one of source (a picture), alpha, and area (a rectangle)")
        return self


class ExtendPart(BaseModel):
    """More picture around the image: so many pixels more at each side. The image itself comes back bit for
    bit. `fill` says what the new sides hold at the beginning: noise alone (at strength 1), or the image's
    edge, blurred (below).

    `reach` is how many pixels are added to a side at a time: more is drawn in several passes, each in a
    window of the size that the model draws, with at least a quarter of it known. 0 draws everything at once.
    None means a quarter of that size where more is to be added, and at once below; and at once beside
    regions, controls and windows, which lie on the whole picture.
    """

    model_config = FROZEN

    kind: Literal["extend"] = "extend"
    left: Pixels = 0
    right: Pixels = 0
    top: Pixels = 0
    bottom: Pixels = 0
    fill: NewFill | None = None
    reach: Pixels | None = None

    @model_validator(mode="after")
    def _somewhere(self) -> "ExtendPart":
        if self.left + self.right + self.top + self.bottom == 0:
            raise ValueError("at least one of left, right, top and bottom must be above 0")
        return self


class VariationPart(BaseModel):
    """Other pictures near one: each of the run begins with the noise of the recipe's seed, turned by
    `strength` in [0, 1] towards the noise of a seed of its own, `seed`, `seed + 1`, ... (drawn at random when
    None). 0.1 changes details, 0.5 the composition; 1 is another picture.
    """

    model_config = FROZEN

    kind: Literal["variation"] = "variation"
    strength: Fraction
    seed: Seed | None = None


Part = Annotated[
    TextPart
    | MixPart
    | RegionsPart
    | ControlPart
    | ImagePart
    | MaskPart
    | ExtendPart
    | LowResPart
    | WindowsPart
    | HiresPart
    | VariationPart
    | ExtrasPart
    | MicroPart
    | VaePart
    | SchedulePart
    | AdaptersPart
    | RefinePart,
    Field(discriminator="kind"),
]

PART_ORDER: Final = (
    "text",
    "mix",
    "regions",
    "control",
    "image",
    "mask",
    "extend",
    "low_res",
    "windows",
    "hires",
    "variation",
    "extras",
    "micro",
    "vae",
    "schedule",
    "adapters",
    "refine",
)
"""In which parts take effect."""


def check_window(start: float, stop: float) -> None:
    """Raise ValueError for a guidance window that ends before it begins."""
    if start > stop:
        raise ValueError(f"guidance_start {start} lies after guidance_stop {stop}")
