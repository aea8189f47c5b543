"""Extras of sampling: a part of a recipe, with every effect off until it is asked for.

One part for all of them: each is one to four numbers, none needs the model to fill it, and they are combined
freely. A field that is None is off, in a recipe and in a resolved one alike; `settled` takes out values that
change nothing, so that a neutral value is the plain drawing, bit by bit.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    Field,
    SerializerFunctionWrapHandler,
    Strict,
    model_serializer,
)

from sfumato.errors import RecipeError
from sfumato.recipe.values import FROZEN, MAX_GUIDANCE, MAX_WEIGHT, Guidance, Weight

MAX_CLIP_SKIP: Final = 48
MAX_FREEU: Final = 4.0

ClipSkip = Annotated[int, Strict(), Field(ge=1, le=MAX_CLIP_SKIP)]
Percentile = Annotated[float, Strict(), Field(ge=0.5, le=1.0)]
Factor = Annotated[float, Strict(), Field(gt=0.0, le=MAX_FREEU)]
Momentum = Annotated[float, Strict(), Field(ge=-1.0, lt=1.0)]
Axes = Literal["x", "y", "both"]


#: The whole range of every field, for hints, by its path in a recipe.
RANGES: Final[Mapping[str, str]] = {
    "extras.clip_skip": f"1 (the last layer of the text encoder) to {MAX_CLIP_SKIP}",
    "extras.tiling": "x, y or both",
    "extras.apg.eta": f"0 to {MAX_WEIGHT:g}; 1 is guidance as ever",
    "extras.apg.norm": f"0 (no bound) to {MAX_GUIDANCE:g}",
    "extras.apg.momentum": "-1 to below 1",
    "extras.threshold": "0.5 to 1, a share of the latents",
    "extras.pag": f"0 to {MAX_GUIDANCE:g}",
    **{f"extras.freeu.{name}": f"above 0 and up to {MAX_FREEU:g}" for name in ("b1", "b2", "s1", "s2")},
}


# Parts of which the sides of the drawing are not the sides of the picture.
_NO_TILES: Final = ("mask", "extend", "low_res", "windows", "hires")


class Apg(BaseModel):
    """Adaptive projected guidance (Sadat et al. 2024, arXiv 2410.02416, Section 4 and Algorithm 1).

    `eta` is the share that is kept of the guidance's part along the prediction, which saturates colours: 1
    is guidance as ever. `norm` bounds the root mean square of the guidance per latent number, 0 does not; it
    is the paper's radius r by the square root of the number of latents (r 15 for SDXL is 0.06). `momentum`
    adds so much of the guidance of the steps before; below zero it leads away from where they went.
    """

    model_config = FROZEN

    eta: Weight = 0.0
    norm: Guidance = 0.06
    momentum: Momentum = -0.5

    @property
    def is_neutral(self) -> bool:
        return self.eta == 1 and self.norm == 0 and self.momentum == 0


class FreeU(BaseModel):
    """FreeU (Si et al. 2023, arXiv 2309.11497, Section 3.2, with factors of one number each).

    In the first and the second up block of the UNet, `b1` and `b2` multiply half of the channels that come
    from below, `s1` and `s2` the lowest frequencies of what comes across.
    """

    model_config = FROZEN

    b1: Factor
    b2: Factor
    s1: Factor
    s2: Factor

    @property
    def is_neutral(self) -> bool:
        return self.b1 == self.b2 == self.s1 == self.s2 == 1


class ExtrasPart(BaseModel):
    """Effects on how a picture is sampled; None is off.

    `clip_skip` is the layer of the text encoder that is read, counted from the end: 1 is the last, 2 the one
    before, each with the encoder's final layer norm (diffusers counts from 0). `tiling` makes the picture's
    sides fit: left and right (x), top and bottom (y), or both. `apg` changes how guidance is added,
    `threshold` in [0.5, 1] is the percentile of dynamic thresholding (Saharia et al. 2022, arXiv 2205.11487,
    Section 2.3), against the prediction without guidance. `pag` is the scale of perturbed-attention guidance
    (Ahn et al. 2024, arXiv 2403.17377, Equation 13), one more prediction a step. `freeu` weighs the UNet's
    layers.
    """

    model_config = FROZEN

    kind: Literal["extras"] = "extras"
    clip_skip: ClipSkip | None = None
    tiling: Axes | None = None
    apg: Apg | None = None
    threshold: Percentile | None = None
    pag: Guidance | None = None
    freeu: FreeU | None = None

    @model_serializer(mode="wrap")
    def _without_what_is_off(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # An effect that is added later must not change the digest of recipes without it.
        data: dict[str, Any] = handler(self)
        return {field: value for field, value in data.items() if value is not None}

    @property
    def refers(self) -> bool:
        """Whether an effect needs the prediction at guidance one."""
        return bool(self.pag) or self.apg is not None or self.threshold is not None

    @property
    def skipped_layers(self) -> int:
        """How many layers at the end of the text encoder are left out."""
        return 0 if self.clip_skip is None else self.clip_skip - 1


def no_tiles(extras: ExtrasPart | None, kinds: Sequence[str]) -> str | None:
    """Return why a recipe with parts of these kinds makes no tiles; None when it does or need not."""
    if extras is None or extras.tiling is None:
        return None
    other = next((kind for kind in _NO_TILES if kind in kinds), None)
    return (
        None if other is None else f"tiling does not go together with a part {other}; leave one of them out"
    )


def settled(extras: ExtrasPart, model: str, text_layers: int, *, attends: bool) -> ExtrasPart | None:
    """Return `extras` with neutral values off; None when nothing is left.

    `model` is the model's name, `text_layers` how many its text encoder has, and `attends` tells whether the
    middle of its UNet attends to itself. Raises RecipeError for what this model cannot do.
    """
    skip = extras.clip_skip
    if skip is not None and skip > text_layers:
        raise RecipeError(
            f"the text encoder of {model} has {text_layers} layers",
            field="clip_skip",
            value=skip,
            hint=f"Give 1 (the last layer) to {text_layers}.",
        )
    if extras.pag and not attends:
        raise RecipeError(
            f"the middle of the UNet of {model} has no self-attention to perturb",
            field="pag",
            value=extras.pag,
            hint="Leave it out, or use another model.",
        )
    off: dict[str, None] = {}
    if skip == 1:
        off["clip_skip"] = None
    if extras.pag == 0:
        off["pag"] = None
    if extras.apg is not None and extras.apg.is_neutral:
        off["apg"] = None
    if extras.freeu is not None and extras.freeu.is_neutral:
        off["freeu"] = None
    left = extras.model_copy(update=off)
    return None if left == ExtrasPart() else left


def to_pairs(extras: ExtrasPart) -> dict[str, str]:
    """Return what A1111's text says of `extras`: its own names where it has the effect, else ours."""
    pairs: dict[str, str] = {}
    if extras.clip_skip is not None:
        pairs["Clip skip"] = str(extras.clip_skip)
    if extras.tiling is not None:
        pairs["Tiling"] = "True" if extras.tiling == "both" else extras.tiling
    if extras.apg is not None:
        pairs["APG"] = json.dumps(extras.apg.model_dump(), sort_keys=True)
    if extras.threshold is not None:
        pairs["Dynamic threshold"] = repr(extras.threshold)
    if extras.pag is not None:
        pairs["PAG scale"] = repr(extras.pag)
    if extras.freeu is not None:
        pairs["FreeU"] = json.dumps(extras.freeu.model_dump(), sort_keys=True)
    return pairs


