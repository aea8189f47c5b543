from typing import Any

import numpy as np
import pytest
import torch

from sfumato.evaluation.speed.contestants import DIFFUSERS, DIFFUSERS_BFLOAT16, OURS
from sfumato.evaluation.speed.diffusers_player import load_diffusers
from sfumato.evaluation.speed.sfumato_player import load_sfumato
from sfumato.evaluation.speed.turn_taking import job_of
from sfumato.evaluation.speed.turns import Turn
from tiny_models import tiny_folder

DRAWING = {"prompt": "a frog", "steps": 2, "seed": 7, "width": 64, "height": 64, "guidance": 3.0}


def test_tasks_of_the_networks() -> None:
    player = load_diffusers(job_of(DIFFUSERS_BFLOAT16, str(tiny_folder()), ""))
    results: dict[str, Any] = {
        task: player.task(Turn(task, 2, 8, 8))() for task in ("encode", "step", "decode")
    }
    assert {task: tuple(one.shape) for task, one in results.items()} == {
        "encode": (2, 16, 32),
        "step": (2, 4, 8, 8),
        "decode": (2, 3, 64, 64),
    }
    assert {one.dtype for one in results.values()} == {torch.bfloat16}
    assert not any(one.requires_grad for one in results.values())
    with pytest.raises(ValueError, match="there is no task pictures"):
        player.task(Turn("pictures"))


def test_it_draws_what_sfumato_draws() -> None:
    theirs = load_diffusers(job_of(DIFFUSERS, str(tiny_folder()), "", whole=True, **DRAWING))
    ours = load_sfumato(job_of(OURS[1], str(tiny_folder()), "", whole=True, **DRAWING))
    turn = Turn("pictures", 1, 8, 8)
    stock: Any = theirs.task(turn)()
    events: Any = ours.task(turn)()
    (drawn,) = [event.pixels for event in events if type(event).__name__ == "Picture"]
    difference = np.abs(np.asarray(stock[0]).astype(int) - drawn)
    assert difference.max() <= 3
    assert len(theirs.task(Turn("pictures", 2, 8, 8))()) == 2  # pyright: ignore[reportArgumentType]
