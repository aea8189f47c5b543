"""How the studio looks and speaks: what a person writes into `studio.toml`, and nothing they need not."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from sfumato.errors import RecipeError, SfumatoError, closest
from sfumato.recipe.codec import from_toml
from sfumato.serving.studio.tabs import TABS

FILE: Final = "studio.toml"
MAX_BYTES: Final = 1_000_000
MAX_PICTURE: Final = 20_000_000
PICTURES: Final = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}
FILES: Final = ("logo", "background", "css", "above", "below")  # the fields that name some
Words = Annotated[str, Field(max_length=20_000)]
Short = Annotated[str, Field(max_length=200)]


def _tab(name: str) -> str:
    if name not in TABS:
        near = closest(name, TABS)
        guess = "" if near is None else f" Did you mean {near}?"
        raise ValueError(f"is no tab.{guess} There are {', '.join(TABS)}")
    return name


Tab = Annotated[Short, AfterValidator(_tab)]


class Look(BaseModel):
    """A look. Everything may be left out; what is, comes from the look it begins with, `look`.

    Colours are #rgb or #rrggbb. `accent` is that of buttons and marks, `text` of all text, `ground` what lies
    behind everything, or the picture `background`. `veil` is how much panels cover of it, 0 to 1. `mode` is
    light, dark, or as the browser is set. Fonts are names: of those that come along (see `FONTS`), or of any
    that the visitor's machine has. `welcome` is Markdown. `css`, `above` and `below` are files with style
    sheets and HTML of one's own; they, `logo` and `background` lie beside `studio.toml`. `words` replace the
    page's own, by their names, `language` all of them. `prompt` stands in the field for prompts when the page
    opens, `examples` are below it, to be clicked. `theme` is a theme of Gradio by its name, instead of
    colours, or one of Hugging Face's spaces, as OWNER/NAME. `size` is that of text and gaps.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    look: Short | None = None
    theme: Short | None = None
    title: Short = "Sfumato"
    welcome: Words = ""
    logo: Short | None = None
    background: Short | None = None
    veil: float = Field(default=0.72, ge=0, le=1)
    mode: Literal["auto", "light", "dark"] = "auto"
    accent: Short | None = None
    text: Short | None = None
    ground: Short | None = None
    font: Short | None = None
    heading_font: Short | None = None
    rounding: int = Field(default=10, ge=0, le=40)
    size: Literal["small", "medium", "large"] = "medium"
    footer: bool = False
    tabs: tuple[Tab, ...] = tuple(TABS)
    css: Short | None = None
    above: Short | None = None
    below: Short | None = None
    prompt: Words = ""
    examples: Annotated[tuple[Short, ...], Field(max_length=12)] = ()
    language: Short = "en"
    words: dict[Short, Words] = Field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """Where a look is read from, and read again when somebody changes it: a `folder`, and a `language` that
    was asked for beside it. `endpoint` is another hub than Hugging Face's, for themes.
    """

    folder: Path
    language: str | None = None
    endpoint: str | None = None


@dataclass(frozen=True)
class Dressed:
    """A look with nothing left to the one beneath it: `look`, the `folder` where the files that it names lie,
    and for files of the look beneath the folder of that one, by field, in `lent`. `theme` holds the values of
    a theme that was fetched (see `hub_theme`), `notes` what people should know of this look, `source`
    where it is read again from, None for one that stays as it is, and `broken` what is wrong with that one,
    where this one is worn in its place.
    """

    look: Look
    folder: Path
    lent: Mapping[str, Path] = field(default_factory=dict[str, Path])
    theme: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()
    broken: str | None = None
    source: Source | None = field(default=None, compare=False)

    def file(self, name: str) -> Path | None:
        """Return the file that the field `name` names, checked to lie in the folder, or None.

        Raises RecipeError for one that is missing, elsewhere, or too large.
        """
        written: str | None = self.look.model_dump()[name]
        if written is None:
            return None
        folder = self.lent.get(name, self.folder).resolve()
        path = (folder / written).resolve()
        if not path.is_relative_to(folder):
            hint = "Put the file beside studio.toml."
            raise RecipeError("lies outside the folder of the look", field=name, value=written, hint=hint)
        if not path.is_file():
            raise RecipeError(
                "there is no such file", field=name, value=written, hint=f"Put it into {folder}."
            )
        if name in ("logo", "background") and path.suffix.lower() not in PICTURES:
            hint = f"Give {', '.join(PICTURES)}."
            raise RecipeError("is no picture that a page shows", field=name, value=written, hint=hint)
        if path.stat().st_size > (MAX_PICTURE if path.suffix.lower() in PICTURES else MAX_BYTES):
            raise RecipeError("is too large", field=name, value=written, hint="Make it smaller first.")
        return path


