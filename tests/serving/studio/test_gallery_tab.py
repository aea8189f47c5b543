"""The tab Gallery: what is found, chosen, favoured and thrown away, each visitor's own."""

from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from sfumato.serving.desk import Desk
from sfumato.serving.studio import gallery_tab
from sfumato.serving.studio.details import details_of
from sfumato.serving.studio.gallery_tab import build
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.words import words_of
from tiny_studio import asked_by, drawn, frog, handler, open_tiny_desk

NASTY = "<img src=x onerror=alert(1)></pre><script>alert(1)</script>"
WORDS = words_of(Look())
ME = asked_by("me")
ALL = ("", "", False, False)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_tiny_desk(tmp_path) as desk:
        yield desk


@pytest.fixture
def tab(desk: Desk) -> tuple[gr.Blocks, gallery_tab.Parts]:
    with gr.Blocks(analytics_enabled=False) as page:
        parts = build(desk, WORDS, Look())
    return page, parts


def call(tab: tuple[gr.Blocks, gallery_tab.Parts], part: str, *values: Any, event: str = "click") -> Any:
    return handler(tab[0], tab[1][part], event)(ME, *values)


def search(tab: tuple[gr.Blocks, gallery_tab.Parts], *asked: Any) -> tuple[int, ...]:
    """Return the numbers of the pictures that are found."""
    return call(tab, "search", *asked, event="submit")[1]


def picked(index: int) -> gr.SelectData:
    return gr.SelectData(None, {"index": index, "value": None})


def test_pictures_are_found_by_words_and_model_the_newest_first(tab: Any, desk: Desk) -> None:
    one, two = drawn(desk), drawn(desk, frog(prompt="a red fox"))
    drawn(desk, frog(prompt="not yours"), owner="somebody else")
    tiles, numbers, newer, older, _, empty_bin, model = call(tab, "search", *ALL, event="submit")
    assert numbers == (two.id, one.id)
    assert [caption for _, caption in tiles] == ["a red fox", "a frog"]
    assert all(Path(path).is_relative_to(desk.handed) and path.endswith(".jpg") for path, _ in tiles)
    assert not newer.visible
    assert not older.visible
    assert not empty_bin.visible
    assert [value for _, value in model.choices] == ["", "tiny"]
    assert search(tab, "FOX red", "", False, False) == (two.id,)
    assert search(tab, "", "bundled", False, False) == ()
    assert search(tab, "%", "", False, False) == ()


def test_more_than_a_page_is_shown_page_by_page(
    tab: Any, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery_tab, "PAGE", 2)
    drawn(desk, frog(count=5))
    made = [one.id for one in desk.gallery.search("me")]
    _, first, newer, older, pages, *_ = call(tab, "search", *ALL, event="submit")
    assert (first, newer.visible, older.visible) == ((made[0], made[1]), False, True)
    _, second, newer, older, pages = call(tab, "older", first, pages, *ALL)
    assert (second, newer.visible, older.visible) == ((made[2], made[3]), True, True)
    tiles, third, newer, older, pages = call(tab, "older", second, pages, *ALL)
    assert (third, newer.visible, older.visible) == ((made[4],), True, False)
    assert len(tiles) == 1
    _, back, *_, pages = call(tab, "newer", pages, *ALL)
    assert back == second
    _, back, newer, _, pages = call(tab, "newer", pages, *ALL)
    assert (back, newer.visible, pages) == (first, False, ())


def test_a_page_is_full_though_files_of_it_are_gone(
    tab: Any, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery_tab, "PAGE", 2)
    drawn(desk, frog(count=6))
    made = desk.gallery.search("me")
    for gone in made[1:4]:
        gone.path.unlink()
    _, numbers, _, older, *_ = call(tab, "search", *ALL, event="submit")
    assert (numbers, older.visible) == ((made[0].id, made[4].id), True)


