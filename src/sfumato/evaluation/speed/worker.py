"""The worker process: `python -m sfumato.evaluation.speed.worker`, requests on stdin, answers on stdout.

One line of JSON each: {"load": Job}, {"turn": Turn}, {"memory": true}; the answers are {"seconds"}, {"times",
"seconds"}, {"peak"}, {"unavailable"} or {"error"}. It ends when stdin closes. It sets no thread counts: how
many cores a library takes is part of what is measured.
"""

import json
import os
import queue
import signal
import sys
import threading
import time
from dataclasses import asdict
from typing import Any, BinaryIO

from sfumato.evaluation.speed.turns import Job, Player, Task, Turn, Unavailable, play
from sfumato.evaluation.speed.workers import status_bytes


class Server:
    """Answers requests: the player that was loaded, and the tasks it has made."""

    def __init__(self) -> None:
        self._player: Player | None = None
        self._tasks: dict[tuple[str, int, int, int], Task] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to one request; whatever goes wrong is an answer too."""
        try:
            if "load" in request:
                started = time.perf_counter()
                self._player = load(Job(**request["load"]))
                return {"seconds": time.perf_counter() - started}
            if "turn" in request:
                turn = Turn(**request["turn"])
                return asdict(play(self._task(turn), turn.seconds))
            return {"peak": peak_bytes()}
        except Unavailable as reason:
            return {"unavailable": str(reason)}
        except Exception as fault:  # of any library; the other side reports it in one line
            lines = [line.strip() for line in str(fault).splitlines() if line.strip()]
            return {"error": f"{type(fault).__name__}: {lines[0] if lines else 'no message'}"}

    def _task(self, turn: Turn) -> Task:
        if self._player is None:
            raise ValueError("nothing is loaded")
        key = turn.task, turn.batch, turn.height, turn.width
        if key not in self._tasks:
            self._tasks[key] = self._player.task(turn)
        return self._tasks[key]


def load(job: Job) -> Player:
    """Load the contestant of a job. Raises Unavailable, and whatever its libraries raise."""
    # Each imports its own libraries alone: their time and memory are part of what is measured.
    match job.program:
        case "sfumato":
            from sfumato.evaluation.speed.sfumato_player import load_sfumato

            return load_sfumato(job)
        case "diffusers":
            from sfumato.evaluation.speed.diffusers_player import load_diffusers

            return load_diffusers(job)
        case "onnxruntime":
            from sfumato.evaluation.speed.onnx_player import load_onnx

            return load_onnx(job)
        case "peak":
            from sfumato.evaluation.speed.peak_player import load_peak

            return load_peak(job)


def peak_bytes() -> int | None:
    """Return the most memory this process has held, in bytes; None where the system does not tell."""
    # getrusage would count what the parent held when it started this process.
    known = status_bytes("VmHWM")
    if known is not None or sys.platform == "win32":
        return known
    import resource

    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest * (1 if sys.platform == "darwin" else 1024)


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer the requests of a pipe until it closes; then end the process, whatever it is doing."""
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def listen() -> None:
        for line in requests:
            lines.put(line)
        os._exit(0)  # whoever asks is gone: do not finish a long turn for nobody

    threading.Thread(target=listen, daemon=True).start()
    server = Server()
    while True:
        answer = server.answer(json.loads(lines.get()))
        answers.write(json.dumps(answer).encode("ascii") + b"\n")
        answers.flush()


def main() -> None:
    """Serve on the standard streams; what libraries print goes to stderr."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the measuring process, which then ends us
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
