"""`sfumato studio theme`: begin a look, check one, and name those there are."""

from dataclasses import asdict
from pathlib import Path
from typing import Final

from sfumato.cli.console import result, result_json, talk
from sfumato.cli.serving import INSTALL
from sfumato.errors import InputError, OutputError
from sfumato.imaging.writing import make_folder, write_file
from sfumato.serving.studio.check import Reading, problems_of, readings_of
from sfumato.serving.studio.look import FILE, Dressed, built_in, names, read_look
from sfumato.settings import Settings

FIRST: Final = """\
# A look for the studio. Every line may go; what is missing comes from the look that it begins with.
look = "paper"                       # or {others}
title = "My studio"
welcome = "Type what you want to see, and press **Generate**."
# background = "background.webp"     # a picture beside this file; text = "#ffffff" goes well with a dark one
# ground = "#10203a"                 # what lies behind everything
# text = "#ffffff"
accent = "#2f6f5e"                   # one colour is enough: the others follow, so that they can be read
font = "Source Sans Pro"
heading_font = "Montserrat"
footer = false
# tabs = ["create", "gallery"]       # which, and in which order
# css = "more.css"                   # rules of your own
# above = "above.html"               # HTML of your own, above the page and below it
# theme = "soft"                     # a theme of Gradio instead of colours

[words]                              # any of the page's own words
generate = "Paint!"
"""


def chosen(look: str | None, folder: Path | None, settings: Settings) -> Dressed:
    """Return the look that is asked for: one of ours by its name, that of a folder, or the person's own in
    the data folder, if there is one. Raises RecipeError, and InputError for a folder without a look.
    """
    if look is not None:
        return built_in(look)
    if folder is None:
        return read_look(settings.data_dir / "studio")
    if not (folder / FILE).is_file():
        hint = f"Begin one: sfumato studio theme new {folder}"
        raise InputError(f"there is no {FILE} in it", field="theme", value=str(folder), hint=hint)
    return read_look(folder)


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


def _new(folder: Path) -> Path:
    make_folder(folder)
    path = folder / FILE
    if path.exists():
        hint = "Change it, or name another folder."
        raise OutputError("there is a look already", field="theme", value=str(path), hint=hint)
    write_file(path, FIRST.format(others=", ".join(names()[1:])).encode())
    return path


def _check(folder: Path) -> tuple[Reading, ...]:
    dressed = chosen(None, folder, Settings(folder))
    problems = problems_of(dressed)
    if problems:
        raise InputError("\n".join(("this look has problems:", *problems)), field="theme")
    return readings_of(dressed)
