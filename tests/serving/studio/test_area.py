"""Where a tab shows what it draws: the handlers, called as the generators they are."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from held_queue import held
from sfumato.engine.events import Events
from sfumato.errors import NotFoundError, RecipeError
from sfumato.imaging.metadata import read_metadata
from sfumato.recipe.codec import from_json
from sfumato.recipe.image import Recipe, Resolved
from sfumato.serving.desk import Desk
from sfumato.serving.queue import MOST_EACH
from sfumato.serving.studio.area import (
    MOST_CALLED,
    MOST_SHOWN,
    Area,
    build,
    called,
    larger_label,
    newest_first,
    recipe_of_picture,
)
from sfumato.serving.studio.build import build as build_page
from sfumato.serving.studio.line import Way
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


def clicked(tab: Tab, answer: dict[Any, Any], visitor: str = "me") -> Any:
    """Return the news that the page hears after a click was answered."""
    return tab.area.follow(asked_by(visitor), answer[tab.area.series])


def last(news: Any) -> dict[Any, Any]:
    """Return what the page shows after all of `news`."""
    shown: dict[Any, Any] = {}
    for one in news:
        shown |= one
    return shown


def test_what_is_drawn_is_shown_step_by_step_and_as_files(tab: Tab, desk: Desk) -> None:
    draw = handler(tab.page, tab.go)
    assert draw is handler(tab.page, tab.prompt, "submit")
    answer = draw(asked_by("me"), "a <b>frog</b>")
    assert (answer[tab.area.notice], answer[tab.area.full]) == ("", "")
    news = list(clicked(tab, answer))
    assert "Done in" not in news[0][tab.area.line]
    shown = last(news)
    assert "Done in" in shown[tab.area.line]
    assert len(shown[tab.area.pictures]) == 2
    for path, caption in shown[tab.area.results]:
        assert caption.startswith("a <b>frog</b> · ")  # as text: a gallery escapes what it shows
        assert Path(path).is_relative_to(desk.handed)
        assert from_json(read_metadata(Path(path)).resolved_json, Resolved).text is not None


def test_clicks_are_answered_at_once_and_told_in_one_line(tab: Tab, desk: Desk) -> None:
    draw = handler(tab.page, tab.go)
    first = draw(asked_by("me"), "one")
    news = clicked(tab, first)
    seen = [next(news)]
    assert seen[0][tab.area.results] == []  # a fresh series begins with none
    answers = [draw(asked_by("me"), prompt) for prompt in ("two", "three")]
    assert {one[tab.area.series] for one in answers} == {first[tab.area.series]}
    seen += news
    lines = [one[tab.area.line] for one in seen]
    assert any("Drawing 1 of 3" in one and "2 more wait" in one for one in lines)
    assert any("Drawing 3 of 3" in one and "wait" not in one for one in lines)
    # Which is what has the button seen that stops all.
    assert {"sf-more" in one for one in lines if " wait" in one} == {True}
    assert {"sf-more" in one for one in lines if " wait" not in one} == {False}
    shown = last(seen)
    captions = [caption.partition(" ·")[0] for _, caption in shown[tab.area.results]]
    assert captions == ["three", "three", "two", "two", "one", "one"]
    assert "Done in" in shown[tab.area.line]
    later = draw(asked_by("me"), "four")
    assert later[tab.area.series] != first[tab.area.series]
    assert len(last(clicked(tab, later))[tab.area.pictures]) == 2


def test_a_page_follows_once(tab: Tab) -> None:
    answer = handler(tab.page, tab.go)(asked_by("me"), "one")
    news = clicked(tab, answer)
    next(news)
    assert list(clicked(tab, answer)) == [{tab.area.line: gr.skip()}]
    assert len(tab.area.followed) == 1
    assert "Done in" in last(news)[tab.area.line]
    assert tab.area.followed == {}
    assert len(last(clicked(tab, answer))[tab.area.pictures]) == 2  # after the end, what there is


def test_clicks_come_through_one_after_another_and_following_once_more(tab: Tab) -> None:
    """What Gradio is told of it: a click is answered beside others, and what follows is not begun twice."""
    config = tab.page.get_config_file().get("dependencies", [])
    (asking,) = [one for one in config if (tab.go._id, "click") in [tuple(two) for two in one["targets"]]]
    (follows,) = [one for one in config if one["trigger_after"] == asking["id"]]
    assert (asking["queue"], asking["trigger_mode"]) == (False, "multiple")
    assert (follows["queue"], follows["trigger_mode"]) == (True, "always_last")


def test_what_is_wrong_with_a_recipe_is_said_and_nothing_is_queued(tab: Tab, desk: Desk) -> None:
    def make() -> Recipe:
        raise RecipeError("is <script>", field="prompt")

    news = tab.area.asked(make, asked_by("me"))
    assert list(news) == [tab.area.notice]
    assert 'role="alert"' in news[tab.area.notice]
    assert "&lt;script&gt;" in news[tab.area.notice]
    assert desk.queue.of("me") == ()


def test_what_is_full_is_said_until_there_is_room(tab: Tab, desk: Desk) -> None:
    def never() -> Recipe:
        raise AssertionError("a recipe that is refused is not made")

    before = desk.queue.submit(frog(steps=1000), "somebody else")
    first = tab.area.asked(lambda: frog(), asked_by("me"))
    for _ in range(MOST_EACH - 1):
        tab.area.asked(lambda: frog(steps=1), asked_by("me"))
    refused = tab.area.asked(never, asked_by("me"))
    assert list(refused) == [tab.area.full]
    assert f"{MOST_EACH} of yours are waiting" in refused[tab.area.full]
    desk.queue.cancel(before.id, "somebody else")
    shown = last(clicked(tab, first))
    assert shown[tab.area.full] == ""
    assert len(shown[tab.area.pictures]) == MOST_EACH


def test_what_is_full_is_said_after_an_earlier_drawing_as_well(tab: Tab, desk: Desk) -> None:
    first = tab.area.asked(lambda: frog(), asked_by("me"))
    last(clicked(tab, first))
    before = [desk.queue.submit(frog(steps=1000), "me", tab="grid") for _ in range(MOST_EACH + 1)]
    shown = tab.area.asked(lambda: frog(), asked_by("me"))
    for news in clicked(tab, first):  # of the page's own series, which is over
        shown |= news
    assert "are waiting" in shown[tab.area.full]
    for one in before:
        desk.queue.cancel(one.id, "me")


def test_pictures_of_a_long_series_are_handed_over_again(tab: Tab, desk: Desk) -> None:
    kept = desk.gallery.get(followed(desk, desk.queue.submit(frog(), "me")).pictures[0], "me")
    tiles: dict[int, tuple[str, str]] = {}
    assert tab.area._handed([kept.id], "me", tiles) == ""
    before = tiles[kept.id][0]
    Path(before).unlink()  # what was shown long ago goes
    assert tab.area._handed([kept.id], "me", tiles) == ""
    assert tiles[kept.id][0] != before
    assert Path(tiles[kept.id][0]).is_file()


def test_a_drawing_that_fails_says_why_and_the_next_is_drawn(tab: Tab) -> None:
    first = tab.area.asked(lambda: frog(model="nothing-of-this-name"), asked_by("me"))
    tab.area.asked(lambda: frog(), asked_by("me"))
    shown = last(clicked(tab, first))
    assert "model" in shown[tab.area.line]
    assert 'role="alert"' in shown[tab.area.line]


def test_stop_stops_one_at_the_next_step_and_only_ones_own(tab: Tab, desk: Desk) -> None:
    stop = handler(tab.page, tab.stop)
    answer = tab.area.asked(lambda: frog(steps=1000), asked_by("me"))
    tab.area.asked(lambda: frog(), asked_by("me"))
    series = answer[tab.area.series]
    news = clicked(tab, answer)
    next(news)
    stop(asked_by("somebody else"), series)
    stop(asked_by("me"), "")  # a page on which nothing is shown
    assert {one.state for one in desk.queue.of("me")} <= {"queued", "running"}
    stop(asked_by("me"), series)
    shown = last(news)
    assert "Done in" in shown[tab.area.line]
    assert f" · {WORDS('some_stopped', 1)}" in shown[tab.area.line]
    assert [one.state for one in desk.queue.of("me")] == ["cancelled", "done"]


def test_stop_all_stops_what_waits_as_well(tab: Tab, desk: Desk) -> None:
    answer = tab.area.asked(lambda: frog(steps=1000), asked_by("me"))
    for _ in range(2):
        tab.area.asked(lambda: frog(), asked_by("me"))
    apart = desk.queue.submit(frog(), "me")  # of another tab
    news = clicked(tab, answer)
    next(news)
    handler(tab.page, tab.area.stop_all)(asked_by("me"), answer[tab.area.series])
    shown = last(news)
    assert WORDS("stopped") in shown[tab.area.line]
    assert followed(desk, apart).state == "done"
    assert [one.state for one in desk.queue.of("me")] == ["cancelled"] * 3 + ["done"]


def test_pictures_stay_when_something_is_drawn_that_is_none(tab: Tab, desk: Desk) -> None:
    def otherwise(recipe: Recipe, preview_every: int) -> Events:
        yield from ()

    answer = tab.area.asked(lambda: Way(frog(), otherwise), asked_by("me"))
    shown = last(clicked(tab, answer))
    assert tab.area.line in shown
    assert not {tab.area.results, tab.area.pictures} & set(shown)
    with held(desk):
        answer = tab.area.asked(lambda: Way(frog(), otherwise), asked_by("me"))
        tab.area.asked(lambda: frog(), asked_by("me"))
    assert len(last(clicked(tab, answer))[tab.area.pictures]) == 1


def test_a_page_that_is_loaded_anew_takes_up_all_of_it(tab: Tab, desk: Desk) -> None:
    assert list(tab.area.follow(asked_by("me"), "")) == [{tab.area.line: gr.skip()}]
    desk.queue.submit(frog(count=3), "me")  # of no tab that follows its jobs
    assert list(tab.area.follow(asked_by("me"), "")) == [{tab.area.line: gr.skip()}]
    answer = tab.area.asked(lambda: frog(count=3), asked_by("me"))
    tab.area.asked(lambda: frog(), asked_by("me"))
    assert list(tab.area.follow(asked_by("other"), "")) == [{tab.area.line: gr.skip()}]
    shown = last(tab.area.follow(asked_by("me"), ""))
    assert shown[tab.area.series] == answer[tab.area.series]
    assert len(shown[tab.area.pictures]) == 4


def test_who_leaves_a_page_leaves_the_drawing_alone(tab: Tab, desk: Desk) -> None:
    answer = tab.area.asked(lambda: frog(steps=4), asked_by("me"))
    news = clicked(tab, answer)
    next(news)
    news.close()
    assert tab.area.followed == {}
    (job,) = desk.queue.of("me")
    assert followed(desk, job).state == "done"


def test_a_picture_that_is_gone_is_not_shown(tab: Tab, desk: Desk) -> None:
    answer = handler(tab.page, tab.go)(asked_by("me"), "one")
    first, second = last(clicked(tab, answer))[tab.area.pictures]
    desk.gallery.bin([first], "me")
    assert desk.gallery.empty_bin("me") == 1
    shown = last(clicked(tab, answer))
    assert shown[tab.area.pictures] == (second,)
    assert len(shown[tab.area.results]) == 1


def test_not_all_of_a_long_series_is_shown(desk: Desk) -> None:
    job = followed(desk, desk.queue.submit(frog(), "me", tab="some"))
    many = [replace(job, pictures=(2 * one, 2 * one + 1)) for one in range(MOST_SHOWN)]
    shown = newest_first(many)
    assert len(shown) == MOST_SHOWN
    assert shown[:4] == (2 * MOST_SHOWN - 2, 2 * MOST_SHOWN - 1, 2 * MOST_SHOWN - 4, 2 * MOST_SHOWN - 3)


@pytest.mark.parametrize(
    ("button", "kind", "size"),
    [("vary_subtle", "variation", 64), ("vary_strong", "variation", 64), ("upscale", "hires", 128)],
)
def test_what_is_under_a_picture_draws_it_again(
    tab: Tab, desk: Desk, button: str, kind: str, size: int
) -> None:
    kept = drawn(desk)
    answer = handler(tab.page, tab.area.buttons[button])(asked_by("me"), kept.id)
    (number,) = last(clicked(tab, answer))[tab.area.pictures]
    again = desk.gallery.get(number, "me")
    assert again.id != kept.id
    assert (again.prompt, again.width) == (kept.prompt, size)
    assert kind in {part.kind for part in desk.gallery.resolved(again).parts}


def test_the_button_says_how_large_where_that_is_known(desk: Desk) -> None:
    kept, yours = drawn(desk), drawn(desk, owner="somebody else")
    assert larger_label(desk, WORDS, kept.id, "me") == "Larger: 128 x 128"
    for number in (0, yours.id):
        assert larger_label(desk, WORDS, number, "me") == "Larger"


def test_what_is_under_a_picture_asks_for_one(tab: Tab) -> None:
    answer = handler(tab.page, tab.area.buttons["upscale"])(asked_by("me"), 0)
    assert "Choose a picture first." in answer[tab.area.notice]


def test_a_picture_is_chosen_by_a_click(tab: Tab) -> None:
    pick = handler(tab.page, tab.area.results, "select")
    for index, number in ((0, 11), (1, 22), (2, 0)):
        event = gr.SelectData(None, {"index": index, "value": None})
        assert pick(event, (11, 22), asked_by("me")) == (number, number)


def test_of_two_quick_clicks_none_is_dropped(tab: Tab) -> None:
    (bound,) = [one for one in tab.page.fns.values() if (tab.area.results._id, "select") in one.targets]
    assert bound.trigger_mode == "multiple"


def test_the_picture_that_was_clicked_is_meant_whatever_came_before_it_since(tab: Tab, desk: Desk) -> None:
    old, new = drawn(desk), drawn(desk, frog(seed=8))
    value = {"image": {"path": f"/copies/of/gradio/{old.path.name}"}, "caption": None}
    event = gr.SelectData(None, {"index": 0, "value": value})
    pick = handler(tab.page, tab.area.results, "select")
    assert pick(event, (new.id, old.id), asked_by("me")) == (old.id, old.id)


def test_the_newest_is_meant_unless_another_is_shown_large(tab: Tab) -> None:
    settle = handler(tab.page, tab.area.pictures, "change")
    assert settle((5, 4), 0) == {tab.area.chosen: 5, tab.area.picked: 0}
    assert settle((), 4) == {tab.area.chosen: 0, tab.area.picked: 0}
    stays = settle((6, 5, 4), 4)
    assert stays[tab.area.chosen] == 4
    assert stays[tab.area.results].selected_index == 2


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
