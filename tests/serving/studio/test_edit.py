"""The tab Edit: what is on its canvas, and the form that is made of it."""

from collections.abc import Iterator
from typing import Any

import gradio as gr
import numpy as np
import pytest

from sfumato.errors import PictureError, RecipeError
from sfumato.imaging.input_store import INPUTS
from sfumato.serving.desk import Desk, open_desk
from sfumato.serving.studio import edit, finer
from sfumato.serving.studio.edit_forms import TASKS, recipe_of_edit
from sfumato.serving.studio.edit_parts import GROUPS, SHOWN
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.words import words_of
from sfumato.settings import Settings
from tiny_studio import handler

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
        "size": "Wide 160 x 104",
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
        "control": "edges",
        "annotator": "",
        "weight": 1,
        "places": {"boxes": [{"prompt": "a rocket", "left": 0.5, "top": 0, "width": 0.5, "height": 1}]},
        "begin": False,
        "other": "a rabbit",
        "share": 0.5,
        "third": "",
        "third_share": 0.25,
        "mix_mode": "",
        **{"steps": "", "guidance": None, "guidance_start": 0, "guidance_stop": 1},
        **{"sampler": "", "spacing": "", **finer.emptied()},
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


@pytest.mark.parametrize(
    ("alpha", "painted"), [(0, False), (30, False), (127, True), (191, True), (255, True)]
)
def test_a_stroke_of_the_brush_is_a_full_mask(alpha: int, painted: bool) -> None:
    one = layer((slice(0, 8), slice(0, 8)))
    one[:8, :8, 3] = alpha
    mask = edit.pictures_of({"background": PICTURE, "layers": [one]})[1]
    assert (0 if mask is None else int(np.count_nonzero(mask[..., 0]))) == (64 if painted else 0)


@pytest.mark.parametrize("canvas", [None, {}, {"background": None, "layers": []}])
def test_an_empty_canvas_holds_nothing(canvas: Any) -> None:
    assert edit.pictures_of(canvas) == (None, None)


def test_a_clean_canvas_has_no_mask_and_another_size_is_named() -> None:
    assert edit.pictures_of({"background": PICTURE, "layers": [layer()]})[1] is None
    with pytest.raises(PictureError, match=r"mask: has another size than the picture \(got '8x8'\)"):
        edit.pictures_of({"background": PICTURE, "layers": [np.zeros((8, 8, 4), np.uint8)]})


def test_places_are_the_boxes_on_the_frame() -> None:
    assert [one.area for one in edit.places_of(values()["places"])] == ["0.5,0,0.5,1"]
    assert edit.places_of(None) == ()
    five = {"boxes": [{"prompt": "a", "left": 0, "top": 0, "width": 1, "height": 1}] * 5}
    assert len(edit.places_of(five)) == 4


@pytest.mark.parametrize("left", ["wide", None, [], {}])
def test_a_box_without_four_numbers_is_named(left: Any) -> None:
    box = {"prompt": "a rocket", "left": left, "top": 0, "width": 1, "height": 1}
    with pytest.raises(PictureError, match="box 2: needs four numbers"):
        edit.places_of({"boxes": [{**box, "left": 0}, box]})


def test_an_empty_mask_is_told_before_anything_is_written(desk: Desk) -> None:
    with pytest.raises(RecipeError, match="mask: is empty"):
        edit.form_of(values(canvas={"background": PICTURE, "layers": [layer()]}), desk)
    assert not (desk.settings.data_dir / INPUTS).exists()


def test_the_first_chip_leaves_the_size_to_the_model(desk: Desk) -> None:
    assert edit.form_of(values(), desk).size == (160, 104)
    assert edit.form_of(values(size="Square 128 x 128"), desk).size is None
    with pytest.raises(RecipeError, match="size: is no size"):
        edit.form_of(values(size="huge"), desk)


@pytest.mark.parametrize("task", TASKS)
def test_what_stands_on_the_page_becomes_a_recipe(task: str, desk: Desk) -> None:
    recipe = recipe_of_edit(edit.form_of(values(task=task), desk))
    assert recipe.text is not None
    assert recipe.text.prompt == "a frog"
    assert (recipe.image is not None) == (task in ("change", "repaint", "extend"))
    assert (recipe.mask is not None) == (task == "repaint")
    assert (recipe.width == 160) == (task in ("follow", "place", "mix"))


def test_places_may_lie_on_a_picture(desk: Desk) -> None:
    recipe = recipe_of_edit(edit.form_of(values(task="place", begin=True), desk))
    assert recipe.image is not None
    assert recipe.width is None
    with pytest.raises(RecipeError, match="picture: is missing"):
        recipe_of_edit(edit.form_of(values(task="place", begin=True, canvas=None), desk))


@pytest.fixture(scope="module")
def tab(desk: Desk) -> tuple[gr.Blocks, dict[str, Any]]:
    with gr.Blocks(analytics_enabled=False) as page:
        return page, edit.build(desk, words_of(Look()), Look())


def shown_after(page: gr.Blocks, part: Any, event: str, *given: Any) -> list[str]:
    updates = handler(page, part, event)(*given)
    return [name for name, update in zip(GROUPS, updates, strict=False) if update["visible"]]


def test_what_is_painted_over_is_still_seen(tab: tuple[gr.Blocks, dict[str, Any]]) -> None:
    ((_, opacity),) = tab[1]["canvas"].brush.colors
    assert 0.3 <= opacity == edit.OPACITY <= 0.6


def test_the_tab_shows_only_what_matters(tab: tuple[gr.Blocks, dict[str, Any]]) -> None:
    page, parts = tab
    assert [name for name in GROUPS if parts[name].visible] == ["of_image"]
    assert set(edit.FORM) <= set(parts)
    choose = first_handler(page, parts["task"])
    for task in TASKS:
        updates = choose(task, False)
        seen = {name for name, update in zip(GROUPS, updates, strict=False) if update["visible"]}
        assert seen == SHOWN[task]


def test_places_on_a_picture_ask_how_much_of_it_to_draw(tab: tuple[gr.Blocks, dict[str, Any]]) -> None:
    page, parts = tab
    assert shown_after(page, parts["begin"], "input", "place", True) == ["of_image", "of_places"]
    assert shown_after(page, parts["begin"], "input", "place", False) == ["of_places", "of_size"]


def look(tab: tuple[gr.Blocks, dict[str, Any]], **changes: Any) -> tuple[Any, Any]:
    page, parts = tab
    asked = {**values(**changes)}
    names = ("task", "canvas", "model", "size", "begin", "control", "annotator")
    return handler(page, parts["canvas"], "upload")(*(asked[name] for name in names))


def test_what_is_seen_follows_the_canvas(tab: tuple[gr.Blocks, dict[str, Any]]) -> None:
    behind, _ = look(tab, task="extend")
    assert (behind["width"], behind["height"], behind["step"]) == (64, 48, 8)
    assert behind["picture"].startswith("data:image/")
    empty, _ = look(tab, task="place")
    assert (empty["picture"], empty["width"], empty["height"]) == ("", 160, 104)
    on_picture, _ = look(tab, task="place", begin=True)
    assert on_picture == behind
    _, lines = look(tab, task="follow")
    assert lines.shape == (104, 160, 3)
    assert look(tab, task="follow", canvas=None)[1] is None


def first_handler(page: gr.Blocks, part: Any) -> Any:
    """Return the handler of a change of `part` that only it has."""
    (found,) = [one.fn for one in page.fns.values() if one.targets == [(part._id, "change")]]
    return found
