"""What is under a picture: how it was made, its recipe to copy, its animation, its file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from PIL import Image

from sfumato.imaging.io import save_picture
from sfumato.recipe.codec import from_toml
from sfumato.recipe.image import Recipe
from sfumato.serving.desk import Desk
from sfumato.serving.reels import Reel
from sfumato.serving.studio import area
from sfumato.serving.studio.actions import GROUPS
from sfumato.serving.studio.area import Area
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.words import words_of
from tiny_studio import asked_by, drawn, frog, handler, open_tiny_desk

WORDS = words_of(Look())
ME, OTHER = asked_by("me"), asked_by("somebody else")
Tab = tuple[gr.Blocks, Area]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_tiny_desk(tmp_path) as desk:
        yield desk


@pytest.fixture
def tab(desk: Desk) -> Tab:
    with gr.Blocks(analytics_enabled=False) as page:
        made = area.build(desk, WORDS, "some")
    return page, made


def press(tab: Tab, button: str, number: int, request: gr.Request = ME) -> Any:
    return handler(tab[0], tab[1].buttons[button])(request, number)


def file_of(part: Any) -> Path:
    return Path(part.value["path"] if isinstance(part.value, dict) else str(part.value))


def test_every_action_is_there_once(tab: Tab) -> None:
    assert [*tab[1].buttons] == [one for group in GROUPS.values() for one in group]


def test_what_is_copied_is_a_recipe(tab: Tab, desk: Desk) -> None:
    html = press(tab, "copy_recipe", drawn(desk, frog(steps=3)).id)
    text = html.partition('spellcheck="false">')[2].partition("</textarea>")[0]
    recipe = from_toml(text.replace("&quot;", '"'), Recipe)
    assert (recipe.model, recipe.seed, recipe.steps) == ("tiny", 7, 3)


@pytest.mark.parametrize("button", ["copy_recipe", "how"])
def test_only_pictures_of_ones_own_are_told(tab: Tab, desk: Desk, button: str) -> None:
    kept = drawn(desk)
    assert "Choose a picture first." in press(tab, button, 0)
    assert "there is no such picture" in press(tab, button, kept.id, OTHER)


def test_what_is_copied_names_no_place_of_this_machine(tab: Tab, desk: Desk) -> None:
    kept = drawn(desk)
    kept.path.write_bytes(b"no picture")
    for button in ("copy_recipe", "how"):
        html = press(tab, button, kept.id)
        assert kept.path.name in html
        assert str(desk.gallery.folder) not in html


def animated(tab: Tab, number: int, kind: str) -> dict[Any, Any]:
    """Have a picture animated, and return what the page shows when that is done."""
    page, area = tab
    answer = press(tab, "animate", number)
    news = dict[Any, Any]()
    for one in area.follow(ME, answer[area.series]):
        news |= one
    return handler(page, area.films, "change")(ME, news[area.films], None, kind)


def test_the_animation_is_shown_and_can_be_downloaded(tab: Tab, desk: Desk) -> None:
    kept = drawn(desk, frog(steps=3, prompt="a <b>frog</b>"))
    shown = animated(tab, kept.id, "GIF")
    moving = next(one for one in shown.values() if isinstance(one, gr.Image))
    save = next(one for one in shown.values() if isinstance(one, gr.DownloadButton))
    assert file_of(moving).name == "a-b-frog-b-7.webp"  # what is seen, whatever is taken along
    assert file_of(save).name == "a-b-frog-b-7.gif"
    for path in (file_of(moving), file_of(save)):
        with Image.open(path) as file:
            file.seek(3)  # the noise, two steps, and the picture
    assert next(one for one in shown.values() if isinstance(one, gr.Column)).visible
    assert shown[tab[1].about] == ""  # nothing is to be said: it is the same picture
    assert [one.id for one in desk.gallery.search("me")] == [kept.id]
    (job,) = [one for one in desk.queue.of("me") if one.tab]
    assert (job.tab, job.film is None) == ("some", False)


def test_an_animation_that_came_out_otherwise_says_so(tab: Tab, desk: Desk) -> None:
    kept, other = drawn(desk, frog(steps=3)), drawn(desk, frog(steps=3, seed=8))
    save_picture(desk.gallery.pixels(other), kept.path, desk.gallery.metadata(kept))
    assert "came out a little differently" in animated(tab, kept.id, "WebP")[tab[1].about]


def test_an_animation_that_cannot_be_says_why(tab: Tab, desk: Desk) -> None:
    for number, request in ((0, ME), (drawn(desk).id, OTHER)):
        news = press(tab, "animate", number, request)
        assert 'role="alert"' in news[tab[1].notice]
    assert desk.queue.of("somebody else") == ()


def test_its_own_animation_stays_with_a_picture(tab: Tab, desk: Desk) -> None:
    kept, other = drawn(desk, frog(steps=3)), drawn(desk)
    reel = next(one for one in animated(tab, kept.id, "GIF").values() if isinstance(one, Reel))
    another = handler(tab[0], tab[1].chosen, "change")
    news = another(ME, kept.id, reel)
    assert file_of(news[tab[1].buttons["download"]]).name == kept.path.name
    assert not [one for one in news.values() if isinstance(one, gr.Column | gr.Image)]
    assert [one.visible for one in another(ME, other.id, reel).values() if isinstance(one, gr.Column)] == [
        False
    ]


def test_another_picture_brings_its_file_and_takes_away_what_was_said(tab: Tab, desk: Desk) -> None:
    kept = drawn(desk)
    another = handler(tab[0], tab[1].chosen, "change")
    news = another(ME, kept.id, None)
    download = news[tab[1].buttons["download"]]
    assert file_of(download).read_bytes() == kept.path.read_bytes()
    assert news[tab[1].about] == ""
    assert [one.visible for one in news.values() if isinstance(one, gr.Column)] == [False]
    assert next(one for one in news.values() if isinstance(one, gr.Image)).value is None
    for number, request in ((0, ME), (kept.id, OTHER)):
        assert another(request, number, None)[tab[1].buttons["download"]].value is None
