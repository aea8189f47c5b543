"""What models of the Stable Diffusion XL family are told of a picture beside its text: sizes and a score.

One part for all of it. A field that is None stands for the drawing itself: its size, no crop; so the part
without fields says what is drawn, and enlarged drawings are told their own size.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field, SerializerFunctionWrapHandler, Strict, model_serializer

from sfumato.errors import RecipeError
from sfumato.recipe.values import FROZEN, Pixels, Size

MAX_SCORE: Final = 10.0
SCORE: Final = 6.0  # diffusers' defaults for the refiner
NEGATIVE_SCORE: Final = 2.5

Sides = Annotated[tuple[Size, Size], Field(description="width, height")]
Corner = Annotated[tuple[Pixels, Pixels], Field(description="left, top")]
Score = Annotated[float, Strict(), Field(ge=0.0, le=MAX_SCORE)]


class MicroPart(BaseModel):
    """What a model of the Stable Diffusion XL family is told, beside the text, of the picture that it is to
    draw (Podell et al. 2023, arXiv 2307.01952, Section 2.2). Other models take no such part.

    `original` is the size (width, height) that a training picture had before it was resized: small ones were
    blurred. `crop` (left, top) is what was cut off of it: anything but 0,0 moves what is shown out of the
    middle. `target` is the size it was cut to. `negative_...` are the same for the prediction that guidance
    leads away from; None: the same. The refiner is told an aesthetic `score`, 0 to 10, in the place of
    `target`: 6, and a `negative_score` of 2.5, where they are None.
    """

    model_config = FROZEN

    kind: Literal["micro"] = "micro"
    original: Sides | None = None
    crop: Corner | None = None
    target: Sides | None = None
    negative_original: Sides | None = None
    negative_crop: Corner | None = None
    negative_target: Sides | None = None
    score: Score | None = None
    negative_score: Score | None = None

    @model_serializer(mode="wrap")
    def _without_what_is_open(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        return {field: value for field, value in data.items() if value is not None}

    def ids(self, width: int, height: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return the numbers that the network is told for a drawing of this size, and those for what guidance
        leads away from: the original height and width, top and left of the crop, then the target's height and
        width, or the score.
        """
        size, corner = (width, height), (0, 0)
        original, crop = self.original or size, self.crop or corner
        negative = self.negative_original or original, self.negative_crop or crop
        if self.score is not None and self.negative_score is not None:
            last, other = (self.score,), (self.negative_score,)
        else:
            target = self.target or size
            last, other = target[::-1], (self.negative_target or target)[::-1]
        told = (original, crop, last), (*negative, other)
        plus, minus = (
            tuple(float(number) for number in (*one[0][::-1], *one[1][::-1], *one[2])) for one in told
        )
        return plus, minus


@dataclass(frozen=True)
class Told:
    """What a model's network is told beside picture, time and text: `sizes` of the picture, with a `score` in
    the place of the last; and how strong the `guidance` is, which then takes no second prediction.
    """

    sizes: bool = False
    score: bool = False
    guidance: bool = False


TOLD_NOTHING: Final = Told()


def resolve_micro(part: MicroPart | None, model: str, told: Told) -> MicroPart | None:
    """Return the part with its scores for the model of this name, None for one that is told no sizes. Raises
    RecipeError for what the model is not told.
    """
    asked = part or MicroPart()
    scores, targets = (asked.score, asked.negative_score), (asked.target, asked.negative_target)
    if not told.sizes:
        given: dict[str, Any] = asked.model_dump(exclude={"kind"})
        for field, value in given.items():
            raise _untold(field, value, model, "no sizes of pictures")
        return None
    if not told.score:
        if scores != (None, None):
            raise _untold("score", scores, model, "no score")
        return asked
    if targets != (None, None):
        raise _untold("target", targets, model, "a score and no target size")
    score = SCORE if asked.score is None else asked.score
    negative = NEGATIVE_SCORE if asked.negative_score is None else asked.negative_score
    return asked.model_copy(update={"score": score, "negative_score": negative})


def check_guidance(start: float, stop: float, model: str) -> None:
    """Raise RecipeError for a guidance window with a model of this name that is told the guidance: it knows
    no prediction without.
    """
    if (start, stop) != (0.0, 1.0):
        raise RecipeError(
            f"the model {model} is told the guidance once, for all steps",
            field="guidance_start" if start > 0 else "guidance_stop",
            value=start if start > 0 else stop,
            hint="Leave it out.",
        )


def _untold(field: str, value: object, model: str, what: str) -> RecipeError:
    return RecipeError(f"the model {model} is told {what}", field=field, value=value, hint="Leave it out.")
