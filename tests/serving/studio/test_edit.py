"""The tab Edit: what is on its canvas, and the form that is made of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest

from sfumato.errors import PictureError
from sfumato.serving.desk import Desk, open_desk
from sfumato.serving.studio import edit
from sfumato.serving.studio.edit_forms import TASKS, recipe_of_edit
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.words import words_of
from sfumato.settings import Settings

PICTURE = np.full((48, 64, 4), 200, np.uint8)


def layer(*painted: tuple[slice, slice]) -> Any:
    one = np.zeros((48, 64, 4), np.uint8)
    for place in painted:
        one[place] = 255
    return one


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with open_desk(Settings(tmp_path_factory.mktemp("home"))) as desk:
        yield desk


def values(**changes: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "task": "repaint",
        "canvas": {"background": PICTURE, "layers": [layer((slice(0, 8), slice(0, 8)))], "composite": None},
        "prompt": "a frog",
        "negative": None,
        "model": "bundled",
        "count": 1,
        "seed": "",
        "strength": 1,
        "keep_colour": False,
        "feather": 4,
        "only_masked": False,
        "left": None,
        "right": 32,
        "top": 0,
        "bottom": 0,
        "annotator": "",
        "weight": 1,
        "places": [["a rocket", "0.5", 0, 0.5, 1], ["", "", "", "", ""]],
        "other": "a rabbit",
        "share": 0.5,
    }
    assert set(told) == set(edit.FORM)
    return {**told, **changes}


def test_every_paint_stroke_of_every_layer_counts() -> None:
    layers = [layer((slice(0, 8), slice(0, 8))), layer((slice(40, 48), slice(60, 64)))]
    picture, mask = edit.pictures_of({"background": PICTURE, "layers": layers})
    assert picture is not None
    assert picture.shape == (48, 64, 3)
    assert mask is not None
    assert np.count_nonzero(mask[..., 0]) == 64 + 32
    assert set(np.unique(mask)) == {0, 255}


@pytest.mark.parametrize("canvas", [None, {}, {"background": None, "layers": []}])
def test_an_empty_canvas_holds_nothing(canvas: Any) -> None:
    assert edit.pictures_of(canvas) == (None, None)


def test_a_clean_canvas_has_no_mask_and_another_size_is_named() -> None:
    assert edit.pictures_of({"background": PICTURE, "layers": [layer()]})[1] is None
    with pytest.raises(PictureError, match=r"mask: has another size than the picture \(got '8x8'\)"):
        edit.pictures_of({"background": PICTURE, "layers": [np.zeros((8, 8, 4), np.uint8)]})


def test_places_come_from_rows_with_a_prompt() -> None:
    assert [one.area for one in edit.places_of(values()["places"])] == ["0.5,0,0.5,1"]
    assert edit.places_of(None) == ()
    with pytest.raises(PictureError, match="place: needs four numbers"):
        edit.places_of([["a rocket", "wide", 0, 1, 1]])


@pytest.mark.parametrize("task", TASKS)
def test_what_stands_on_the_page_becomes_a_recipe(task: str, desk: Desk) -> None:
    recipe = recipe_of_edit(edit.form_of(values(task=task), desk))
    assert recipe.text is not None
    assert recipe.text.prompt == "a frog"
    assert (recipe.image is not None) == (task in ("change", "repaint", "extend"))
    assert (recipe.mask is not None) == (task == "repaint")


def test_the_tab_shows_only_what_matters(desk: Desk, tmp_path: Path) -> None:
    with gr.Blocks(analytics_enabled=False):
        parts = edit.build(desk, words_of(Look()), Look())
    assert {name for names in edit.SHOWN.values() for name in names} == set(edit.GROUPS)
    assert [name for name in edit.GROUPS if parts[name].visible] == ["of_image"]
    assert set(edit.FORM) <= set(parts)
