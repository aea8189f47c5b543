"""The page in the look that is worn now: painted anew when somebody changes the look, or put together anew
where the look has other words or parts, with no restart.

Files are looked at while a page is open, which asks twice a second, and when one is opened. Pages and
drawings of before go on: what draws is the desk, and the application of before stays until its requests are
answered.
"""

import asyncio
import logging
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import _lru_cache_wrapper
from typing import Any, Final
from urllib.parse import parse_qs

import gradio as gr
from fastapi import FastAPI
from fastapi.dependencies import models as dependencies

from sfumato.models.memory import give_back
from sfumato.serving.copies import Copies
from sfumato.serving.desk import Desk
from sfumato.serving.guard import Receive, Scope, Send
from sfumato.serving.mounting import mounted, paint_of, repaint
from sfumato.serving.studio.build import build
from sfumato.serving.studio.check import problems_of
from sfumato.serving.studio.look import Dressed
from sfumato.serving.studio.news import PAINT, PLACE, answer_of
from sfumato.serving.studio.telling import without_folders
from sfumato.serving.studio.wearing import (
    UNUSABLE,
    Shape,
    Stamp,
    problem_of,
    read,
    shape_of,
    stamp_of,
    unusable,
)
from sfumato.serving.studio.words import words_of

_LOG: Final = logging.getLogger("sfumato.studio")
_PAUSE: Final = 0.1  # seconds between two looks at the files
_ASKED: Final = 2.0  # seconds that files are looked at after a page asked
_OFTEN: Final = 60.0  # seconds between two looks at what Gradio remembers
_SETTLED: Final = 0.1  # seconds for which files that are being written have to stand still
_MOST_WAITS: Final = 50  # for that, one after another
_CALM: Final = 2.0  # seconds after which what pages of before left is cleared away, all of Python waiting
_KEPT: Final = 2  # applications of before that go on, for pages that were not loaded again
_PAGES: Final = 1000  # whose application is remembered
_HEARTBEAT: Final = "/gradio_api/heartbeat/"


@dataclass(frozen=True)
class _Worn:
    """A page in a look: the application, what it was put together and painted as, the shape of the look, and
    its own lifespan once it is entered.
    """

    dressed: Dressed
    page: gr.Blocks
    app: FastAPI
    built: str
    made: str
    shape: Shape
    open: AsyncExitStack


