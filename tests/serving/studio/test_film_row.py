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


def pressed(page: Page, *typed: Any, kind: str = "WebP", visitor: str = ALONE) -> list[dict[Any, Any]]:
    click = handler(page[0], page[2]["film_go"])
    return [*click(asked_by(visitor), *typed, kind)]


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
    news = pressed(page, "a rabbit", "", "4", 12, 0.5, False, kind="GIF")
    shown, box = page[1], page[2]["film_box"]
    assert all(shown.job in one for one in news[:-1])
    moving, save = news[-1][box.moving], news[-1][box.save]
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
        (("a rabbit", "", "1000", 12, 0.5, False), "pictures: are too many here"),
        (("a rabbit", "<b>", "", 12, 0.5, False), "&lt;b&gt;"),
    ):
        (news,) = pressed(page, *typed)
        assert reason in news[page[1].progress]
        assert 'role="alert"' in news[page[1].progress]
    assert desk.queue.of(ALONE) == ()


def test_it_is_the_visitors_own(page: Page, desk: Desk) -> None:
    pressed(page, "a rabbit", "", "2", 12, 0.5, False, visitor="somebody")
    assert [job.state for job in desk.queue.of("somebody")] == ["done"]
    assert desk.queue.of(ALONE) == ()
