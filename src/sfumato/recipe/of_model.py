"""What a recipe puts in the place of something of its model's own: another autoencoder, and what is said of
how the model was trained where its files do not say, or say wrongly.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel, SerializerFunctionWrapHandler, model_serializer, model_validator

from sfumato.errors import RecipeError
from sfumato.recipe.adapters import Digits
from sfumato.recipe.values import FROZEN, Name, Sha256, Switch

OWN: Final = "own"  # the name of the autoencoder that the model brings
SHORT: Final = 10  # digits of the hash that A1111 writes
SUFFIX: Final = ".safetensors"

VAE: Final = "VAE"  # keys of A1111's text
VAE_HASH: Final = "VAE hash"
NOISE: Final = "Noise Schedule"
ZERO_SNR: Final = "Zero Terminal SNR"
PREDICTION: Final = "Prediction type"  # ours
_UNNAMED: Final = ("", "none", "automatic")  # in A1111: that of the model
_HASH: Final = re.compile(r"[0-9a-fA-F]{8,64}")

Predicted = Literal["eps", "v", "x0"]


class VaePart(BaseModel):
    """An autoencoder (VAE) in the place of the model's, by the name of its file or folder, or by a path. The
    name "own" stands for the model's, also where another lies beside it.

    With a `digest`, the first digits of its sha256, the one that has it is taken, whatever it is called.
    """

    model_config = FROZEN

    kind: Literal["vae"] = "vae"
    name: Name
    digest: Digits | None = None


class ResolvedVae(BaseModel):
    """`VaePart` with nothing left open: `digest` is the sha256 of the file; of a folder, that of its
    configuration and its weights. The model's own, which is part of the model's digest, has none: it is
    named where another could lie beside the model, in one file, by the time it is drawn again.
    """

    model_config = FROZEN

    kind: Literal["vae"] = "vae"
    name: Name
    digest: Sha256 | None = None

    @model_validator(mode="after")
    def _told_apart(self) -> "ResolvedVae":
        if self.digest is None and self.name != OWN:
            raise ValueError(f"an autoencoder that is not called {OWN} has a digest")
        return self

    @model_serializer(mode="wrap")
    def _without_what_is_open(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without_none(handler(self))


OWN_VAE: Final = ResolvedVae(name=OWN)


class SchedulePart(BaseModel):
    """What a person says of a model's training: what its network predicts (the noise "eps", the velocity "v",
    the picture "x0"), and whether the last noise level of its schedule left no signal at all, `zero_snr` (Lin
    et al. 2023, arXiv 2305.08891). None: what its files say.
    """

    model_config = FROZEN

    kind: Literal["schedule"] = "schedule"
    prediction: Predicted | None = None
    zero_snr: Switch | None = None

    @model_validator(mode="after")
    def _something(self) -> "SchedulePart":
        if self.prediction is None and self.zero_snr is None:
            raise ValueError("a schedule says what is predicted, or zero_snr")
        return self

    @model_serializer(mode="wrap")
    def _without_what_is_open(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without_none(handler(self))


def asked_vae(part: ResolvedVae) -> VaePart:
    """Return the part that asks for exactly this one."""
    return VaePart(name=part.name, digest=part.digest)


def is_own(part: VaePart) -> bool:
    """Tell whether the model's own is asked for; with a digest, it is a file that is called so."""
    return part.name == OWN and part.digest is None


def brought(vae: ResolvedVae | None) -> ResolvedVae | None:
    """Return an autoencoder that is in the place of the model's own; None for the model's."""
    return None if vae == OWN_VAE else vae


def check_found(asked: VaePart | None, found: ResolvedVae | None) -> None:
    """Raise RecipeError where a recipe asks for an autoencoder that nobody looked for."""
    if asked is not None and not is_own(asked) and brought(found) is None:
        raise RecipeError("this autoencoder was not found", field="vae", value=asked.name)


def to_pairs(vae: ResolvedVae | None, schedule: SchedulePart | None) -> dict[str, str]:
    """Return what A1111's text says of them."""
    pairs: dict[str, str] = {}
    if vae is not None and vae.digest is not None:
        pairs |= {VAE_HASH: vae.digest[:SHORT], VAE: f"{vae.name}{SUFFIX}"}
    if schedule is not None and schedule.zero_snr is not None:
        pairs[NOISE] = ZERO_SNR if schedule.zero_snr else "Default"
    if schedule is not None and schedule.prediction is not None:
        pairs[PREDICTION] = schedule.prediction
    return pairs


def from_pairs(pairs: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the parts that a text tells of: none, one or both."""
    parts: list[dict[str, Any]] = []
    name, digest = pairs.get(VAE, "").strip(), pairs.get(VAE_HASH, "").strip()
    if name.lower() not in _UNNAMED:
        part = {"kind": "vae", "name": name.removesuffix(SUFFIX)}
        parts.append({**part, "digest": digest.lower()} if _HASH.fullmatch(digest) else part)
    schedule: dict[str, Any] = {}
    if PREDICTION in pairs:
        schedule["prediction"] = pairs[PREDICTION]
    if NOISE in pairs and (pairs[NOISE] == ZERO_SNR or schedule):
        schedule["zero_snr"] = pairs[NOISE] == ZERO_SNR
    return [*parts, {"kind": "schedule", **schedule}] if schedule else parts


def _without_none(data: Mapping[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in data.items() if value is not None}
