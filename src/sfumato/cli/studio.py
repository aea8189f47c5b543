"""`sfumato studio`: the page on which everything can be done, and its looks."""

import os
from pathlib import Path
from typing import Annotated

import typer

from sfumato.cli import flags
from sfumato.cli.console import examples
from sfumato.errors import InputError, closest

EXAMPLES = examples(
    "sfumato studio",
    "sfumato studio --look night --port 8000",
    "sfumato studio theme new my-look",
    "sfumato studio theme check my-look",
    "sfumato studio --theme my-look",
    "SFUMATO_PASSWORD=long-and-secret sfumato studio --listen 192.168.1.5",
    "SFUMATO_PASSWORD=long-and-secret sfumato studio --outside https://pictures.example.org",
)
ACTIONS = ("new", "check", "preview", "list")
PASSWORD = "SFUMATO_PASSWORD"


def studio(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[theme ACTION [FOLDER]]",
            help="theme new: write a look to begin with into a folder. theme check: say what in one cannot "
            "be read or found. theme preview: open the studio in it. theme list: name our own looks and "
            "Gradio's themes. Without: open the studio.",
        ),
    ] = None,
    theme: Annotated[
        Path | None,
        typer.Option(
            help="The folder of a look (studio.toml), or a theme of huggingface.co as OWNER/NAME. Without: "
            "the folder studio of SFUMATO_HOME."
        ),
    ] = None,
    look: Annotated[
        str | None, typer.Option(metavar="NAME", help="One of our own looks; see: sfumato studio theme list.")
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(
            metavar="CODE", help="Of the page's words: en, de, nl, es or fr. Without: what the look says."
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to listen; 0: any free port.")] = 7860,
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Let other machines in, at this address of this one. Asks for a password, SFUMATO_PASSWORD.",
        ),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST", help="A name by which this machine is reached; may be repeated."),
    ] = None,
    outside: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="The address at which a server of your own shows the studio, as with TLS. Asks for "
            "SFUMATO_PASSWORD too.",
        ),
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
    backend: flags.Backend = None,
    precision: flags.Precision = None,
    offload: flags.Offload = None,
    storage: flags.Storage = None,
    as_json: flags.Json = False,
) -> None:
    """Open the studio: a page to draw, edit, look into and keep pictures, in the browser.

    It is there for this machine alone, uses no network but for a theme that is asked for by OWNER/NAME, and
    tells nobody anything. Pictures are kept in the folder studio/pictures of SFUMATO_HOME. What is changed in
    the folder of its look is seen at once. Ctrl-C closes it; what waits is drawn when it opens again.
    """
    given = [] if words is None else words
    settings = flags.settings_with(backend, precision, offload, storage)
    from sfumato.cli import studio_looks

    folder = theme
    if given:
        action = given[1] if len(given) > 1 else "list"
        if given[0] != "theme" or action not in ACTIONS or len(given) > 3:
            near = closest(action, ACTIONS)
            guess = "" if near is None else f"Did you mean {near}? "
            hint = f"{guess}For example: sfumato studio theme new my-look"
            raise InputError("there is no such action", field="studio", value=" ".join(given), hint=hint)
        folder = Path(given[2]) if len(given) > 2 else folder
        if action != "preview":
            studio_looks.act(action, folder, settings, as_json=as_json)
            return
    dressed = studio_looks.worn(look, folder, language, settings)
    from sfumato.cli.serving import open_studio

    open_studio(
        settings,
        dressed,
        listen=listen,
        port=port,
        password=os.environ.get(PASSWORD) or None,
        names=tuple(name or ()),
        outside=outside,
        browser=browser,
        as_json=as_json,
    )
