"""The studio is opened: as a command, on a port of its own, until Ctrl-C; and what keeps it from opening."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

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
    assert "--port 0" in said


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
