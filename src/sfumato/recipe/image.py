"""What a picture is made from: `Recipe` as a person wrote it, `Resolved` with nothing left open.

Both are immutable values. Build a `Recipe` from outside data with
`sfumato.recipe.resolve.recipe_from_mapping`, which turns every mistake into one line; the constructors
themselves raise pydantic's ValidationError.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    Strict,
    model_serializer,
    model_validator,
)

from sfumato.recipe.syntax import clean_text

RECIPE_VERSION: Final = 1
MAX_SEED: Final = 2**63 - 1
MAX_SIZE: Final = 16_384
MAX_STEPS: Final = 1000
MAX_GUIDANCE: Final = 100.0
MAX_COUNT: Final = 100_000
MAX_PROMPT_CHARS: Final = 2_000_000
MAX_MIXED: Final = 16  # each mixed prompt is one more network evaluation per step
MAX_RATIO: Final = 1000.0
MAX_CACHE_INTERVAL: Final = 16

_FROZEN = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _cleaned(value: object) -> object:
    return clean_text(value) if isinstance(value, str) else value


def _unsigned_zero(value: float) -> float:
    return value + 0.0  # -0.0 equals 0.0 but prints differently, and so would change the digest


# Strict: "7" is no number, 20.0 no count, True no seed. A whole number is welcome where a float is asked for.
# Bounds stand before the function validators: only there do they reach the JSON schema.
PromptText = Annotated[str, Strict(), Field(max_length=MAX_PROMPT_CHARS), BeforeValidator(_cleaned)]
Name = Annotated[str, Strict(), Field(min_length=1, max_length=1000), BeforeValidator(_cleaned)]
Size = Annotated[int, Strict(), Field(ge=1, le=MAX_SIZE)]
Steps = Annotated[int, Strict(), Field(ge=1, le=MAX_STEPS)]
Guidance = Annotated[float, Strict(), Field(ge=0.0, le=MAX_GUIDANCE), AfterValidator(_unsigned_zero)]
Seed = Annotated[int, Strict(), Field(ge=0, le=MAX_SEED)]
Count = Annotated[int, Strict(), Field(ge=1, le=MAX_COUNT)]
Fraction = Annotated[float, Strict(), Field(ge=0.0, le=1.0), AfterValidator(_unsigned_zero)]
Ratio = Annotated[float, Strict(), Field(gt=0.0, le=MAX_RATIO)]
CacheInterval = Annotated[int, Strict(), Field(ge=1, le=MAX_CACHE_INTERVAL)]
Index = Annotated[int, Strict(), Field(ge=0, lt=MAX_COUNT)]
Version = Annotated[int, Strict(), Field(ge=1, le=RECIPE_VERSION)]


class TextPart(BaseModel):
    """A prompt, in the prompt language of `sfumato.recipe.syntax`; an empty one is legal.

    `guidance_rescale` in [0, 1] pulls the guided prediction back to the contrast of the unguided one (Lin et
    al. 2023, arXiv 2305.08891, section 3.4); None means the model's own default. Guidance acts at step `i` of
    `n` when `guidance_start <= i / n < guidance_stop`; at the other steps the unconditional branch is not
    evaluated (Kynkäänniemi et al. 2024, arXiv 2404.07724). A window of which neither end is given is open:
    all steps, or the model's own window in a fast recipe; an end that is missing beside the other is 0 or 1.
    """

    model_config = _FROZEN

    kind: Literal["text"] = "text"
    prompt: PromptText
    negative: PromptText = ""
    guidance_rescale: Fraction | None = None
    guidance_start: Fraction | None = None
    guidance_stop: Fraction | None = None

    @model_validator(mode="after")
    def _window(self) -> "TextPart":
        if self.guidance_start is not None and self.guidance_stop is not None:
            _check_window(self.guidance_start, self.guidance_stop)
        return self


class MixPrompt(BaseModel):
    """One prompt of a mix and its ratio, above 0 and at most 1000."""

    model_config = _FROZEN

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
    encoded texts.
    """

    model_config = _FROZEN

    kind: Literal["mix"] = "mix"
    prompts: Annotated[tuple[MixPrompt, ...], Field(min_length=1, max_length=MAX_MIXED)]
    ratio: Ratio | None = None
    mode: Literal["branches", "embeddings"] = "branches"


Part = Annotated[TextPart | MixPart, Field(discriminator="kind")]


