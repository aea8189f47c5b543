"""The fold of finer points: what stands in it is a form, and a form stands in it."""

from collections.abc import Iterator
from typing import Any

import gradio as gr
import pytest

from sfumato.errors import RecipeError
from sfumato.imaging.metadata import read_metadata
from sfumato.recipe.again import recipe_of, single
from sfumato.recipe.codec import digest, from_json
from sfumato.recipe.image import Resolved
from sfumato.serving.desk import Desk
from sfumato.serving.studio import create, edit, finer
from sfumato.serving.studio.finer import BOUND, FORM, GROUPS, emptied, filled, form_of, said
from sfumato.serving.studio.finer_forms import PLAIN, Finer, finer_of
from sfumato.serving.studio.finer_reading import KIND_OF
from sfumato.serving.studio.finer_texts import FINER
from sfumato.serving.studio.forms import Create, recipe_of_create
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.opening import Opening
from sfumato.serving.studio.words import words_of
from tiny_studio import drawn, handler, open_tiny_desk, sent

WORDS = words_of(Look())
Page = tuple[gr.Blocks, dict[str, finer.Parts]]
TABS = {"create": create.build, "edit": edit.build}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with open_tiny_desk(tmp_path_factory.mktemp("home")) as desk:
        yield desk


@pytest.fixture(scope="module")
def page(desk: Desk) -> Page:
    with gr.Blocks(analytics_enabled=False) as page:
        parts = {name: build(desk, WORDS, Look()) for name, build in TABS.items()}
        finer.refreshes(Opening(), desk, WORDS, parts)
    return page, parts


def test_every_field_stands_in_one_group_and_has_words() -> None:
    placed = [field for rows in GROUPS.values() for row in rows for field in row]
    assert sorted(placed) == sorted(KIND_OF)
    said_of = {
        "finer",
        "finer_about",
        "finer_set",
        "finer_as_files_say",
        *(f"finer_group_{one}" for one in GROUPS),
    }
    infos = {f"finer_{name}_info" for name, kind in KIND_OF.items() if kind not in ("choice", "switch")}
    choices = {
        "finer_refiner_none",
        "finer_vae_own",
        "finer_zero_snr_yes",
        "finer_zero_snr_no",
        "finer_tiling_off",
    }
    choices |= {f"finer_tiling_{one}" for one in finer.TILINGS}
    choices |= {f"finer_prediction_{one}" for one in finer.PREDICTIONS}
    assert set(FORM) <= set(FINER)
    assert set(FINER) - set(FORM) - infos == said_of | choices


@pytest.mark.parametrize("tab", TABS)
def test_as_it_opens_everything_is_left_to_the_model(tab: str, desk: Desk, page: Page) -> None:
    parts = page[1][tab]
    values = {name: parts[name].value for name in FORM}
    assert values == emptied()
    assert form_of({**values, "model": "bundled"}, desk) == PLAIN
    for field in BOUND:  # as the bundled model can do it
        unable = field in {"image_guidance", *BOUND[6:]}
        assert parts[f"finer_{field}"].visible is not unable, field


def test_what_is_not_offered_is_neither_shown_nor_sent(desk: Desk, page: Page) -> None:
    values = {**emptied(), "model": "bundled", "finer_image_guidance": "2", "finer_score": "5"}
    assert form_of(values, desk) == PLAIN
    shown = filled(Finer(image_guidance=2.0, pag=3.0), "bundled", desk)
    assert shown["finer_image_guidance"] == gr.update(value="", visible=False)
    assert shown["finer_pag"] == gr.update(value="3", visible=True)
    follow = handler(page[0], page[1]["edit"]["finer_refiner"], "input")
    assert [one["visible"] for one in follow("bundled", "tiny")] == [
        one not in {"image_guidance", *BOUND[6:]} for one in BOUND
    ]
    with pytest.raises(gr.Error, match="unknown model"):
        follow("bundled", "gone")


def test_names_that_are_not_here_do_not_stand_there(desk: Desk) -> None:
    shown = filled(Finer(refiner="gone", refine_from=0.5, vae="<b>"), "bundled", desk)
    assert {name: sent(value) for name, value in shown.items()} == emptied()


def test_what_is_no_number_is_named_by_its_field(desk: Desk) -> None:
    with pytest.raises(RecipeError, match="hires-strength: is no number"):
        form_of({**emptied(), "model": "bundled", "finer_hires_strength": "half"}, desk)


def test_what_is_set_is_said_while_it_is_folded(desk: Desk, page: Page) -> None:
    assert said(PLAIN, WORDS) == ""
    assert "Set: Clip skip, Fast" in said(Finer(clip_skip=2, fast=True), WORDS)
    tell = handler(page[0], page[1]["create"]["finer_left"])
    values: dict[str, Any] = {**emptied(), "finer_clip_skip": "2"}
    assert "Clip skip" in tell("bundled", *values.values())
    assert tell("bundled", *{**values, "finer_clip_skip": "two"}.values()) == gr.skip()


def test_lists_know_what_came_and_what_went(desk: Desk, page: Page) -> None:
    parts = page[1]["create"]
    (now,) = [one.fn for one in page[0].fns.values() if one.outputs[:2] == finer.late(parts)[:2]]
    assert now is not None
    refiner, vae, _, other = now("tiny", "own", "", "gone")
    assert [value for _, value in refiner.choices] == ["", "bundled", "tiny"]
    assert [value for _, value in vae.choices] == ["", "own"]
    assert other.value == ""


def test_a_picture_that_is_drawn_brings_its_settings_back(desk: Desk) -> None:
    asked = Finer(
        rescale=0.3,
        refiner="bundled",
        refine_from=0.5,
        apg=(0.0, 0.05, -0.25),
        pag=2.0,
        variation=0.1,
        zero_snr=True,
    )
    form = Create("a frog", model="bundled", seed=5, steps=4, finer=asked)
    kept = drawn(desk, recipe_of_create(form))
    first = single(from_json(read_metadata(kept.path).resolved_json, Resolved))
    assert first.refine is not None
    values = filled(finer_of(recipe_of(first)), "bundled", desk)
    back = form_of({"model": "bundled", **{name: sent(value) for name, value in values.items()}}, desk)
    again = drawn(desk, recipe_of_create(Create("a frog", seed=5, steps=4, finer=back)))
    second = single(from_json(read_metadata(again.path).resolved_json, Resolved))
    assert digest(second) == digest(first)
