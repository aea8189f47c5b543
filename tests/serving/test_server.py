"""The studio through its ASGI application: what the page answers, and all that it refuses.

Rows of hostile requests are those of the table of reliability tests: paths (24), other sites (25), other
names (26), scripts (27), passwords (28), and what would leave the machine (29). The guard alone is tested in
test_guard.py; here it stands around the page.
"""

import io
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from gradio.routes import BUILD_PATH_LIB
from PIL import Image
from starlette.testclient import TestClient

from sfumato.errors import InputError, SfumatoError
from sfumato.serving.desk import Desk
from sfumato.serving.guard import USER, Guard, Receive, Scope, Send
from sfumato.serving.server import MAX_UPLOAD, Address, application, listening_at, run, server_of
from sfumato.serving.studio.look import built_in
from tiny_studio import drawn, open_tiny_desk

HERE = "http://127.0.0.1:7860"
EVIL = "http://evil.example"
#: One address of each kind that the page answers.
PLACES = (
    "/",
    "/config",
    "/gradio_api/info",
    "/theme.css",
    "/gradio_api/app_id",
    "/gradio_api/upload",
    "/sfumato/look",
    "/sfumato/paint",
    f"/assets/{next(Path(BUILD_PATH_LIB).glob('index-*.js')).name}",
)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
Upload = Callable[..., int]


@pytest.fixture(scope="module")
def gradio_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("gradio")
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        yield folder


@pytest.fixture(scope="module")
def desk(gradio_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with open_tiny_desk(tmp_path_factory.mktemp("home")) as desk:
        yield desk


@pytest.fixture(scope="module")
def client(desk: Desk) -> Iterator[TestClient]:
    with TestClient(application(desk, built_in("paper"), Address()), base_url=HERE) as client:
        yield client


@pytest.fixture
def files(gradio_folder: Path) -> Callable[[], int]:
    """Count the files that were uploaded."""
    return lambda: sum(one.is_file() for one in gradio_folder.rglob("*"))


def uploaded(client: TestClient, name: str, content: bytes, kind: str, **headers: str) -> str:
    """Upload a file as the page does, and return where it is now."""
    answer = client.post("/gradio_api/upload", files={"files": (name, content, kind)}, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()[0]


def test_the_page_names_no_other_machine(client: TestClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not re.findall(r"""(?:src|href|action)=["']?(?:https?:)?//""", answer.text)
    assert not re.findall(r"url\(['\"]?(?:https?:)?//", client.get("/theme.css").text)


def test_gradio_tells_nobody_and_keeps_no_prompts(client: TestClient) -> None:
    config = client.get("/config").json()
    assert config["analytics_enabled"] is False
    assert config["footer_links"] == []
    assert not config.get("run_history")
    assert not config.get("enable_monitoring")
    assert all(one["api_visibility"] == "private" for one in config["dependencies"])


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/redoc"])
def test_there_are_no_pages_for_programs(client: TestClient, path: str) -> None:
    assert client.get(path).status_code in (403, 404)


@pytest.mark.parametrize("path", PLACES)
@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "evil.example:7860", "[::1].evil", "0.0.0.0", ""]
)
def test_other_names_for_this_machine_are_refused(client: TestClient, path: str, host: str) -> None:
    answer = client.get(path, headers={"host": host, "x-forwarded-host": "127.0.0.1"})
    assert answer.status_code == 400
    assert "access-control-allow-origin" not in answer.headers


def test_what_proxies_say_is_not_believed(client: TestClient) -> None:
    answer = client.get("/config", headers={"x-forwarded-host": "evil.example", "x-forwarded-proto": "https"})
    assert answer.status_code == 200
    assert "evil.example" not in answer.text


@pytest.mark.parametrize("headers", [{"origin": EVIL}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}])
@pytest.mark.parametrize(
    "path", ["/gradio_api/upload", "/gradio_api/queue/join", "/gradio_api/call/draw", "/gradio_api/run/draw"]
)
def test_other_sites_change_nothing(
    client: TestClient, files: Callable[[], int], path: str, headers: dict[str, str]
) -> None:
    before = files()
    for sent in ({"files": {"files": ("a.png", b"x", "image/png")}}, {"content": b'{"data":[]}'}):
        answer = client.post(path, headers={"content-type": "text/plain", **headers}, **sent)
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers
    assert files() == before


