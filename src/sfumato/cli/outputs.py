"""Where pictures go: decided and checked before anything is drawn."""

from dataclasses import dataclass
from pathlib import Path

from sfumato.engine.events import Picture
from sfumato.engine.keeping import free_path, metadata_of, slug
from sfumato.errors import OutputError, RecipeError
from sfumato.imaging.io import FORMAT_OF, check_output, save_picture
from sfumato.recipe.image import Resolved

PREVIEW = ".preview.png"


@dataclass(frozen=True)
class Outputs:
    """A file for each picture of a run. `replace`: it was named by the user, and may exist already."""

    paths: tuple[Path, ...]
    replace: bool

    def save(self, picture: Picture, backend: str) -> Path:
        """Write a picture with its recipe and the name of the backend that drew it, and return where it is.
        Raises OutputError; then nothing is written.
        """
        path = self.paths[picture.index]
        if not self.replace:
            path = free_path(path)  # somebody else may have taken the name meanwhile
        save_picture(picture.pixels, path, metadata_of(picture.resolved, backend))
        return path

    def previews(self) -> tuple[Path, ...]:
        """Return a preview's path for each picture. Raises OutputError when such a file exists: it would be
        replaced, and removed at the end.
        """
        paths = tuple(path.with_name(path.stem + PREVIEW) for path in self.paths)
        for path in paths:
            if path.exists():
                raise OutputError(
                    "a file is where the preview would go",
                    field="preview",
                    value=str(path),
                    hint="Move it away, or remove it.",
                )
        return paths


def plan_outputs(resolved: Resolved, output: Path | None, suffix: str = ".png") -> Outputs:
    """Return where the pictures of `resolved` go, checked to be writable.

    `output` is a file (one picture only), a folder, or None for this folder. Files in a folder get a name
    made of the prompt and the picture's seed, and never replace one that exists. Raises OutputError.
    """
    try:
        if output is not None and not output.is_dir() and not _meant_as_folder(output, resolved.count):
            _check_file(output, resolved.count)
            return Outputs((output,), replace=True)
        folder = Path() if output is None else output
        if not folder.is_dir():
            raise OutputError(
                "the folder does not exist",
                field="output",
                value=str(output),
                hint=f"Create it first: mkdir -p {output}",
            )
        check_output(folder / f"picture{suffix}")
        stem = slug(resolved)
        names = [f"{stem}-{name}{suffix}" for name in _numbers(resolved)]
        return Outputs(tuple(free_path(folder / name) for name in names), replace=False)
    except OSError as error:  # a path longer than the system takes, a folder that may not be looked into
        reason = error.strerror or "unknown reason"
        raise OutputError(f"cannot be used: {reason}", field="output", value=str(output)) from error


def wanted_suffix(format_: str | None, output: Path | None, otherwise: str) -> str:
    """Return the suffix of pictures that get their names here: of the format asked for,
    else `otherwise`. Raises RecipeError for another format, and for a file in `output` that contradicts it.
    """
    if format_ is None:
        return otherwise
    suffix = f".{format_.lower().removeprefix('.')}"
    known = FORMAT_OF.get(suffix)
    if known is None:
        names = ", ".join(name.removeprefix(".") for name in FORMAT_OF)
        raise RecipeError("unknown format", field="format", value=format_, hint=f"Choose one of {names}.")
    if output is not None and FORMAT_OF.get(output.suffix.lower(), known) != known and not output.is_dir():
        raise RecipeError(
            f"contradicts the name {output.name}",
            field="format",
            value=format_,
            hint="Leave one of them out.",
        )
    return suffix


def _numbers(resolved: Resolved) -> list[str]:
    """Return what tells the pictures of a run apart: their seeds; variations have two."""
    if resolved.variation is not None:
        first = resolved.variation.seed
        return [f"{resolved.seed}-{first + index}" for index in range(resolved.count)]
    return [str(resolved.seed + index) for index in range(resolved.count)]


def _meant_as_folder(output: Path, num_pictures: int) -> bool:
    return num_pictures > 1 and not output.suffix


def _check_file(output: Path, num_pictures: int) -> None:
    if num_pictures > 1:
        raise OutputError(
            f"must be a folder for {num_pictures} pictures",
            field="output",
            value=str(output),
            hint="Name a folder, for example: --output pictures",
        )
    if not output.suffix:
        raise OutputError(
            "neither a folder nor a picture file",
            field="output",
            value=str(output),
            hint=f"Create the folder first (mkdir -p {output}), or end the name in {', '.join(FORMAT_OF)}.",
        )
    check_output(output)
