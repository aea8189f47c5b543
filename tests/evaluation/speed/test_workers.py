"""Real worker processes, and every way in which they can end."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sfumato.errors import SfumatoError
from sfumato.evaluation.speed.contestants import OURS, Contestant
from sfumato.evaluation.speed.turn_taking import job_of
from sfumato.evaluation.speed.turns import Turn, Unavailable
from sfumato.evaluation.speed.workers import Worker, status_bytes
from tiny_models import tiny_folder

FLOAT32 = OURS[1]
PEAK = job_of(Contestant("peak", "openvino", "float32"), "", "")


@pytest.fixture
def worker() -> Iterator[Worker]:
    with Worker("the worker", os.environ) as worker:
        yield worker


def is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def test_it_loads_takes_turns_and_tells_its_memory(worker: Worker) -> None:
    assert worker.load(PEAK) > 0
    once = worker.take(Turn("matmul", 1, 32, 32))
    assert once.times == 1
    several = worker.take(Turn("matmul", 1, 32, 32, seconds=0.2))
    assert several.times > 1
    assert several.each < 0.2
    memory = worker.memory()
    if sys.platform == "linux":
        assert memory.peak is not None
        assert memory.anonymous is not None
        assert memory.peak > memory.anonymous > 10e6


def test_a_fault_is_one_line_and_the_worker_goes_on(worker: Worker) -> None:
    with pytest.raises(SfumatoError, match=r"^the worker: ValueError: nothing is loaded$"):
        worker.take(Turn("matmul", 1, 32, 32))
    worker.load(PEAK)
    with pytest.raises(SfumatoError, match="there is no task dance"):
        worker.take(Turn("dance"))
    assert worker.take(Turn("matmul", 1, 32, 32)).times == 1


def test_a_missing_model_is_one_line(worker: Worker, tmp_path: Path) -> None:
    with pytest.raises(SfumatoError, match=r"^the worker: ModelFileError: model: .* is missing"):
        worker.load(job_of(FLOAT32, str(tmp_path), str(tmp_path)))


def test_what_cannot_run_here_is_unavailable(worker: Worker, tmp_path: Path) -> None:
    shutil.copytree(tiny_folder(), tmp_path / "model")
    path = tmp_path / "model" / "unet" / "config.json"
    path.write_text(path.read_text().replace('"silu"', '"gelu"'))
    with pytest.raises(Unavailable, match="its unet has act_fn 'gelu'"):
        worker.load(job_of(FLOAT32, str(tmp_path / "model"), ""))


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_killed_worker_is_one_line(worker: Worker) -> None:
    worker.load(PEAK)
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(
        SfumatoError, match=r"the worker ended early: stopped by signal 9 \(out of memory\?\)"
    ):
        worker.take(Turn("matmul", 1, 32, 32))


def test_a_worker_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "openvino.py").write_text("")
    (tmp_path / "numpy.py").write_text("raise SystemExit('numpy is broken')")
    with (
        Worker("the worker", {**os.environ, "PYTHONPATH": str(tmp_path)}) as worker,
        pytest.raises(SfumatoError, match="the worker ended early: numpy is broken"),
    ):
        worker.load(PEAK)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_it_ends_with_its_parent_in_the_middle_of_a_turn() -> None:
    code = (
        "import os, threading, time\n"
        "from sfumato.evaluation.speed.turns import Job, Turn\n"
        "from sfumato.evaluation.speed.workers import Worker\n"
        "worker = Worker('w', os.environ)\n"
        "worker.load(Job('peak', 'openvino', 'float32', '', '', False))\n"
        "turn = Turn('matmul', 1, 512, 512, 60.0)\n"
        "threading.Thread(target=worker.take, args=(turn,), daemon=True).start()\n"
        "time.sleep(0.3)\n"
        "print(worker.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert not is_gone(pid)
    parent.kill()
    parent.communicate()
    end = time.monotonic() + 10
    while not is_gone(pid) and time.monotonic() < end:
        time.sleep(0.02)
    assert is_gone(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_closing_ends_it_and_resting_costs_no_processor() -> None:
    with Worker("the worker", os.environ) as worker:
        worker.load(PEAK)
        worker.take(Turn("matmul", 1, 256, 256))
        time.sleep(0.1)
        before = ticks(worker.pid)
        time.sleep(0.5)
        assert ticks(worker.pid) - before <= 2  # hundredths of a second
        pid = worker.pid
    assert is_gone(pid)


def test_sizes_of_a_process() -> None:
    if sys.platform == "linux":
        held = status_bytes("VmRSS")
        assert held is not None
        assert held > 1e6
    assert status_bytes("NoSuchField") is None
    assert status_bytes("VmRSS", pid=2**22 + 1) is None


def ticks(pid: int) -> int:
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(words[11]) + int(words[12])
