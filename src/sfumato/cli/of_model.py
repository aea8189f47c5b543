"""Options that put something in the place of what the model brings, laid over a recipe, and in words."""

from collections.abc import Mapping
from typing import Any, Final

from sfumato.cli.console import warn
from sfumato.cli.flags import Flags
from sfumato.errors import RecipeError, shown
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.of_model import OWN, VaePart, is_own
from sfumato.settings import Settings

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
    elif flags.model is not None and _is_own(parts):
        parts = {kind: part for kind, part in parts.items() if kind != "vae"}  # it was the other model's
    said: dict[str, Any] = {}
    if flags.prediction is not None:
        written = flags.prediction.strip().lower()
        said["prediction"] = _WORDS.get(written, written)
    if flags.zero_snr is not None:
        said["zero_snr"] = flags.zero_snr
    if said:
        parts = {**parts, "schedule": {**parts.get("schedule", {"kind": "schedule"}), **said}}
    return parts


def _is_own(parts: Mapping[str, Mapping[str, Any]]) -> bool:
    vae = parts.get("vae", {})
    return vae.get("name") == OWN and vae.get("digest") is None


def with_known_vae(recipe: Recipe, settings: Settings) -> Recipe:
    """Return the recipe of another program's picture without an autoencoder that is not here, and say so."""
    if recipe.vae is None or is_own(recipe.vae):
        return recipe
    from sfumato.models.given import find_given  # not needed for most pictures

    try:
        find_given(recipe.vae, settings, paths=False)
    except RecipeError:
        named = _with_hash(recipe.vae)
        warn(f"there is no autoencoder {named} here: the model draws with its own; --vae names another")
        parts = tuple(part for part in recipe.parts if part.kind != "vae")
        return recipe.model_copy(update={"parts": parts})
    return recipe


def _with_hash(part: VaePart) -> str:
    return shown(part.name) if part.digest is None else f"{shown(part.name)} with the hash {part.digest}"


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
    if resolved.vae is not None and resolved.vae.digest is not None:
        lines["vae"] = f"{resolved.vae.name} ({resolved.vae.digest[:12]})"
    schedule = resolved.schedule
    if schedule is not None and schedule.prediction is not None:
        lines["predicts"] = _PREDICTED[schedule.prediction]
    if schedule is not None and schedule.zero_snr is not None:
        lines["zero terminal SNR"] = "yes" if schedule.zero_snr else "no"
    return lines