def test_other_sites_hear_nothing(client: TestClient) -> None:
    for path in ("/config", "/gradio_api/queue/data?session_hash=abc"):
        assert client.get(path, headers={"origin": EVIL}).status_code == 403
        assert client.get(path, headers={"sec-fetch-site": "cross-site"}).status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../../../../etc/passwd",
        "..%2f..%2f..%2fetc%2fpasswd",
        "%252e%252e%252fetc%252fpasswd",
        "..\\..\\etc\\passwd",
        "/proc/self/environ",
        "C:\\Windows\\win.ini",
        "pyproject.toml",
        str(Path.cwd() / "pyproject.toml"),
        "\x00",
    ],
)
def test_files_of_this_machine_are_not_handed_out(client: TestClient, path: str) -> None:
    # As it stands: httpx would tidy the path.
    answer = client.get(f"/gradio_api/file={path}" if "\x00" not in path else "/gradio_api/file=%00")
    assert answer.status_code in (400, 403, 404)
    assert "root:" not in answer.text
    assert "[project]" not in answer.text


def test_not_even_pictures_that_the_page_did_not_show(client: TestClient, desk: Desk) -> None:
    kept = drawn(desk)
    for path in (kept.path, kept.path.parent / ".." / kept.path.parent.name / kept.path.name):
        assert client.get(f"/gradio_api/file={path}").status_code in (403, 404)
    store = desk.settings.data_dir / "studio" / "studio.db"
    assert client.get(f"/gradio_api/file={store}").status_code == 403
    link = desk.handed / "link.png"
    link.symlink_to("/etc/passwd")
    assert client.get(f"/gradio_api/file={link}").status_code in (403, 404)
    assert kept.path.is_file()


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:1/",
        "https://example.com/a.png",
        "HTTP://example.com",
        "http:%2F%2Fexample.com",
        "ftp://a/b",
    ],
)
def test_nothing_is_fetched_for_whoever_asks(client: TestClient, address: str) -> None:
    assert client.get(f"/gradio_api/file={address}").status_code == 403


@pytest.mark.parametrize("path", ["/monitoring", "/gradio_api/monitoring/summary", "/gradio_api/deep_link"])
def test_what_tells_of_others_is_closed(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 403


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [("evil.html", b"<script>alert(1)</script>", "text/html"), ("evil.svg", SVG, "image/svg+xml")],
)
def test_what_is_uploaded_never_acts(client: TestClient, name: str, content: bytes, kind: str) -> None:
    answer = client.get(f"/gradio_api/file={uploaded(client, name, content, kind)}")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-type"] == "image/png"
    assert answer.content == b""  # what is no picture is not kept at all: see test_cleaning.py


@pytest.mark.parametrize("name", ["../../evil.png", "/etc/evil.png", "a\\..\\evil.png", "x" * 300 + ".png"])
def test_names_of_uploads_lead_nowhere(client: TestClient, gradio_folder: Path, name: str) -> None:
    answer = client.post("/gradio_api/upload", files={"files": (name, b"x", "image/png")})
    if answer.status_code == 200:
        assert Path(answer.json()[0]).resolve().is_relative_to(gradio_folder.resolve())
    else:
        assert answer.status_code in (400, 413, 422)
    assert not list(gradio_folder.parent.glob("evil.png"))


def test_uploads_have_a_limit(client: TestClient, files: Callable[[], int]) -> None:
    before = files()
    answer = client.post("/gradio_api/upload", files={"files": ("a.png", bytes(MAX_UPLOAD + 1), "image/png")})
    assert answer.status_code == 413
    assert client.get("/", headers={"content-length": str(10**10)}).status_code == 413
    assert files() == before


