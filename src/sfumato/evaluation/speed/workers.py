"""Worker processes, seen from the measuring process: each loads one contestant and waits for its turns.

A worker that has nothing to do waits for a line on its standard input, which costs no processor, and ends
when that closes, however this process ended.
"""

import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from sfumato.errors import SfumatoError
from sfumato.evaluation.speed.turns import Job, Memory, Taken, Turn, Unavailable

WORKER: Final = "sfumato.evaluation.speed.worker"
_SAMPLED: Final = 0.1  # seconds between looks at a worker's memory
_PATIENCE: Final = 10.0  # seconds for a worker to end


class Worker:
    """One worker process. Use it as a context manager: nothing of it stays.

    `name` is for messages, `environ` its environment. Every method raises SfumatoError, in one line, when the
    worker fails or dies.
    """

    def __init__(self, name: str, environ: Mapping[str, str]) -> None:
        self.name = name
        self._anonymous: int | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the worker
        try:
            # -P: what lies in the current folder is nobody's module.
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", WORKER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=dict(environ),
                bufsize=0,
            )
        except BaseException:
            self._errors.close()
            raise

    def __enter__(self) -> "Worker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def load(self, job: Job) -> float:
        """Load a contestant and return the seconds that took. Raises Unavailable when it cannot run here."""
        answer = self._ask({"load": asdict(job)})
        if "unavailable" in answer:
            raise Unavailable(answer["unavailable"])
        return float(answer["seconds"])

    def take(self, turn: Turn) -> Taken:
        """Let the worker do a turn, and return what it took."""
        return Taken(**self._ask({"turn": asdict(turn)}))

    def memory(self) -> Memory:
        """Return the most the worker has held so far, its libraries included."""
        peak = self._ask({"memory": True})["peak"]
        return Memory(peak, self._anonymous)

    def close(self) -> None:
        """End the process and wait for it."""
        process = self._process
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        try:
            process.wait(_PATIENCE)
        except BaseException as reason:  # Ctrl-C too
            process.kill()
            process.wait()
            if not isinstance(reason, subprocess.TimeoutExpired):
                raise
        finally:
            self._errors.close()

    def _ask(self, request: Mapping[str, object]) -> dict[str, Any]:
        assert self._process.stdin is not None
        with suppress(OSError):  # a worker that is gone says nothing, and that is found below
            self._process.stdin.write(json.dumps(request).encode("ascii") + b"\n")
        line = self._line()
        try:
            answer: dict[str, Any] = json.loads(line)
        except ValueError:
            raise SfumatoError(f"{self.name} ended early: {self._last_words()}") from None
        if "error" in answer:
            raise SfumatoError(f"{self.name}: {answer['error']}")
        return answer

    def _line(self) -> bytes:
        assert self._process.stdout is not None
        pipe = self._process.stdout
        got = bytearray()
        while not got.endswith(b"\n"):
            # Windows cannot wait for a pipe with a time limit, and tells no memory either.
            if os.name == "posix" and not select.select([pipe], [], [], _SAMPLED)[0]:
                self._look()
                continue
            block = pipe.read(1 << 16)
            if not block:
                return b""
            got += block
        self._look()
        return bytes(got)

    def _look(self) -> None:
        held = status_bytes("RssAnon", self.pid)
        if held is not None:
            self._anonymous = held if self._anonymous is None else max(self._anonymous, held)

    def _last_words(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE)
        code = self._process.returncode
        if code is not None and code < 0:
            return f"stopped by signal {-code}" + (" (out of memory?)" if code == -9 else "")
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").splitlines()
        return next((line for line in reversed(lines) if line.strip()), f"exit code {code}")


def status_bytes(field: str, pid: int | None = None) -> int | None:
    """Return a size in bytes from Linux' account of a process (of this one without `pid`), None elsewhere."""
    try:
        text = Path(f"/proc/{'self' if pid is None else pid}/status").read_text(encoding="ascii")
    except (OSError, ValueError):
        return None
    lines = [line for line in text.splitlines() if line.startswith(f"{field}:")]
    return 1024 * int(lines[0].split()[1]) if lines else None
