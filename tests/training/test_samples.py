"""Sheets and scores from a model in training."""

from pathlib import Path

import numpy as np
from PIL import Image

from judged import write_judge
from sfumato.models.judge import load_judge
from sfumato.training.samples import PROMPTS, draw_one, quick_score, sheet, write_samples
from tiny_models import tiny_bundle, tiny_folder, tiny_settings


def test_pictures_lie_side_by_side() -> None:
    pictures = [np.full((8, 10, 3), value, np.uint8) for value in (10, 20, 30)]
    page = np.asarray(sheet(pictures, 2))
    assert page.shape == (24, 28, 3)
    for value, (y, x) in {10: (2, 2), 20: (2, 16), 30: (14, 2)}.items():
        assert (page[y : y + 8, x : x + 10] == value).all()
    assert (page[14:22, 16:26] == 255).all()


def test_a_picture_is_the_seed_s() -> None:
    first, again, other = (draw_one(tiny_bundle(), "a frog", seed, tiny_settings()) for seed in (1, 1, 2))
    assert first.shape == (64, 64, 3)
    assert (first == again).all()
    assert (first != other).any()


def test_a_score_is_of_single_objects(tmp_path: Path) -> None:
    judge = load_judge(write_judge(tmp_path))
    score = quick_score(tiny_bundle(), judge, tiny_settings(), n=6)
    assert score.n == 6
    assert all(0 <= share <= 1 for share in (score.objects, score.backgrounds, score.styles))


def test_the_sheet_is_written_whole(tmp_path: Path) -> None:
    target = tmp_path / "samples" / "step-1.png"
    assert write_samples(tiny_folder(), target, tiny_settings(), None) is None
    with Image.open(target) as page:
        assert page.format == "PNG"
        assert page.size == (4 * 68, -(-len(PROMPTS) // 4) * 68)
    assert [path.name for path in target.parent.iterdir()] == ["step-1.png"]
