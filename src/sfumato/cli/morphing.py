"""What `sfumato morph` asks for: its recipes checked, its frames drawn, and the animation written."""

import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from sfumato.cli.console import Bar, bar, result, result_json, talk, warn
from sfumato.cli.drawing import seconds_text
from sfumato.cli.flags import Flags
from sfumato.cli.outputs import Outputs
from sfumato.cli.recipes import naming, read_recipe, trust_of, with_flags
from sfumato.engine.events import Done, Picture, Started, StepDone, SteppedDown
from sfumato.engine.gathering import Gathered, gather
from sfumato.engine.keeping import free_path, metadata_of, slug
from sfumato.engine.morph import draw_frames, resolved_frames
from sfumato.engine.own_folder import OwnFolder
from sfumato.errors import InterruptedRun, PictureError, RecipeError
from sfumato.imaging.animation import Frames, check_animation, write_animation
from sfumato.imaging.inputs import keep_inputs
from sfumato.imaging.metadata import read_metadata
from sfumato.models.bundle import ModelBundle
from sfumato.models.load import find_model
from sfumato.recipe.codec import from_json, to_json
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.morph import (
    FPS,
    HOLD,
    Morph,
    check_pace,
    durations_of,
    frames_of,
    seeds_of,
    usual_frames,
)
from sfumato.recipe.numbers import real, whole
from sfumato.recipe.resolve import random_seed
from sfumato.recipe.validation import read_mapping
from sfumato.settings import Settings

_NAMES: Final = re.compile(r"frame-\d{4,5}\.png")


@dataclass(frozen=True)
class Going:
    """What was asked of a morph on the command line, as it was written; None means "not asked"."""

    prompts: tuple[str, ...] = ()
    seeds: str | None = None
    frames: str | None = None
    fps: str | None = None
    hold: str | None = None
    loop: bool = False


@dataclass(frozen=True, eq=False)
class Planned:
    """A morph that was checked: `frames` are its recipes, `durations` how long each is shown."""

    morph: Morph
    frames: tuple[Resolved, ...]
    durations: tuple[int, ...]
    gathered: Gathered


def planned_morph(going: Going, asked: Flags, file: Path | None, settings: Settings) -> Planned:
    """Return the morph that is asked for, every frame of it checked against the model.

    Raises RecipeError, PictureError and ModelFileError as `sfumato generate` would.
    """
    base, before = _base(file, settings if asked.model is None else None)
    if asked.seed is not None and going.seeds is not None:
        raise RecipeError("is one of --seeds", field="seed", value=asked.seed, hint="Leave it out.")
    mode = asked.mix_mode
    asked = replace(asked, mix_mode=None, prompt=going.prompts[0] if going.prompts else None)
    base = with_flags(base, asked)
    morph = _morph(going, mode, before, asked.seed is not None)
    if not morph.seeds and base.seed is None:
        base = base.model_copy(update={"seed": random_seed()})
    trust = trust_of(file, asked)
    found = find_model(base.model, settings, paths=trust.model_paths)
    wanted = frames_of(morph, base)
    gathered = gather(base, found, settings, trust=trust, frames=wanted)
    frames = resolved_frames(wanted, gathered, settings)
    fps, hold = _pace(going)
    return Planned(morph, frames, durations_of(morph, fps=fps, hold=hold), gathered)


def draw_morph_to_file(
    plan: Planned,
    settings: Settings,
    *,
    output: Path | None,
    frames_folder: Path | None = None,
    as_json: bool = False,
) -> None:
    """Draw a morph and write its animation; print where it is.

    Output and folder are checked before the model is loaded. Raises OutputError, MissingExtraError,
    PictureError, ModelFileError, NumericalError, and InterruptedRun on Ctrl-C: two frames that are finished,
    or more, make a shorter animation.
    """
    path = free_path(Path(f"{slug(plan.frames[0])}-morph.webp")) if output is None else output
    check_animation(path)
    folder = None if frames_folder is None else OwnFolder(frames_folder, "frames-folder", _NAMES)
    if folder is not None:
        folder.check()
    for note in keep_inputs(plan.gathered.inputs, settings):
        warn(note)
    drawn = _Drawn(plan, folder)
    with drawn.frames:
        try:
            with bar("loading the model") as progress:
                bundle = plan.gathered.load(plan.frames[0], settings)
                if folder is not None:
                    folder.empty()
                drawn.follow(bundle, progress)
        except KeyboardInterrupt:
            raise InterruptedRun(_shorter(drawn, path)) from None
        drawn.write(path)
    if as_json:
        result_json(drawn.report(path))
    else:
        result(str(path))
        seconds = sum(plan.durations) / 1000
        talk(f"{len(plan.frames)} frames, {seconds:.1f} s; {seconds_text(drawn.seconds)} ({drawn.backend})")
    bundle.backend.store()


def described_morph(file: Path, text: str) -> dict[str, str]:
    """Return what `sfumato show` says of the morph in `file`. Raises RecipeError."""
    with naming(file):
        morph = from_json(text, Morph)
    lines = {"morph": "\n".join(morph.prompts) or "one prompt"}
    if morph.seeds:
        lines["seeds"] = ", ".join(map(str, morph.seeds))
    ends = ", back to the first" if morph.loop else ""
    lines["frames"] = f"{morph.frames}, mixed by {morph.mode}{ends}; the recipe above draws the first"
    return lines


