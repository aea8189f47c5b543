"""What a picture is made from: `Recipe` as a person wrote it, `Resolved` with nothing left open.

Both are immutable values. Build a `Recipe` from outside data with
`sfumato.recipe.resolve.recipe_from_mapping`, which turns every mistake into one line; the constructors
themselves raise pydantic's ValidationError.
"""

from typing import Annotated, Any, Final, TypeVar

from pydantic import (
    BaseModel,
    Field,
    SerializerFunctionWrapHandler,
    Strict,
    model_serializer,
    model_validator,
)

from sfumato.recipe.adapters import AdaptersPart, ResolvedAdapters
from sfumato.recipe.extras import ExtrasPart, no_tiles
from sfumato.recipe.hires import HiresPart, ResolvedHires, ResolvedWindows, WindowsPart
from sfumato.recipe.low_res import LowResPart
from sfumato.recipe.micro import MicroPart
from sfumato.recipe.of_model import ResolvedVae, SchedulePart, VaePart
from sfumato.recipe.parts import (
    PART_ORDER,
    ControlPart,
    ExtendPart,
    ImagePart,
    MaskPart,
    MixPart,
    Part,
    RegionsPart,
    TextPart,
    VariationPart,
)
from sfumato.recipe.refining import RefinePart, ResolvedRefine
from sfumato.recipe.resolved_parts import (
    ResolvedControls,
    ResolvedExtend,
    ResolvedImage,
    ResolvedLowRes,
    ResolvedMask,
    ResolvedMix,
    ResolvedPart,
    ResolvedRegions,
    ResolvedText,
    ResolvedVariation,
)
from sfumato.recipe.values import (
    FROZEN,
    MAX_SEED,
    CacheInterval,
    Count,
    Fraction,
    Guidance,
    ImageGuidance,
    Index,
    Name,
    Seed,
    Size,
    Steps,
)

RECIPE_VERSION: Final = 1
ALMOST: Final = 1e-9  # a strength of (n - k) / n, rounded, must begin at step k

Version = Annotated[int, Strict(), Field(ge=1, le=RECIPE_VERSION)]
_PartT = TypeVar("_PartT", bound=BaseModel)


