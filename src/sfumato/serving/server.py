"""The studio as a server: the page behind the guard, on this machine alone unless it is told otherwise."""

import errno
import logging
import os
import socket
from asyncio import CancelledError
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Final

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr
import uvicorn

from sfumato.errors import InputError, SfumatoError
from sfumato.serving.cleaning import CleanUploads
from sfumato.serving.desk import ALONE, Desk
from sfumato.serving.frontend import Frontend
from sfumato.serving.guard import Guard
from sfumato.serving.hosts import bracketed, hosts_of, listened, opened_at, outside_of, split_host
from sfumato.serving.live import Live
from sfumato.serving.mounting import MAX_UPLOAD as MAX_UPLOAD
from sfumato.serving.studio.look import Dressed

HERE: Final = "127.0.0.1"
PORT: Final = 7860
_HINTS: Final = {
    errno.EADDRINUSE: "Is a studio open already? Choose another port; 0 takes any that is free.",
    errno.EACCES: "Ports below 1024 are for the system: choose one above.",
}


@dataclass(frozen=True)
class Address:
    """Where the studio listens: at `host`, an address of this machine, and `port`, 0 for any that is free.
    Beyond this machine only with a `password`; `hosts` are the further names by which it is reached, as in
    the address of the page. `outside` is the address at which a proxy of the person's own shows it, as
    notebooks do, and `frames` are the pages that may show it in a frame (see `Guard`). Addresses are kept as
    browsers write them. Raises InputError for what cannot be used.
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
        return self.inside if self.outside is None else f"{self.outside}/"

    @property
    def inside(self) -> str:
        """Where it is for this machine, and so for a proxy on it."""
        return opened_at(self.host, self.port)

    def __post_init__(self) -> None:
        object.__setattr__(self, "host", listened(self.host))
        if self.outside is not None:
            object.__setattr__(self, "outside", outside_of(self.outside))
        hosts_of(self.hosts)
        if not 0 <= self.port <= 65535:
            raise InputError("is no port", field="port", value=self.port, hint="Choose one from 0 to 65535.")
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
    origins = frozenset[str]() if address.outside is None else frozenset({address.outside})
    proxies = [one.partition("://")[2] for one in origins]
    # Some proxies name the port that they listen at, and some do not.
    names = (*address.hosts, bracketed(address.host), *proxies, *(split_host(one)[0] for one in proxies))
    # Parts that somebody added may take files of any kind.
    clean = CleanUploads(live, desk.settings.max_pixels, others=page is not None)
    return Guard(
        Frontend(clean),
        hosts=hosts_of(names),
        password=address.password,
        alone=alone,
        origins=origins,
        frames=address.frames,
    )


def listening_at(address: Address) -> tuple[Address, list[socket.socket]]:
    """Listen, and return with the sockets where that is: a name such as localhost may have several addresses,
    all at one port. Whoever calls closes them. Raises InputError where that cannot be done.
    """
    port = address.port
    with ExitStack() as opened:
        try:
            found = dict.fromkeys(
                (family, where)
                for family, *_, where in socket.getaddrinfo(address.host, None, type=socket.SOCK_STREAM)
            )
            sockets: list[socket.socket] = []
            for family, where in found:
                one = socket.create_server((where[0], port, *where[2:]), family=family)
                # asyncio does so only for sockets that name their protocol; with these, the second part
                # of an answer would wait for a receipt of the first, 40 ms with many clients.
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sockets.append(opened.enter_context(one))
                port = one.getsockname()[1]
        except OSError as error:
            hint = _HINTS.get(error.errno or 0)
            field, value = ("port", f"{bracketed(address.host)}:{port}") if hint else ("listen", address.host)
            hint = hint or "It has to be an address of this machine."
            reason = f"cannot be listened at: {_why(error)}"
            raise InputError(reason, field=field, value=value, hint=hint) from error
        opened.pop_all()
    return replace(address, port=port), sockets


def _why(error: OSError) -> str:
    """Return what the system says, without what Python adds to it; unknown names have other numbers."""
    number = error.errno or 0
    return os.strerror(number) if number in errno.errorcode else str(error.strerror)


def not_opened() -> SfumatoError:
    """Return what to raise when a server ended before it was open: it said itself why."""
    return SfumatoError("could not be opened", field="studio", hint="The lines above say why.")


def server_of(app: Guard) -> uvicorn.Server:
    """Return what serves `app`, silently, when it is run with the sockets of `listening_at`."""
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            lifespan="on",  # "auto" goes on when the page cannot begin
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
    )
    logging.getLogger("uvicorn.error").addFilter(_is_no_farewell)
    return server


def run(server: uvicorn.Server, sockets: list[socket.socket]) -> None:
    """Serve in this thread until it is told to end. Raises SfumatoError where it does not open."""
    try:
        server.run(sockets)
    except SystemExit as error:  # uvicorn's way to say so
        raise not_opened() from error


def _is_no_farewell(record: logging.LogRecord) -> bool:
    """Return whether a message of uvicorn says more than that a page was open when the studio closed."""
    error = None if record.exc_info is None else record.exc_info[1]
    return not (isinstance(error, CancelledError) or record.getMessage().startswith("Cancel "))
