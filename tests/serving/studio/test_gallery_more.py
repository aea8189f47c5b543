"""More of a picture of the gallery: drawn on the tab Create, with other seeds or larger."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from sfumato.recipe.parts import ImagePart
from sfumato.serving.desk import Desk
from sfumato.serving.studio import create, gallery_more, gallery_tab
from sfumato.serving.studio.area import Area
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.words import words_of
from sfumato.serving.uploads import keep_upload
from tiny_studio import asked_by, drawn, frog, handler, open_tiny_desk

WORDS = words_of(Look())
ME, OTHER = asked_by("me"), asked_by("somebody else")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_tiny_desk(tmp_path) as desk:
        yield desk


@pytest.fixture
def page(desk: Desk) -> tuple[gr.Blocks, dict[str, Any], Area]:
    with gr.Blocks(analytics_enabled=False) as page:
        tabs = gr.Tabs()
        made, gallery = (one.build(desk, WORDS, Look()) for one in (create, gallery_tab))
        gallery_more.connect(gallery, made, tabs)
    return page, gallery, made["area"]


def asked(page: tuple[gr.Blocks, dict[str, Any], Area], button: str, *values: Any) -> dict[Any, Any]:
    """Click a button, and return what the page shows when all is done."""
    blocks, gallery, area = page
    news = dict(handler(blocks, gallery[button], changes=area.notice)(ME, *values))
    for one in area.follow(ME, news.get(area.series, "")):
        news |= one
    return news


def test_as_many_others_as_are_asked_for_are_like_it_but_for_their_seeds(page: Any, desk: Desk) -> None:
    kept = drawn(desk, frog(steps=3, count=2))
    news = asked(page, "vary", kept.id, 3.0)
    made = desk.gallery.get_all(news[page[2].pictures], "me")
    assert len({one.seed for one in (kept, *made)}) == 4
    whole, others = desk.gallery.resolved(kept), [desk.gallery.resolved(one) for one in made]
    assert {one.count for one in others} == {3}
    same = {"seed": 0, "count": 1, "index": 0}
    assert [one.model_copy(update=same) for one in others] == [whole.model_copy(update=same)] * 3
    (job,) = [one for one in desk.queue.of("me") if one.tab]
    assert job.tab == "create"  # where it is shown


def test_what_began_with_a_picture_begins_with_it_again(page: Any, desk: Desk) -> None:
    source = keep_upload(desk.gallery.pixels(drawn(desk)), desk.settings, "photo.png")
    image = ImagePart(source=source, strength=0.5)
    recipe = frog(steps=4)
    edited = drawn(desk, recipe.model_copy(update={"parts": (*recipe.parts, image)}))
    (number,) = asked(page, "vary", edited.id, 1)[page[2].pictures]
    one, other = (desk.gallery.resolved(desk.gallery.get(each, "me")) for each in (edited.id, number))
    assert one.image is not None
    assert one.image == other.image
    assert one.seed != other.seed


def test_it_becomes_twice_as_large(page: Any, desk: Desk) -> None:
    kept = drawn(desk)
    (number,) = asked(page, "upscale", kept.id)[page[2].pictures]
    larger = desk.gallery.get(number, "me")
    assert (larger.width, larger.height, larger.seed) == (128, 128, kept.seed)


@pytest.mark.parametrize(("button", "more"), [("vary", (2,)), ("upscale", ())])
def test_what_is_not_there_is_said_where_it_would_be_drawn(
    page: Any, desk: Desk, button: str, more: tuple[int, ...]
) -> None:
    yours = drawn(desk, owner="somebody else")
    blocks, gallery, area = page
    ask = handler(blocks, gallery[button], changes=area.notice)
    assert "Choose a picture first." in ask(ME, 0, *more)[area.notice]
    assert "there is no such picture" in ask(ME, yours.id, *more)[area.notice]
    assert ask(OTHER, yours.id, *more)[area.notice] == ""


def test_a_click_leads_to_where_it_is_drawn(page: Any) -> None:
    blocks, gallery, _ = page
    for button in gallery_more.BUTTONS:
        leads = [
            one for one in blocks.fns.values() if (gallery[button]._id, "click") in one.targets and one.js
        ]
        assert [[type(part) for part in one.outputs] for one in leads] == [[gr.Tabs]]
