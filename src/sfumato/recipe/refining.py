"""Two models for one picture: the recipe's draws the first noise levels, and another, the refiner, the rest.

Its own text in A1111's `parameters` is here as well.
"""

import math
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field, Strict

from sfumato.errors import RecipeError
from sfumato.recipe.adapters import Digits
from sfumato.recipe.micro import MicroPart
from sfumato.recipe.values import FROZEN, Name, Sha256

USUAL_START: Final = 0.8  # as the refiner of Stable Diffusion XL was published to be used
RANGES: Final = MappingProxyType({"refine.start": "above 0 and below 1, a share of the noise levels"})
"""The whole range of every field, for hints."""

REFINER: Final = "Refiner"
SWITCH: Final = "Refiner switch at"
_HASHED: Final = re.compile(r"(.*\S)\s*\[[0-9a-fA-F]{6,64}\]\s*", re.DOTALL)

Start = Annotated[float, Strict(), Field(gt=0.0, lt=1.0)]


class RefinePart(BaseModel):
    """Another model that draws the end of the picture: the refiner of Stable Diffusion XL (Podell et al.
    2023, arXiv 2307.01952, Section 2.5), or any that was trained on the same latents. That each draws the
    noise levels it is best at is Balaji et al. 2022, arXiv 2211.01324.

    It draws every step whose timestep lies below the share 1 - `start` of those that the recipe's model was
    trained on, so 0.8 leaves it the last fifth. `model` is a name, or a folder or file; with a `digest`, the
    first digits of its own, it must have that. Both models are given the same prompts, guidance and sampler.
    """

    model_config = FROZEN

    kind: Literal["refine"] = "refine"
    model: Name
    start: Start = USUAL_START
    digest: Digits | None = None


class ResolvedRefine(BaseModel):
    """`RefinePart` with nothing left open: `digest` identifies the refiner's weights, and `micro` is what it
    is told of the picture; None (and not written) for one that is told nothing of it.
    """

    model_config = FROZEN

    kind: Literal["refine"] = "refine"
    model: Name
    digest: Sha256
    start: Start
    micro: Annotated[MicroPart | None, Field(exclude_if=lambda value: value is None)] = None


def to_pairs(part: ResolvedRefine | None) -> dict[str, str]:
    """Return what A1111's text says of a refiner."""
    if part is None:
        return {}
    return {REFINER: f"{part.model} [{part.digest[:10]}]", SWITCH: repr(part.start)}


def from_pairs(pairs: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the part that pairs of A1111's text ask for, ours or another program's: none without a refiner,
    and none that never takes over. The hash is passed over, as that of the model is. Raises RecipeError for a
    share that is no number.
    """
    written = pairs.get(REFINER, "").strip()
    hashed = _HASHED.fullmatch(written)
    name = written if hashed is None else hashed[1]
    if name in ("", "None"):
        return []
    if SWITCH not in pairs:
        return [{"kind": "refine", "model": name}]
    try:
        start = float(pairs[SWITCH])
    except ValueError:
        start = math.nan
    if math.isnan(start):
        raise RecipeError("must be a number", field=SWITCH, value=pairs[SWITCH])
    return [{"kind": "refine", "model": name, "start": start}] if 0 < start < 1 else []
