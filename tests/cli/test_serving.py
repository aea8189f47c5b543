"""The studio is opened: as a command, on a port of its own, until Ctrl-C; and what keeps it from opening."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from sfumato.cli.serving import INSTALL

WAIT = 120.0
HIDING = """
import sys
from importlib.machinery import PathFinder

class BaseFinder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        hidden = name.partition(".")[0] in ("gradio", "fastapi", "uvicorn")
        return None if hidden else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = BaseFinder
from sfumato.cli import main
sys.argv = ["sfumato", "studio", *sys.argv[1:]]
main()
"""


def environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SFUMATO_")}
    return {**kept, "SFUMATO_HOME": str(home), "SFUMATO_DEVICE": "cpu", "PYTHONUNBUFFERED": "1"}


def without_gradio(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", HIDING, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment(home))


def test_without_gradio_our_looks_are_named_all_the_same(tmp_path: Path) -> None:
    ran = without_gradio(tmp_path, "theme", "list")
    assert (ran.returncode, ran.stdout.splitlines()[0]) == (0, "paper")
    assert INSTALL in ran.stderr


def test_without_gradio_it_says_what_to_install(tmp_path: Path) -> None:
    ran = without_gradio(tmp_path, "--no-browser", "--port", "0")
    assert ran.returncode == 2
    assert ran.stderr.startswith("error: ")
    assert ran.stderr.count("\n") == 1
    assert INSTALL in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_named(bad: Callable[..., str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = bad("studio", "--no-browser", "--port", str(port))
    assert said.startswith(
        f"error: port: cannot be listened at: Address already in use (got '127.0.0.1:{port}'"
    )
    assert "Is a studio open already? Choose another port; 0 takes any that is free." in said


def test_an_address_of_another_machine_is_no_port_that_is_taken(
    bad: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SFUMATO_PASSWORD", "long-and-secret")
    said = bad("studio", "--no-browser", "--port", "0", "--listen", "127.0.0.1.1")
    assert said.startswith("error: listen: cannot be listened at: ")
    assert "It has to be an address of this machine." in said


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@contextmanager
def opened(home: Path, *arguments: str, **variables: str) -> Generator[dict[str, Any]]:
    """Open a studio at a free port, and give what it says as JSON once it answers there."""
    command = [sys.executable, "-m", "sfumato", "studio", "--no-browser", "--port", "0", "--json", *arguments]
    told = {**environment(home), **variables}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=told
    ) as studio:
        try:
            assert studio.stdout is not None
            lines = ""
            for line in studio.stdout:
                lines += line
                if line.startswith("}"):
                    break
            yield json.loads(lines)
        finally:
            studio.kill()


def ask(url: str, method: str = "GET", path: str = "/config", **headers: str) -> int:
    """Return the status of an answer, with the Host that is given, or the one that belongs to `url`."""
    where = urlsplit(url)
    assert where.hostname is not None
    connection = HTTPConnection(where.hostname, where.port, timeout=WAIT)
    try:
        connection.request(method, path, b"{}" if method == "POST" else None, headers)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_it_is_reached_by_ipv6_in_brackets(tmp_path: Path) -> None:
    with opened(tmp_path, "--listen", "0:0::1") as said:
        url = said["url"]
        port = urlsplit(url).port
        assert url == said["inside"] == f"http://[::1]:{port}/"
        assert "sf-generate" in config(url)
        here = f"http://[::1]:{port}"
        # What changes something comes from the page itself: anything but a refusal of the guard.
        asked = {"method": "POST", "path": "/gradio_api/queue/join"}
        assert ask(url, **asked, Origin=here) not in (400, 403)
        assert ask(url, Host=f"[0:0:0:0:0:0:0:1]:{port}") == 200
        for host in (
            f"::1:{port}",
            "::1",
            f"[::1:{port}",
            f"[::1]:{port + 1}",
            f"[::1%25lo]:{port}",
            "[::1]",
        ):
            assert ask(url, Host=host) == 400, host
        for origin in (
            f"http://::1:{port}",
            "http://[::1]",
            f"https://[::1]:{port}",
            f"http://[::1%25lo]:{port}",
        ):
            assert ask(url, **asked, Origin=origin) == 403, origin


def test_a_server_with_tls_may_stand_before_it(tmp_path: Path) -> None:
    typed = "https://Pictures.example.org:443/"
    with opened(tmp_path, "--outside", typed, SFUMATO_PASSWORD="long-and-secret") as said:
        outside, inside = "https://pictures.example.org", said["inside"]
        assert said["url"] == f"{outside}/"
        assert inside.startswith("http://127.0.0.1:")
        asked = {"method": "POST", "path": "/gradio_api/queue/join"}
        word = base64.b64encode(b"sfumato:long-and-secret").decode()
        known = {"Authorization": f"Basic {word}"}
        # Servers keep the name that the browser asked for, with the port or without, or give their own.
        for host in ("pictures.example.org", "pictures.example.org:443", urlsplit(inside).netloc):
            assert ask(inside, Host=host) == 401
            assert ask(inside, Host=host, **known) == 200
            assert ask(inside, **asked, Host=host, Origin=outside, **known) not in (400, 401, 403)
            for origin in ("http://pictures.example.org", f"{outside}:8443", "https://example.org", "null"):
                assert ask(inside, **asked, Host=host, Origin=origin, **known) == 403, origin
        for host in ("example.org", "pictures.example.org.evil.example", "evil.example"):
            assert ask(inside, Host=host, **known) == 400, host


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
def test_what_a_killed_studio_left_goes_when_the_next_opens(tmp_path: Path) -> None:
    scratch, asked = tmp_path / "scratch", tmp_path / "asked"
    scratch.mkdir()
    asked.mkdir()
    (asked / "tmpabcdefgh").write_text("of another program")
    variables = {"TMPDIR": str(scratch), "GRADIO_TEMP_DIR": str(asked)}

    def folders() -> set[Path]:
        return {one for place in (scratch, asked) for one in place.glob("sfumato-*/")}

    with opened(tmp_path / "home", **variables):
        left = folders()
        assert {one.parent for one in left} == {scratch, asked}
    assert folders() == left  # it was killed
    with opened(tmp_path / "home", **variables):
        assert len(folders()) == 2
        assert not left & folders()
    assert (asked / "tmpabcdefgh").is_file()


def test_it_opens_on_a_free_port_for_this_machine_alone_until_control_c(tmp_path: Path) -> None:
    studio = subprocess.Popen(
        [sys.executable, "-m", "sfumato", "studio", "--no-browser", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(tmp_path),
    )
    try:
        assert studio.stdout is not None
        url = studio.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        assert "sf-generate" in config(url)
        # A page that is still open listens for news.
        with urllib.request.urlopen(f"{url}gradio_api/heartbeat/somebody", timeout=WAIT) as listening:
            listening.readline()
            studio.send_signal(signal.SIGINT)
            _, said = studio.communicate(timeout=WAIT)
    finally:
        studio.kill()
    assert studio.returncode in (0, 130), said
    assert "Ctrl-C closes the studio" in said
    assert said.count("\n") == 1, said
    assert (tmp_path / "studio" / "studio.db").is_file()


def config(url: str) -> str:
    """Return what the page is made of, once the studio answers: it names its address before that."""
    give_up = time.monotonic() + WAIT
    while True:
        try:
            with urllib.request.urlopen(f"{url}config", timeout=WAIT) as answer:
                return answer.read().decode()
        except OSError:
            assert time.monotonic() < give_up
            time.sleep(0.05)
