"""What Gradio's page is made of, its scripts, rules and fonts, straight from memory.

A page that opens asks for more than a hundred of them at once. By Gradio's own way (6.31) each took 6 ms of a
processor, most of it to find out who answers and to compress the same file once more. Nor did it say how long
they may be kept, so that a page that was loaded again asked for all of them again.
"""

import asyncio
import gzip
from functools import cached_property
from pathlib import Path
from typing import Final

from gradio.routes import BUILD_PATH_LIB, STATIC_PATH_LIB

from sfumato.serving.guard import Application, Receive, Scope, Send
from sfumato.serving.hosts import LOOPBACK, split_host

#: Under which names they are asked for, where they are, and how long a browser may keep them without asking.
#: The names of the first have a digest of what is in them.
_FOLDERS: Final = (
    ("/assets/", Path(BUILD_PATH_LIB), b"private, max-age=31536000, immutable"),
    ("/static/fonts/", Path(STATIC_PATH_LIB) / "fonts", b"private, max-age=86400"),
)
#: Said here, as systems differ in what they say of names, and no browser runs a script called plain text.
_KINDS: Final = {
    ".js": b"text/javascript; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".svg": b"image/svg+xml",
    ".woff": b"font/woff",
    ".woff2": b"font/woff2",
    ".ttf": b"font/ttf",
}
_PACKED: Final = frozenset({".woff", ".woff2"})  # already


class Frontend:
    """An ASGI application around `app` that answers for Gradio's own files itself.

    What is sent over a network is compressed, once, for those who take it; to a browser on this machine,
    which has no network to spare, it goes as it is.
    """

    def __init__(self, app: Application) -> None:
        self._app = app
        self._kept: dict[tuple[Path, bool], bytes] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = None
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
            found = self._files.get(scope["path"])
        if found is None:
            await self._app(scope, receive, send)
            return
        path, keep = found
        packed = path.suffix not in _PACKED and _is_far_and_unpacks(scope)
        body = self._kept.get((path, packed))
        if body is None:
            body = await asyncio.to_thread(_read, path, packed)
            self._kept[path, packed] = body
        headers = [
            (b"content-type", _KINDS[path.suffix]),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", keep),
            (b"vary", b"accept-encoding, host"),
        ]
        if packed:
            headers.append((b"content-encoding", b"gzip"))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    @cached_property
    def _files(self) -> dict[str, tuple[Path, bytes]]:
        """What there is, by path of a request: nothing else can be asked for here."""
        return {
            f"{below}{file.relative_to(folder).as_posix()}": (file, keep)
            for below, folder, keep in _FOLDERS
            for file in folder.rglob("*")
            if file.suffix in _KINDS and file.is_file()
        }


def _is_far_and_unpacks(scope: Scope) -> bool:
    """Return whether the page was asked for by another name than this machine's own, by what takes gzip."""
    headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    near = split_host(headers.get(b"host", ""))[0] in LOOPBACK
    takes = (one.strip().lower() for one in headers.get(b"accept-encoding", "").split(","))
    return not near and "gzip" in takes


def _read(path: Path, packed: bool) -> bytes:
    body = path.read_bytes()
    return gzip.compress(body) if packed else body
