"""Opens the studio: checks what it needs, listens, and says where it is."""

import webbrowser
from contextlib import ExitStack
from threading import Thread
from time import sleep
from typing import TYPE_CHECKING

from sfumato.cli.console import result, result_json, talk
from sfumato.errors import InputError, MissingExtraError
from sfumato.settings import Settings

if TYPE_CHECKING:
    import uvicorn

    from sfumato.serving.studio.look import Dressed

INSTALL = 'Run: pip install "sfumato[studio]"'


def open_studio(
    settings: Settings,
    dressed: "Dressed",
    *,
    listen: str | None,
    port: int,
    password: str | None,
    names: tuple[str, ...],
    outside: str | None,
    browser: bool,
    as_json: bool = False,
) -> None:
    """Serve the studio until Ctrl-C. Raises MissingExtraError without Gradio, InputError for an address that
    cannot be listened at, or is none, OutputError for a data folder that cannot be used, and SfumatoError
    where the server does not open.
    """
    try:
        from sfumato.serving.server import HERE, Address, application, listening_at, run, server_of
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"{error.name} is not installed", hint=INSTALL) from error
    from sfumato.serving.desk import open_desk
    from sfumato.serving.scratch import own_copies

    address = Address(HERE if listen is None else listen, port, password, names, outside)
    if outside is not None and not password:
        reason = "needs a password: everybody who knows the address could draw, and see what you drew"
        raise InputError(reason, field="outside", value=address.outside, hint="Set SFUMATO_PASSWORD.")
    with ExitStack() as opened:
        address, sockets = listening_at(address)
        for one in sockets:
            opened.enter_context(one)
        desk = opened.enter_context(open_desk(settings, warm=True))
        # What is uploaded, and Gradio's copies of what is shown, are nobody else's, and go with the studio.
        opened.enter_context(own_copies())
        server = server_of(application(desk, dressed, address))
        if as_json:
            result_json({"url": address.url, "inside": address.inside})
        else:
            result(address.url)
        if address.url != address.inside:
            talk(f"Your proxy reaches it at {address.inside}")
        talk("Ctrl-C closes the studio; everything that was drawn is kept.")
        if browser:
            Thread(target=_open, args=(server, address.url), daemon=True).start()
        run(server, sockets)


def _open(server: "uvicorn.Server", url: str) -> None:
    """Show the page as soon as it is there."""
    while not server.started:
        sleep(0.05)
    webbrowser.open(url)
