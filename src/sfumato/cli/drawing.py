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
from sfumato.engine.events import Done, Event, Picture, Started, StepDone
from sfumato.engine.run import STAGES, draw
from sfumato.engine.seeing import Watched
from sfumato.engine.steering import NO_CONTROLS
from sfumato.errors import InterruptedRun
from sfumato.imaging.inputs import keep_inputs, read_inputs
from sfumato.imaging.io import encode_picture
from sfumato.imaging.writing import write_file
from sfumato.models.adapters.finding import may_need_adapters
from sfumato.models.ahead import Ahead
from sfumato.models.bundle import ModelBundle
from sfumato.models.load import FoundModel, load
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.resolve import NO_ADAPTERS, resolve
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
    trusted: bool = True,
    adapter_paths: bool = True,
    words: bool = True,
    seeing: "Seeing | None" = None,
) -> None:
    """Draw `recipe` with the model `found`, save the pictures, and print their paths, or all as JSON.

    Loading the model may have begun, in `ahead`. Pictures that the recipe names by digest are also looked for
    in the folders `near`. A recipe that is not `trusted`, as it came out of a picture, names ControlNets but
    opens no folders of its choice, and without `adapter_paths` no files of adapters. Without `words`, prompts
    name no embeddings but those that the recipe lists.

    Recipe, files, masks and output are checked before the model is loaded. Raises RecipeError, PictureError,
    ModelFileError, OutputError, NumericalError, and InterruptedRun on Ctrl-C: finished pictures stay, nothing
    else does.
    """
    inputs = read_inputs(recipe, settings, near)
    controls, digests = NO_CONTROLS, dict[str, str]()
    if recipe.control is not None:
        from sfumato.engine.controls import digests_of, find_controls

        controls = find_controls(recipe, found.files, settings, paths=trusted)
        digests = digests_of(controls)
    adapters = None
    if may_need_adapters(recipe, settings):
        from sfumato.engine.adapters import find_adapters

        adapters = find_adapters((recipe,), found.files, settings, paths=adapter_paths, words=words)
    resolved = resolve(
        recipe,
        found.defaults,
        settings=settings,
        sources=inputs.facts,
        controls=digests,
        adapters=NO_ADAPTERS if adapters is None else adapters.table,
    )
    outputs = plan_outputs(resolved, output, suffix)
    if resolved.mask is not None:
        from sfumato.engine.masking import check_mask

        check_mask(resolved, inputs)
    if resolved.mix is not None:
        talk(f"mix: {shares(resolved)}")
    previews = outputs.previews() if preview_every else ()
    for note in keep_inputs(inputs, settings):
        warn(note)
    drawn = Drawn()
    try:
        with bar("loading the model") as progress:
            bundle = load(found, settings, ahead)
            if adapters is not None:
                from sfumato.engine.adapters import laid_over

                bundle = laid_over(resolved, bundle, adapters)
            recorder = None if seeing is None else seeing.recorder(resolved, bundle)
            events: Drawing = draw(
                resolved,
                bundle,
                inputs=inputs,
                controls=controls,
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
