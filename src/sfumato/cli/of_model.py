"""Options that put something in the place of what the model brings, laid over a recipe, and in words."""

from collections.abc import Mapping
from typing import Any, Final

from sfumato.cli.console import warn
from sfumato.cli.flags import Flags
from sfumato.recipe.image import Recipe, Resolved

#: The option of each field of a recipe's parts vae and schedule.
BY_FLAG: Final[Mapping[str, str]] = {
    "vae.name": "vae",
    "schedule.prediction": "prediction",
    "schedule.zero_snr": "zero-snr",
}
_WORDS: Final[Mapping[str, str]] = {  # as they are written elsewhere
    "epsilon": "eps",
    "noise": "eps",
    "v_prediction": "v",
    "v-prediction": "v",
    "velocity": "v",
    "sample": "x0",
}
_PREDICTED: Final[Mapping[str, str]] = {"eps": "the noise", "v": "the velocity", "x0": "the picture"}


def with_of_model(parts: dict[str, dict[str, Any]], flags: Flags) -> dict[str, dict[str, Any]]:
    """Return `parts`, by kind, with the autoencoder and the schedule of `flags`."""
    if flags.vae is not None:
        parts = {**parts, "vae": {"kind": "vae", "name": flags.vae}}
    said: dict[str, Any] = {}
    if flags.prediction is not None:
        written = flags.prediction.strip().lower()
        said["prediction"] = _WORDS.get(written, written)
    if flags.zero_snr is not None:
        said["zero_snr"] = flags.zero_snr
    if said:
        parts = {**parts, "schedule": {**parts.get("schedule", {"kind": "schedule"}), **said}}
    return parts


def warn_of_training(recipe: Recipe, flags: Flags) -> None:
    """Warn where what was said of the training of one model now speaks of another, which flags name."""
    said_anew = flags.prediction is not None or flags.zero_snr is not None
    if recipe.schedule is not None and flags.model is not None and not said_anew:
        warn(
            "what the recipe says of its model's training (prediction, zero_snr) goes for --model as well; "
            "--prediction and --zero-snr or --no-zero-snr say otherwise"
        )


def of_model_in_words(resolved: Resolved) -> dict[str, str]:
    """Return names and values for people."""
    lines: dict[str, str] = {}
    if resolved.vae is not None:
        lines["vae"] = f"{resolved.vae.name} ({resolved.vae.digest[:12]})"
    schedule = resolved.schedule
    if schedule is not None and schedule.prediction is not None:
        lines["predicts"] = _PREDICTED[schedule.prediction]
    if schedule is not None and schedule.zero_snr is not None:
        lines["zero terminal SNR"] = "yes" if schedule.zero_snr else "no"
    return lines
