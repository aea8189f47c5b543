import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from judged import needs_font, write_judge
from sfumato.errors import ModelFileError
from sfumato.models.judge import (
    FEATURES,
    QUESTIONS,
    Judge,
    JudgeNet,
    bundled_judge,
    judge_facts,
    load_judge,
    save_judge,
)
from sfumato.scenes import vocabulary as words
from sfumato.scenes.drawing import find_font
from sfumato.scenes.scene import SceneMix, example


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_judge(tmp_path_factory.mktemp("judge"), accuracy={"objects": 0.5})


def _pictures(number: int, side: int = 128) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (number, side, side, 3), np.uint8)


def test_a_verdict_has_a_row_per_picture_and_a_column_per_class(path: Path) -> None:
    verdict = load_judge(path)(_pictures(3))
    assert verdict.objects.shape == (3, len(words.OBJECTS))
    assert verdict.background.shape == (3, len(words.BACKGROUNDS)) == (3, QUESTIONS["background"])
    assert verdict.time.shape == (3, len(words.TIMES))
    assert verdict.style.shape == (3, len(words.STYLE_NAMES))
    assert verdict.features.shape == (3, FEATURES)
    assert all(value.dtype == np.float32 and np.isfinite(value).all() for value in vars(verdict).values())


def test_a_picture_is_judged_the_same_in_any_batch(path: Path) -> None:
    judge, pictures = load_judge(path), _pictures(5)
    together, in_twos = judge(pictures), judge(pictures, batch=2)
    alone = judge(pictures[3:4])
    np.testing.assert_allclose(together.objects, in_twos.objects, atol=1e-4)
    np.testing.assert_allclose(together.features[3], alone.features[0], atol=1e-4)


def test_pictures_of_other_sizes_are_resized(path: Path) -> None:
    judge = load_judge(path)
    down, across = np.mgrid[0:256, 0:256].astype(np.uint8)
    large = np.stack([down, across, 255 - down], axis=-1)[None]
    half = large.reshape(1, 128, 2, 128, 2, 3).mean(axis=(2, 4)).astype(np.uint8)
    np.testing.assert_allclose(judge(large).objects, judge(half).objects, atol=0.05)
    assert judge(large[:, :40, :64]).objects.shape == (1, len(words.OBJECTS))


def test_loading_gives_back_what_was_saved_to_half_precision(tmp_path: Path) -> None:
    torch.manual_seed(1)
    net = JudgeNet(width=8)
    save_judge(net, tmp_path / "judge.safetensors", {})
    assert [file.name for file in tmp_path.iterdir()] == ["judge.safetensors"]
    saved, loaded = Judge(net)(_pictures(2)), load_judge(tmp_path / "judge.safetensors")(_pictures(2))
    np.testing.assert_allclose(saved.objects, loaded.objects, atol=5e-3)
    assert {value.dtype for value in load_file(tmp_path / "judge.safetensors").values()} == {torch.float16}


def test_facts_are_read_without_weights(path: Path) -> None:
    facts = judge_facts(path)
    assert facts["accuracy"] == {"objects": 0.5}
    assert facts["width"] == 8
    assert facts["objects"] == list(words.OBJECT_NAMES)


def test_files_that_are_no_judge_are_refused(path: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "judge.safetensors"
    for damage in (b"", b"not safetensors", path.read_bytes()[:-100]):
        wrong.write_bytes(damage)
        with pytest.raises(ModelFileError, match="judge"):
            load_judge(wrong)
    with pytest.raises(ModelFileError, match="cannot be read"):
        load_judge(tmp_path / "missing.safetensors")
    tensors = load_file(path)
    for header in (None, {"judge": "7"}, {"judge": "{"}, {"judge": '{"width": "8"}'}):
        save_file(tensors, wrong, metadata=header)
        with pytest.raises(ModelFileError, match="judge"):
            load_judge(wrong)


def test_a_judge_of_other_objects_or_another_shape_is_refused(path: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "judge.safetensors"
    tensors = load_file(path)
    save_file(tensors, wrong, metadata={"judge": json.dumps({"width": 8, "objects": ["frog"]})})
    with pytest.raises(ModelFileError, match=r"other objects.*judge\.toml"):
        judge_facts(wrong)
    with safe_open(path, "pt") as file:
        header = file.metadata()
    save_file({**tensors, "stem.weight": torch.zeros(8, 3, 3, 3)}, wrong, metadata=header)
    with pytest.raises(ModelFileError, match="cannot be read"):
        load_judge(wrong)
    tensors.pop("stem.bias")
    save_file(tensors, wrong, metadata=header)
    with pytest.raises(ModelFileError, match="cannot be read"):
        load_judge(wrong)


def test_the_bundled_judge_belongs_beside_the_bundled_model() -> None:
    assert bundled_judge().parent.name == "bundled"
    assert bundled_judge().name == "judge.safetensors"


@needs_font
@pytest.mark.skipif(not bundled_judge().is_file(), reason="the judge's weights are not there yet")
def test_the_bundled_judge_names_real_renders() -> None:
    """Its full accuracy is in its file and in every report; here 60 fresh scenes guard against mix-ups."""
    facts = judge_facts(bundled_judge())
    assert facts["accuracy"]["objects"] >= 0.95  # type: ignore[index]
    mix = SceneMix(pairs=0, counts=0, sizes=0, styled=0.3)
    rows = [example(987_654, index, mix, find_font()) for index in range(60)]
    verdict = load_judge(bundled_judge())(np.stack([np.asarray(picture) for picture, _, _ in rows]))
    seen = [words.OBJECT_NAMES[index] for index in verdict.objects.argmax(axis=1)]
    assert sum(name == scene.objects[0] for name, (_, _, scene) in zip(seen, rows, strict=True)) >= 53
