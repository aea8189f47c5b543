"""The page in the look that is worn now: put together anew when somebody changes the look, with no restart.

Files are looked at while a page is open, which asks twice a second, and when one is opened. Pages and
drawings of before go on: what draws is the desk, and the application of before stays until its requests are
answered.
"""

import asyncio
import logging
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import _lru_cache_wrapper
from typing import Any, Final
from urllib.parse import parse_qs

import gradio as gr
from fastapi import FastAPI
from fastapi.dependencies import models as dependencies

from sfumato.serving.copies import Copies
from sfumato.serving.desk import Desk
from sfumato.serving.guard import Receive, Scope, Send
from sfumato.serving.mounting import mounted
from sfumato.serving.studio.build import build
from sfumato.serving.studio.check import problems_of
from sfumato.serving.studio.look import Dressed
from sfumato.serving.studio.news import PLACE, answer_of
from sfumato.serving.studio.telling import without_folders
from sfumato.serving.studio.wearing import UNUSABLE, Stamp, problem_of, read, stamp_of, unusable
from sfumato.serving.studio.words import words_of

_LOG: Final = logging.getLogger("sfumato.studio")
_PAUSE: Final = 0.3  # seconds between two looks at the files
_OFTEN: Final = 60.0  # seconds between two looks at what Gradio remembers
_SETTLED: Final = 0.1  # seconds for which files that are being written have to stand still
_KEPT: Final = 2  # applications of before that go on, for pages that were not loaded again
_PAGES: Final = 1000  # whose application is remembered
_HEARTBEAT: Final = "/gradio_api/heartbeat/"


@dataclass(frozen=True)
class _Worn:
    """A page in a look: the application, what it was made as, and its own lifespan once it is entered."""

    dressed: Dressed
    page: gr.Blocks
    app: FastAPI
    made: str
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
        self._pages: dict[str, _Worn] = {}  # by Gradio's session
        self._leaving: set[asyncio.Task[None]] = set()
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
            await _answer(answer_of(self._worn.made, self._notes()), send)
            return
        await self._that_made(_session_of(scope)).app(scope, receive, send)

    def _that_made(self, session: str) -> _Worn:
        """Return what the page of a session belongs to: its parts have other numbers in another."""
        worn = self._pages.pop(session, self._worn)
        if not any(worn is one for one in self._former):
            worn = self._worn
        if session:
            self._pages[session] = worn
            if len(self._pages) > _PAGES:
                del self._pages[next(iter(self._pages))]
        return worn

    def _notes(self) -> tuple[str, ...]:
        return (*self._broken, *self._worn.dressed.notes)

    def _make(self, dressed: Dressed, page: gr.Blocks | None) -> _Worn:
        """Put the page together. The number says when, so that pages of a studio before this one know too."""
        made = f"{time.time_ns():x}"
        page = build(self._desk, dressed) if page is None else page
        app = mounted(page, dressed, made, css=self._css, outside=self._outside)
        return _Worn(dressed, page, app, made, AsyncExitStack())

    async def _look(self) -> None:
        """Wear what somebody changed the look to, if they did; one look at the files at a time."""
        source = self._worn.dressed.source
        if source is None or time.monotonic() - self._looked < _PAUSE or self._lock.locked():
            return
        async with self._lock:
            self._looked = time.monotonic()
            seen = stamp_of(self._watched)
            if seen == self._seen:
                return
            self._seen = await self._settled(seen)
            try:
                dressed = await asyncio.to_thread(read, source, self._desk.settings)
                self._watched, self._seen = dressed, stamp_of(dressed)
                worn = await asyncio.to_thread(self._make, dressed, None)
            except UNUSABLE as error:
                self._say(self._worn.dressed, problem_of(error, source))
                return
            await worn.open.enter_async_context(worn.app.router.lifespan_context(worn.app))
            await asyncio.to_thread(self._copies.add, worn.page)
            self._former.append(self._worn)
            self._worn, self._broken = worn, ()
            self._tell(dressed.notes)
            self._tell(await asyncio.to_thread(_problems, dressed))
            while len(self._former) > _KEPT:
                await self._close(self._former.pop(0))

    async def _settled(self, seen: Stamp) -> Stamp:
        """Wait until files that are being written stand still."""
        while True:
            await asyncio.sleep(_SETTLED)
            again = stamp_of(self._watched)
            if again == seen:
                return again
            seen = again

    async def _close(self, worn: _Worn) -> None:
        self._pages = {session: one for session, one in self._pages.items() if one is not worn}
        await worn.open.aclose()
        leaving = asyncio.create_task(_let_go(worn.page, self._copies))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

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


async def _let_go(page: gr.Blocks, copies: Copies) -> None:
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
