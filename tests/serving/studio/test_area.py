"""Where a tab shows what it draws: the handlers, called as the generators they are."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from sfumato.errors import NotFoundError, RecipeError
from sfumato.imaging.metadata import read_metadata
from sfumato.recipe.codec import from_json
from sfumato.recipe.image import Recipe, Resolved
from sfumato.serving.desk import Desk
from sfumato.serving.studio.area import MOST_CALLED, Area, build, called, recipe_of_picture
from sfumato.serving.studio.build import build as build_page
from sfumato.serving.studio.look import Look, built_in
from sfumato.serving.studio.words import words_of
from tiny_studio import asked_by, drawn, followed, frog, handler, open_tiny_desk

WORDS = words_of(Look())
DRAWN_ON = ("vary_subtle", "vary_strong", "upscale", "edit_this", "animate", "how", "copy_recipe")


@dataclass(frozen=True, eq=False)
class Tab:
    """A page with nothing but an area, a prompt and two buttons."""

    page: gr.Blocks
    area: Area
    prompt: gr.Textbox
    go: gr.Button
    stop: gr.Button


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_tiny_desk(tmp_path) as desk:
        yield desk


@pytest.fixture
def tab(desk: Desk) -> Tab:
    with gr.Blocks(analytics_enabled=False) as page:
        prompt, go, stop = gr.Textbox(), gr.Button(), gr.Button()
        area = build(desk, WORDS, "some")
        area.draws([go.click, prompt.submit], lambda prompt: frog(prompt=prompt, count=2), [prompt])
        area.stops(stop)
    return Tab(page, area, prompt, go, stop)


def last(news: Any) -> dict[Any, Any]:
    """Return what the page shows after all of `news`."""
    shown: dict[Any, Any] = {}
    for one in news:
        shown |= one
    return shown


def test_what_is_drawn_is_shown_step_by_step_and_as_files(tab: Tab, desk: Desk) -> None:
    draw = handler(tab.page, tab.go)
    assert draw is handler(tab.page, tab.prompt, "submit")
    news = list(draw(asked_by("me"), "a <b>frog</b>"))
    assert "Done in" not in news[0][tab.area.progress]
    shown = last(news)
    assert "Done in" in shown[tab.area.progress]
    assert len(shown[tab.area.pictures]) == 2
    assert shown[tab.area.chosen] == shown[tab.area.pictures][0]
    for path, caption in shown[tab.area.results]:
        assert caption.startswith("a <b>frog</b> · ")  # as text: a gallery escapes what it shows
        assert Path(path).is_relative_to(desk.handed)
        assert from_json(read_metadata(Path(path)).resolved_json, Resolved).text is not None


def test_what_is_wrong_with_a_recipe_is_said_and_nothing_is_queued(tab: Tab, desk: Desk) -> None:
    def make() -> Recipe:
        raise RecipeError("is <script>", field="prompt")

    (news,) = tab.area.drawn(make, asked_by("me"))
    assert list(news) == [tab.area.progress]
    assert 'role="alert"' in news[tab.area.progress]
    assert "&lt;script&gt;" in news[tab.area.progress]
    assert desk.queue.of("me") == ()


def test_a_drawing_that_fails_says_why(tab: Tab) -> None:
    shown = last(tab.area.drawn(lambda: frog(model="nothing-of-this-name"), asked_by("me")))
    assert "model" in shown[tab.area.progress]
    assert 'role="alert"' in shown[tab.area.progress]


def test_stop_stops_at_the_next_step_and_only_ones_own(tab: Tab, desk: Desk) -> None:
    stop = handler(tab.page, tab.stop)
    news = tab.area.drawn(lambda: frog(steps=1000), asked_by("me"))
    number = next(news)[tab.area.job]
    with pytest.raises(NotFoundError):
        stop(asked_by("somebody else"), number)
    stop(asked_by("me"), number)
    assert WORDS("stopped") in last(news)[tab.area.progress]
    assert desk.queue.get(number, "me").state == "cancelled"
    stop(asked_by("me"), "")  # where nothing was drawn yet


def test_a_page_that_is_loaded_anew_takes_up_what_is_drawn(tab: Tab, desk: Desk) -> None:
    assert last(tab.area.taken_up(asked_by("me"))) == {tab.area.job: ""}
    job = desk.queue.submit(frog(count=3), "me")
    assert last(tab.area.taken_up(asked_by("other"))) == {tab.area.job: ""}
    shown = last(tab.area.taken_up(asked_by("me")))
    assert shown[tab.area.job] == job.id
    assert len(shown[tab.area.pictures]) == 3


def test_who_leaves_a_page_leaves_the_drawing_alone(tab: Tab, desk: Desk) -> None:
    news = tab.area.drawn(lambda: frog(steps=4), asked_by("me"))
    next(news)
    news.close()
    (job,) = desk.queue.of("me")
    assert followed(desk, job).state == "done"


@pytest.mark.parametrize(
    ("button", "kind", "size"),
    [("vary_subtle", "variation", 64), ("vary_strong", "variation", 64), ("upscale", "hires", 128)],
)
def test_what_is_under_a_picture_draws_it_again(
    tab: Tab, desk: Desk, button: str, kind: str, size: int
) -> None:
    kept = drawn(desk)
    shown = last(handler(tab.page, tab.area.buttons[button])(asked_by("me"), kept.id))
    again = desk.gallery.get(shown[tab.area.chosen], "me")
    assert again.id != kept.id
    assert (again.prompt, again.width) == (kept.prompt, size)
    assert kind in {part.kind for part in desk.gallery.resolved(again).parts}


def test_what_is_under_a_picture_asks_for_one(tab: Tab) -> None:
    (news,) = handler(tab.page, tab.area.buttons["upscale"])(asked_by("me"), 0)
    assert "Choose a picture first." in news[tab.area.progress]


def test_a_picture_is_chosen_by_a_click(tab: Tab) -> None:
    choose = handler(tab.page, tab.area.results, "select")
    for index, number in ((0, 11), (1, 22), (2, 0)):
        event = gr.SelectData(None, {"index": index, "value": None})
        assert choose(event, (11, 22)) == number


def test_the_recipe_of_a_picture_is_that_of_its_owner_alone(desk: Desk) -> None:
    kept = drawn(desk)
    assert recipe_of_picture(desk, WORDS, kept.id, "me").seed == 7
    with pytest.raises(RecipeError, match="Choose a picture first"):
        recipe_of_picture(desk, WORDS, 0, "me")
    with pytest.raises(NotFoundError):
        recipe_of_picture(desk, WORDS, kept.id, "somebody else")


def test_pictures_are_called_by_their_words(desk: Desk) -> None:
    assert called(drawn(desk)) == "a frog · 7"
    assert called(drawn(desk, frog(prompt=""))) == "7"
    assert called(drawn(desk, frog(prompt="x" * 1000))) == "x" * MOST_CALLED + " · 7"


def test_a_picture_tells_its_owner_how_it_was_made(tab: Tab, desk: Desk) -> None:
    kept = drawn(desk, frog(prompt="a <b>frog</b>"))
    tell = handler(tab.page, tab.area.buttons["how"])
    said = tell(asked_by("me"), kept.id)
    assert "a &lt;b&gt;frog&lt;/b&gt;" in said
    assert "seed = 7" in said
    assert "Choose a picture first." in tell(asked_by("me"), 0)
    assert "there is no such picture" in tell(asked_by("somebody else"), kept.id)


def test_every_button_under_a_picture_does_something(desk: Desk) -> None:
    config = build_page(desk, built_in("paper")).get_config_file()
    buttons = [one for one in config["components"] if one["type"] == "button"]
    labels = {one["id"]: one["props"]["value"] for one in buttons}
    bound = {labels.get(target) for one in config.get("dependencies", []) for target, _ in one["targets"]}
    assert {WORDS(name) for name in DRAWN_ON} <= bound
