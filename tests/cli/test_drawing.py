from pathlib import Path
from typing import Any

import pytest

from interrupts import ctrl_c_inside
from sfumato.cli.drawing import draw_to_files, seconds_text
from sfumato.engine.run import draw as engine_draw
from sfumato.errors import InterruptedRun
from sfumato.models.load import find_model
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from tiny_models import tiny_folder, tiny_settings

FROG = Recipe(model=str(tiny_folder()), seed=7, steps=2, parts=(TextPart(prompt="a frog"),))


def draw(recipe: Recipe, **options: Any) -> None:
    settings = tiny_settings()
    draw_to_files(recipe, find_model(recipe.model, settings), settings, **{"output": None, **options})


def test_paths_go_to_stdout_and_the_rest_to_stderr(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw(FROG)
    said = capsys.readouterr()
    assert said.out == "a-frog-7.png\n"
    assert said.err.startswith("seed 7; ")
    assert "torch cpu float32" in said.err
    draw(FROG.model_copy(update={"count": 2}), suffix=".webp")
    assert capsys.readouterr().err.startswith("seeds 7 to 8; ")
    assert sorted(path.name for path in here.iterdir()) == ["a-frog-7.png", "a-frog-7.webp", "a-frog-8.webp"]


def test_a_warning_is_talk(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw(FROG.model_copy(update={"parts": (TextPart(prompt="a frog " * 5000),)}))
    assert "warning: A prompt is longer" in capsys.readouterr().err


@pytest.mark.parametrize("preview_every", [0, 1])
def test_ctrl_c_leaves_no_half_file(
    preview_every: int, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw(FROG, output=here / "first.png")  # so that what is interrupted is the drawing, not an import
    # Not after some time: on a busy machine that passes before anything is drawn.
    with ctrl_c_inside(engine_draw), pytest.raises(InterruptedRun, match="0 of 8 pictures were finished"):
        draw(FROG.model_copy(update={"steps": 1000, "count": 8}), preview_every=preview_every)
    assert [path.name for path in here.iterdir()] == ["first.png"]


def test_seconds_in_words() -> None:
    seconds = {"import": 1.82, "load": 0.01, "steps": 0.75, "total": 2.58}
    assert seconds_text(seconds) == "2.6 s: import 1.8, steps 0.8"
    assert seconds_text({"steps": 0.01, "total": 0.01}) == "0.0 s"
