"""The pictures that recipes begin with: read once, named by the digest of their file, kept for another time.

A recipe in a picture's metadata names its inputs by digest only. So that it can be drawn again after the
files were moved or changed, a copy of each lies in the data folder, under its digest, as long as there is
room (`sfumato.imaging.input_store`).
"""

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sfumato.errors import OutputError, PictureError
from sfumato.imaging.decode import MAX_FILE_BYTES, open_layers
from sfumato.imaging.input_store import INPUTS, make_room, mark_used
from sfumato.imaging.writing import make_folder, write_file
from sfumato.recipe.image import Recipe
from sfumato.recipe.sources import SourceFacts, parse_stored, sources_of
from sfumato.settings import Settings

MAX_NAME: Final = 100


@dataclass(frozen=True, eq=False)
class InputPicture:
    """A picture as it was read: `pixels (H,W,3)` uint8, upright, on white where it is transparent, and its
    opacity `alpha (H,W)` uint8, None where it has none. It came from the file `path`.
    """

    facts: SourceFacts
    pixels: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None
    path: Path


@dataclass(frozen=True, eq=False)
class Inputs:
    """The pictures of a recipe: `by_digest` is what drawing asks, `facts` what resolving does."""

    by_digest: Mapping[str, InputPicture] = field(default_factory=dict[str, InputPicture])
    facts: Mapping[str, SourceFacts] = field(default_factory=dict[str, SourceFacts])

    def picture(self, sha256: str, name: str) -> InputPicture:
        """Return the picture of that digest. Raises PictureError when it is not among them."""
        if sha256 not in self.by_digest:
            raise _missing("picture", sha256, name)
        return self.by_digest[sha256]


NO_INPUTS: Final = Inputs()


def read_inputs(recipe: Recipe, settings: Settings, near: Iterable[Path] = ()) -> Inputs:
    """Read every picture that `recipe` names, by path or by digest.

    One named by digest is looked for in the data folder, then under its own name in the folders `near`.
    Raises PictureError, naming the recipe's field, for a file that is missing or no picture.
    """
    return _read(sources_of(recipe), settings, tuple(near))


def keep_inputs(inputs: Inputs, settings: Settings) -> tuple[str, ...]:
    """Copy the pictures into the data folder, where they are not there yet. Copies that were not used for
    longest go where they have more than `settings.max_inputs` bytes. Returns sentences for people about those
    that could not be kept; never raises.
    """
    notes: list[str] = []
    folder = settings.data_dir / INPUTS
    for digest, picture in inputs.by_digest.items():
        kept = folder / digest
        try:
            if picture.path == kept or _is_file_of(kept, digest):
                mark_used(kept)
                continue
            make_folder(folder)
            data = picture.path.read_bytes()
            if hashlib.sha256(data).hexdigest() != digest:
                raise OutputError("it was changed meanwhile")
            write_file(kept, data)
        except (OutputError, OSError) as error:
            notes.append(
                f"No copy of {picture.facts.name} could be kept ({error}); without the file itself, "
                "this picture cannot be drawn again."
            )
    if inputs.by_digest:
        make_room(settings.data_dir, settings.max_inputs, inputs.by_digest.keys())
    return tuple(notes)


def _read(named: Mapping[str, str], settings: Settings, near: tuple[Path, ...]) -> Inputs:
    by_digest: dict[str, InputPicture] = {}
    facts: dict[str, SourceFacts] = {}
    for source, kind in named.items():
        stored = parse_stored(source, kind)
        path = Path(source) if stored is None else _find(*stored, kind, settings, near)
        picture = _open(path, kind, settings, None if stored is None else stored[1])
        facts[source] = picture.facts
        by_digest[picture.facts.sha256] = picture
    return Inputs(by_digest, facts)


def _find(sha256: str, name: str, kind: str, settings: Settings, near: tuple[Path, ...]) -> Path:
    kept = settings.data_dir / INPUTS / sha256
    candidates = [kept]
    if name and Path(name).name == name:  # metadata must not lead out of the folder
        candidates += [folder / name for folder in near]
    for path in candidates:
        with suppress(OSError):
            if _is_file_of(path, sha256):
                return path
    raise _missing(kind, sha256, name)


def _is_file_of(path: Path, sha256: str) -> bool:
    """Tell whether a file of that digest lies at `path`. Raises OSError when it cannot be read."""
    small = path.is_file() and path.stat().st_size <= MAX_FILE_BYTES
    return small and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def _open(path: Path, kind: str, settings: Settings, name: str | None) -> InputPicture:
    try:
        image, alpha = open_layers(path, settings.max_pixels)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except PictureError as error:
        raise PictureError(error.message, field=kind, value=error.value, hint=error.hint) from error
    except OSError as error:
        raise PictureError("the file cannot be read", field=kind, value=str(path)) from error
    opacity = None if alpha is None else np.array(alpha)
    facts = SourceFacts(
        sha256=digest,
        name=_clean(path.name if name is None else name),
        width=image.width,
        height=image.height,
        has_alpha=opacity is not None and bool((opacity < 255).any()),
    )
    return InputPicture(facts, np.array(image), opacity, path)


def _clean(name: str) -> str:
    """Return a file's name without what cannot be printed, and not too long."""
    return "".join(c if c.isprintable() else "?" for c in name)[-MAX_NAME:] or "picture"


def _missing(kind: str, sha256: str, name: str) -> PictureError:
    return PictureError(
        "a picture that this begins with is missing",
        field=kind,
        value=f"{name or 'no name'}, sha256 {sha256[:12]}",
        hint="Put the file into this folder"
        + ("." if kind == "low-res" else f"; redo and generate take another one with --{kind}."),
    )
