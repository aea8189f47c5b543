"""How a model likes to be drawn with where nobody says, read off its scheduler."""

import json
import shutil
from pathlib import Path

import pytest

from family_models import family_folder
from sfumato.models.files import locate
from sfumato.models.liked import Liked, liked_by
from tiny_models import tiny_folder


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        ("small-sd", Liked(20, "dpmpp_2m", "trailing", 7.0)),
        ("vega", Liked(20, "dpmpp_2m", "trailing", 5.0)),
        ("sdxl-turbo", Liked(4, "euler_a", "trailing", 1.0)),
        ("lcm-sd", Liked(4, "lcm", "lcm", 8.0)),
        ("lcm-ssd-1b", Liked(4, "lcm", "lcm", 8.0)),
    ],
)
def test_a_scheduler_says_how_a_model_likes_to_be_drawn_with(family: str, expected: Liked) -> None:
    assert liked_by(locate(family_folder(family))) == expected


def test_models_that_predict_v_begin_at_noise_and_take_their_time(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(family_folder("sdxl-turbo"), tmp_path / "changed"))
    path = folder / "scheduler" / "scheduler_config.json"
    assert liked_by(locate(folder)).steps == 4
    path.write_text(json.dumps({**json.loads(path.read_text()), "prediction_type": "v_prediction"}))
    assert liked_by(locate(folder)) == Liked(guidance=5.0)
    assert liked_by(locate(tiny_folder())) == Liked()
