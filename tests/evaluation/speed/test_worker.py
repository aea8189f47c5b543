"""The worker's side, in this process; whole processes are in test_workers.py."""

import sys

from sfumato.evaluation.speed.contestants import OURS, Contestant
from sfumato.evaluation.speed.turn_taking import job_of
from sfumato.evaluation.speed.turns import Turn
from sfumato.evaluation.speed.worker import Server, load, peak_bytes
from tiny_models import tiny_folder


def request(turn: Turn) -> dict[str, object]:
    return {"turn": vars(turn)}


def test_a_server_answers_and_keeps_its_tasks() -> None:
    server = Server()
    job = job_of(Contestant("peak", "openvino", "float32"), "", "")
    assert set(server.answer({"load": vars(job)})) == {"seconds"}
    first = server.answer(request(Turn("matmul", 1, 16, 16)))
    assert (first["times"], set(first)) == (1, {"times", "seconds"})
    assert len(server._tasks) == 1
    server.answer(request(Turn("matmul", 1, 16, 16, seconds=0.01)))
    assert len(server._tasks) == 1


def test_faults_are_answers() -> None:
    assert Server().answer(request(Turn("step"))) == {"error": "ValueError: nothing is loaded"}
    assert Server().answer({"load": {"program": "peak"}})["error"].startswith("TypeError: ")


def test_each_program_has_its_player() -> None:
    folder = str(tiny_folder())
    assert type(load(job_of(OURS[1], folder, ""))).__name__ == "SfumatoPlayer"
    assert type(load(job_of(Contestant("diffusers", "torch", "float32"), folder, ""))).__name__ == (
        "DiffusersPlayer"
    )
    assert type(load(job_of(Contestant("peak", "torch", "float32"), "", ""))).__name__ == "TorchPeak"


def test_memory() -> None:
    peak = peak_bytes()
    assert sys.platform == "win32" or (peak is not None and peak > 10e6)
