"""Draw the cells of a grid into a folder, and go on where an earlier run stopped."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from PIL import Image

from sfumato.cli.console import Bar, bar, result, result_json, talk, warn
from sfumato.cli.crossing import cross
from sfumato.cli.flags import Flags
from sfumato.cli.outputs import Outputs
from sfumato.cli.recipes import read_resolved
from sfumato.engine.crossing import Axis, Cell, Named, layout_of
from sfumato.engine.events import Done, Picture, Started, StepDone, SteppedDown
from sfumato.engine.keeping import slug
from sfumato.engine.run import draw
from sfumato.errors import InterruptedRun, OutputError, PictureError, RecipeError
from sfumato.imaging.inputs import keep_inputs
from sfumato.imaging.io import open_picture, save_picture
from sfumato.imaging.pages import picture_source
from sfumato.imaging.sheet import Place, draw_sheet, sheet_page
from sfumato.imaging.writing import make_folder, write_file
from sfumato.models.bundle import ModelBundle
from sfumato.models.defaults import schedule_of
from sfumato.models.load import load
from sfumato.models.memory import give_back
from sfumato.recipe.codec import digest
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.values import MAX_SEED
from sfumato.samplers.schedule import grid as noise_levels
from sfumato.settings import Settings

RECORD: Final = "grid.json"  # what a folder of ours has
SHEET: Final = "grid.png"
PAGE: Final = "index.html"
LONGEST_ON_PAGE: Final = 320
_VERSION: Final = 1
_MAX_RECORD_BYTES: Final = 16_000_000
_NAME_LENGTH: Final = 16  # digits of a cell's digest in its name


def draw_grid_to_folder(
    base: Recipe,
    asked: Flags,
    axes: Sequence[Axis],
    named: Named,
    *,
    output: Path | None,
    as_json: bool = False,
) -> None:
    """Draw every combination of `axes` into a folder, and from them a sheet and a page; print where they are.

    Cells that the folder has from an earlier run are not drawn again. Recipes and folder are checked before
    the model is loaded. Raises RecipeError, PictureError, ModelFileError, OutputError, NumericalError, and
    InterruptedRun on Ctrl-C: cells that are finished stay, and the sheet shows them.
    """
    folder = output
    before = None if folder is None else _record_of(folder)
    cells = cross(base, asked, axes, named, _seed_of(before))
    if folder is None:
        folder = Path(f"grid-{slug(cells[0].resolved)}")
        before = _record_of(folder)
        if before is not None and base.seed is None and asked.seed is None:
            cells = cross(base, asked, axes, named, _seed_of(before))
    make_folder(folder)
    paths = {cell.place: folder / f"{digest(cell.resolved)[:_NAME_LENGTH]}.png" for cell in cells}
    missing = [cell for cell in cells if not _is_drawn(cell, paths[cell.place])]
    _write_record(folder, axes, cells, paths)
    talk(f"{len(cells)} pictures, {len(missing)} of them to draw, in {folder}")
    try:
        with bar("loading the model") as progress:
            if missing:
                # Cells with one autoencoder and one schedule stand together: their model is loaded once.
                missing.sort(key=lambda cell: _of_model(cell.resolved))
                _draw_cells(missing, named, paths, progress).backend.store()
    except KeyboardInterrupt:
        done = _write_sheet(folder, axes, cells, paths, named.settings)
        raise InterruptedRun(
            f"{done} of {len(cells)} pictures are in {folder}; the same command goes on from there"
        ) from None
    _write_sheet(folder, axes, cells, paths, named.settings)
    if as_json:
        drawn = {cell.place for cell in missing}
        result_json(_report(folder, cells, paths, drawn))
        return
    result(str(folder / SHEET))
    result(str(folder / PAGE))


def _draw_cells(
    cells: Sequence[Cell], named: Named, paths: Mapping[Place, Path], progress: Bar
) -> ModelBundle:
    """Draw `cells`, one at least, and return their model as it was last: it is loaded, and loaded anew where
    a cell has other things in the place of the model's own.
    """
    settings = named.settings
    schedule = schedule_of(named.gathered(cells[0].recipe).found.files)
    for cell in cells:
        # What a model refuses only while drawing shall not come after an hour of it.
        noise_levels(schedule, cell.resolved.steps, cell.resolved.spacing)
    largest = max(((cell.resolved.width, cell.resolved.height) for cell in cells), key=prod)
    bundle: ModelBundle | None = None
    said: set[str] = set()
    total, finished = sum(cell.resolved.steps for cell in cells), 0
    for cell in cells:
        gathered = named.gathered(cell.recipe)
        inputs, controls = gathered.inputs, gathered.controls
        said = _warn_once(keep_inputs(inputs, named.settings), said)
        outputs = Outputs((paths[cell.place],), replace=True)
        backend = ""
        defaults = gathered.found.defaults
        if bundle is None or (defaults.vae, defaults.schedule) != (
            bundle.defaults.vae,
            bundle.defaults.schedule,
        ):
            adapted = bundle = None  # so that never two are there
            give_back()
            bundle = load(gathered.found, settings, None, largest, gathered.refiner)
            progress.label("drawing")
        adapted = gathered.over(cell.resolved, bundle, settings)
        bundle = replace(bundle, refiner=adapted.refiner)  # most likely that of the next cell
        with closing(draw(cell.resolved, adapted, inputs=inputs, controls=controls)) as events:
            for event in events:
                match event:
                    case Started():
                        backend = event.backend
                        said = _warn_once(event.warnings, said)
                    case StepDone():
                        progress.update(finished + event.finished_steps, total)
                    case Picture():
                        outputs.save(event, backend)
                    case Done() | SteppedDown():
                        said = _warn_once(event.warnings, said)
        finished += cell.resolved.steps
    assert bundle is not None  # there is one cell at least
    return bundle


def _of_model(resolved: Resolved) -> tuple[str, str]:
    """Return what a cell has in the place of its model's own, to sort by."""
    vae, schedule = resolved.vae, resolved.schedule
    digest = None if vae is None else vae.digest
    return "" if digest is None else digest, "" if schedule is None else schedule.model_dump_json()


