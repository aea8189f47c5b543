"""What a compilation leaves behind when it is interrupted, killed, short of room, or not alone."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sfumato.cli.compiling import Compiled
from sfumato.models.backends.openvino.backend import load_openvino
from sfumato.models.backends.openvino.cache import CachePlace
from sfumato.models.files import locate
from tiny_models import tiny_folder


@pytest.fixture
def compiled(tmp_path: Path, here: Path) -> Path:
    """The folder of all compiled graphs."""
    return tmp_path / "home" / "compiled"


def test_what_is_not_stored_is_one_sentence() -> None:
    assert Compiled(Path(), "openvino cpu int8", 8, 1, ()).note is None
    for names, text in (
        (("decoder",), "decoder"),
        (("unet", "decoder"), "unet and decoder"),
        (("text encoder", "unet", "decoder"), "text encoder, unet and decoder"),
    ):
        note = Compiled(Path(), "openvino cpu int8", 2, 1, names).note
        assert note == f"Not stored: {text}. A network this large is compiled as fast as it is read."


def started(*flags: str, **how: Any) -> subprocess.Popen[str]:
    """Start `sfumato compile tiny` with the environment of this test."""
    command = [sys.executable, "-m", "sfumato", "compile", "tiny", "--precision", "f32", *flags]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=dict(os.environ), **pipes, **how)


def wait_for_files(process: subprocess.Popen[str], compiled: Path) -> None:
    while process.poll() is None and not list(compiled.glob("*/*/*")):
        time.sleep(0.001)


def usable(compiled: Path) -> int:
    """Check every graph that is there, and return how many there are."""
    files = locate(tiny_folder())
    backend = load_openvino(files, "float32", CachePlace(compiled, files.digest()))
    assert backend.notes == ()
    ids = np.zeros((1, 16), np.int64)
    fresh = load_openvino(files, "float32")
    context = np.concatenate([fresh.encode_text(ids)] * 2)
    np.testing.assert_array_equal(backend.encode_text(ids), context[:1])
    x = np.random.default_rng(0).standard_normal((2, 4, 8, 8)).astype(np.float32)
    np.testing.assert_array_equal(backend.predict(x, 1.0, context), fresh.predict(x, 1.0, context))
    assert backend.notes == ()
    return len(list(compiled.glob("*/*/*.graph")))


def parts(compiled: Path) -> list[Path]:
    return list(compiled.rglob("*.part"))


def test_two_processes_at_once_both_succeed(compiled: Path) -> None:
    both = [started("--pictures", "0") for _ in range(2)]
    for process in both:
        _, err = process.communicate()
        assert process.returncode == 0, err
    assert usable(compiled) == 8
    assert parts(compiled) == []
    assert len(list(compiled.rglob("parity.json"))) == 1


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_a_process_killed_in_the_middle_leaves_nothing_wrong(compiled: Path) -> None:
    process = started()
    wait_for_files(process, compiled)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert usable(compiled) < 8


@pytest.mark.skipif(os.name == "nt", reason="other signals")
def test_ctrl_c_leaves_whole_graphs_only(compiled: Path) -> None:
    process = started()
    wait_for_files(process, compiled)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130, err
    assert err == "stopped: the report was not written; graphs that are whole stay\n"
    assert parts(compiled) == []
    assert usable(compiled) <= 8


@pytest.mark.skipif(os.name == "nt", reason="no such limit")
def test_a_full_disk_is_one_line_and_leaves_nothing_half(compiled: Path) -> None:
    import resource

    # Room for the text encoder, and not for the first UNet.
    limit = 500_000
    process = started(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    _, err = process.communicate()
    assert process.returncode == 2, err
    assert err.startswith("error: output: the disk is full (got ")
    assert err.count("\n") == 1
    assert parts(compiled) == []
    assert usable(compiled) == 1
