import os
import shutil
from contextlib import ExitStack
from pathlib import Path

from sfumato.evaluation.speed.contestants import OURS, Contestant
from sfumato.evaluation.speed.turn_taking import Crew, job_of, rotated
from sfumato.evaluation.speed.turns import Turn
from tiny_models import tiny_folder

PEAK = Contestant("peak", "openvino", "float32")


def test_everybody_begins_in_turn() -> None:
    orders = [rotated(OURS[:3], number) for number in range(4)]
    assert [order[0] for order in orders] == [OURS[0], OURS[1], OURS[2], OURS[0]]
    assert all(set(order) == set(OURS[:3]) for order in orders)


def test_a_job_takes_its_contestant_s_names() -> None:
    job = job_of(OURS[2], "folder", "scratch", whole=True, steps=4)
    assert (job.program, job.library, job.precision, job.steps) == ("sfumato", "openvino", "int8", 4)
    assert not job_of(PEAK, "", "").whole


def test_those_that_cannot_run_are_noted_and_gone(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_folder(), folder)
    path = folder / "unet" / "config.json"
    path.write_text(path.read_text().replace('"silu"', '"gelu"'))
    with ExitStack() as stack:
        crew = Crew(stack, os.environ)
        assert not crew.add(OURS[1], job_of(OURS[1], str(folder), str(tmp_path)))
        assert crew.add(PEAK, job_of(PEAK, "", ""))
        assert crew.members == (PEAK,)
        assert crew.notes == ["sfumato openvino float32 is left out: its unet has act_fn 'gelu'."]
        assert crew.take(PEAK, Turn("matmul", 1, 16, 16)).times == 1
        assert crew.load_seconds.keys() == {PEAK.name}
        crew.dismiss(PEAK)
        assert crew.members == ()
