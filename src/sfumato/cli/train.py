"""`sfumato train`: any training recipe, with progress, stopped and continued at will."""

import os
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from sfumato.cli.console import Bar, bar, examples, on_terminal, result, result_json, talk
from sfumato.errors import InputError, InterruptedRun, MissingExtraError
from sfumato.settings import Settings

if TYPE_CHECKING:
    from sfumato.recipe.train import TrainRecipe
    from sfumato.training.latents import CacheStep
    from sfumato.training.loop import TrainStep

EXAMPLES = examples(
    "sfumato train recipes/train/autoencoder.toml",
    "sfumato train recipes/train/diffusion.toml --runs /data/runs --device cuda",
)


def train(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A training recipe (TOML).")],
    runs: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Where runs live; each in a folder of its recipe's name."),
    ] = Path("runs"),
    device: Annotated[
        str | None, typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:1 or mps.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the last figures as JSON.")] = False,
) -> None:
    """Train a model, or one stage of one.

    Every hyperparameter is in the recipe. A run that was stopped, at any moment and in any way, goes on where
    its last checkpoint is when the same command is given again. Prints the run's folder.
    """
    settings = _settings(device)
    from sfumato.recipe.train import load_train_recipe

    wanted = load_train_recipe(recipe)
    progress = _Follower()
    try:
        with bar(wanted.name, clock=False) as shown:
            progress.follow(wanted, runs, settings, shown)
    except KeyboardInterrupt:
        at = f" It goes on from step {progress.saved}." if progress.saved is not None else ""
        raise InterruptedRun(
            f"the run {wanted.name} was interrupted", hint=f"Run the same command again to go on.{at}"
        ) from None
    if progress.last is None:
        talk(f"{wanted.name}: nothing left to do")
    folder = runs / wanted.name
    if as_json:
        result_json({"folder": str(folder), "last": progress.last})
    else:
        result(str(folder))


class _Follower:
    """Shows a run: `last` are the figures last reported, `saved` the step of the newest checkpoint seen."""

    def __init__(self) -> None:
        self.last: dict[str, object] | None = None
        self.saved: int | None = None
        self._began = time.monotonic()

    def follow(self, recipe: "TrainRecipe", runs: Path, settings: Settings, shown: Bar) -> None:
        shown.label(f"{recipe.name}: preparing")
        # Training is torch throughout; the import takes seconds, so it waits until the recipe is known good.
        try:
            from transformers.utils.logging import disable_progress_bar

            from sfumato.training.latents import CacheStep
            from sfumato.training.stages import start
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                f"training needs {error.name}", hint='Run: pip install "sfumato[torch]"'
            ) from error
        disable_progress_bar()  # transformers shows one for every file it writes, in pipes too
        stage = cast("Generator[TrainStep | CacheStep]", start(recipe, runs=runs, settings=settings))
        with closing(stage) as steps:
            for step in steps:
                shown.label(recipe.name)
                if isinstance(step, CacheStep):
                    self._cached(step, recipe.name, shown)
                else:
                    self._trained(step, recipe.name, shown)

    def _trained(self, step: "TrainStep", name: str, shown: Bar) -> None:
        figures = {"loss": step.loss, **step.figures}
        texts = [f"{key} {value:.4g}" for key, value in figures.items()]
        note = f"{texts[0]}  {step.samples_per_second:.0f} pictures/s  {duration(step.seconds_left)} left"
        shown.update(step.step, step.num_steps, note)
        if not on_terminal():
            talk(f"{name}: step {step.step} of {step.num_steps}  {note}  {'  '.join(texts[1:])}".rstrip())
        if step.checkpoint is not None:
            self.saved = step.step
        self.last = {
            "step": step.step,
            "num_steps": step.num_steps,
            **figures,
            "pictures_per_second": step.samples_per_second,
        }

    def _cached(self, step: "CacheStep", name: str, shown: Bar) -> None:
        # Shards that were there already come at once, so only the pace since the first report tells anything.
        seconds = time.monotonic() - self._began
        shown.update(step.done, step.total, f"{duration(seconds)} so far")
        if not on_terminal():
            talk(f"{name}: {step.done} of {step.total} pictures encoded  {duration(seconds)} so far")
        self.last = {"done": step.done, "total": step.total}


def duration(seconds: float) -> str:
    """Return "42 s", "3:20 min" or "5:07 h"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"


def _settings(device: str | None) -> Settings:
    settings = Settings.from_environment(os.environ)
    if device is None:
        return settings
    try:
        asked = Settings.from_environment({"SFUMATO_DEVICE": device})
    except InputError as error:
        raise InputError(error.message, field="device", value=error.value, hint=error.hint) from None
    return replace(settings, device=asked.device)
