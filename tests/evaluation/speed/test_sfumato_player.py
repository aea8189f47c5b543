import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sfumato.engine.events import Picture
from sfumato.evaluation.speed.contestants import OURS, Contestant
from sfumato.evaluation.speed.sfumato_player import load_sfumato
from sfumato.evaluation.speed.turn_taking import job_of
from sfumato.evaluation.speed.turns import Job, Turn, Unavailable
from tiny_models import tiny_bundle, tiny_folder

FLOAT32 = OURS[1]
TORCH = Contestant("sfumato", "torch", "float32")


def job(contestant: Contestant, folder: Path, *, whole: bool) -> Job:
    return job_of(
        contestant,
        str(folder),
        "",
        whole=whole,
        prompt="a frog on a beach",
        steps=2,
        seed=7,
        width=64,
        height=64,
        guidance=3.0,
    )


@pytest.mark.parametrize("contestant", [FLOAT32, TORCH], ids=lambda one: one.name)
def test_tasks_of_the_networks(contestant: Contestant) -> None:
    player = load_sfumato(job(contestant, tiny_folder(), whole=False))
    shapes: dict[str, Any] = {}
    for task in ("encode", "step", "decode"):
        result: Any = player.task(Turn(task, 2, 8, 8))()
        shapes[task] = tuple(result.shape)
    assert shapes == {"encode": (2, 16, 32), "step": (2, 4, 8, 8), "decode": (2, 3, 64, 64)}
    with pytest.raises(ValueError, match="there is no task pictures"):
        player.task(Turn("pictures", 1, 8, 8))


def test_both_backends_do_the_same_step() -> None:
    ours, theirs = (
        load_sfumato(job(one, tiny_folder(), whole=False)).task(Turn("step", 1, 8, 8))()
        for one in (FLOAT32, TORCH)
    )
    assert np.allclose(np.asarray(ours), np.asarray(theirs), atol=1e-4)


def test_pictures_are_drawn_by_the_engine() -> None:
    player = load_sfumato(job(FLOAT32, tiny_folder(), whole=True))
    events: Any = player.task(Turn("pictures", 3, 8, 8))()
    pictures = [event for event in events if isinstance(event, Picture)]
    assert [one.resolved.picture_seed for one in pictures] == [7, 8, 9]
    assert pictures[0].resolved.model_digest == tiny_bundle().digest
    assert (pictures[0].resolved.steps, pictures[0].resolved.spacing) == (2, "trailing")


def test_a_model_that_cannot_be_compiled_is_unavailable(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_folder(), folder)
    path = folder / "unet" / "config.json"
    path.write_text(path.read_text().replace('"silu"', '"gelu"'))
    with pytest.raises(Unavailable, match="act_fn"):
        load_sfumato(job(FLOAT32, folder, whole=False))
