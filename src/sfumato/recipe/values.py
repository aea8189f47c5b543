"""The limits of recipes, and the kinds of values their fields hold.

Strict: "7" is no number, 20.0 no count, True no seed. A whole number is welcome where a float is asked for.
"""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, Strict

from sfumato.recipe.syntax import clean_text

MAX_SEED: Final = 2**63 - 1
MAX_SIZE: Final = 16_384
MAX_STEPS: Final = 1000
MAX_GUIDANCE: Final = 100.0
MAX_COUNT: Final = 100_000
MAX_PROMPT_CHARS: Final = 2_000_000
MAX_MIXED: Final = 16  # each mixed prompt is one more network evaluation per step
MAX_REGIONS: Final = 16  # and so is each region
MAX_CONTROLS: Final = 4  # each is half a network more per step
MAX_WEIGHT: Final = 4.0
MAX_RATIO: Final = 1000.0
MAX_CACHE_INTERVAL: Final = 16

FROZEN: Final = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def _cleaned(value: object) -> object:
    return clean_text(value) if isinstance(value, str) else value


def _unsigned_zero(value: float) -> float:
    return value + 0.0  # -0.0 equals 0.0 but prints differently, and so would change the digest


def _sha256(value: str) -> str:
    if _SHA256.fullmatch(value) is None:
        raise ValueError("must be a sha256: 64 hexadecimal digits")
    return value


# Bounds stand before the function validators: only there do they reach the JSON schema.
PromptText = Annotated[str, Strict(), Field(max_length=MAX_PROMPT_CHARS), BeforeValidator(_cleaned)]
Name = Annotated[str, Strict(), Field(min_length=1, max_length=1000), BeforeValidator(_cleaned)]
Size = Annotated[int, Strict(), Field(ge=1, le=MAX_SIZE)]
Pixels = Annotated[int, Strict(), Field(ge=0, le=MAX_SIZE)]
SignedPixels = Annotated[int, Strict(), Field(ge=-MAX_SIZE, le=MAX_SIZE)]
Steps = Annotated[int, Strict(), Field(ge=1, le=MAX_STEPS)]
StartStep = Annotated[int, Strict(), Field(ge=0, le=MAX_STEPS)]
Guidance = Annotated[float, Strict(), Field(ge=0.0, le=MAX_GUIDANCE), AfterValidator(_unsigned_zero)]
ImageGuidance = Annotated[float, Strict(), Field(ge=1.0, le=MAX_GUIDANCE)]
Seed = Annotated[int, Strict(), Field(ge=0, le=MAX_SEED)]
Count = Annotated[int, Strict(), Field(ge=1, le=MAX_COUNT)]
Fraction = Annotated[float, Strict(), Field(ge=0.0, le=1.0), AfterValidator(_unsigned_zero)]
Share = Annotated[float, Strict(), Field(gt=0.0, le=1.0)]
Ratio = Annotated[float, Strict(), Field(gt=0.0, le=MAX_RATIO)]
Weight = Annotated[float, Strict(), Field(ge=0.0, le=MAX_WEIGHT), AfterValidator(_unsigned_zero)]
CacheInterval = Annotated[int, Strict(), Field(ge=1, le=MAX_CACHE_INTERVAL)]
Index = Annotated[int, Strict(), Field(ge=0, lt=MAX_COUNT)]
Switch = Annotated[bool, Strict()]
Sha256 = Annotated[str, Strict(), AfterValidator(_sha256)]
