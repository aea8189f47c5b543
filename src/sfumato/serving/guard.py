"""What a request must be before anything else sees it. An ASGI application around another.

A page that listens on this machine alone can still be reached by every web site that the browser shows: by
requests across sites, and by names that are made to point here (DNS rebinding). So each request has to name a
host of ours, and what changes something, or opens a stream, has to come from a page of ours. With a password,
nothing at all is answered without it.
"""

import base64
import hmac
import json
import logging
import re
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

from sfumato.serving.hosts import LOOPBACK, PORTS, split_host

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

_LOG: Final = logging.getLogger("sfumato.studio")
VISITOR: Final = "sfumato-visitor"  # the cookie that tells visitors apart
MAX_BODY: Final = 64 * 2**20  # bytes of one request
USER: Final = "sfumato"
_CHANGING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
# Of Gradio: it fetches addresses for whoever asks, and tells who uses the page.
_CLOSED: Final = ("/monitoring", "/gradio_api/monitoring", "/gradio_api/deep_link")
_FILE: Final = "/gradio_api/file="
_ASKING: Final = "/gradio_api/"  # what of Gradio's takes values, and in them files by their paths
_ADDRESS: Final = re.compile(r"\s*[a-z][a-z0-9+.-]*:", re.IGNORECASE)
# Anybody can say them, and Gradio makes the page's addresses of them.
_HEARSAY: Final = (b"x-forwarded-", b"forwarded", b"x-gradio-server")
_HEADERS: Final[tuple[tuple[bytes, bytes], ...]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (
        b"content-security-policy",
        b"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'self'; "
        b"object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'",
    ),
)


@dataclass(frozen=True)
class Refusal(Exception):
    """Why a request is not answered: the status of HTTP, and a sentence."""

    status: int
    reason: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True)
class Guard:
    """Lets through to `inner` what names one of `hosts` (brackets around IPv6) and comes from them: names of
    this machine at the port that is listened at, one with a port at that one, and any other at every port, as
    somebody's own proxy has another. With a `password`, which the user "sfumato" gives by HTTP's basic
    authentication, nothing without it. Each request has `scope["state"]["visitor"]`: who asks, from a cookie,
    or `alone` where everybody is the same person. `origins` are further addresses, such as https://name, at
    which a proxy of the person's own shows the page, and the only ones at that name; `frames` those of pages
    that may show it in a frame, as the rule frame-ancestors of a Content-Security-Policy takes them.
    """

    inner: Application
    hosts: frozenset[str] = frozenset(LOOPBACK)
    password: str | None = None
    alone: str | None = "me"
    max_body: int = MAX_BODY
    origins: frozenset[str] = frozenset()
    frames: tuple[str, ...] = ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.inner(scope, receive, send)
            return
        headers = _headers(scope["headers"])
        try:
            self._check(scope, headers)
            _check_length(headers, self.max_body)
        except Refusal as refusal:
            await _refuse(scope, refusal, send)
            return
        known = self.alone or _visitor(headers)
        visitor = known or secrets.token_urlsafe(16)
        heard = [one for one in scope["headers"] if not one[0].lower().startswith(_HEARSAY)]
        scope = {**scope, "headers": heard, "state": {**scope.get("state", {}), "visitor": visitor}}

        answered = False

        async def answer(message: Message) -> None:
            nonlocal answered
            answered = message["type"] == "http.response.body" and not message.get("more_body", False)
            if message["type"] == "http.response.start":
                kept = [one for one in message.get("headers", ()) if one[0].lower() not in _NAMES]
                more = [*_framed(self.frames)]
                if known is None:
                    cookie = f"{VISITOR}={visitor}; Path=/; HttpOnly; SameSite=Strict; Max-Age=31536000"
                    more.append((b"set-cookie", cookie.encode()))
                message = {**message, "headers": [*kept, *more]}
            await send(message)

        limited: Receive = _Limited(receive, self.max_body)
        try:
            if _takes_values(scope, headers):
                limited, session = await _without_addresses(limited)
                scope["state"]["session"] = session
            await self.inner(scope, limited, answer)
        except Refusal as refusal:  # a body that turned out too long, or to ask for something to be fetched
            await _refuse(scope, refusal, send)
        except Exception:
            if not answered:
                raise
            # The whole of an answer says that it went wrong. The server would close the connection, on which
            # the next request may be on its way.
            _LOG.exception("What answers %s went wrong", scope["path"])

    def _check(self, scope: Scope, headers: Mapping[str, str]) -> None:
        host = headers.get("host", "")
        _check_host(host, self.hosts, scope)
        self._check_password(headers)
        path = unquote(scope["path"])
        here = f"{_scheme(scope)}://{host}".lower()
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
        moving = scope["type"] == "websocket" or scope["method"] in _CHANGING
        visiting = headers.get("sec-fetch-mode") == "navigate" and not moving
        proxied = {split_host(one.partition("://")[2])[0] for one in self.origins}
        ours = self.origins if split_host(host)[0] in proxied else {here, *self.origins}
        if (origin is not None and origin.lower() not in ours) or (site == "cross-site" and not visiting):
            raise Refusal(403, "This request comes from another site.")
        if path.startswith(_CLOSED) or (_FILE in path and "://" in path.partition(_FILE)[2]):
            raise Refusal(403, "This is not offered here.")

    def _check_password(self, headers: Mapping[str, str]) -> None:
        if self.password is None:
            return
        wanted = base64.b64encode(f"{USER}:{self.password}".encode())
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() != "basic" or not hmac.compare_digest(given.strip().encode(), wanted):
            asked = ((b"www-authenticate", b'Basic realm="Sfumato", charset="UTF-8"'),)
            raise Refusal(401, "This page asks for a password.", asked)


