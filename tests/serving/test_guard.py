"""Requests that are let through, and all others."""

import asyncio
import base64
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sfumato.serving.guard import USER, VISITOR, Guard, Message, Receive, Scope, Send
from sfumato.serving.hosts import hosts_of

HERE = "127.0.0.1:7860"
SCRIPT = "<script>"


async def inside(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with who asks, after reading everything."""
    if scope["type"] == "http":
        while (await receive()).get("more_body"):
            pass
    visitor = scope["state"]["visitor"].encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"referrer-policy", b"x")]})
    await send({"type": "http.response.body", "body": visitor})


def ask(
    path: str = "/",
    method: str = "GET",
    *,
    guard: Guard | None = None,
    type_: str = "http",
    body: tuple[bytes, ...] = (b"",),
    server: Any = None,
    **headers: Any,
) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of the answer; 1008 is what a refused socket closes with."""
    sent: list[Message] = []
    parts = list(body)

    async def receive() -> Message:
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message: Message) -> None:
        sent.append(message)

    named = {"host": HERE, **{name.replace("_", "-"): value for name, value in headers.items()}}
    scope: dict[str, Any] = {
        "type": type_,
        "scheme": "http",
        "method": method,
        "path": path,
        "server": server,
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
    }
    # In a thread: the tests of the page in a browser keep a loop running in this one.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run((guard or Guard(inside))(scope, receive, send))).result()
    if sent[0]["type"] == "websocket.close":
        return sent[0]["code"], {}, b""
    said = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], said, b"".join(one.get("body", b"") for one in sent[1:])


@pytest.mark.parametrize("host", [HERE, "localhost:7860", "LOCALHOST", "[::1]:7860", "127.0.0.1"])
def test_this_machine_is_let_through(host: str) -> None:
    status, headers, body = ask(host=host)
    assert (status, body) == (200, b"me")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "set-cookie" not in headers


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "",
        "evil.example:7860",
        "[::1].evil",
        "0.0.0.0",
        "[fe80::1]",
        "127.0.0.1:7860, evil.example",
        "localhost:80:80",
        "::1",
        "::1:7860",
        "[::1",
        "::1]:7860",
        "[[::1]]:7860",
        "[::1]7860",
        "[::1]:7860@evil.example",
        "[::1%lo]:7860",
        "[::1%25lo]:7860",
        "[::]:7860",
        "[::1:7860]",
        "[::ffff:127.0.0.1]:7860",
        "[::g]:7860",
    ],
)
def test_other_names_are_refused(host: str) -> None:
    assert ask(host=host)[0] == 400
    assert ask(host=host, x_forwarded_host=HERE)[0] == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "https://127.0.0.1:7860"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"},
        {"origin": f"http://{HERE}.evil.example"},
    ],
)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_other_sites_change_nothing(headers: dict[str, str], method: str) -> None:
    status, _, _ = ask("/gradio_api/upload", method, guard=None, type_="http", body=(b"",), **headers)
    assert status == 403


def test_a_page_of_ours_may_and_a_link_leads_here() -> None:
    assert ask(method="POST", origin=f"http://{HERE}", sec_fetch_site="same-origin")[0] == 200
    assert ask(method="POST")[0] == 200  # no browser: curl, gradio_client
    assert ask(sec_fetch_site="cross-site", sec_fetch_mode="navigate")[0] == 200
    assert ask(sec_fetch_site="cross-site", sec_fetch_mode="no-cors")[0] == 403


def test_sockets_are_held_to_the_same() -> None:
    assert ask(type_="websocket", origin="http://evil.example")[0] == 1008
    assert ask(type_="websocket", host="evil.example")[0] == 1008


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=http://evil.example/x",
        "/gradio_api/file=https%3A%2F%2Fevil.example",
        "/studio/gradio_api/file=ftp://a",
        "/monitoring",
        "/gradio_api/monitoring/summary",
    ],
)
def test_what_gradio_offers_too_much_is_closed(path: str) -> None:
    assert ask(path)[0] == 403


def test_a_password_is_asked_of_everything() -> None:
    guard = Guard(inside, password="pässword", alone=None)
    good = "Basic " + base64.b64encode(f"{USER}:pässword".encode()).decode()
    wrong = "Basic " + base64.b64encode(f"{USER}:password".encode()).decode()
    for path in ("/", "/theme.css", "/gradio_api/info", "/config", "/cancel", "/openapi.json"):
        status, headers, _ = ask(path, guard=guard)
        assert status == 401
        assert headers["www-authenticate"].startswith("Basic ")
        assert ask(path, guard=guard, authorization=wrong)[0] == 401
        assert ask(path, guard=guard, authorization="Bearer " + good.partition(" ")[2])[0] == 401
        assert ask(path, guard=guard, authorization=good)[0] == 200