class Recipe(BaseModel):
    """What to draw. None means "as the model likes it" (for `seed`: another one each time).

    No parts: an unconditional drawing. `count` pictures use the seeds `seed`, `seed + 1`, ...
    `width` and `height` are pixels, rounded to the nearest size the model can draw. `eta` in [0, 1] is the
    share of noise that the sampler ddim puts back at every step; other samplers take none. `image_guidance`
    is how strictly a model that is edited by instructions follows the picture of the image part, 1 or more
    (Brooks et al. 2023, arXiv 2211.09800, Eq. 3, where `guidance` is the other one); other models have none.

    `cache_interval` n runs the whole network at every n-th step, and at the others only what is nearest to
    the picture, with deep features carried on from the last whole runs (Ma et al. 2023, arXiv 2312.00858); 1
    is off. `fast` fills `cache_interval` and the text part's guidance window, where they are open, with the
    model's own values for speed.
    """

    model_config = FROZEN

    version: Version = RECIPE_VERSION
    model: Name = "bundled"
    width: Size | None = None
    height: Size | None = None
    steps: Steps | None = None
    sampler: Name | None = None
    spacing: Name | None = None
    eta: Fraction | None = None
    guidance: Guidance | None = None
    image_guidance: ImageGuidance | None = None
    cache_interval: CacheInterval | None = None
    fast: Annotated[bool, Strict()] = False
    seed: Seed | None = None
    count: Count = 1
    parts: tuple[Part, ...] = ()

    @model_validator(mode="after")
    def _one_of_each(self) -> "Recipe":
        kinds = [part.kind for part in self.parts]
        for kind in kinds:
            if kinds.count(kind) > 1:
                raise ValueError(f"only one part of kind {kind} is possible")
        mix = self.mix
        if mix is not None and mix.ratio is not None and "text" not in kinds:
            raise ValueError("a mix without a text part has no main prompt that its ratio could belong to")
        problem = _misfit(kinds) or no_tiles(self.extras, kinds)
        if problem is not None:
            raise ValueError(problem)
        controls = () if self.control is None else self.control.controls
        if self.image is None and any(one.source is None for one in controls):
            raise ValueError("a control needs a source, as there is no image that it could follow")
        return self

    @property
    def text(self) -> TextPart | None:
        return _only(self.parts, TextPart)

    @property
    def mix(self) -> MixPart | None:
        return _only(self.parts, MixPart)

    @property
    def regions(self) -> RegionsPart | None:
        return _only(self.parts, RegionsPart)

    @property
    def control(self) -> ControlPart | None:
        return _only(self.parts, ControlPart)

    @property
    def image(self) -> ImagePart | None:
        return _only(self.parts, ImagePart)

    @property
    def mask(self) -> MaskPart | None:
        return _only(self.parts, MaskPart)

    @property
    def extend(self) -> ExtendPart | None:
        return _only(self.parts, ExtendPart)

    @property
    def low_res(self) -> LowResPart | None:
        return _only(self.parts, LowResPart)

    @property
    def windows(self) -> WindowsPart | None:
        return _only(self.parts, WindowsPart)

    @property
    def hires(self) -> HiresPart | None:
        return _only(self.parts, HiresPart)

    @property
    def variation(self) -> VariationPart | None:
        return _only(self.parts, VariationPart)

    @property
    def extras(self) -> ExtrasPart | None:
        return _only(self.parts, ExtrasPart)

    @property
    def micro(self) -> MicroPart | None:
        return _only(self.parts, MicroPart)

    @property
    def vae(self) -> VaePart | None:
        return _only(self.parts, VaePart)

    @property
    def schedule(self) -> SchedulePart | None:
        return _only(self.parts, SchedulePart)

    @property
    def adapters(self) -> AdaptersPart | None:
        return _only(self.parts, AdaptersPart)

    @property
    def refine(self) -> RefinePart | None:
        return _only(self.parts, RefinePart)


