"""Draw a recipe into files, with progress, previews and a summary: what `generate` and `redo` share."""

import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from sfumato.cli.console import Bar, bar, result, result_json, talk, warn
from sfumato.cli.describing import shares
from sfumato.cli.outputs import Outputs, plan_outputs
from sfumato.engine.events import Done, Event, Picture, Started, StepDone, SteppedDown
from sfumato.engine.gathering import TRUSTED, Trust, gather
from sfumato.engine.run import STAGES, draw
from sfumato.engine.seeing import Watched
from sfumato.errors import InterruptedRun
from sfumato.imaging.inputs import keep_inputs
from sfumato.imaging.io import encode_picture
from sfumato.imaging.writing import write_file
from sfumato.models.ahead import Ahead
from sfumato.models.bundle import ModelBundle
from sfumato.models.load import FoundModel
from sfumato.recipe.image import Recipe, Resolved
from sfumato.settings import Settings

if TYPE_CHECKING:  # plots, pages and animations are imported when somebody asks for them
    from sfumato.cli.seeing import Seeing

Drawing: TypeAlias = Generator[Event | Watched, None, None]


@dataclass
class Drawn:
    """What a run has given so far."""

    backend: str = ""
    warnings: tuple[str, ...] = ()
    files: list[tuple[Path, Resolved]] = field(default_factory=list[tuple[Path, Resolved]])
    seconds: dict[str, float] = field(default_factory=dict[str, float])
    seen: list[Path] = field(default_factory=list[Path])  # traces, animations, attention maps


def draw_to_files(
    recipe: Recipe,
    found: FoundModel,
    settings: Settings,
    *,
    output: Path | None,
    suffix: str = ".png",
    preview_every: int = 0,
    as_json: bool = False,
    ahead: Ahead | None = None,
    near: Sequence[Path] = (),
    trust: Trust = TRUSTED,
    seeing: "Seeing | None" = None,
) -> None:
    """Draw `recipe` with the model `found`, save the pictures, and print their paths, or all as JSON.

    Loading the model may have begun, in `ahead`. Pictures that the recipe names by digest are also looked for
    in the folders `near`; a recipe opens no more than `trust` allows.

    Recipe, files, masks and output are checked before the model is loaded. Raises RecipeError, PictureError,
    ModelFileError, OutputError, NumericalError, and InterruptedRun on Ctrl-C: finished pictures stay, nothing
    else does.
    """
    gathered = gather(recipe, found, settings, near=near, trust=trust)
    resolved = gathered.resolved(recipe, settings)
    outputs = plan_outputs(resolved, output, suffix)
    if resolved.mix is not None:
        talk(f"mix: {shares(resolved)}")
    previews = outputs.previews() if preview_every else ()
    for note in keep_inputs(gathered.inputs, settings):
        warn(note)
    drawn = Drawn()
    try:
        with bar("loading the model") as progress:
            bundle = gathered.load(resolved, settings, ahead)
            recorder = None if seeing is None else seeing.recorder(resolved, bundle)
            events: Drawing = draw(
                resolved,
                bundle,
                inputs=gathered.inputs,
                controls=gathered.controls,
                preview_every=preview_every,
                looking=() if seeing is None else seeing.looking,
                attending=recorder,
            )
            if seeing is not None:
                events = seeing.watched(events, bundle, recorder)
            _draw(events, bundle, outputs, previews, progress, drawn, not as_json)
    except KeyboardInterrupt:
        raise InterruptedRun(f"{len(drawn.files)} of {resolved.count} pictures were finished") from None
    finally:
        for path in previews:
            path.unlink(missing_ok=True)
    if as_json:
        result_json(_report(drawn))
    else:
        talk(_summary(drawn))
    bundle.backend.store()


def _draw(
    drawing: Drawing,
    bundle: ModelBundle,
    outputs: Outputs,
    previews: tuple[Path, ...],
    progress: Bar,
    drawn: Drawn,
    announce: bool,
) -> None:
    progress.label("drawing")
    saving = 0.0
    with closing(drawing) as events:
        for event in events:
            if isinstance(event, Watched):
                drawn.seen.append(event.path)
                if announce:
                    with progress.aside():
                        result(str(event.path))
                continue
            _follow(event, progress, previews, drawn)
            if isinstance(event, Picture):
                started = time.perf_counter()
                path = outputs.save(event, drawn.backend)
                saving += time.perf_counter() - started
                drawn.files.append((path, event.resolved))
                if announce:
                    with progress.aside():
                        result(str(path))
    stages = {**drawn.seconds, **bundle.seconds, "save": saving}
    stages = {stage: stages[stage] for stage in (*STAGES, "save")}
    drawn.seconds = {**stages, "total": sum(stages.values())}


def _follow(event: Event, progress: Bar, previews: tuple[Path, ...], drawn: Drawn) -> None:
    match event:
        case Started():
            drawn.backend, drawn.warnings = event.backend, event.warnings
            for warning in event.warnings:
                warn(warning)
        case StepDone():
            progress.update(event.finished_steps, event.total_steps)
            if event.preview is not None:
                for index, pixels in zip(event.indices, event.preview, strict=True):
                    write_file(previews[index], encode_picture(pixels, ".png"))
        case SteppedDown():
            drawn.warnings += event.warnings
            for warning in event.warnings:
                warn(warning)
        case Done():
            drawn.seconds = dict(event.seconds)
            drawn.warnings += event.warnings
            for warning in event.warnings:
                warn(warning)
        case _:
            pass


def _summary(drawn: Drawn) -> str:
    seeds = [resolved.picture_seed for _, resolved in drawn.files]
    what = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {seeds[0]} to {seeds[-1]}"
    return f"{what}; {seconds_text(drawn.seconds)} ({drawn.backend})"


def seconds_text(seconds: Mapping[str, float]) -> str:
    """Return "3.2 s: import 1.8, load 0.4, ...", without the stages that took no time."""
    stages = [
        f"{stage} {spent:.1f}" for stage, spent in seconds.items() if stage != "total" and spent >= 0.05
    ]
    return f"{seconds['total']:.1f} s" + (f": {', '.join(stages)}" if stages else "")


def _report(drawn: Drawn) -> dict[str, object]:
    return {
        "pictures": [
            {
                "path": str(path),
                "index": resolved.index,
                "seed": resolved.picture_seed,
                "recipe": resolved.model_dump(mode="json"),
            }
            for path, resolved in drawn.files
        ],
        "backend": drawn.backend,
        "seen": [str(path) for path in drawn.seen],
        "warnings": list(drawn.warnings),
        "seconds": drawn.seconds,
    }
