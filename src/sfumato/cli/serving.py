"""Opens the studio: checks what it needs, finds a port, and says where it is."""

import os
import socket
import webbrowser
from dataclasses import replace
from tempfile import TemporaryDirectory
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
    browser: bool,
    as_json: bool = False,
) -> None:
    """Serve the studio until Ctrl-C. Raises MissingExtraError without Gradio, InputError for an address that
    cannot be listened at, and OutputError for a data folder that cannot be used.
    """
    try:
        from sfumato.serving.server import HERE, Address, application, server_of
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"{error.name} is not installed", hint=INSTALL) from error
    from sfumato.serving.desk import open_desk

    host = HERE if listen is None else listen
    address = Address(host, port, password, names)  # before anything is listened at
    address = replace(address, port=_free(host, port))
    # What is uploaded, and Gradio's copies of what is shown, are nobody else's, and go with the studio.
    with open_desk(settings) as desk, TemporaryDirectory(prefix="sfumato-copies-") as copies:
        os.environ.setdefault("GRADIO_TEMP_DIR", copies)
        server = server_of(application(desk, dressed, address), address)
        url = f"http://{address.host}:{address.port}/"
        if as_json:
            result_json({"url": url})
        else:
            result(url)
        talk("Ctrl-C closes the studio; everything that was drawn is kept.")
        if browser:
            Thread(target=_open, args=(server, url), daemon=True).start()
        server.run()


def _open(server: "uvicorn.Server", url: str) -> None:
    """Show the page as soon as it is there."""
    while not server.started:
        sleep(0.05)
    webbrowser.open(url)


def _free(host: str, port: int) -> int:
    """Return the port, or one that is free for 0. Raises InputError for one that is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as tried:
        try:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((host, port))
        except OSError as error:
            hint = "Is a studio open already? Another port: --port 0 takes any that is free."
            reason = f"cannot be listened at: {error.strerror}"
            raise InputError(reason, field="port", value=f"{host}:{port}", hint=hint) from error
        return tried.getsockname()[1]
