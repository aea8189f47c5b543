"""The studio as a server: the page behind the guard, on this machine alone unless it is told otherwise."""

import logging
import os
from asyncio import CancelledError
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr
import uvicorn

from sfumato.errors import InputError
from sfumato.serving.cleaning import CleanUploads
from sfumato.serving.desk import ALONE, Desk
from sfumato.serving.guard import Guard, hosts_of
from sfumato.serving.live import Live
from sfumato.serving.mounting import MAX_UPLOAD as MAX_UPLOAD
from sfumato.serving.studio.look import Dressed

HERE: Final = "127.0.0.1"
PORT: Final = 7860


@dataclass(frozen=True)
class Address:
    """Where the studio listens. Beyond this machine only with a `password`; `hosts` are the further names by
    which it is reached. `outside` is the whole address at which a proxy of the person's own shows it, as
    notebooks do, and `frames` are the pages that may show it in a frame (see `Guard`).
    """

    host: str = HERE
    port: int = PORT
    password: str | None = None
    hosts: tuple[str, ...] = ()
    outside: str | None = None
    frames: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """Where it is, for the person."""
        return f"http://{self.host}:{self.port}/" if self.outside is None else f"{self.outside}/"

    def __post_init__(self) -> None:
        if self.host not in (HERE, "localhost", "::1") and not self.password:
            raise InputError(
                "needs a password: everybody on the network could draw, and see what you drew",
                field="listen",
                value=self.host,
                hint="Set SFUMATO_PASSWORD, or leave it out to stay on this machine.",
            )


def application(
    desk: Desk, dressed: Dressed, address: Address, page: gr.Blocks | None = None, css: str = ""
) -> Guard:
    """Return the studio as an ASGI application: with its own page, or with one that `build` made and somebody
    went on with; `css` are rules after all others. A look that has a source follows what is changed there.
    """
    live = Live(desk, dressed, outside=address.outside, page=page, css=css)
    alone = ALONE if address.password is None else None
    outside = () if address.outside is None else (urlsplit(address.outside),)
    names = (*address.hosts, address.host, *(one.netloc for one in outside))
    # Parts that somebody added may take files of any kind.
    clean = CleanUploads(live, desk.settings.max_pixels, others=page is not None)
    return Guard(
        clean,
        hosts=hosts_of(names),
        password=address.password,
        alone=alone,
        origins=frozenset(f"{one.scheme}://{one.netloc}".lower() for one in outside),
        frames=address.frames,
    )


def server_of(app: Guard, address: Address) -> uvicorn.Server:
    """Return what serves `app` at `address`, silently, when it is run."""
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host=address.host,
            port=address.port,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
    )
    logging.getLogger("uvicorn.error").addFilter(_is_no_farewell)
    return server


def _is_no_farewell(record: logging.LogRecord) -> bool:
    """Return whether a message of uvicorn says more than that a page was open when the studio closed."""
    error = None if record.exc_info is None else record.exc_info[1]
    return not (isinstance(error, CancelledError) or record.getMessage().startswith("Cancel "))
