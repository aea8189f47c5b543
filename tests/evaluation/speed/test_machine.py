import subprocess
import sys

import pytest

from sfumato.evaluation.speed.machine import Watch, free_memory, look_around, thread_limits

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
WORK = "import time; end = time.process_time() + 0.5\nwhile time.process_time() < end: pass"


def test_looking_around() -> None:
    machine = look_around()
    assert machine.processor
    assert machine.cores >= 1
    assert machine.libraries["numpy"]
    assert "onnx" not in machine.libraries


@ON_LINUX
def test_free_memory_is_part_of_all_memory() -> None:
    free, everything = free_memory(), look_around().memory_bytes
    assert free is not None
    assert everything is not None
    assert 0 < free < everything


@ON_LINUX
def test_our_own_children_are_not_others() -> None:
    watch = Watch()
    before = watch.others()
    assert before is not None
    subprocess.run([sys.executable, "-c", WORK], check=True)
    others = watch.others()
    assert others is not None
    assert 0 <= others < 1


@ON_LINUX
def test_processes_of_others_are() -> None:
    watch = Watch()
    # While it lives, a child counts as somebody else.
    child = subprocess.Popen(
        [sys.executable, "-c", WORK + "\nprint('done', flush=True)\ninput()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    assert child.stdout.readline().strip() == b"done"
    others = watch.others()
    child.communicate(b"\n")
    assert others is not None
    assert others > 0.05


def test_limits_of_threads_are_told() -> None:
    assert thread_limits({"OMP_NUM_THREADS": ""}) is None
    said = thread_limits({"OMP_NUM_THREADS": "1", "HOME": "/"})
    assert said == "OMP_NUM_THREADS=1 in the environment limits torch, and not openvino."