class Resolved(BaseModel):
    """What runs, what is stored, and what every picture carries: the run, and which of its pictures this is.

    `parts` stand in the order of `PART_ORDER`; without a text the drawing is unconditional. `model_digest`
    identifies the weights. `width` and `height` are what the model draws: with a mask or an extension, the
    picture has the size of the image. The picture's own noise comes from `picture_seed`, so it does not
    depend on `count`. `embedded` tells that the model's network is told the guidance and predicts once.
    `image_guidance` is None with models that are not edited by instructions. That, an `eta` of 0, a
    `cache_interval` of 1 and an `embedded` of false are not written, so that recipes keep the digest they
    had before there were any.
    """

    model_config = FROZEN

    version: Version = RECIPE_VERSION
    model: Name
    model_digest: Name
    width: Size
    height: Size
    steps: Steps
    sampler: Name
    spacing: Name
    eta: Fraction = 0.0
    guidance: Guidance
    image_guidance: ImageGuidance | None = None
    embedded: Annotated[bool, Strict()] = False
    cache_interval: CacheInterval = 1
    seed: Seed
    count: Count
    index: Index = 0
    parts: Annotated[tuple[ResolvedPart, ...], Field(max_length=len(PART_ORDER))]

    @model_validator(mode="after")
    def _consistent(self) -> "Resolved":
        if self.index >= self.count:
            raise ValueError(f"index {self.index} is outside a run of {self.count}")
        if self.seed + self.count - 1 > MAX_SEED:
            raise ValueError("the seed of the last picture is too large")
        if self.variation is not None and self.variation.seed + self.count - 1 > MAX_SEED:
            raise ValueError("the seed of the last variation is too large")
        kinds = [part.kind for part in self.parts]
        if kinds != sorted(set(kinds), key=PART_ORDER.index):
            raise ValueError(f"resolved parts are one of each kind, in the order {', '.join(PART_ORDER)}")
        if "text" not in kinds and ("mix" in kinds or "regions" in kinds):
            raise ValueError("a resolved mix, and resolved regions, stand beside a text")
        if self.image_guidance is not None and "image" not in kinds:
            raise ValueError("image guidance needs an image part")
        problem = _misfit(kinds) or no_tiles(self.extras, kinds)
        if problem is not None:
            raise ValueError(problem)
        return self

    @model_serializer(mode="wrap")
    def _without_what_is_off(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        if self.eta == 0.0:
            data.pop("eta", None)
        if self.cache_interval == 1:
            data.pop("cache_interval", None)
        if not self.embedded:
            data.pop("embedded", None)
        if self.image_guidance is None:
            data.pop("image_guidance", None)
        return data

    @property
    def text(self) -> ResolvedText | None:
        return _only(self.parts, ResolvedText)

    @property
    def mix(self) -> ResolvedMix | None:
        return _only(self.parts, ResolvedMix)

    @property
    def bands(self) -> tuple[float, ...] | None:
        """The shares of a mix in bands, the text part's first."""
        return None if self.mix is None or self.mix.mode != "bands" else self.mix.shares

    @property
    def regions(self) -> ResolvedRegions | None:
        return _only(self.parts, ResolvedRegions)

    @property
    def control(self) -> ResolvedControls | None:
        return _only(self.parts, ResolvedControls)

    @property
    def image(self) -> ResolvedImage | None:
        return _only(self.parts, ResolvedImage)

    @property
    def mask(self) -> ResolvedMask | None:
        return _only(self.parts, ResolvedMask)

    @property
    def extend(self) -> ResolvedExtend | None:
        return _only(self.parts, ResolvedExtend)

    @property
    def low_res(self) -> ResolvedLowRes | None:
        return _only(self.parts, ResolvedLowRes)

    @property
    def windows(self) -> ResolvedWindows | None:
        return _only(self.parts, ResolvedWindows)

    @property
    def hires(self) -> ResolvedHires | None:
        return _only(self.parts, ResolvedHires)

    @property
    def variation(self) -> ResolvedVariation | None:
        return _only(self.parts, ResolvedVariation)

    @property
    def extras(self) -> ExtrasPart | None:
        return _only(self.parts, ExtrasPart)

    @property
    def micro(self) -> MicroPart | None:
        return _only(self.parts, MicroPart)

    @property
    def vae(self) -> ResolvedVae | None:
        return _only(self.parts, ResolvedVae)

    @property
    def schedule(self) -> SchedulePart | None:
        return _only(self.parts, SchedulePart)

    @property
    def adapters(self) -> ResolvedAdapters | None:
        return _only(self.parts, ResolvedAdapters)

    @property
    def refine(self) -> ResolvedRefine | None:
        return _only(self.parts, ResolvedRefine)

    @property
    def picture_seed(self) -> int:
        """The seed of this one picture, `seed + index`; `seed` of every variation."""
        return self.seed if self.variation is not None else self.seed + self.index

    @property
    def first_step(self) -> int:
        """The step that drawing begins at: 0 without an image, `steps` when its strength asks for none."""
        if self.image is None:
            return 0
        return self.steps - min(self.steps, int(self.steps * self.image.strength + ALMOST))


def _only(parts: tuple[Part, ...] | tuple[ResolvedPart, ...], kind: type[_PartT]) -> _PartT | None:
    return next((part for part in parts if isinstance(part, kind)), None)


def _misfit(kinds: list[str]) -> str | None:
    """Return why parts of these kinds do not go together; None when they do."""
    if "low_res" in kinds:
        others = [kind for kind in ("image", "control", "mask", "extend", "hires") if kind in kinds]
        if others:
            return f"a small picture to make larger (low_res) does not go together with a part {others[0]}"
    if "image" not in kinds and ("mask" in kinds or "extend" in kinds):
        return "a mask or an extension needs an image to work on"
    if "mask" in kinds and "extend" in kinds:
        return "a mask and an extension in one recipe are not possible; draw one after the other"
    if "hires" in kinds and ("mask" in kinds or "extend" in kinds):
        return "hires draws all anew, and a mask or an extension keeps a part; draw one after the other"
    if "refine" in kinds and ("hires" in kinds or "low_res" in kinds):
        return "a refiner ends one drawing, and this recipe has two sizes; enlarge the picture afterwards"
    return None