def data_address(picture: Path) -> str:
    """Return a picture as an address with all of it inside: it is there behind every proxy and password."""
    data = base64.b64encode(picture.read_bytes()).decode("ascii")
    return f"data:{PICTURES[picture.suffix.lower()]};base64,{data}"


def read_look(folder: Path) -> Dressed:
    """Return the look in `folder`: that of its studio.toml, over the one it begins with; without such a file,
    the first of our own. Raises RecipeError naming the file and the line.
    """
    path = folder / FILE
    if not path.is_file():
        return built_in(names()[0])
    written = b""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise RecipeError("is too large", field="look", value=FILE)
        written = path.read_bytes()
        return _over(from_toml(written, Look), folder)
    except SfumatoError as error:
        # The reader of TOML calls every file a recipe, and says the line itself.
        said = str(error).removeprefix("recipe: ")
        line = line_of(error, written.decode("utf-8", "replace"))
        place = path if line is None else f"{path}, line {line}"
        raise RecipeError(f"{place}: {said}", field="studio") from error
    except OSError as error:
        raise RecipeError(f"{path}: {error}", field="studio") from error


def line_of(error: SfumatoError, written: str) -> int | None:
    """Return the line of `written`, a studio.toml, that an error is about, counted from 1; None where none
    can be named.
    """
    # In a table of words, the one that is wrong is the value.
    wanted = [one for one in (error.value, *reversed(re.split(r"[.\[]", error.field or ""))) if one]
    for name in wanted:
        if isinstance(name, str):
            begins = re.compile(rf"\s*(?:[\"']?{re.escape(name)}[\"']?\s*=|\[\s*{re.escape(name)}\s*\])")
            for number, line in enumerate(written.splitlines(), 1):
                if begins.match(line):
                    return number
    return None


def built_in(name: str) -> Dressed:
    """Return one of our own looks. Raises RecipeError for a name that is none of theirs."""
    if name not in names():
        near = closest(name, names())
        guess = "" if near is None else f"Did you mean {near}? "
        hint = f"{guess}Choose one of {', '.join(names())}, or give a Gradio theme as theme."
        raise RecipeError("there is no such look", field="look", value=name, hint=hint)
    folder = _looks() / name
    return _over(from_toml((folder / FILE).read_bytes(), Look), folder)


@cache
def names() -> tuple[str, ...]:
    """Return the names of our own looks; the first is what the studio wears unasked."""
    found = sorted(one.name for one in _looks().iterdir() if (one / FILE).is_file())
    return ("paper", *(name for name in found if name != "paper"))


def _over(look: Look, folder: Path) -> Dressed:
    """Return `look`, of `folder`, with what it leaves out from the look that it begins with."""
    if look.look is None:
        return Dressed(look, folder)
    base = built_in(look.look)
    given = look.model_dump(exclude_unset=True)
    kept = {**base.look.model_dump(), **given}
    kept["words"] = {**base.look.words, **look.words}
    lent = {name: base.lent.get(name, base.folder) for name in FILES if name not in given}
    return Dressed(Look.model_validate(kept), folder, lent)


def _looks() -> Path:
    return Path(str(files("sfumato.serving.studio"))) / "looks"
