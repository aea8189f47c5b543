"""The command from outside: fresh processes, signals, and a base install."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tiny_models import tiny_folder

TORCH_STACK = ("torch", "diffusers", "transformers", "accelerate")
# The parent decides who is measured: what it cannot find is not installed.
WITHOUT_TORCH = f"""
import sys
from importlib.machinery import PathFinder

class BaseFinder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {TORCH_STACK} else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = BaseFinder
from sfumato.cli import main
main()
"""
QUICK = ("--model", "tiny", "--quick", "--repeats", "1", "--steps", "1")


def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "tmp").mkdir(exist_ok=True)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SFUMATO_")}
    return {
        **inherited,
        "SFUMATO_HOME": str(tmp_path / "home"),
        "SFUMATO_MODELS": str(tiny_folder().parent),
        "SFUMATO_BACKEND": "openvino",
        "SFUMATO_DTYPE": "f32",
        "TMPDIR": str(tmp_path / "tmp"),
    }


def test_a_base_install_measures_what_it_has(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, "bench", "warm", *QUICK, "--json"],
        capture_output=True,
        text=True,
        env=environment(tmp_path),
    )
    assert ran.returncode == 0, ran.stderr
    report = json.loads(ran.stdout)
    assert {row["contestant"] for row in report["warm"]["rows"]} == {"sfumato openvino float32"}
    assert all(row["step_ratio"] is None for row in report["warm"]["rows"])
    assert "torch is not installed: nothing is compared with diffusers" in ran.stderr
    assert not list((tmp_path / "tmp").iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_stopping_is_clean(stop: signal.Signals, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WITHOUT_TORCH, "bench", "warm", *QUICK[:-4], "--repeats", "1000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(tmp_path),
    )
    end = time.monotonic() + 30
    while not list((tmp_path / "tmp").iterdir()) and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(stop)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == ""
    assert err == "stopped: nothing was reported\n"
    assert not list((tmp_path / "tmp").iterdir())
