import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recording import Recorder
from sfumato.cli.console import bar
from sfumato.cli.verifying import as_drawn, difference, redraw
from sfumato.engine.events import Picture
from sfumato.engine.gathering import Gathered
from sfumato.engine.run import draw
from sfumato.imaging.io import open_picture, save_picture
from sfumato.models.backends.base import NOTHING, Extra
from sfumato.models.load import find_model
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from sfumato.recipe.resolve import resolve
from sfumato.settings import Settings
from tiny_models import tiny_bundle, tiny_folder, tiny_settings

GREY = np.full((4, 6, 3), 100, np.uint8)


def test_equal_pictures() -> None:
    same = difference(GREY, GREY)
    assert same.identical
    assert math.isinf(same.psnr)
    assert same.report()["psnr"] is None
    assert str(same) == "identical (largest difference 0/255)"
    assert difference(GREY + 1, GREY).identical


def test_one_pixel_is_enough() -> None:
    other = GREY.copy()
    other[0, 0, 0] = 98
    found = difference(other, GREY)
    assert not found.identical
    assert (found.largest, found.share) == (2, 1 / 24)
    assert found.mean == 2 / 72
    assert math.isclose(found.psnr, 10 * math.log10(255**2 / (4 / 72)))
    assert "largest difference 2/255" in str(found)
    assert difference(GREY, other) == found


def test_another_size_is_another_picture() -> None:
    found = difference(GREY, GREY[:2])
    assert not found.identical
    assert str(found) == "different: the file has another size, 6x2"
    assert found.report() == {
        "identical": False,
        "size": "6x2",
        "largest": None,
        "mean": None,
        "share": None,
        "psnr": None,
        "backends": None,
    }


def test_two_backends_are_told() -> None:
    names = ("openvino cpu bfloat16", "torch cpu float32")
    near, far = (replace(difference(GREY + n, GREY), backends=names) for n in (1, 2))
    assert near.identical
    said = "drawn by openvino cpu bfloat16, now by torch cpu float32"
    assert str(near) == f"identical (largest difference 1/255); {said}"
    assert str(far).endswith(f"PSNR 42.1 dB; {said}")
    assert "the PSNR says" in far.advice
    assert "processor" in difference(GREY + 2, GREY).advice
    assert far.report()["backends"] == list(names)


@pytest.mark.parametrize(
    ("drew", "asked", "expected"),
    [
        ("openvino cpu bfloat16", {}, ("openvino", "cpu", "bfloat16")),
        ("torch cuda:1 float16", {}, ("torch", "cuda", "float16")),
        ("torch cuda:1 float16", {"device": "cuda:0"}, ("torch", "cuda:0", "float16")),
        ("openvino cpu bfloat16", {"dtype": "float32"}, ("openvino", "cpu", "float32")),
        # What contradicts the picture stays as it was asked for, with everything else.
        ("openvino cpu bfloat16", {"backend": "torch"}, ("torch", "auto", "auto")),
        ("torch cuda float16", {"device": "cpu"}, ("auto", "cpu", "auto")),
        ("something else", {}, ("auto", "auto", "auto")),
        ("torch cpu float64", {}, ("auto", "auto", "auto")),
        ("auto cpu auto", {}, ("auto", "auto", "auto")),
        ("torch  cpu float32", {}, ("auto", "auto", "auto")),
        ("torch cpu float32 whole int8", {}, ("auto", "auto", "auto")),
        ("torch cpu float32 auto", {}, ("auto", "auto", "auto")),
        ("", {}, ("auto", "auto", "auto")),
    ],
)
def test_auto_means_as_it_was_drawn(drew: str, asked: dict[str, Any], expected: tuple[str, ...]) -> None:
    before = Settings(data_dir=Path("x"), **asked)
    after = as_drawn(drew, before)
    assert (after.backend, after.device, after.dtype) == expected
    assert replace(after, backend="auto", device="auto", dtype="auto") == Settings(data_dir=Path("x"))


def test_weights_are_kept_as_they_were() -> None:
    before = Settings(data_dir=Path("x"))
    after = as_drawn("torch cpu bfloat16 int8", before)
    assert (after.backend, after.device, after.dtype, after.storage) == ("torch", "cpu", "bfloat16", "int8")
    asked = replace(before, storage="float8", offload="component")
    assert as_drawn("torch cpu bfloat16 int8", asked).storage == "float8"
    assert as_drawn("torch cpu bfloat16", asked).offload == "component"


class Rounding(Recorder):
    """Rounds differently in batches of another size, more than any processor does."""

    def predict(self, x: Any, t: float, context: Any, extra: Extra = NOTHING) -> Any:
        return super().predict(x, t, context, extra) * (1 + 0.02 * x.shape[0])


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_picture_of_a_batch_is_compared_in_its_batch(suffix: str, tmp_path: Path) -> None:
    bundle = replace(tiny_bundle(), backend=Rounding(tiny_bundle().backend))
    recipe = Recipe(seed=7, steps=2, count=3, parts=(TextPart(prompt="a frog"),))
    run = resolve(recipe, bundle.defaults)
    drawn = [event for event in draw(run, bundle) if isinstance(event, Picture)]
    path = tmp_path / f"b{suffix}"
    save_picture(drawn[1].pixels, path)
    reference = np.asarray(open_picture(path, 10**6))
    found = find_model(str(tiny_folder()), tiny_settings())
    gathered = Gathered(found)
    with bar("drawing") as shown:
        assert redraw(drawn[1].resolved, bundle, gathered, path, reference, shown).identical
        for other in (drawn[2].resolved, run.model_copy(update={"count": 2, "index": 1})):
            assert not redraw(other, bundle, gathered, path, reference, shown).identical
