"""Models that are converted on the page: from names of the library to a new model in its own folder, as a job
that says how far it is. Nothing here takes a path from a visitor, and nothing is written over.
"""

import re
import shutil
import unicodedata
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from sfumato.errors import InputError, OutputError, SfumatoError
from sfumato.imaging.writing import make_folder
from sfumato.models.converting import (
    Converted,
    check_single,
    files_to_convert,
    num_bytes_of,
    writing_folder,
    writing_single,
)
from sfumato.models.facts import FOLDER, VAE
from sfumato.models.files import ModelFiles
from sfumato.models.folders import BUNDLED, known_folders
from sfumato.models.library import MODELS
from sfumato.models.network_tensors import DTYPES
from sfumato.models.places import WEIGHTS
from sfumato.recipe.image import Recipe
from sfumato.serving.jobs import Worked
from sfumato.serving.studio.models_shelf import Item, Shelf
from sfumato.settings import Settings

Layout: TypeAlias = Literal["folder", "file"]
LAYOUTS: Final[tuple[Layout, ...]] = ("folder", "file")
SPARE: Final = 300_000_000  # bytes that are left on a disk: pictures have to go somewhere, too
MOST_NAME: Final = 100
_NAME: Final = re.compile(r"[\w][\w .\-]*", re.ASCII)
# Windows takes these for devices, whatever follows the point.
_DEVICES: Final = frozenset(
    {"con", "prn", "aux", "nul", *(f"{kind}{number}" for kind in ("com", "lpt") for number in range(10))}
)


@dataclass(frozen=True)
class Form:
    """What stands on the page: keys of the model and of an autoencoder in its place ("": its own), the layout
    and the kind of numbers ("": as they are stored), and what the result is called.
    """

    model: str
    layout: Layout = "file"
    dtype: str = ""
    vae: str = ""
    name: str = ""


@dataclass(frozen=True, eq=False)
class Plan:
    """A conversion that can be begun: of `files` to `output`, which will take about `num_bytes`."""

    files: ModelFiles
    output: Path
    layout: Layout
    dtype: str | None
    num_bytes: int


@dataclass(eq=False)
class Converting:
    """Carries out `plan`; `draw` is what a queue takes. What came of it is in `done` when the job is done."""

    plan: Plan
    done: Converted | None = None

    def draw(self, recipe: Recipe, preview_every: int) -> Generator[Worked, None, None]:
        """Yield how far it is, by the bytes that are written. Closed early, it leaves nothing behind. Raises
        ModelFileError for weights that cannot be carried over, and OutputError.
        """
        plan = self.plan
        check_room(plan)  # what was free may be taken since
        make_folder(plan.output.parent)
        write = writing_folder if plan.layout == "folder" else writing_single
        written, shown = 0, -1
        with closing(write(plan.files, plan.output, plan.dtype)) as pieces:
            while True:
                try:
                    written += next(pieces)
                except StopIteration as end:
                    self.done = end.value
                    return
                percent = min(99, 100 * written // max(1, plan.num_bytes))
                if percent != shown:
                    shown = percent
                    yield Worked(percent)


def plan_of(form: Form, shelf: Shelf, settings: Settings) -> Plan:
    """Return what `form` asks for, checked. Raises NotFoundError for what is not in the library, InputError
    for a form that makes no sense, ModelFileError for files that cannot be used, and OutputError for a name
    that is taken.
    """
    item = shelf.get(form.model)
    _check_model(item)
    if form.layout not in LAYOUTS:
        raise InputError("is no layout", field="layout", value=form.layout)
    if form.dtype and form.dtype not in DTYPES:
        hint = f"Choose {', '.join(DTYPES)}, or leave them as they are."
        raise InputError("is not known", field="dtype", value=form.dtype, hint=hint)
    vae = _vae_of(shelf.get(form.vae)) if form.vae else None
    output = _output(form.name or default_name(item, form), form.layout, settings)
    files = files_to_convert(item.entry.path, vae)
    if form.layout == "file":
        check_single(files)
    dtype = form.dtype or None
    return Plan(files, output, form.layout, dtype, num_bytes_of(files, dtype))


def can_convert(item: Item) -> bool:
    """Tell whether a model can be converted: what lacks only an autoencoder is given one."""
    entry = item.entry
    return entry.facts is not None and entry.kind in MODELS and (item.draws or entry.path.suffix == WEIGHTS)


def other_layout(item: Item) -> Layout:
    """Return the layout that a model has not, where it can be written: any model can be a folder."""
    if item.entry.kind != FOLDER:
        return "folder"
    try:
        check_single(files_to_convert(item.entry.path, None))
    except SfumatoError:
        return "folder"
    return "file"


def default_name(item: Item, form: Form) -> str:
    """Return what a conversion is called where nobody says."""
    short = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}.get(form.dtype, "")
    kept = re.sub(r"[^\w.\-]+", "-", item.entry.name, flags=re.ASCII).strip("-.") or "model"
    return "-".join(one for one in (kept[: MOST_NAME - 20], short, form.layout) if one)


def free_on_disk(folder: Path) -> int:
    """Return the bytes that are free where `folder` is, or will be. Raises OutputError."""
    there = next((one for one in (folder, *folder.parents) if one.is_dir()), folder)
    try:
        return shutil.disk_usage(there).free
    except OSError as error:
        hint = "Does the folder of SFUMATO_HOME still exist?"
        raise OutputError("This disk cannot be looked at", hint=hint) from error


def check_room(plan: Plan) -> None:
    """Raise OutputError where the disk has not the room for `plan`."""
    free = free_on_disk(plan.output.parent)
    if plan.num_bytes + SPARE > free:
        raise OutputError(
            f"There is too little room on this disk: about {plan.num_bytes / 1e9:.1f} GB are needed, "
            f"{SPARE / 1e9:.1f} GB stay free, and {free / 1e9:.1f} GB are left",
            hint="Free some space, or choose float16.",
        )


def _check_model(item: Item) -> None:
    if not can_convert(item):
        raise InputError("this cannot be converted", field="model", hint="Choose a model to draw with.")


def _vae_of(item: Item) -> Path:
    if item.entry.kind != VAE or item.problem is not None:
        raise InputError("is no autoencoder that can be used", field="vae", value=item.entry.name)
    return item.entry.path


def _output(name: str, layout: Layout, settings: Settings) -> Path:
    """Return where a model of this name is written. Raises InputError and OutputError."""
    name = unicodedata.normalize("NFC", name).strip()
    plain = _NAME.fullmatch(name) is not None and len(name) <= MOST_NAME and not name.endswith(".")
    if not plain or name.partition(".")[0].casefold() in _DEVICES:
        hint = f"Give letters, digits, spaces and .-_, {MOST_NAME} at most, and no folder."
        raise InputError("is no name for a model", field="name", value=name, hint=hint)
    folder = settings.data_dir / "models"
    output = folder / (f"{name}{WEIGHTS}" if layout == "file" else name)
    taken = {one.casefold() for one in known_folders(settings)}  # some disks take "A" and "a" for the same
    if name.casefold() in taken or name == BUNDLED or output.exists() or output.is_symlink():
        raise OutputError("is there already", field="name", value=name, hint="Choose another name.")
    return output
