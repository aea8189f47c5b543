"""A command in a fresh process: how long until its picture is on the disk, and how much memory it held."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sfumato.errors import SfumatoError


@dataclass(frozen=True)
class Ran:
    """`seconds` until the picture was on the disk, `exit_seconds` until the process had ended, `peak_bytes`
    of memory (None where the system does not tell), and what it wrote to stdout.
    """

    seconds: float
    exit_seconds: float
    peak_bytes: int | None
    output: str


def run_fresh(name: str, command: Sequence[str], picture: Path, environ: Mapping[str, str]) -> Ran:
    """Run a command that writes `picture`, which must not be there yet.

    The moment of writing is the file's own, exact to the tick of the system's clock, some milliseconds.
    Raises SfumatoError, naming `name`, when the command fails or writes nothing.
    """
    out, err = (picture.with_suffix(suffix) for suffix in (".out", ".err"))
    with out.open("wb") as out_file, err.open("wb") as err_file:
        at = time.time_ns()
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=out_file, stderr=err_file, env=dict(environ))
        peak = wait_for(process)
        exit_seconds = time.perf_counter() - started
    if process.returncode != 0 or not picture.is_file():
        lines = err.read_text(encoding="utf-8", errors="replace").splitlines()
        said = next((line for line in reversed(lines) if line.strip()), f"exit code {process.returncode}")
        raise SfumatoError(f"{name} failed: {said}")
    # The change time knows when a file got its name, after it was complete; on Windows it means something
    # else.
    facts = picture.stat()
    there = facts.st_mtime_ns if os.name == "nt" else max(facts.st_mtime_ns, facts.st_ctime_ns)
    text = out.read_text(encoding="utf-8", errors="replace")
    return Ran(min((there - at) / 1e9, exit_seconds), exit_seconds, peak, text)


def wait_for(process: subprocess.Popen[bytes]) -> int | None:
    """Wait for a process and return the most memory it held, in bytes; None where the system does not tell.

    A process counts what its parent held at its birth as its own: keep the measuring process small.
    """
    if sys.platform == "win32":
        process.wait()
        return None
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:  # Ctrl-C
        process.kill()
        process.wait()
        raise
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
