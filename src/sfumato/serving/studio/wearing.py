"""Which look the studio wears: read from a folder, and read again when somebody changes it there."""

from dataclasses import replace
from pathlib import Path
from typing import Final, TypeAlias

from sfumato.errors import SfumatoError
from sfumato.serving.studio.hub_theme import with_theme
from sfumato.serving.studio.look import FILE, FILES, Dressed, Source, built_in, line_of, names, read_look
from sfumato.serving.studio.palette import mode_of
from sfumato.settings import Settings

#: What is known of files without opening them: size, and time of the last change; None for a missing one.
Stamp: TypeAlias = tuple[tuple[int, int] | None, ...]
#: What a page is put together from; see `shape_of`.
Shape: TypeAlias = tuple[str, str, Stamp]
#: What reading and building a look may raise: what is wrong with it, with its files, and with their letters.
UNUSABLE: Final = (SfumatoError, OSError, UnicodeError)
#: What a page that is open puts on as it is, see `news`: fields of a look.
_COLOURS: Final = ("accent", "text", "ground", "background", "veil")
_STROKES: Final = ("font", "heading_font", "rounding", "size", "css", "title", "logo")


def read(source: Source, settings: Settings) -> Dressed:
    """Return the look in the folder of `source`, with its theme fetched where it names one of a hub, and its
    notes. Raises RecipeError for a studio.toml that cannot be used.
    """
    dressed = replace(read_look(source.folder), source=source)
    return with_theme(in_language(dressed, source.language), settings, source.endpoint)


def in_language(dressed: Dressed, language: str | None) -> Dressed:
    """Return a look that speaks `language`; None leaves it as it is."""
    if language is None:
        return dressed
    return replace(dressed, look=dressed.look.model_copy(update={"language": language}))


def unusable(error: BaseException, source: Source) -> Dressed:
    """Return what is worn where the look of `source` cannot be, and none was before."""
    plain = replace(built_in(names()[0]), source=source, broken=problem_of(error, source))
    return in_language(plain, source.language)


def stamp_of(dressed: Dressed) -> Stamp:
    """Return what is seen of the files of a look from outside: another one means that it was changed."""
    if dressed.source is None:
        return ()
    folder = dressed.source.folder
    written: dict[str, str | None] = dressed.look.model_dump(include={*FILES})
    own = [name for name in FILES if name not in dressed.lent and written[name] is not None]
    return tuple(_stat(folder / name) for name in (FILE, *(str(written[one]) for one in own)))


def shape_of(dressed: Dressed) -> Shape:
    """Return what a page in this look is put together from: where two looks have the same, a page in one of
    them only has to be painted to be in the other. Raises RecipeError for what is no colour, and for a file
    that cannot be used.
    """
    # What the look began with is in it by now. Gradio paints canvases by the mode that a page was opened in.
    written = dressed.look.model_dump_json(exclude={*_COLOURS, *_STROKES, "version", "look"})
    theme = repr(None if dressed.theme is None else sorted(dressed.theme.items()))
    files = tuple(None if one is None else _stat(one) for one in map(dressed.file, ("above", "below")))
    return f"{mode_of(dressed.look)} {written}", theme, files


def problem_of(error: BaseException, source: Source) -> str:
    """Return what is wrong with the look of `source`, on one line, with the file and its line, but not where
    on this machine it lies: visitors read it.
    """
    said = " ".join(str(error).split())
    prefix = f"studio: {source.folder}{'/' if str(source.folder) != '/' else ''}"
    if said.startswith(prefix):  # by who read it
        return said.removeprefix(prefix).replace(f"{source.folder}/", "")
    try:
        text = (source.folder / FILE).read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    line = line_of(error, text) if isinstance(error, SfumatoError) else None
    said = said.replace(f"{source.folder.resolve()}", "its folder").replace(f"{source.folder}", "its folder")
    return f"{FILE}: {said}" if line is None else f"{FILE}, line {line}: {said}"


def _stat(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_size, found.st_mtime_ns