class Recipe(BaseModel):
    """What to draw. None means "as the model likes it" (for `seed`: another one each time).

    No parts: an unconditional drawing. `count` pictures use the seeds `seed`, `seed + 1`, ...
    `width` and `height` are pixels, rounded to the nearest size the model can draw. `eta` in [0, 1] is the
    share of noise that the sampler ddim puts back at every step; other samplers take none.

    `cache_interval` n runs the whole network at every n-th step, and at the others only what is nearest to
    the picture, with deep features carried on from the last whole runs (Ma et al. 2023, arXiv 2312.00858); 1
    is off. `fast` fills `cache_interval` and the text part's guidance window, where they are open, with the
    model's own values for speed.
    """

    model_config = _FROZEN

    version: Version = RECIPE_VERSION
    model: Name = "bundled"
    width: Size | None = None
    height: Size | None = None
    steps: Steps | None = None
    sampler: Name | None = None
    spacing: Name | None = None
    eta: Fraction | None = None
    guidance: Guidance | None = None
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
        return self

    @property
    def text(self) -> TextPart | None:
        return next((part for part in self.parts if isinstance(part, TextPart)), None)

    @property
    def mix(self) -> MixPart | None:
        return next((part for part in self.parts if isinstance(part, MixPart)), None)


class ResolvedText(BaseModel):
    """`TextPart` with nothing left open."""

    model_config = _FROZEN

    kind: Literal["text"] = "text"
    prompt: PromptText
    negative: PromptText
    guidance_rescale: Fraction
    guidance_start: Fraction
    guidance_stop: Fraction

    @model_validator(mode="after")
    def _window(self) -> "ResolvedText":
        _check_window(self.guidance_start, self.guidance_stop)
        return self


class ResolvedMix(BaseModel):
    """`MixPart` with shares in (0, 1) that sum to one: `ratio` is the text part's share."""

    model_config = _FROZEN

    kind: Literal["mix"] = "mix"
    prompts: Annotated[tuple[MixPrompt, ...], Field(min_length=1, max_length=MAX_MIXED)]
    ratio: Ratio
    mode: Literal["branches", "embeddings"]

    @model_validator(mode="after")
    def _shares(self) -> "ResolvedMix":
        total = self.ratio + sum(item.ratio for item in self.prompts)
        if abs(total - 1.0) > 1e-9:
            raise ValueError("the shares of a resolved mix must sum to 1")
        return self


ResolvedPart = Annotated[ResolvedText | ResolvedMix, Field(discriminator="kind")]


class Resolved(BaseModel):
    """What runs, what is stored, and what every picture carries: the run, and which of its pictures this is.

    `parts` is empty (unconditional), a text, or a text and a mix, in this order. `model_digest` identifies
    the weights. The picture's own noise comes from `picture_seed`, so it does not depend on `count`. An `eta`
    of 0 and a `cache_interval` of 1 are not written, so that recipes keep the digest they had before there
    were any.
    """

    model_config = _FROZEN

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
    cache_interval: CacheInterval = 1
    seed: Seed
    count: Count
    index: Index = 0
    parts: Annotated[tuple[ResolvedPart, ...], Field(max_length=2)]

    @model_validator(mode="after")
    def _consistent(self) -> "Resolved":
        if self.index >= self.count:
            raise ValueError(f"index {self.index} is outside a run of {self.count}")
        if self.seed + self.count - 1 > MAX_SEED:
            raise ValueError("the seed of the last picture is too large")
        if tuple(part.kind for part in self.parts) not in ((), ("text",), ("text", "mix")):
            raise ValueError("resolved parts are a text, or a text and a mix")
        return self

    @model_serializer(mode="wrap")
    def _without_what_is_off(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        if self.eta == 0.0:
            data.pop("eta", None)
        if self.cache_interval == 1:
            data.pop("cache_interval", None)
        return data

    @property
    def text(self) -> ResolvedText | None:
        return next((part for part in self.parts if isinstance(part, ResolvedText)), None)

    @property
    def mix(self) -> ResolvedMix | None:
        return next((part for part in self.parts if isinstance(part, ResolvedMix)), None)

    @property
    def picture_seed(self) -> int:
        """The seed of this one picture, `seed + index`."""
        return self.seed + self.index


def _check_window(start: float, stop: float) -> None:
    if start > stop:
        raise ValueError(f"guidance_start {start} lies after guidance_stop {stop}")