@pytest.mark.parametrize("body", [b"", b"--x\r\n", b"--x\r\nContent-Disposition: form-data\r\n\r\n"])
def test_broken_uploads_are_refused(client: TestClient, body: bytes) -> None:
    kind = {"content-type": "multipart/form-data; boundary=x"}
    answer = client.post("/gradio_api/upload", content=body, headers=kind)
    assert answer.status_code in (400, 422) or answer.json() == []
    assert client.get("/config").status_code == 200


def test_with_a_password_nothing_is_answered_without_it(desk: Desk) -> None:
    address = Address("192.168.1.5", password="open sesame", hosts=("sfumato.lan",))
    app = application(desk, built_in("paper"), address)
    with TestClient(app, base_url="http://sfumato.lan:7860") as client:
        for path in (*PLACES, "/nothing", "/gradio_api/file=/etc/passwd", "/login"):
            for user, password in ((None, None), (USER, "wrong"), (USER, ""), ("me", "open sesame")):
                given = None if user is None or password is None else (user, password)
                answer = client.get(path, auth=given)
                assert answer.status_code == 401, path
                assert answer.headers["www-authenticate"].startswith("Basic")
                assert "sesame" not in answer.text
        mine = client.get("/config", auth=(USER, "open sesame"))
        assert mine.status_code == 200
        # Each visitor is somebody else.
        assert "sfumato-visitor" in mine.cookies


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "fe80::1%eth0"])
def test_others_are_let_in_with_a_password_only(host: str) -> None:
    for password in (None, ""):
        with pytest.raises(InputError, match="needs a password") as caught:
            Address(host, password=password)
        assert caught.value.field == "listen"
    assert Address(host, password="x").host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "0:0::1", "LOCALHOST"])
def test_this_machine_needs_none(host: str) -> None:
    assert Address(host).password is None


def test_an_address_is_kept_as_browsers_write_it() -> None:
    address = Address("[2001:DB8:0::5]", 80, "secret", outside="HTTPS://Studio.example:443/")
    assert (address.host, address.outside) == ("2001:db8::5", "https://studio.example")
    assert (address.inside, address.url) == ("http://[2001:db8::5]:80/", "https://studio.example/")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("listen", {"host": "[::1"}),
        ("name", {"hosts": ("::1",)}),
        ("outside", {"outside": "studio.example"}),
        ("port", {"port": 65536}),
        ("port", {"port": -1}),
    ],
)
def test_an_address_that_is_none_is_said_before_anything_is_opened(field: str, value: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        Address(**value)
    assert caught.value.field == field


def test_a_name_with_several_addresses_is_listened_at_in_all_of_them() -> None:
    address, sockets = listening_at(Address("localhost", 0))
    try:
        asked = {one[4][0] for one in socket.getaddrinfo("localhost", None, type=socket.SOCK_STREAM)}
        assert {one.getsockname()[0] for one in sockets} == asked
        assert {one.getsockname()[1] for one in sockets} == {address.port}
        assert address.url == f"http://localhost:{address.port}/"
        # No half of an answer waits until the other is acknowledged.
        assert all(one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for one in sockets)
    finally:
        for one in sockets:
            one.close()


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"Address already in use .got '127.0.0.1:{port}'") as caught:
            listening_at(Address(port=port))
    assert caught.value.field == "port"
    assert "Is a studio open already?" in str(caught.value)


def test_a_server_that_does_not_open_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("the look has burst")

    _, sockets = listening_at(Address(port=0))
    with closing(sockets[0]), pytest.raises(SfumatoError, match="studio: could not be opened"):
        run(server_of(Guard(failing)), sockets)
    assert "the look has burst" in capfd.readouterr().err


def test_a_picture_that_is_shown_is_served_as_it_is(client: TestClient) -> None:
    """What a page was given it may have: the other side of all these refusals."""
    written = io.BytesIO()
    Image.new("RGB", (8, 8), "teal").save(written, "PNG")
    path = uploaded(client, "teal.png", written.getvalue(), "image/png", origin=HERE)
    answer = client.get(f"/gradio_api/file={path}")
    assert answer.status_code == 200
    with Image.open(io.BytesIO(answer.content)) as shown:
        assert (shown.size, shown.getpixel((0, 0))) == ((8, 8), (0, 128, 128))
