"""How what was asked for on a tab goes: asked, told, stopped, and taken up again, also where it is a film."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from held_queue import held
from sfumato.engine.events import Event
from sfumato.engine.keeping import metadata_of
from sfumato.errors import RecipeError
from sfumato.recipe.image import Recipe
from sfumato.recipe.resolve import resolve
from sfumato.serving.desk import Desk
from sfumato.serving.reels import Reel
from sfumato.serving.studio.line import Line, Way, parts_of
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.opening import Opening
from sfumato.serving.studio.words import words_of
from tiny_models import tiny_bundle
from tiny_studio import asked_by, drawn, followed, frog, handler, open_tiny_desk

WORDS = words_of(Look())
ME, OTHER = asked_by("me"), asked_by("somebody else")


@dataclass(frozen=True, eq=False)
class Tab:
    """A page with nothing but a line and two buttons."""

    page: gr.Blocks
    line: Line
    go: gr.Button
    stop: gr.Button
    is_news: Callable[[str], bool]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_tiny_desk(tmp_path) as desk:
        yield desk


@pytest.fixture
def tab(desk: Desk, tmp_path: Path) -> Tab:
    def wanted(owner: str, steps: int) -> Recipe | Way:
        if owner != "me":
            raise RecipeError("is not yours", field="steps")
        return way(tmp_path) if steps == 0 else frog(steps=steps)

    with gr.Blocks(analytics_enabled=False) as page:
        opening, line = Opening(), Line(**parts_of(desk, WORDS, "some"))
        steps, go, stop = gr.Number(), gr.Button(), gr.Button()
        line.asks([go.click], wanted, [steps])
        line.stops(stop)
        line.taken_up(opening)
    return Tab(page, line, go, stop, opening.looked_for["some"])


def way(folder: Path) -> Way:
    """Return what becomes a film at once."""

    def draw(recipe: Recipe, preview_every: int) -> Generator[Event | Reel, None, None]:
        metadata = metadata_of(resolve(frog(), tiny_bundle().defaults), "tests")
        yield Reel(folder, "a-frog", (1, 8, 8, 3), (100,), metadata)

    return Way(frog(), draw)


def ask(tab: Tab, steps: int = 0, request: gr.Request = ME) -> dict[Any, Any]:
    return handler(tab.page, tab.go)(request, steps)


def last(news: Any) -> dict[Any, Any]:
    """Return what the page shows after all of `news`."""
    shown: dict[Any, Any] = {}
    for one in news:
        shown |= one
    return shown


def test_a_film_is_told_of_as_a_drawing_and_by_its_number(tab: Tab, desk: Desk) -> None:
    with held(desk):
        answer = ask(tab)
        assert ask(tab, 2)[tab.line.series] == answer[tab.line.series]
        news = tab.line.follow(ME, answer[tab.line.series])
        assert "Waiting: 1 of 2" in next(news)[tab.line.line]
    shown = last(news)
    film, picture = desk.queue.series(answer[tab.line.series], "me")
    assert (film.film is None, picture.film) == (False, None)
    assert shown[tab.line.films] == (film.id,)
    assert "Done in" in shown[tab.line.line]
    assert set(shown) <= set(tab.line.outputs)


def test_a_page_that_is_loaded_anew_takes_up_a_film_under_way(tab: Tab, desk: Desk) -> None:
    assert not tab.is_news("me")
    assert list(tab.line.follow(ME, "")) == [{tab.line.line: gr.skip()}]
    with held(desk):
        answer = ask(tab)
        assert (tab.is_news("me"), tab.is_news("somebody else")) == (True, False)
        assert list(tab.line.follow(OTHER, "")) == [{tab.line.line: gr.skip()}]
        news = tab.line.follow(ME, "")
        assert next(news) == {tab.line.series: answer[tab.line.series]}
        assert "Waiting" in next(news)[tab.line.line]
    assert len(last(news)[tab.line.films]) == 1


def test_a_film_that_was_done_meanwhile_is_taken_up_unless_something_came_after_it(
    tab: Tab, desk: Desk
) -> None:
    answer = ask(tab)
    last(tab.line.follow(ME, answer[tab.line.series]))
    drawn(desk, owner="me")  # on another tab
    shown = last(tab.line.follow(ME, ""))
    assert shown[tab.line.series] == answer[tab.line.series]
    assert len(shown[tab.line.films]) == 1
    assert list(tab.line.follow(OTHER, "")) == [{tab.line.line: gr.skip()}]
    later = ask(tab, 2)
    last(tab.line.follow(ME, later[tab.line.series]))
    assert not tab.is_news("me")
    assert list(tab.line.follow(ME, "")) == [{tab.line.line: gr.skip()}]  # that is in the gallery


def test_stop_stops_one_and_stop_all_the_rest(tab: Tab, desk: Desk) -> None:
    with held(desk):  # of what is drawn, test_area tells
        series, *_ = (ask(tab)[tab.line.series] for _ in range(3))
        first, *others = desk.queue.series(series, "me")
        for button in (tab.stop, tab.line.stop_all):
            handler(tab.page, button)(OTHER, series)
            handler(tab.page, button)(ME, "")
        assert [one.state for one in desk.queue.series(series, "me")] == ["queued"] * 3
        handler(tab.page, tab.stop)(ME, series)
        assert followed(desk, first).state == "cancelled"
        assert [one.state for one in desk.queue.series(series, "me")[1:]] == ["queued"] * 2
        handler(tab.page, tab.line.stop_all)(ME, series)
        assert [followed(desk, one).state for one in others] == ["cancelled"] * 2
    assert "Stopped" in last(tab.line.follow(ME, series))[tab.line.line]


def test_what_is_wrong_is_said_as_the_page_says_it_and_nothing_waits(tab: Tab, desk: Desk) -> None:
    news = ask(tab, request=OTHER)
    assert list(news) == [tab.line.notice]
    assert "“Steps” is not yours" in news[tab.line.notice]
    assert desk.queue.of("somebody else") == ()
