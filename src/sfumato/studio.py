"""The studio for Python: opened from a program or a notebook, in a look, and with parts of one's own.

    import gradio as gr
    import sfumato

    with sfumato.studio.build(theme="night") as demo:
        gr.Markdown("Made for our course.")
    demo.open()
    demo.wait()

In one line, `sfumato.studio(theme="night", blocks_css="...")` builds it and opens it: the module is callable.
Needs the extra studio. Everything else is imported when a studio is built.
"""

import atexit
import os
import socket
import sys
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from html import escape
from importlib import import_module
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sfumato.errors import InputError, MissingExtraError, closest
from sfumato.settings import Settings

if TYPE_CHECKING:
    import gradio
    import uvicorn

    from sfumato.serving.desk import Desk
    from sfumato.serving.guard import Guard
    from sfumato.serving.server import Address
    from sfumato.serving.studio.look import Dressed

    Theme: TypeAlias = str | Path | gradio.themes.ThemeClass

_INSTALL: Final = 'Run: pip install "sfumato[studio]"'
_PATIENCE: Final = 60.0  # seconds for a server to open, and to close, on the busiest machine
#: Pages that show the studio in a frame: notebooks on this machine, and Colab's: the notebook, and the frame
#: of a cell's output, which is between the two.
NOTEBOOKS: Final = ("http://localhost:*", "http://127.0.0.1:*")
_COLAB: Final = (
    "https://colab.research.google.com",
    "https://*.googleusercontent.com",
    "https://*.colab.dev",
)


@dataclass(frozen=True)
class Frame:
    """The studio inside a notebook: what the last line of a cell shows. `height` in pixels."""

    url: str
    height: int = 900

    def _repr_html_(self) -> str:
        return (
            f'<iframe src="{escape(self.url, quote=True)}" title="Sfumato" allow="clipboard-write" '
            f'style="width: 100%; height: {self.height}px; border: 0"></iframe>'
        )


class Studio:
    """A studio that was built. As a context it takes in parts of one's own: components of Gradio that are
    made inside stand below the tabs. `page` is Gradio's page, `desk` what it draws with, and `url` where it
    is open, None where it is not.
    """

    def __init__(self, desk: "Desk", dressed: "Dressed", page: "gradio.Blocks", css: str) -> None:
        self.desk, self.dressed, self.page, self._css = desk, dressed, page, css
        self.url: str | None = None
        self._closing = ExitStack()
        self._serving: tuple[uvicorn.Server, Thread, ExitStack] | None = None

    def __enter__(self) -> "Studio":
        self.page.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.page.__exit__(kind, error, where)

    def application(self, address: "Address | None" = None) -> "Guard":
        """Return the studio as an ASGI application, to be served by a server of one's own at `address`, or at
        port 7860 of this machine. Host and Origin of each request are checked (see the guard).
        """
        from sfumato.serving.server import Address, application

        return application(self.desk, self.dressed, address or Address(), self.page, self._css)

    def open(self, port: int = 0, *, outside: str | None = None, frames: tuple[str, ...] = ()) -> str:
        """Serve the studio in the background, for this machine alone, and return its address.

        `port` 0 takes any that is free. `outside` is the address, such as https://name, at which a proxy of
        one's own shows it, `frames` are the pages that may show it in a frame. Raises InputError for a port
        that is taken, an `outside` that is no such address, and a studio that is open, and SfumatoError where
        the server does not open.
        """
        from sfumato.serving.server import Address, listening_at, not_opened, server_of

        if self._serving is not None:
            raise InputError("is open already", field="studio", hint="Close it first: close()")
        address, sockets = listening_at(Address(port=port, outside=outside, frames=frames))
        with ExitStack() as listening:
            for one in sockets:
                listening.enter_context(one)
            server = server_of(self.application(address))
            # Its own thread, as the cells of a notebook have to go on.
            thread = Thread(target=_serve, args=(server, sockets), name="sfumato-studio", daemon=True)
            thread.start()
            self._serving = server, thread, listening.pop_all()
        give_up = monotonic() + _PATIENCE
        while not server.started and thread.is_alive() and monotonic() < give_up:
            sleep(0.02)
        if not server.started:
            self._stop()
            raise not_opened()
        self.url = address.url
        return address.url

    def show(self, height: int = 900) -> Frame | None:
        """Open the studio inside a notebook, `height` pixels high, and return what the last line of a cell
        shows. In Colab its own proxy shows it, and nothing is returned. No link is shared: who does not see
        the notebook does not see the studio. The cell may be run again. Raises InputError where Colab does
        not say at which address its proxy shows it.
        """
        self._stop()
        try:
            output: Any = import_module("google.colab.output")
        except ModuleNotFoundError:
            return Frame(self.open(frames=NOTEBOOKS), height)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        outside = output.eval_js(f"google.colab.kernel.proxyPort({port})")
        if not isinstance(outside, str) or not outside.startswith("https://"):
            hint = "Run the cell in a notebook that is open in a browser, and connected."
            raise InputError("Colab gives the studio no address", field="show", value=outside, hint=hint)
        self.open(port, outside=outside, frames=_COLAB)
        output.serve_kernel_port_as_iframe(port, height=str(height))
        return None

    def wait(self) -> None:
        """Wait until the studio is closed, or Ctrl-C."""
        if self._serving is not None:
            self._serving[1].join()

    def close(self) -> None:
        """Close the studio; what was drawn is kept, and what waits is drawn when one opens again."""
        self._stop()
        self._closing.close()

    def _stop(self) -> None:
        if self._serving is not None:
            server, thread, listening = self._serving
            server.should_exit = True
            thread.join(_PATIENCE)
            listening.close()
            self._serving = self.url = None

    def _closes(self, stack: ExitStack) -> None:
        self._closing.push(stack)