def test_visitors_are_told_apart_by_a_cookie_nobody_can_read() -> None:
    guard = Guard(inside, alone=None)
    _, headers, first = ask(guard=guard)
    assert headers["set-cookie"].startswith(f"{VISITOR}={first.decode()}; Path=/; HttpOnly; SameSite=Strict")
    _, headers, again = ask(guard=guard, cookie=f"a=b; {VISITOR}={first.decode()}")
    assert again == first
    assert "set-cookie" not in headers
    for odd in ("short", "x" * 65, '"' + SCRIPT + '"', ""):
        assert ask(guard=guard, cookie=f"{VISITOR}={odd}")[2] not in (odd.encode(), first)


def test_large_bodies_are_refused_announced_or_not() -> None:
    guard = Guard(inside, max_body=1000)
    assert ask(method="POST", guard=guard, content_length="1001")[0] == 413
    assert ask(method="POST", guard=guard, content_length="-1")[0] == 400
    assert ask(method="POST", guard=guard, content_length="9" * 30)[0] == 400
    assert ask(method="POST", guard=guard, body=(b"x" * 600, b"x" * 600))[0] == 413
    assert ask(method="POST", guard=guard, body=(b"x" * 600, b"x" * 400))[0] == 200


def test_ipv6_is_one_address_however_it_is_written() -> None:
    guard = Guard(inside, hosts=hosts_of(["[2001:DB8:0::5]:8000", "[fd00::1]"]))
    server = ("::1", 7860)
    for host in ("[2001:db8::5]:8000", "[2001:0DB8:0:0:0:0:0:5]:8000", "[fd00::1]:7860", "[::1]:7860"):
        assert ask(guard=guard, host=host, server=server)[0] == 200
        assert ask(guard=guard, host=host, server=server, method="POST", origin=f"http://{host}")[0] == 200
    for host in ("[2001:db8::5]:7860", "[2001:db8::5]", "[2001:db8::6]:8000", "[::1]:8000", "2001:db8::5"):
        assert ask(guard=guard, host=host, server=server)[0] == 400
    for origin in (
        "http://[::1]",
        "http://::1:7860",
        "http://[::1]:8000",
        "http://[::1%25lo]:7860",
        "http://[::1",
    ):
        assert ask(guard=guard, host="[::1]:7860", server=server, method="POST", origin=origin)[0] == 403


def test_further_hosts_are_named() -> None:
    guard = Guard(inside, hosts=hosts_of(["Studio.local:7860", "192.168.1.5"]))
    assert ask(guard=guard, host="studio.LOCAL:7860")[0] == 200
    assert ask(guard=guard, host="studio.local")[0] == 400  # which is port 80
    assert ask(guard=guard, host="192.168.1.5:7860")[0] == 200
    assert ask(guard=guard, host="192.168.1.5")[0] == 200  # a proxy of somebody's own
    assert ask(guard=guard, host=HERE)[0] == 200
    assert ask(guard=guard, host="192.168.1.6")[0] == 400


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:80", "localhost:78600"])
def test_this_machine_is_reached_at_its_own_port(host: str) -> None:
    """A tunnel or a container may give it another, which whoever opened it says."""
    status, _, body = ask(host=host, server=("127.0.0.1", 7860))
    assert status == 400
    assert b"listens at port 7860" in body
    assert ask(host="localhost:7860", server=("127.0.0.1", 7860))[0] == 200
    tunnel = Guard(inside, hosts=hosts_of(["localhost:8000"]))
    assert ask(guard=tunnel, host="LOCALHOST:8000", server=("127.0.0.1", 7860))[0] == 200
    assert ask(guard=tunnel, host="localhost:7860", server=("127.0.0.1", 7860))[0] == 200
    assert ask(guard=tunnel, host="127.0.0.1:8000", server=("127.0.0.1", 7860))[0] == 400
    usual = Guard(inside, hosts=hosts_of(["localhost:80"]))
    assert ask(guard=usual, host="localhost", server=("127.0.0.1", 7860))[0] == 200