@dataclass(eq=False)
class _Drawn:
    """The frames of a morph so far."""

    plan: Planned
    folder: OwnFolder | None
    frames: Frames = field(default_factory=Frames)
    paths: list[Path] = field(default_factory=list[Path])
    backend: str = ""
    warnings: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict[str, float])

    def follow(self, bundle: ModelBundle, progress: Bar) -> None:
        progress.label("drawing")
        plan = self.plan
        # A frame that is kept as a picture is what its recipe draws alone, so that verifying it works.
        drawing = draw_frames(
            plan.frames,
            bundle,
            inputs=plan.gathered.inputs,
            controls=plan.gathered.controls,
            together=self.folder is None,
        )
        with closing(drawing) as events:
            for event in events:
                match event:
                    case Started():
                        self.backend = event.backend
                        self._warn(event.warnings)
                    case StepDone():
                        progress.update(event.finished_steps, event.total_steps)
                    case Picture():
                        self._keep(event)
                    case SteppedDown():
                        self._warn(event.warnings)
                    case Done():
                        self.seconds = {**event.seconds, **bundle.seconds}
                        stages = [name for name in self.seconds if name != "total"]
                        self.seconds["total"] = sum(self.seconds[name] for name in stages)
                        self._warn(event.warnings)

    def write(self, path: Path) -> None:
        first = self.plan.frames[0]
        metadata = replace(metadata_of(first, self.backend), morph_json=to_json(self.plan.morph))
        durations = self.plan.durations[: len(self.frames)]
        write_animation(path, self.frames, durations, metadata)

    def report(self, path: Path) -> dict[str, object]:
        recipes = [one.model_dump(mode="json") for one in self.plan.frames]
        return {
            "path": str(path),
            "morph": self.plan.morph.model_dump(mode="json"),
            "frames": [
                {"path": None if self.folder is None else str(one), "milliseconds": time, "recipe": recipe}
                for one, time, recipe in zip(
                    self.paths or [None] * len(recipes), self.plan.durations, recipes, strict=True
                )
            ],
            "backend": self.backend,
            "warnings": list(self.warnings),
            "seconds": self.seconds,
        }

    def _keep(self, picture: Picture) -> None:
        if self.folder is not None:
            path = self.folder.path / f"frame-{picture.index + 1:04d}.png"
            alone = replace(picture, index=0)  # the only picture of its recipe
            self.paths.append(Outputs((path,), replace=True).save(alone, self.backend))
        self.frames.add(picture.pixels)

    def _warn(self, warnings: Sequence[str]) -> None:
        for one in warnings:
            warn(one)
        self.warnings += (*warnings,)


def _shorter(drawn: _Drawn, path: Path) -> str:
    """Write what is drawn, where it moves at all, and say so."""
    total, done = len(drawn.plan.frames), len(drawn.frames)
    if done < 2:
        return f"{done} of {total} frames were finished; nothing was written"
    drawn.write(path)
    return f"{done} of {total} frames were finished; {path} has these"


def _base(file: Path | None, settings: Settings | None) -> tuple[Recipe, Morph | None]:
    """Return the recipe to begin with, and the morph that its file is."""
    if file is None:
        return Recipe(), None
    base = read_recipe(file, settings)
    try:
        text = read_metadata(file).morph_json
    except PictureError:  # no picture
        return base, None
    with naming(file):
        return base, from_json(text, Morph) if text else None


def _morph(going: Going, mode: str | None, before: Morph | None, one_seed: bool) -> Morph:
    """Return what is asked for, and `before` in all else. `one_seed`: the seed was given beside it."""
    data: dict[str, Any] = {} if before is None else before.model_dump()
    if going.prompts:
        data["prompts"] = going.prompts
    if going.seeds is not None:
        data["seeds"] = seeds_of(going.seeds)
    elif one_seed:
        data["seeds"] = ()
    if mode is not None:
        data["mode"] = mode
    data["loop"] = going.loop or bool(data.get("loop"))
    stops = max(len(data.get("prompts", ())), len(data.get("seeds", ())))
    if stops < 2:
        raise RecipeError(
            "a morph needs two prompts or two seeds at least",
            field="seeds" if going.seeds is not None else "prompt",
            value=going.seeds if going.seeds is not None else None,
            hint='For example: sfumato morph "a frog" "a rabbit", or sfumato morph "a frog" --seeds 1,2.',
        )
    if going.frames is not None:
        data["frames"] = whole("frames", going.frames)
    elif before is None:
        data["frames"] = usual_frames(stops, loop=data["loop"])
    try:
        return read_mapping(data, Morph)
    except RecipeError as error:
        name = {"mode": "mix-mode"}.get(error.field or "", error.field)
        raise RecipeError(error.message, field=name, value=error.value, hint=error.hint) from None


def _pace(going: Going) -> tuple[float, float]:
    """Return frames a second, and how many seconds a stop is held."""
    fps = FPS if going.fps is None else real("fps", going.fps)
    hold = HOLD if going.hold is None else real("hold", going.hold)
    check_pace(fps, hold)
    return fps, hold