def test_two_pictures_are_compared_until_it_is_enough(tab: Any, desk: Desk) -> None:
    first, second = (drawn(desk, frog(seed=seed)) for seed in (1, 2))
    yours = drawn(desk, owner="somebody else")
    compare = handler(tab[0], tab[1]["compare"])
    number, html, label = compare(first.id, 0)
    assert (number, label) == (first.id, WORDS("compare_end"))
    assert WORDS("compare_choose") in html

    def other(chosen: int) -> Any:
        return call(tab, "chosen", chosen, number, event="change")

    assert '<th scope="row">seed</th><td>1</td><td>2</td>' in other(second.id)
    assert WORDS("compare_choose") in other(first.id)
    assert WORDS("compare_gone") in other(yours.id)
    assert "__type__" in call(tab, "chosen", second.id, 0, event="change")  # nothing happens
    second.path.write_bytes(b"no picture")
    damaged = other(second.id)
    assert 'role="alert"' in damaged
    assert str(desk.gallery.folder) not in damaged
    assert compare(second.id, number) == (0, "", WORDS("compare"))
    assert WORDS("choose_picture") in compare(0, 0)[1]


def test_a_picture_that_is_chosen_is_shown_with_all_it_says(tab: Any, desk: Desk) -> None:
    kept = drawn(desk)
    picture, details, chosen, favourite, delete = call(tab, "grid", picked(0), (kept.id,), event="select")
    assert Path(picture.value["path"] if isinstance(picture.value, dict) else picture.value).name
    assert picture.alt_text == "a frog"
    assert "<dt>Seed</dt><dd>7</dd>" in details
    assert chosen == kept.id
    assert (favourite, delete) == (WORDS("favourite"), WORDS("delete"))


def test_what_is_gone_or_somebody_elses_is_said_kindly(tab: Any, desk: Desk) -> None:
    other = drawn(desk, owner="somebody else")
    gone = drawn(desk)
    gone.path.unlink()
    for index, numbers in ((0, (other.id,)), (0, (gone.id,)), (0, (999,)), (3, ())):
        picture, details, chosen, *_ = call(tab, "grid", picked(index), numbers, event="select")
        assert picture is None
        assert 'role="alert"' in details
        assert chosen == 0


def test_favourites_and_the_bin(tab: Any, desk: Desk) -> None:
    kept = drawn(desk)
    assert call(tab, "favourite", kept.id) == WORDS("unfavourite")
    assert search(tab, "", "", True, False) == (kept.id,)
    assert call(tab, "favourite", kept.id) == WORDS("favourite")
    assert search(tab, "", "", True, False) == ()
    assert call(tab, "delete", kept.id) == WORDS("restore")
    assert search(tab, *ALL) == ()
    assert call(tab, "search", "", "", False, True, event="submit")[5].visible  # the bin can be emptied
    assert call(tab, "delete", kept.id) == WORDS("delete")
    assert search(tab, *ALL) == (kept.id,)
    call(tab, "delete", kept.id)
    call(tab, "empty_bin")
    assert not kept.path.exists()
    assert search(tab, "", "", False, True) == ()


def test_where_nothing_is_chosen_nothing_happens(tab: Any) -> None:
    assert call(tab, "favourite", 0) == WORDS("favourite")
    assert call(tab, "delete", 0) == WORDS("delete")


def test_what_a_picture_says_of_itself_cannot_act(desk: Desk) -> None:
    kept = drawn(desk, frog(prompt=NASTY))
    html = details_of(desk, WORDS, kept)
    assert "<img" not in html
    assert "<script" not in html
    assert html.count("</pre>") == 1
    assert NASTY in unescape(html)


def test_a_damaged_picture_says_so(tab: Any, desk: Desk) -> None:
    kept, whole = drawn(desk), drawn(desk)
    kept.path.write_bytes(b"no picture")
    assert "picture" in details_of(desk, WORDS, kept)
    tiles, numbers, *_ = call(tab, "search", *ALL, event="submit")
    assert numbers == (whole.id,)  # of each tile its own
    assert len(tiles) == 1
