"""Streams of events that end only when a page has been still for a while.

Gradio (6.31) sends all events of a page down one stream, and ends it when nothing is under way. What a page
asks for in that very moment is done, but the page never hears of it: it still takes the stream for open as it
asks, and the end reaches it after that. Of 150 pages on which somebody pressed Ctrl+Enter as they opened, 5
waited for ever on a busy machine. Here the end is held back for `LINGER` seconds, and what is asked for in
between goes down the same stream.
"""

import asyncio
from contextlib import suppress
from typing import Final
from urllib.parse import parse_qs

import gradio as gr

from sfumato.serving.guard import Application, Message, Receive, Scope, Send

PATH: Final = "/gradio_api/queue/data"
LINGER: Final = 3.0  # seconds; browsers have six connections to a server, so none is kept for good
_OFTEN: Final = 0.05  # seconds between two looks
_END: Final = b'data: {"msg":"close_stream"'  # how the last message of a stream begins


class OpenStreams:
    """An ASGI application around that of `page`, which keeps its streams of events open for a while."""

    def __init__(self, app: Application, page: gr.Blocks, linger: float = LINGER) -> None:
        self._app, self._page, self._linger = app, page, linger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].endswith(PATH):
            await self._held_open(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _held_open(self, scope: Scope, receive: Receive, send: Send) -> None:
        session = _session_of(scope)
        begun = False
        while True:
            end = _End(send, begun)
            await self._app(dict(scope), receive, end)
            begun = True
            if not end.held:  # the page left, or the stream broke, and that was told
                return
            if not await self._asked_again(session, receive):
                break
        with suppress(OSError):
            for message in end.held:
                await send(message)

    async def _asked_again(self, session: str, receive: Receive) -> bool:
        """Wait until the page asks for something more. Returns False when it did not, or was left."""
        left = asyncio.ensure_future(receive())
        try:
            for _ in range(round(self._linger / _OFTEN)):
                # Private, but the only place that knows; tests/serving/test_streams.py fails if it moves.
                if self._page._queue.pending_event_ids_session.get(session):
                    return True
                done, _ = await asyncio.wait([left], timeout=_OFTEN)
                if done and left.result()["type"] == "http.disconnect":
                    return False
                if done:
                    left = asyncio.ensure_future(receive())
            return bool(self._page._queue.pending_event_ids_session.get(session))
        finally:
            left.cancel()


class _End:
    """Sends on what a stream says, but the end of it, which it keeps in `held`."""

    def __init__(self, send: Send, begun: bool) -> None:
        self._send, self._begun = send, begun
        self.held: list[Message] = []

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if not self._begun:
                await self._send(message)
        elif self.held or bytes(message.get("body", b"")).startswith(_END):
            self.held.append(message)
        else:
            await self._send(message)


def _session_of(scope: Scope) -> str:
    asked = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    return asked.get("session_hash", [""])[0]
