"""The judge stage: what it is asked, and that it can learn the answers."""

from pathlib import Path

import pytest
import torch

from judged import needs_font
from sfumato.errors import ModelFileError
from sfumato.models.judge import JudgeNet, save_judge
from sfumato.recipe.train import JudgeStage, SceneData
from sfumato.scenes import vocabulary as words
from sfumato.scenes.scene import Scene
from sfumato.training.judge import JudgeTask, labels
from sfumato.training.loop import step_generator

STAGE = JudgeStage(stage="judge", width=8)
DATA = SceneData(size=64)
PLACE = words.TIMED_PLACES[0]


def test_what_a_picture_shows_is_asked() -> None:
    shown = Scene(("frog", "rabbit"), PLACE, "night", relation="next to")
    asked = labels([shown])
    found = {words.OBJECT_NAMES[i] for i in asked["objects"][0].nonzero().flatten().tolist()}
    assert found == {"frog", "rabbit"}
    assert asked["background"].tolist() == [words.BACKGROUNDS.index(PLACE)]
    assert asked["time"].tolist() == [tuple(words.TIMES).index("night")]
    assert asked["style"].tolist() == [words.STYLE_NAMES.index("plain")]


@pytest.mark.parametrize("style", words.COLOURLESS_STYLES)
def test_what_a_picture_cannot_tell_is_not_asked(style: str) -> None:
    asked = labels([Scene(("frog",), "red", style=style), Scene(("frog",), PLACE, "night", style)])
    assert asked["background"].tolist() == [-1, words.BACKGROUNDS.index(PLACE)]
    assert asked["time"].tolist() == [-1, -1]
    assert asked["style"].tolist() == [words.STYLE_NAMES.index(style)] * 2


@needs_font
def test_the_data_of_a_step_is_a_function_of_the_step() -> None:
    task = JudgeTask(STAGE, DATA, 1)
    first, again = task.batch(2, 3), task.batch(2, 3)
    assert first["pictures"].shape == (3, 3, 64, 64)
    assert torch.equal(first["pictures"], again["pictures"])
    assert torch.equal(first["labels"]["objects"], again["labels"]["objects"])
    assert not torch.equal(first["pictures"], task.batch(3, 3)["pictures"])


@needs_font
def test_it_can_begin_with_another_judge(tmp_path: Path) -> None:
    known = JudgeTask(STAGE, DATA, 1).modules()["judge"]
    assert isinstance(known, JudgeNet)
    save_judge(known, tmp_path / "judge.safetensors", {})
    torch.manual_seed(5)
    begun = JudgeTask(STAGE, DATA, 1, tmp_path / "judge.safetensors").modules()["judge"].state_dict()
    for key, value in known.state_dict().items():
        assert torch.equal(value.half().float(), begun[key])
    with pytest.raises(ModelFileError, match="cannot be read"):
        JudgeTask(STAGE, DATA, 1, tmp_path / "missing.safetensors").modules()


@needs_font
def test_it_learns_a_few_pictures() -> None:
    torch.manual_seed(0)
    task = JudgeTask(STAGE, DATA, 1)
    modules, batch = task.modules(), task.batch(0, 4)
    optimizer = torch.optim.Adam(modules["judge"].parameters(), lr=3e-3)
    losses: list[float] = []
    for step in range(15):
        loss, figures = task.loss(modules, batch, step_generator(0, step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        assert figures.keys() == {"single_objects", "styles"}
    assert losses[-1] < 0.2 * losses[0]


@needs_font
def test_scenes_are_moved_where_it_is_asked_for() -> None:
    centred, all_moved = (
        JudgeTask(JudgeStage(stage="judge", width=8, blur=0, shifted=share), DATA, 1).batch(0, 6)["pictures"]
        for share in (0.0, 1.0)
    )
    furthest = 64 // 8
    moved = (centred != all_moved).flatten(1).any(dim=1)
    assert moved.sum() >= 4  # one that is moved by nothing is possible
    inner = slice(furthest, -furthest)
    for one, other in zip(centred, all_moved, strict=True):
        found = [
            torch.equal(
                one[:, inner, inner].roll((down, right), (1, 2))[:, 16:-16, 16:-16],
                other[:, inner, inner][:, 16:-16, 16:-16],
            )
            for down in range(-furthest, furthest + 1)
            for right in range(-furthest, furthest + 1)
        ]
        assert any(found)
