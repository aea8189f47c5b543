import os
import subprocess
import sys
from pathlib import Path

import pytest

from sfumato.errors import SfumatoError
from sfumato.evaluation.speed.fresh import run_fresh, wait_for

WRITING = """
import sys, time
block = bytes(100_000_000)
open(sys.argv[1], "wb").close()
time.sleep(0.5)
print("done")
"""


def test_the_picture_is_there_before_the_end(tmp_path: Path) -> None:
    picture = tmp_path / "p.png"
    ran = run_fresh("it", [sys.executable, "-c", WRITING, str(picture)], picture, os.environ)
    assert 0 < ran.seconds < ran.exit_seconds - 0.4
    assert ran.output == "done\n"
    if sys.platform != "win32":
        assert ran.peak_bytes is not None
        assert ran.peak_bytes > 100e6


def test_a_failure_is_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise ValueError('no picture today')"]
    with pytest.raises(SfumatoError, match=r"^it failed: ValueError: no picture today$"):
        run_fresh("it", command, tmp_path / "p.png", os.environ)
    with pytest.raises(SfumatoError, match=r"^it failed: exit code 0$"):
        run_fresh("it", [sys.executable, "-c", ""], tmp_path / "p.png", os.environ)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell")
def test_the_memory_of_a_process_is_measured() -> None:
    code = "import sys; block = bytes(300_000_000); sys.exit(3)"
    process = subprocess.Popen([sys.executable, "-c", code])
    peak = wait_for(process)
    assert process.returncode == 3
    assert peak is not None
    assert peak > 300e6