def _serve(server: "uvicorn.Server", sockets: list[socket.socket]) -> None:
    with suppress(SystemExit):  # uvicorn's way to say that it did not open
        server.run(sockets)


def build(settings: Settings | None = None, *, theme: "Theme | None" = None, css: str = "") -> Studio:
    """Return the studio, not yet open.

    `settings` are those of the environment where they are left out; pictures are kept in its data folder.
    `theme` is the name of a look of ours ("night"), of a theme of Gradio ("soft") or of one on Hugging Face
    ("JohnSmith9982/small_and_pretty", which is fetched once and kept), a theme of Gradio itself
    (`gr.themes.Soft()`), or the folder of a studio.toml; without it, the person's own look. `css` are rules
    of one's own, after all others. Raises MissingExtraError without Gradio, RecipeError for a look that
    cannot be used, InputError for a folder without one, and OutputError for a data folder that cannot be
    used.
    """
    try:
        from sfumato.serving.studio.build import build as build_page
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"{error.name} is not installed", hint=_INSTALL) from error
    from sfumato.serving.desk import open_desk

    settings = Settings.from_environment(os.environ) if settings is None else settings
    dressed = look_of(theme, settings)
    _keep_apart()
    with ExitStack() as stack:
        desk = stack.enter_context(open_desk(settings, warm=True))
        studio = Studio(desk, dressed, build_page(desk, dressed), css)
        studio._closes(stack.pop_all())
    atexit.register(studio.close)
    return studio


def _keep_apart() -> None:
    """Have Gradio keep uploads, and its copies of what is shown, where no other program does: what is old
    there is removed. One folder for all studios of this process, which goes with it: the variable is read at
    each call, for all that Gradio shows here.
    """
    from sfumato.serving.scratch import has_copies, own_copies

    if not has_copies():
        copies = ExitStack()
        copies.enter_context(own_copies())
        atexit.register(copies.close)  # after the studios, which are registered later


def open(settings: Settings | None = None, *, theme: "Theme | None" = None, css: str = "") -> Studio:
    """Return a studio as `build` does, open in the background at any free port; `show` is for notebooks."""
    studio = build(settings, theme=theme, css=css)
    studio.open()
    return studio


def look_of(theme: "Theme | None", settings: Settings) -> "Dressed":
    """Return the look that `theme` names: see `build`. Raises RecipeError and InputError; a theme of Hugging
    Face's that cannot be had gives way to one that comes near, with a note that says so.
    """
    from sfumato.serving.studio.hub_theme import with_theme

    return with_theme(_look_of(theme, settings), settings, os.environ.get("HF_ENDPOINT") or None)


def _look_of(theme: "Theme | None", settings: Settings) -> "Dressed":
    from sfumato.serving.studio.hub_theme import is_hub_name, values_of
    from sfumato.serving.studio.look import FILE, Dressed, Look, built_in, names, read_look
    from sfumato.serving.studio.theme import THEMES

    if theme is None:
        return read_look(settings.data_dir / "studio")
    if not isinstance(theme, (str, Path)):
        return Dressed(Look(), Path(), theme=values_of(theme))
    if isinstance(theme, str) and theme in names():
        return built_in(theme)
    if isinstance(theme, str) and theme.lower() in THEMES:
        return Dressed(Look(theme=theme), Path())
    folder = Path(theme)
    if isinstance(theme, str) and is_hub_name(theme) and not folder.exists():
        return Dressed(Look(theme=theme), Path())
    if not (folder / FILE).is_file():
        near = closest(str(theme), (*names(), *THEMES))
        guess = "" if near is None else f"Did you mean {near}? "
        themes = f"a theme of Gradio ({', '.join(sorted(THEMES))})"
        hint = f"{guess}Name one of {', '.join(names())}, {themes}, or a folder with a {FILE}."
        raise InputError("is no look", field="theme", value=str(theme), hint=hint)
    return read_look(folder)


class Door(ModuleType):
    """This module, which is opened by calling it: `sfumato.studio(theme="night")`."""

    if TYPE_CHECKING:
        build = staticmethod(build)
        open = staticmethod(open)
        look_of = staticmethod(look_of)

    def __call__(
        self,
        settings: Settings | None = None,
        *,
        theme: "Theme | None" = None,
        blocks_css: str = "",
        css: str = "",
    ) -> Studio:
        """Return a studio as `open` does: built, and open in the background at any free port of this machine.

        `blocks_css` are rules of one's own after all others, by the name that Gradio's people know; `css` is
        the same, and comes after them.
        """
        return open(settings, theme=theme, css="\n".join(one for one in (blocks_css, css) if one))


sys.modules[__name__].__class__ = Door
