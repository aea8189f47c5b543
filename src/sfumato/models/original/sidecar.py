"""What a person says of a single file: `NAME.sfumato.json` beside `NAME.safetensors`.

It holds what `sfumato.json` of a folder holds, and what the file itself cannot say: "prediction_type",
"zero_terminal_snr", and objects whose keys go before what was derived: "unet", "vae", "text_encoder",
"text_encoder_2" and "scheduler".
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sfumato.errors import ModelFileError

V, EPSILON = "v_prediction", "epsilon"
PREDICTION, ZERO_SNR, SCHEDULER = "prediction_type", "zero_terminal_snr", "scheduler"
PARTS: Final = ("unet", "vae", "text_encoder", "text_encoder_2", SCHEDULER)
MAX_BYTES: Final = 2**20
_PREDICTIONS: Final = (EPSILON, V, "sample")


@dataclass(frozen=True)
class Sidecar:
    """What a person says: how the model draws when nothing is asked for (`defaults`), and what is put in the
    place of what was derived; `parts` by the names of `PARTS`.
    """

    defaults: Mapping[str, Any] = field(default_factory=dict[str, Any])
    prediction: str | None = None
    zero_snr: bool | None = None
    parts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Any])

    def over(self, part: str, derived: Mapping[str, Any]) -> dict[str, Any]:
        """Return the configuration `derived` of a part, with what the person says in its place."""
        return {**derived, **self.parts.get(part, {})}

    @property
    def decides(self) -> Mapping[str, Any]:
        """What changes pictures, for the digest of the model; empty where nothing does."""
        said = {PREDICTION: self.prediction, ZERO_SNR: self.zero_snr, **self.parts}
        return {key: value for key, value in said.items() if value not in (None, {})}


def sidecar_path(path: Path) -> Path:
    """Return where a person's file about the model `path` lies."""
    return path.with_suffix(".sfumato.json")


def read_sidecar(path: Path) -> Sidecar:
    """Return what there is to know about the single file `path` beside it. Raises ModelFileError for a file
    that says it in a way that is not understood.
    """
    beside = sidecar_path(path)
    if not beside.is_file():
        return Sidecar()
    try:
        if beside.stat().st_size > MAX_BYTES:
            raise _wrong(beside, "is far too large")
        data: Any = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _wrong(beside, "is not readable JSON") from error
    if not isinstance(data, dict):
        raise _wrong(beside, "must hold a JSON object")
    prediction, zero = data.pop(PREDICTION, None), data.pop(ZERO_SNR, None)
    if prediction not in (None, *_PREDICTIONS):
        raise _wrong(beside, f"names an unknown {PREDICTION}, {prediction!r}; there are {_PREDICTIONS}")
    if zero is not None and not isinstance(zero, bool):
        raise _wrong(beside, f"must hold true or false as {ZERO_SNR}")
    parts = {name: data.pop(name) for name in PARTS if name in data}
    for name, part in parts.items():
        if not isinstance(part, dict):
            raise _wrong(beside, f"must hold an object as {name}")
    return Sidecar(data, prediction, zero, parts)


def _wrong(path: Path, what: str) -> ModelFileError:
    return ModelFileError(
        f"{path.parent.name}/{path.name} {what}",
        field="model",
        value=str(path),
        hint="Correct it, or remove it.",
    )
