"""Themes of Gradio that people share on Hugging Face, by OWNER/NAME: fetched once, checked, kept.

The newest version of the first time is kept and worn from then on, so that nothing changes by itself; a
version is asked for as OWNER/NAME@1.2.0. Of a theme, plain values are taken and nothing else: no style sheet,
no address, no font that would be fetched. Where none can be had, the page says so and wears what comes near.
"""

import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from sfumato.errors import InputError, MissingExtraError, ModelFileError, SfumatoError
from sfumato.imaging.writing import make_folder, write_file
from sfumato.models.pulling import HUB
from sfumato.serving.studio.look import Dressed
from sfumato.serving.studio.telling import without_folders
from sfumato.settings import Settings

MAX_BYTES: Final = 1_000_000
FOLDER: Final = "themes"  # beside the pictures of the studio
_NAME: Final = re.compile(
    r"(?P<repo>[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})(?:@(?P<version>[\w.+-]{1,40}))?", re.ASCII
)
_SCHEMA: Final = re.compile(r"themes/theme_schema@(\d{1,6})\.(\d{1,6})\.(\d{1,6})\.json", re.ASCII)
_VALUE: Final = re.compile(r"[\w\s#%.,()*+/'\"-]{1,400};?", re.ASCII)
_FETCHING: Final = re.compile(r"url|image|import|expression|src|/[/*]", re.IGNORECASE)
_MAX_VALUES: Final = 2000
_FONTS: Final = ("font", "font_mono")
_PATIENCE: Final = 10.0  # seconds for a hub to answer

#: What comes near to a theme that is not here: fields of a look. Made by eye after what the theme is known
#: for, not after its file.
NEAR: Final[Mapping[str, Mapping[str, Any]]] = {
    "johnsmith9982/small_and_pretty": {"accent": "#06ae56", "size": "small", "rounding": 6},
    "gradio/monochrome": {"theme": "monochrome"},
    "gradio/soft": {"theme": "soft"},
    "gradio/glass": {"theme": "glass"},
    "gradio/base": {"theme": "base"},
    "gradio/default": {"theme": "default"},
}


@dataclass(frozen=True)
class _Asked:
    repo: str
    version: str | None

    def place(self, settings: Settings) -> Path:
        name = self.repo.replace("/", "--") + ("" if self.version is None else f"@{self.version}")
        return settings.data_dir / "studio" / FOLDER / f"{name}.json"


def is_hub_name(name: str) -> bool:
    """Tell whether a theme is asked for as OWNER/NAME, or OWNER/NAME@VERSION."""
    return _NAME.fullmatch(name.strip()) is not None


def with_theme(dressed: Dressed, settings: Settings, endpoint: str | None = None) -> Dressed:
    """Return `dressed` with the theme of a hub that it names: the one that is kept, or fetched now. Where it
    cannot be had, with what comes near to it, and a note that says so; other looks as they are.

    `endpoint` is another hub than huggingface.co. Never raises for what the network or the hub does.
    """
    name = dressed.look.theme
    match = None if name is None else _NAME.fullmatch(name.strip())
    if match is None:
        return dressed
    asked = _Asked(match["repo"], match["version"])
    try:
        return replace(dressed, theme=_theme(asked, settings, endpoint))
    except SfumatoError as error:
        near = NEAR.get(asked.repo.lower())
        fields = {"theme": None} if near is None else {"theme": None, **near}
        instead = (
            "The page wears its plain look, with the accent of this one, instead."
            if near is None
            else "The page wears one that comes near to it instead."
        )
        look = dressed.look.model_copy(update=fields)
        return replace(
            dressed, look=look, notes=(*dressed.notes, f"{without_folders(error).rstrip('.')}. {instead}")
        )


def _theme(asked: _Asked, settings: Settings, endpoint: str | None) -> Mapping[str, Any]:
    place = asked.place(settings)
    if place.is_file():
        try:
            with place.open("rb") as file:
                kept = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise ModelFileError(f"cannot be read: {error.strerror}", **_of(asked)) from error
        return checked(kept, asked.repo)
    if settings.offline:
        hint = "Without SFUMATO_OFFLINE it is fetched once, and kept."
        raise InputError("is not kept here, and cannot be fetched: offline", **_of(asked), hint=hint)
    written = _fetched(asked, endpoint)
    values = checked(written, asked.repo)
    make_folder(place.parent)
    write_file(place, written)
    return values