def _warn_once(warnings: Sequence[str], said: set[str]) -> set[str]:
    """Warn of what was not said before, and return all that was said by now."""
    for warning in warnings:
        if warning not in said:
            warn(warning)
    return said | {*warnings}


def _write_sheet(
    folder: Path, axes: Sequence[Axis], cells: Sequence[Cell], paths: Mapping[Place, Path], settings: Settings
) -> int:
    """Write the sheet and the page of the cells that are there, and return their number."""
    there = [cell.place for cell in cells if paths[cell.place].is_file()]
    layout = layout_of(axes, cells)

    def pictures() -> Iterator[tuple[Place, Image.Image]]:
        return ((place, open_picture(paths[place], settings.max_pixels)) for place in there)

    size = max(cell.resolved.width for cell in cells), max(cell.resolved.height for cell in cells)
    save_picture(draw_sheet(layout, size, pictures()), folder / SHEET)
    sources = {place: picture_source(np.asarray(image), LONGEST_ON_PAGE) for place, image in pictures()}
    write_file(folder / PAGE, sheet_page(layout, sources).encode())
    return len(there)


def _is_drawn(cell: Cell, path: Path) -> bool:
    """Whether `path` is the picture of `cell`: it says so itself."""
    try:
        return path.is_file() and read_resolved(path) == cell.resolved
    except (PictureError, RecipeError):
        return False


def _record_of(folder: Path) -> dict[str, Any] | None:
    """Return the record of an earlier grid in `folder`, None where it is missing or empty. Raises OutputError
    for a folder of other things.
    """
    path = folder / RECORD
    try:
        if not any(folder.iterdir()):
            return None
        if path.stat().st_size > _MAX_RECORD_BYTES:
            raise ValueError("far too large")
        read: object = json.loads(path.read_text(encoding="utf-8"))
        record = cast(dict[str, Any], read) if isinstance(read, dict) else {}
        if record.get("version") != _VERSION:
            raise ValueError("not ours")
    except FileNotFoundError as error:
        if not folder.exists():
            return None
        raise _no_grid(folder) from error
    except (OSError, ValueError, RecursionError) as error:
        raise _no_grid(folder) from error
    return record


def _no_grid(folder: Path) -> OutputError:
    return OutputError(
        "this is no folder of a grid",
        field="output",
        value=str(folder),
        hint="Name a new folder, an empty one, or one that sfumato grid made.",
    )


def _seed_of(record: Mapping[str, Any] | None) -> int | None:
    seed = None if record is None else record.get("seed")
    return seed if isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed <= MAX_SEED else None


def _write_record(
    folder: Path, axes: Sequence[Axis], cells: Sequence[Cell], paths: Mapping[Place, Path]
) -> None:
    record = {
        "version": _VERSION,
        "seed": cells[0].resolved.seed,
        "axes": [{"name": axis.labels.name, "values": axis.values} for axis in axes],
        "cells": [{"place": cell.place, "file": paths[cell.place].name} for cell in cells],
    }
    text = json.dumps(record, indent=1)
    write_file(folder / RECORD, re.sub(r"\[\s+(\d+),\s+(\d+),\s+(\d+)\s+\]", r"[\1, \2, \3]", text).encode())


def _report(
    folder: Path, cells: Sequence[Cell], paths: Mapping[Place, Path], drawn: set[Place]
) -> dict[str, object]:
    return {
        "sheet": str(folder / SHEET),
        "page": str(folder / PAGE),
        "cells": [
            {
                "path": str(paths[cell.place]),
                "place": cell.place,
                "drawn": cell.place in drawn,
                "recipe": cell.resolved.model_dump(mode="json"),
            }
            for cell in cells
        ],
    }