class Live:
    """An ASGI application that shows the studio in the newest look that can be used, and answers `PLACE`.

    With a `page` that `build` made and somebody went on with, and for looks without a source, it stays as it
    is. Raises RecipeError for a look that cannot be used and has no source; one that has is worn as soon as
    it can be.
    """

    def __init__(
        self, desk: Desk, dressed: Dressed, *, outside: str | None, page: gr.Blocks | None, css: str
    ) -> None:
        self._desk, self._outside, self._css = desk, outside, css
        self._lock = asyncio.Lock()
        self._former: list[_Worn] = []
        self._pages: dict[str, str] = {}  # as what they were built, by Gradio's session
        self._tasks: set[asyncio.Task[None]] = set()
        self._clearing = False
        self._asked = -_ASKED
        self._watching = False
        self._looked = 0.0
        self._copies = Copies()
        self._tidied = time.monotonic()
        self._broken: tuple[str, ...] = ()
        if page is not None:
            dressed = replace(dressed, source=None)
        # Of the look that was read last, even if it could not be worn: a file that it lacks may come.
        self._watched = dressed
        self._seen = stamp_of(dressed)
        try:
            self._worn = self._make(dressed, page)
        except UNUSABLE as error:
            if dressed.source is None:
                raise
            self._worn = self._make(unusable(error, dressed.source), None)
        self._copies.add(self._worn.page)
        if self._worn.dressed.broken is not None:
            self._say(self._worn.dressed, self._worn.dressed.broken, "look_plain")
        self._tell(self._worn.dressed.notes)
        self._tell(_problems(self._worn.dressed))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if time.monotonic() - self._tidied > _OFTEN:
            self._tidied = time.monotonic()
            await asyncio.to_thread(self._copies.tidy)
        path = scope["path"]
        if path in ("/", PLACE) and scope["method"] == "GET":
            await self._look()
        if path == PLACE:
            self._watch()
            await _answer(answer_of(self._worn.made, self._worn.built, self._notes()), send)
            return
        if path == PAINT:
            worn = self._worn
            await _answer(paint_of(worn.page, worn.dressed, worn.made, worn.built), send)
            return
        await self._that_made(_session_of(scope)).app(scope, receive, send)

    def _that_made(self, session: str) -> _Worn:
        """Return what the page of a session belongs to: its parts have other numbers in another."""
        built = self._pages.pop(session, self._worn.built)
        worn = next((one for one in self._former if one.built == built), self._worn)
        if session:
            self._pages[session] = worn.built
            if len(self._pages) > _PAGES:
                del self._pages[next(iter(self._pages))]
        return worn

    def _notes(self) -> tuple[str, ...]:
        return (*self._broken, *self._worn.dressed.notes)

    def _make(self, dressed: Dressed, page: gr.Blocks | None) -> _Worn:
        """Put the page together."""
        made, shape = _now(), shape_of(dressed)
        page = build(self._desk, dressed) if page is None else page
        app = mounted(page, dressed, made, css=self._css, outside=self._outside)
        return _Worn(dressed, page, app, made, made, shape, AsyncExitStack())

    def _repainted(self, dressed: Dressed) -> _Worn | None:
        """Have the page wear a look; None for one that it has to be put together anew for."""
        worn = self._worn
        if shape_of(dressed) != worn.shape:
            return None
        made = _now()
        repaint(worn.page, dressed, made, worn.built, css=self._css)
        return replace(worn, dressed=dressed, made=made)

    def _watch(self) -> None:
        """Look at the files until no page has asked for a while, and not only as one asks: pages are put
        together by the time that they do.
        """
        self._asked = time.monotonic()
        if self._worn.dressed.source is not None and not self._watching:
            self._watching = True
            self._begin(self._look_often())

    async def _look_often(self) -> None:
        try:
            while time.monotonic() - self._asked < _ASKED:
                await asyncio.sleep(_PAUSE)
                await self._look()
        finally:
            self._watching = False

    async def _look(self) -> None:
        """Wear what somebody changed the look to, if they did; whoever comes meanwhile waits for it."""
        source = self._worn.dressed.source
        if source is None:
            return
        async with self._lock:
            if time.monotonic() - self._looked < _PAUSE:
                return
            self._looked = time.monotonic()
            seen = stamp_of(self._watched)
            if seen == self._seen:
                return
            self._seen = await self._settled(seen)
            try:
                dressed = await asyncio.to_thread(read, source, self._desk.settings)
                self._watched, self._seen = dressed, stamp_of(dressed)
                painted = await asyncio.to_thread(self._repainted, dressed)
                worn = painted or await asyncio.to_thread(self._make, dressed, None)
            except UNUSABLE as error:
                self._say(self._worn.dressed, problem_of(error, source))
                return
            if painted is None:
                await worn.open.enter_async_context(worn.app.router.lifespan_context(worn.app))
                await asyncio.to_thread(self._copies.add, worn.page)
                self._former.append(self._worn)
            self._worn, self._broken = worn, ()
            self._tell(dressed.notes)
            self._tell(await asyncio.to_thread(_problems, dressed))
            while len(self._former) > _KEPT:
                await self._close(self._former.pop(0))

    async def _settled(self, seen: Stamp) -> Stamp:
        """Wait until files that are being written stand still, but not for ever."""
        for _ in range(_MOST_WAITS):
            await asyncio.sleep(_SETTLED)
            before, seen = seen, stamp_of(self._watched)
            if seen == before:
                break
        return seen

    async def _close(self, worn: _Worn) -> None:
        self._pages = {session: built for session, built in self._pages.items() if built != worn.built}
        await worn.open.aclose()
        self._begin(self._let_go(worn.page))

    def _begin(self, doing: Coroutine[Any, Any, None]) -> None:
        """Have something done meanwhile; asyncio itself forgets what nobody refers to."""
        task = asyncio.create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _let_go(self, page: gr.Blocks) -> None:
        """Let go of a page of before, once nothing is under way in it. Its parts refer to each other in
        circles, which Python looks for seldom: hundreds of MB would lie there by then.
        """
        await _end(page, self._copies)
        del page
        if not self._clearing:
            self._clearing = True
            await asyncio.sleep(_CALM)
            self._clearing = False
            await asyncio.to_thread(give_back)

    async def _live(self, receive: Receive, send: Send) -> None:
        """Answer the server that this begins and ends."""
        await receive()
        try:
            await self._worn.open.enter_async_context(self._worn.app.router.lifespan_context(self._worn.app))
        except Exception as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            raise
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for task in self._tasks:
            task.cancel()
        self._copies.tidy()  # Gradio removes what it knows of
        for worn in (*self._former, self._worn):
            await worn.open.aclose()
        await send({"type": "lifespan.shutdown.complete"})

    def _say(self, dressed: Dressed, problem: str, what: str = "look_kept") -> None:
        """Have the page, in the words of `dressed`, and the terminal say that the look cannot be used."""
        self._broken = (words_of(dressed.look)(what, without_folders(problem)),)
        self._tell(self._broken)

    def _tell(self, lines: tuple[str, ...]) -> None:
        for line in lines:
            _LOG.warning("%s", line)


def _problems(dressed: Dressed) -> tuple[str, ...]:
    """Return what `sfumato studio theme check` refuses in a look that somebody writes, for who writes it."""
    return () if dressed.source is None else tuple(f"problem: {one}" for one in problems_of(dressed))


def _now() -> str:
    """Return a number that says when, so that pages of a studio before this one know too."""
    return f"{time.time_ns():x}"


async def _end(page: gr.Blocks, copies: Copies) -> None:
    """End what would keep a page of before for good, once nothing is under way in it: Gradio's tasks, and
    what FastAPI remembers of functions that it saw, which is only how they are called.
    """
    # Private, as in `streams`; tests/serving/test_live.py fails if it moves.
    queue = page._queue
    while len(queue) or any(queue.active_jobs):
        await asyncio.sleep(_PAUSE)
    queue.close()
    copies.remove(page)
    for one in vars(dependencies).values():
        if isinstance(one, _lru_cache_wrapper):
            one.cache_clear()


def _session_of(scope: Scope) -> str:
    """Return the session of Gradio's that a request names, "" for none: in its body, as the guard read it, in
    its query, or in its path.
    """
    told = scope.get("state", {}).get("session", "")
    if told:
        return told
    _, heartbeat, session = scope["path"].partition(_HEARTBEAT)
    if heartbeat:
        return session
    asked = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    return asked.get("session_hash", [""])[0]


async def _answer(body: bytes, send: Send) -> None:
    headers: list[Any] = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
