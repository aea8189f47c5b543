"""What the tab Edit shows: behind frames, to ControlNets, and before and after."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sfumato.errors import PictureError, RecipeError
from sfumato.imaging.input_store import INPUTS
from sfumato.serving.desk import ALONE, Desk
from sfumato.serving.studio.edit_forms import Edit, recipe_of_edit
from sfumato.serving.studio.edit_seeing import annotated_of, compared_of, seen_of
from sfumato.serving.uploads import keep_upload
from tiny_studio import drawn, frog, open_tiny_desk

PICTURE = np.full((48, 64, 3), 200, np.uint8)
PICTURE[:, 32:] = 20


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with open_tiny_desk(tmp_path_factory.mktemp("home")) as desk:
        yield desk


def tight(desk: Desk) -> Desk:
    return replace(desk, settings=replace(desk.settings, max_pixels=1000))


def test_a_control_is_shown_what_goes_with_its_name(desk: Desk) -> None:
    def shown(annotator: str, control: str = "edges") -> Any:
        return annotated_of(PICTURE, annotator, control, (64, 48), "tiny", desk)

    lines = shown("")
    np.testing.assert_array_equal(lines, shown("canny"))
    assert 0 < np.count_nonzero(lines[..., 0]) <= 2 * 48
    np.testing.assert_array_equal(shown("none"), PICTURE)
    np.testing.assert_array_equal(shown("", "unheard_of"), PICTURE)
    with pytest.raises(RecipeError, match="control-annotator"):
        shown("magic")
    with pytest.raises(PictureError, match="more than 1000 pixels"):
        annotated_of(PICTURE, "canny", "edges", None, "tiny", tight(desk))


def test_a_control_is_shown_as_much_as_is_drawn(desk: Desk) -> None:
    assert annotated_of(PICTURE, "grey", "edges", None, "bundled", desk).shape == (128, 128, 3)
    assert annotated_of(PICTURE, "none", "edges", (160, 104), "bundled", desk).shape == (104, 160, 3)


def test_frames_show_a_picture_or_an_empty_place(desk: Desk) -> None:
    shown = seen_of(PICTURE, (160, 104), "bundled", desk)
    assert (shown["width"], shown["height"], shown["step"]) == (64, 48, 8)
    assert shown["picture"].startswith("data:image/")
    empty = seen_of(None, (160, 104), "bundled", desk)
    assert (empty["picture"], empty["width"], empty["height"]) == ("", 160, 104)
    assert seen_of(None, None, "bundled", desk)["width"] == 128
    assert seen_of(None, None, "gone", desk)["step"] == 8
    with pytest.raises(PictureError, match="more than 1000 pixels"):
        seen_of(PICTURE, None, "bundled", tight(desk))


def edited(desk: Desk, **fields: Any) -> int:
    source = keep_upload(PICTURE, desk.settings, "picture.png")
    form = Edit(prompt="a frog", model="tiny", image=source, seed=7, steps=2, **fields)
    return drawn(desk, recipe_of_edit(form)).id


def test_before_and_after_are_one_size(desk: Desk) -> None:
    both = compared_of(desk, edited(desk, task="change"), ALONE)
    assert both is not None
    assert both[0].shape == both[1].shape
    assert abs(float(both[0][:, :8].mean()) - 200) < 2


def test_what_was_added_was_grey_before(desk: Desk) -> None:
    both = compared_of(desk, edited(desk, task="extend", right=16), ALONE)
    assert both is not None
    before, after = both
    assert before.shape == after.shape == (48, 80, 3)
    np.testing.assert_array_equal(before[:, :64], PICTURE)
    assert (before[:, 64:] == 128).all()
    np.testing.assert_array_equal(after[:, :64], PICTURE)


def test_without_a_beginning_there_is_nothing_to_compare(desk: Desk) -> None:
    kept = drawn(desk, frog())
    assert compared_of(desk, kept.id, ALONE) is None
    number = edited(desk, task="change")
    assert compared_of(desk, number, "somebody else") is None
    for one in (desk.settings.data_dir / INPUTS).iterdir():
        one.unlink()
    assert compared_of(desk, number, ALONE) is None
