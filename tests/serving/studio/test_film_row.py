"""The button that draws a film, beside Draw on the tab Edit."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from PIL import Image

from sfumato.serving.desk import ALONE, Desk
from sfumato.serving.studio import area, film_row
from sfumato.serving.studio.area import Area
from sfumato.serving.studio.edit_forms import Edit
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.words import words_of
from tiny_studio import asked_by, handler, open_tiny_desk

WORDS = words_of(Look())
Page = tuple[gr.Blocks, Area, dict[str, Any]]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_tiny_desk(tmp_path) as desk:
        yield desk


@pytest.fixture
def page(desk: Desk) -> Page:
    with gr.Blocks(analytics_enabled=False) as blocks:
        shown = area.build(desk, WORDS, "some")
        other = gr.Textbox()
        parts = film_row.button(WORDS) | film_row.fields(WORDS) | film_row.box(WORDS)

        def edit_of(values: Any) -> Edit:
            return Edit(task="mix", prompt="a frog", other=values[0], model="tiny", seed=7, steps=2)

        film_row.connect(shown, parts, [other], edit_of)
    return blocks, shown, parts


def pressed(page: Page, *typed: Any, visitor: str = ALONE) -> dict[Any, Any]:
    return handler(page[0], page[2]["film_go"])(asked_by(visitor), *typed)


def followed(page: Page, answer: dict[Any, Any], visitor: str = ALONE) -> dict[Any, Any]:
    """Return what the page shows when all of it is done."""
    shown = dict[Any, Any]()
    for one in page[1].follow(asked_by(visitor), answer[page[1].series]):
        shown |= one
    return shown


def test_the_fields_say_what_is_asked(page: Page) -> None:
    film = film_row.film_of(
        Edit(task="mix"),
        {"film_seeds": "1,2", "film_frames": "9", "film_fps": 20, "film_hold": 1, "film_loop": True},
    )
    assert (film.seeds, film.frames, film.fps, film.hold, film.loop) == ("1,2", "9", 20.0, 1.0, True)
    values = {name: page[2][name].value for name in film_row.FIELDS}
    assert values == {
        "film_seeds": "",
        "film_frames": "",
        "film_fps": 12,
        "film_hold": 0.5,
        "film_loop": False,
    }


def test_a_film_is_drawn_and_shown(page: Page, desk: Desk) -> None:
    blocks, shown, box = page[0], page[1], page[2]["film_box"]
    told = followed(page, pressed(page, "a rabbit", "", "4", 12, 0.5, False))
    assert "Done in" in told[shown.line]
    assert shown.results not in told  # what is there stays
    show = handler(blocks, shown.films, "change", box.reel)
    news = show(asked_by(), told[shown.films], None, "GIF")
    assert show(asked_by(), told[shown.films], news[box.reel], "GIF") == gr.skip()  # it is shown
    other = handler(blocks, shown.films, "change", shown.about)
    assert other(asked_by(), told[shown.films], None, "GIF") == gr.skip()  # of no picture
    moving, save = news[box.moving], news[box.save]
    paths = [Path(one.value["path"] if isinstance(one.value, dict) else one.value) for one in (moving, save)]
    assert [one.name for one in paths] == ["a-frog-morph.webp", "a-frog-morph.gif"]
    for path in paths:
        with Image.open(path) as film:
            film.seek(3)
            with pytest.raises(EOFError):
                film.seek(4)
    assert desk.gallery.search(ALONE) == ()


def test_what_is_missing_is_said_where_the_picture_would_be(page: Page, desk: Desk) -> None:
    for typed, reason in (
        (("", "", "", 12, 0.5, False), "Say in “Mixed with”"),
        (("a rabbit", "", "1000", 12, 0.5, False), "“Pictures in all” are too many here"),
        (("a rabbit", "<b>", "", 12, 0.5, False), "&lt;b&gt;"),
    ):
        news = pressed(page, *typed)
        assert reason in news[page[1].notice]
        assert 'role="alert"' in news[page[1].notice]
    assert desk.queue.of(ALONE) == ()


def test_it_is_the_visitors_own(page: Page, desk: Desk) -> None:
    answer = pressed(page, "a rabbit", "", "2", 12, 0.5, False, visitor="somebody")
    told = followed(page, answer, "somebody")
    assert [(job.state, job.tab) for job in desk.queue.of("somebody")] == [("done", "some")]
    box = page[2]["film_box"]
    show = handler(page[0], page[1].films, "change", box.reel)
    assert show(asked_by(), told[page[1].films], None, "WebP") == gr.skip()  # nobody else is shown it
    assert desk.queue.of(ALONE) == ()