def test_what_listens_at_no_port_takes_any() -> None:
    assert ask(host="localhost:8000", server=("/run/studio.sock", None))[0] == 200
    assert ask(host="localhost", server=None)[0] == 200


@pytest.mark.parametrize("name", ["x-forwarded-host", "X-Forwarded-Proto", "forwarded", "x-gradio-server"])
def test_what_anybody_can_say_of_where_this_is_goes_no_further(name: str) -> None:
    seen: list[Scope] = []

    async def keep(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await inside(scope, receive, send)

    said: dict[str, Any] = {name: "evil.example", "accept": "x"}
    assert ask(guard=Guard(keep), **said)[0] == 200
    assert dict(seen[0]["headers"]) == {b"host": HERE.encode(), b"accept": b"x"}


def test_a_proxy_of_ones_own_may_show_the_page_and_a_notebook_may_frame_it() -> None:
    outside = "https://abc-7860.example.com"
    guard = Guard(inside, origins=frozenset({outside}), frames=("http://localhost:*",))
    assert ask(method="POST", guard=guard, origin=outside)[0] == 200
    assert ask(method="POST", origin=outside)[0] == 403
    assert ask(method="POST", guard=guard, origin="https://other.example.com")[0] == 403
    # At its name nothing but the proxy: what is sent there without TLS may be somebody else's.
    named = Guard(inside, hosts=hosts_of(["abc-7860.example.com"]), origins=frozenset({outside}))
    there = "abc-7860.example.com"
    assert ask(method="POST", guard=named, host=there, origin=outside)[0] == 200
    assert ask(method="POST", guard=named, host=there, origin=f"http://{there}")[0] == 403
    policy = "content-security-policy"
    assert "frame-ancestors 'self' http://localhost:*" in ask(guard=guard)[1][policy]
    assert ask()[1][policy].endswith("frame-ancestors 'self'")


@pytest.mark.parametrize(
    "path",
    [
        "http://evil.example/a.png",
        "https://evil.example/a.png",
        " HTTP://evil.example",
        "ftp://a/b",
        "file:///etc/passwd",
        "data:image/png;base64,AAAA",
    ],
)
def test_a_file_that_is_named_by_an_address_is_refused(path: str) -> None:
    values = {"data": [None, {"background": {"path": path, "meta": {"_type": "gradio.FileData"}}}]}
    body = json.dumps(values).encode()
    halves = (body[:20], body[20:])
    for place in ("/gradio_api/queue/join", "/gradio_api/run/predict", "/gradio_api/call/x"):
        assert ask(place, "POST", body=halves, content_type="application/json")[0] == 403
        assert ask(place, "POST", body=halves, content_type="text/plain")[0] == 403
        for odd in ("application/json; x=multipart/", "application/json;multipart/form-data", ""):
            assert ask(place, "POST", body=halves, content_type=odd)[0] == 403


def test_addresses_in_words_are_words_and_the_body_arrives_whole() -> None:
    seen: list[bytes] = []

    async def keep(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    values = {
        "data": ["http://example.com/a.png", {"path": "/tmp/gradio/a.png", "url": f"http://{HERE}/a.png"}]
    }
    body = json.dumps(values).encode()
    guard = Guard(keep)
    parts = (body[:9], body[9:], b"")
    assert ask("/gradio_api/queue/join", "POST", guard=guard, body=parts)[0] == 200
    assert seen == [body]


@pytest.mark.parametrize("body", [b"{", b"[" * 100_000, b"\xff\xfe"])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    assert ask("/gradio_api/queue/join", "POST", body=(body,))[0] == 400


def test_a_body_that_is_too_long_is_refused_while_it_is_read() -> None:
    guard = Guard(inside, max_body=1000)
    assert ask("/gradio_api/queue/join", "POST", guard=guard, body=(b"x" * 600, b"x" * 600))[0] == 413


@pytest.mark.parametrize("whole", [True, False])
def test_what_goes_wrong_after_an_answer_is_told_and_leaves_the_connection(
    whole: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": b"wrong", "more_body": not whole})
        raise KeyError(99999)

    if whole:
        assert ask("/config", guard=Guard(failing))[::2] == (500, b"wrong")
        assert "/config" in caplog.text
        assert "KeyError: 99999" in caplog.text
    else:  # half an answer ends with its connection, or nobody knew that it is half
        with pytest.raises(KeyError):
            ask("/config", guard=Guard(failing))