_NAMES: Final = frozenset(name for name, _ in _HEADERS)


class _Limited:
    """Counts what is received, and refuses more than `most` bytes."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive, self._left = receive, most

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                raise Refusal(413, "This is too large.")
        return message


def _takes_values(scope: Scope, headers: Mapping[str, str]) -> bool:
    asks = scope["type"] == "http" and scope["method"] in _CHANGING and _ASKING in unquote(scope["path"])
    return asks and headers.get("content-type", "").partition(";")[0].strip().lower() != "multipart/form-data"


async def _without_addresses(receive: Receive) -> tuple[Receive, str]:
    """Read a whole body, and return what gives it again, and the session of Gradio's that it belongs to.
    Raises Refusal for one in which a file is named by an address: Gradio would fetch it.
    """
    parts: list[bytes] = []
    message: Message = {"type": "http.request", "more_body": True}
    while message["type"] == "http.request" and message.get("more_body", False):
        message = await receive()
        parts.append(message.get("body", b""))
    body = b"".join(parts)
    try:
        values = json.loads(body) if body else None
    except (ValueError, RecursionError):
        raise Refusal(400, "This is no JSON.") from None
    left = [values]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            path = one.get("path")
            if isinstance(path, str) and _ADDRESS.match(path) and not re.match(r"[a-z]:[\\/]", path, re.I):
                raise Refusal(403, "Nothing is fetched here: upload the file.")
            left += one.values()
        elif isinstance(one, list):
            left += one
    last, given = message, False

    async def again() -> Message:
        nonlocal given
        if given or last["type"] != "http.request":
            return await receive() if given else last
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    session = values.get("session_hash") if isinstance(values, dict) else None
    return again, session if isinstance(session, str) else ""


def _framed(frames: tuple[str, ...]) -> tuple[tuple[bytes, bytes], ...]:
    """Return the headers of every answer, with `frames` among those that may show the page in one."""
    rule = b"frame-ancestors 'self'"
    wider = b" ".join((rule, *(one.encode("ascii") for one in frames)))
    return tuple((name, value.replace(rule, wider)) for name, value in _HEADERS)


def _scheme(scope: Scope) -> str:
    return "https" if scope["scheme"] in ("https", "wss") else "http"


def _check_host(host: str, hosts: frozenset[str], scope: Scope) -> None:
    """Raise Refusal for a host that is none of `hosts`, and for one of this machine's own names with another
    port than the one that is listened at: Gradio makes the addresses of the page of what it is told here.
    """
    name, port = split_host(host)
    port = PORTS[_scheme(scope)] if port is None else port
    if f"{name}:{port}" in hosts:
        return  # somebody said this very port
    if name not in hosts:
        raise Refusal(400, "This server is not reached by that name, or not at that port.")
    _, listening = scope.get("server") or (None, None)
    if name not in LOOPBACK or listening is None:
        return
    if port != listening:
        hint = f"To reach it at another, as through a tunnel, open it with --name {name}:{port}"
        raise Refusal(400, f"This server listens at port {listening}. {hint}.")


def _headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return headers by name. Those that decide are there once, or they say nothing that could be trusted."""
    found: dict[str, str] = {}
    for name, value in pairs:
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


def _check_length(headers: Mapping[str, str], most: int) -> None:
    written = headers.get("content-length", "0")
    if not written.isdecimal() or len(written) > 18:
        raise Refusal(400, "The length of this request is no number.")
    if int(written) > most:
        raise Refusal(413, "This is too large.")


def _visitor(headers: Mapping[str, str]) -> str | None:
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(VISITOR)
    except CookieError:
        return None
    usable = cookie is not None and 16 <= len(cookie.value) <= 64 and cookie.value.isascii()
    return cookie.value if usable and cookie is not None else None


async def _refuse(scope: Scope, refusal: Refusal, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": refusal.reason})
        return
    body = refusal.reason.encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        *refusal.headers,
        *_HEADERS,
    ]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
