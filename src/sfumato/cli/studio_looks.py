"""`sfumato studio theme`: begin a look, check one, and name those there are."""

import os
from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

from sfumato.cli.console import result, result_json, talk
from sfumato.cli.serving import INSTALL
from sfumato.errors import InputError, OutputError, SfumatoError, closest
from sfumato.imaging.writing import make_folder, write_file
from sfumato.serving.studio.check import Reading, notes_of, problems_of, readings_of
from sfumato.serving.studio.hub_theme import is_hub_name, with_theme
from sfumato.serving.studio.look import FILE, Dressed, Source, built_in, names, read_look
from sfumato.serving.studio.wearing import UNUSABLE, in_language, read, unusable
from sfumato.serving.studio.words import LANGUAGES
from sfumato.settings import Settings

FIRST: Final = """\
# A look for the studio. Every line may go; what is missing comes from the look that it begins with.
look = "paper"                       # or {others}
title = "My studio"
welcome = "Type what you want to see, and press **Generate**."
# background = "background.webp"     # a picture beside this file; panels before it let some of it through
# text = "#ffffff"                   # white words are put on dark panels, black ones on light
# ground = "#10203a"                 # what lies behind everything, and colours panels
accent = "#2f6f5e"                   # one colour is enough: the others follow, so that they can be read
font = "Source Sans Pro"
heading_font = "Montserrat"
footer = false
# tabs = ["create", "gallery"]       # which, and in which order
# css = "more.css"                   # rules of your own
# above = "above.html"               # HTML of your own, above the page and below it
# theme = "soft"                     # a theme of Gradio instead of colours, or a shared one: "OWNER/NAME"
# size = "small"                     # of text and gaps: small, medium or large
# language = "de"                    # of the page: {languages}

[words]                              # any of the page's own words
generate = "Paint!"
"""


def chosen(look: str | None, folder: Path | None, settings: Settings) -> Dressed:
    """Return the look that is asked for: one of ours by its name, that of a folder, or the person's own in
    the data folder, if there is one. Raises RecipeError, and InputError for a folder without a look.
    """
    if look is not None:
        return built_in(look)
    return read_look(_folder(folder, settings))


def worn(look: str | None, theme: Path | None, language: str | None, settings: Settings) -> Dressed:
    """Return the look that the studio opens in: as `chosen` does, or where `theme` is no folder but a name,
    the look of ours, or one with the theme of Gradio's or the hub's (OWNER/NAME), that is called so.
    That of a folder follows what is changed there, and where it cannot be used, the plain one is worn until
    it can be. `language` is that of the words, whatever the look says.
    """
    if language is not None and language not in LANGUAGES:
        near = closest(language, LANGUAGES)
        guess = "" if near is None else f"Did you mean {near}? "
        hint = f"{guess}Choose one of {', '.join(LANGUAGES)}."
        raise InputError("is not known here", field="language", value=language, hint=hint)
    endpoint = os.environ.get("HF_ENDPOINT") or None
    if look is not None:
        return in_language(built_in(look), language)
    name = "" if theme is None or theme.exists() else theme.as_posix()
    if name in names():
        return in_language(built_in(name), language)
    if is_hub_name(name) or name.lower() in _themes():
        plain = built_in(names()[0])
        asked = replace(plain, look=plain.look.model_copy(update={"theme": name}))
        return with_theme(in_language(asked, language), settings, endpoint)
    source = Source(_folder(theme, settings), language, endpoint)
    try:
        return read(source, settings)
    except UNUSABLE as error:
        return unusable(error, source)


def _themes() -> Collection[str]:
    """Return the names of Gradio's themes, none where it is not installed."""
    try:
        from sfumato.serving.studio.theme import THEMES
    except ModuleNotFoundError:
        return ()
    return THEMES


def _folder(folder: Path | None, settings: Settings) -> Path:
    if folder is None:
        return settings.data_dir / "studio"
    if not (folder / FILE).is_file():
        # A name that was mistyped is no folder to begin.
        near = None if folder.exists() else closest(folder.as_posix(), (*names(), *_themes()))
        hint = f"Begin one: sfumato studio theme new {folder}"
        if near is not None:
            hint = f"Did you mean {near}? See: sfumato studio theme list"
        raise InputError(f"there is no {FILE} in it", field="theme", value=str(folder), hint=hint)
    return folder


def act(action: str, folder: Path | None, settings: Settings, *, as_json: bool = False) -> None:
    """Carry out `new`, `check` or `list`. Raises OutputError, RecipeError and InputError."""
    folder = settings.data_dir / "studio" if folder is None else folder
    if action == "new":
        path = _new(folder)
        if as_json:
            result_json({"path": str(path)})
        else:
            result(str(path))
    elif action == "check":
        readings = _check(folder)
        if as_json:
            result_json([{**asdict(one), "passes": one.passes} for one in readings])
            return
        for one in readings:
            talk(str(one))
        for note in notes_of(chosen(None, folder, settings)):
            talk(note)
        result("no problems")
    elif as_json:
        result_json([*names()])
    else:
        result("\n".join(names()))
        try:
            from sfumato.serving.studio.theme import THEMES
        except ModuleNotFoundError:
            talk(f"Gradio has themes as well, but is not installed. {INSTALL}")
        else:
            talk(f"themes of Gradio, as theme = NAME: {', '.join(sorted(THEMES))}")
            talk("themes that people share on huggingface.co: theme = OWNER/NAME")


def _new(folder: Path) -> Path:
    make_folder(folder)
    path = folder / FILE
    if path.exists():
        hint = "Change it, or name another folder."
        raise OutputError("there is a look already", field="theme", value=str(path), hint=hint)
    write_file(path, FIRST.format(others=", ".join(names()[1:]), languages=", ".join(LANGUAGES)).encode())
    return path


def _check(folder: Path) -> tuple[Reading, ...]:
    """Return how well a look can be read. Raises InputError where something is wrong with it, after a line
    for each problem, and for each pair of colours that was measured all the same.
    """
    dressed = chosen(None, folder, Settings(folder))
    problems = problems_of(dressed)
    if not problems:
        return readings_of(dressed)
    for one in problems:
        talk(f"problem: {one}")
    with suppress(SfumatoError):  # colours that are none are among the problems
        for reading in readings_of(dressed):
            if reading.passes:  # and so are those that do not
                talk(str(reading))
    many = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
    raise InputError(f"this look has {many}", field="theme", value=str(folder))