def _fetched(asked: _Asked, endpoint: str | None) -> bytes:
    """Return the file of the theme: of the version that is asked for, or the newest."""
    try:
        from huggingface_hub import HfApi, constants, hf_hub_download
    except ModuleNotFoundError as error:
        hint = 'Run: pip install "sfumato[studio]"'
        raise MissingExtraError(f"{error.name} is not installed", field="theme", hint=hint) from error
    # Else it asks huggingface.co, whatever the endpoint, what program it runs in.
    constants.HF_HUB_DISABLE_TELEMETRY = True
    try:
        # Themes are public: no token says who asks.
        api = HfApi(endpoint=endpoint or HUB, token=False)
        info = api.space_info(asked.repo, files_metadata=True, timeout=_PATIENCE)
        name = _newest(asked, {one.rfilename: one.size or 0 for one in info.siblings or ()})
        with tempfile.TemporaryDirectory() as folder:
            path = hf_hub_download(
                asked.repo,
                name,
                repo_type="space",
                revision=info.sha,
                endpoint=endpoint or HUB,
                token=False,
                local_dir=folder,
            )
            with Path(path).open("rb") as file:
                return file.read(MAX_BYTES + 1)
    except SfumatoError:
        raise
    except Exception as error:  # it fails in as many ways as there are networks
        if "NotFound" in type(error).__name__:
            hint = "Look its name up there."
            raise InputError(f"is not on {endpoint or HUB}", **_of(asked), hint=hint) from error
        hint = "It is fetched once there is a network, and kept."
        what = f"is not kept here, and cannot be fetched from {endpoint or HUB}"
        raise InputError(what, **_of(asked), hint=hint) from error


def _newest(asked: _Asked, files: Mapping[str, int]) -> str:
    """Return the file of the version that is asked for, or of the newest there is, among `files` by size."""
    versions = {tuple(map(int, found.groups())): one for one in files if (found := _SCHEMA.fullmatch(one))}
    if not versions:
        raise ModelFileError("holds no theme of Gradio", **_of(asked))
    chosen = versions[max(versions)]
    if asked.version is not None:
        chosen = f"themes/theme_schema@{asked.version}.json"
        if chosen not in versions.values():
            there = ", ".join(".".join(map(str, one)) for one in sorted(versions)[-8:])
            raise InputError(f"has no version {asked.version}", **_of(asked), hint=f"There are {there}.")
    if files[chosen] > MAX_BYTES:
        raise ModelFileError(f"is larger than {MAX_BYTES // 1000} kB", **_of(asked))
    return chosen


def checked(written: bytes, repo: str) -> Mapping[str, Any]:
    """Return the plain values of a theme's file by their names, and its fonts' names as `font` and
    `font_mono`; what is anything else is left out. Raises ModelFileError for what is no theme.
    """
    if len(written) > MAX_BYTES:
        raise ModelFileError(f"is larger than {MAX_BYTES // 1000} kB", field="theme", value=repo)
    broken = ModelFileError("holds no theme of Gradio that can be read", field="theme", value=repo)
    try:
        given: Any = json.loads(written)["theme"]
        items = [*given.items()]
        fonts = {name: [*(given.get(f"_{name}") or ())] for name in _FONTS}
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise broken from error
    if len(items) > _MAX_VALUES:
        raise ModelFileError("has too many values", field="theme", value=repo)
    values: dict[str, Any] = {
        name: value.strip().rstrip(";") for name, value in items if _is_plain(name, value)
    }
    if not any(name.endswith("_fill") for name in values):
        raise broken
    for name, listed in fonts.items():
        values[name] = tuple(found for one in listed if (found := _font(one)) is not None)
    return values


def values_of(theme: object) -> Mapping[str, Any]:
    """Return the plain values of a theme of Gradio that somebody made in Python, as `checked` does: rules and
    fonts that would be fetched are left out. Raises InputError for what is no theme.
    """
    import gradio as gr
    from gradio.themes.utils.fonts import Font

    if not isinstance(theme, gr.themes.ThemeClass):
        hint = "Give a name, a folder, or a theme of gradio.themes."
        raise InputError("is no look", field="theme", value=type(theme).__name__, hint=hint)
    given: dict[str, Any] = theme.to_dict()["theme"]
    values = {name: value for name, value in given.items() if isinstance(value, str)}
    fonts = {
        f"_{name}": [one.name if isinstance(one, Font) else str(one) for one in given[f"_{name}"]]
        for name in _FONTS
    }
    return checked(json.dumps({"theme": {**values, **fonts}}).encode(), type(theme).__name__)


def _is_plain(name: str, value: object) -> bool:
    """Tell whether a value of a theme is one colour, length, shadow or reference, which asks for nothing."""
    named = name.isidentifier() and name.isascii() and not name.startswith("_")
    if not named or not isinstance(value, str) or name in ("name", "custom_css"):
        return False
    # References to values for the dark, and of one to itself, are errors to Gradio.
    broken = re.search(r"\*\w+_dark\b", value) or (name.endswith("_dark") and f"*{name[:-5]}" in value)
    return _VALUE.fullmatch(value) is not None and not _FETCHING.search(value) and not broken


def _font(one: Any) -> str | None:
    """Return the name of a font, however it is written; None for what is none."""
    name: Any = one.get("name") if isinstance(one, dict) else one
    fine = isinstance(name, str) and 0 < len(name) <= 60
    return name if fine and all(letter.isalnum() or letter in " -_" for letter in name) else None


def _of(asked: _Asked) -> dict[str, Any]:
    return {"field": "theme", "value": asked.repo}