def from_pairs(pairs: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the fields of a part from A1111's text, None when it names none. Raises RecipeError."""
    part: dict[str, Any] = {}
    if "Clip skip" in pairs:
        part["clip_skip"] = _number(pairs, "Clip skip", int)
    if pairs.get("Tiling") not in (None, "False"):
        part["tiling"] = "both" if pairs["Tiling"] == "True" else pairs["Tiling"]
    for field, key in (("threshold", "Dynamic threshold"), ("pag", "PAG scale")):
        if key in pairs:
            part[field] = _number(pairs, key, float)
    for field, key in (("apg", "APG"), ("freeu", "FreeU")):
        if key in pairs:
            part[field] = _table(pairs, key)
    return {"kind": "extras", **part} if part else None


def _number(pairs: Mapping[str, str], key: str, kind: type[int] | type[float]) -> float:
    try:
        return kind(pairs[key])
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        raise RecipeError(f"must be {what}", field=key, value=pairs[key]) from None


def _table(pairs: Mapping[str, str], key: str) -> dict[str, Any]:
    try:
        table: object = json.loads(pairs[key])
    except (ValueError, RecursionError):
        table = None
    if not isinstance(table, dict):
        raise RecipeError("cannot be read", field=key, value=pairs[key])
    return table  # pyright: ignore[reportUnknownVariableType]
