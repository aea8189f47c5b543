"""The tab Gallery: what is found, chosen, favoured and thrown away, each visitor's own."""

import zipfile
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
ALL = ("", "", "newest", False, False)
NONE = ((), False)  # marked, and whether several are chosen


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
    return call(tab, "search", *NONE, *asked, event="submit")[2]


def page_of(told: tuple[Any, ...]) -> dict[str, Any]:
    """Return what a page shows, by names."""
    return dict(zip((*gallery_tab._SHOWN, "model", "sought"), told, strict=False))


def picked(index: int) -> gr.SelectData:
    return gr.SelectData(None, {"index": index, "value": None})


def test_pictures_are_found_by_words_and_model_the_newest_first(tab: Any, desk: Desk) -> None:
    one, two = drawn(desk), drawn(desk, frog(prompt="a red fox"))
    drawn(desk, frog(prompt="not yours"), owner="somebody else")
    page = page_of(call(tab, "search", *NONE, *ALL, event="submit"))
    assert page["numbers"] == (two.id, one.id)
    assert [caption for _, caption in page["grid"]] == ["a red fox", "a frog"]
    assert all(Path(path).is_relative_to(desk.handed) and path.endswith(".jpg") for path, _ in page["grid"])
    assert not any(page[name].visible for name in ("newer", "older", "empty_bin"))
    assert "2 pictures" in page["found"]
    assert page["marks"] == ""
    assert [value for _, value in page["model"].choices] == ["", "tiny"]
    assert search(tab, "FOX red", "", "newest", False, False) == (two.id,)
    assert search(tab, "", "bundled", "newest", False, False) == ()
    assert search(tab, "%", "", "newest", False, False) == ()


def test_they_are_sorted_and_what_no_form_sends_is_the_newest_first(tab: Any, desk: Desk) -> None:
    made = [drawn(desk, frog(prompt=str(number))).id for number in range(3)]
    desk.gallery.mark([made[1]], "me", favourite=True)
    for order, wanted in (("newest", (2, 1, 0)), ("oldest", (0, 1, 2)), ("favourites", (1, 2, 0))):
        assert search(tab, "", "", order, False, False) == tuple(made[place] for place in wanted)
    for wrong in ("id; DROP TABLE pictures", None, 3, []):
        assert search(tab, "", "", wrong, False, False) == tuple(reversed(made))


def test_more_than_a_page_is_shown_page_by_page(
    tab: Any, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery_tab, "PAGE", 2)
    drawn(desk, frog(count=5))
    made = [one.id for one in desk.gallery.search("me")]
    for order, wanted in (("newest", made), ("oldest", made[::-1]), ("favourites", made)):
        asked = ("", "", order, False, False)
        first = page_of(call(tab, "search", *NONE, *asked, event="submit"))
        assert (first["numbers"], first["newer"].visible, first["older"].visible) == (
            tuple(wanted[:2]),
            False,
            True,
        )
        second = page_of(call(tab, "older", first["end"], first["pages"], *NONE, *asked))
        assert (second["numbers"], second["newer"].visible) == (tuple(wanted[2:4]), True)
        assert "page 2 of 3" in second["found"]
        third = page_of(call(tab, "older", second["end"], second["pages"], *NONE, *asked))
        assert (third["numbers"], third["older"].visible) == (tuple(wanted[4:]), False)
        back = page_of(call(tab, "newer", third["pages"], *NONE, *asked))
        assert back["numbers"] == second["numbers"]
        back = page_of(call(tab, "newer", back["pages"], *NONE, *asked))
        assert (back["numbers"], back["newer"].visible, back["pages"]) == (first["numbers"], False, ())


def test_who_throws_a_page_away_stays_where_pictures_are(
    tab: Any, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery_tab, "PAGE", 2)
    drawn(desk, frog(count=5))
    made = [one.id for one in desk.gallery.search("me")]
    stay = tab[1]["here"][0]
    first = page_of(call(tab, "search", *NONE, *ALL, event="submit"))
    second = page_of(call(tab, "older", first["end"], first["pages"], *NONE, *ALL))
    desk.gallery.bin([made[2]], "me")
    now = page_of(stay(ME, second["pages"], *NONE, *ALL))
    assert now["numbers"] == (made[3], made[4])
    desk.gallery.bin(made[3:], "me")
    now = page_of(stay(ME, second["pages"], *NONE, *ALL))
    assert (now["numbers"], now["pages"]) == ((made[0], made[1]), ())


def test_a_page_is_full_though_files_of_it_are_gone(
    tab: Any, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery_tab, "PAGE", 2)
    drawn(desk, frog(count=6))
    made = desk.gallery.search("me")
    for gone in made[1:4]:
        gone.path.unlink()
    page = page_of(call(tab, "search", *NONE, *ALL, event="submit"))
    assert (page["numbers"], page["older"].visible) == ((made[0].id, made[4].id), True)


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
    assert search(tab, "", "", "newest", True, False) == (kept.id,)
    assert call(tab, "favourite", kept.id) == WORDS("favourite")
    assert search(tab, "", "", "newest", True, False) == ()
    assert call(tab, "delete", kept.id) == WORDS("restore")
    assert search(tab, *ALL) == ()
    page = page_of(call(tab, "search", *NONE, "", "", "newest", False, True, event="submit"))
    assert page["empty_bin"].visible  # the bin can be emptied
    assert page["all_bin"] == WORDS("restore")
    assert call(tab, "delete", kept.id) == WORDS("delete")
    assert search(tab, *ALL) == (kept.id,)
    call(tab, "delete", kept.id)
    line, column = call(tab, "empty_bin")
    assert "Pictures: 1." in line
    assert column.visible
    assert desk.gallery.get(kept.id, "me").binned is not None  # only asked for so far
    assert not call(tab, "empty_yes").visible
    assert not kept.path.exists()
    assert search(tab, "", "", "newest", False, True) == ()


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
    page = page_of(call(tab, "search", *NONE, *ALL, event="submit"))
    assert page["numbers"] == (whole.id,)  # of each tile its own
    assert len(page["grid"]) == 1


def test_several_are_chosen_over_pages_favoured_and_thrown_away(tab: Any, desk: Desk) -> None:
    drawn(desk, frog(count=3))
    page = tuple(one.id for one in desk.gallery.search("me"))
    marked, marks, save, bar, clicks = handler(tab[0], tab[1]["several"], "change")(True, page)
    assert (marked, bar.visible, save.visible, clicks) == ((), True, False, 0)
    assert WORDS("several_about") in marks
    told = gr.EventData(None, {"places": [0, 2], "sent": 3})
    marked, marks, _, clicks = handler(tab[0], tab[1]["marks"], "select")(told, page, (999,), 2)
    assert (marked, clicks) == ((999, page[0], page[2]), 3)
    assert 'data-sent="3"' in marks
    assert handler(tab[0], tab[1]["all_page"])(page, (999,))[0] == (999, *page)
    assert handler(tab[0], tab[1]["all_none"])(page)[0] == ()
    assert "Chosen: 3" in page_of(call(tab, "search", marked, True, *ALL, event="submit"))["marks"]
    call(tab, "all_favourite", marked, 0)
    assert search(tab, "", "", "newest", True, False) == (page[0], page[2])
    call(tab, "all_favourite", marked, 0)
    assert search(tab, "", "", "newest", True, False) == ()
    assert call(tab, "all_bin", marked, page, False, 0)[0] == ()
    assert search(tab, *ALL) == (page[1],)
    call(tab, "all_bin", marked, page, True, 0)
    assert search(tab, *ALL) == page


def test_several_are_taken_away_as_a_zip_and_nobody_elses(tab: Any, desk: Desk) -> None:
    mine, yours = drawn(desk), drawn(desk, owner="somebody else")
    save = call(tab, "zip", (mine.id, yours.id, 999))
    assert save.visible
    path = Path(save.value["path"] if isinstance(save.value, dict) else save.value)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [mine.path.name]
        assert archive.read(mine.path.name) == mine.path.read_bytes()
    for part, more in (("zip", ()), ("all_favourite", (0,)), ("all_bin", ((), False, 0))):
        for marked in ((), (yours.id,)):
            with pytest.raises(gr.Error, match="Choose some pictures first"):
                call(tab, part, marked, *more)
    assert not desk.gallery.get(yours.id, "somebody else").favourite


def test_no_quick_click_is_dropped_and_one_that_was_overtaken_is_ignored(tab: Any) -> None:
    for part in ("marks", "grid"):
        (bound,) = [one for one in tab[0].fns.values() if (tab[1][part]._id, "select") in one.targets]
        assert bound.trigger_mode == "multiple"
    click = handler(tab[0], tab[1]["marks"], "select")
    third, second = (gr.EventData(None, {"places": [0], "sent": sent}) for sent in (3, 2))
    marked, _, _, last = click(third, (11, 12), (), 0)
    assert (marked, last) == ((11,), 3)
    assert click(second, (11, 12), marked, last) == gr.skip()
    assert click(gr.EventData(None, {"places": "?"}), (11, 12), marked, last) == gr.skip()


def test_who_leaves_the_words_as_they_were_stays_where_they_are(tab: Any, desk: Desk) -> None:
    kept = drawn(desk)
    page = page_of(call(tab, "search", *NONE, "frog", *ALL[1:], event="submit"))
    assert page["sought"] == "frog"
    assert call(tab, "search", "frog", *NONE, "frog", *ALL[1:], event="blur") == gr.skip()
    assert call(tab, "search", "", *NONE, None, *ALL[1:], event="blur") == gr.skip()
    page = page_of(call(tab, "search", "fox", *NONE, "frog", *ALL[1:], event="blur"))
    assert (page["numbers"], page["sought"]) == ((kept.id,), "frog")


def test_details_say_nothing_that_changed_with_several(tab: Any, desk: Desk) -> None:
    one, two = drawn(desk), drawn(desk)
    assert call(tab, "all_favourite", (one.id,), one.id) == WORDS("unfavourite")
    assert call(tab, "all_favourite", (one.id,), one.id) == WORDS("favourite")
    assert call(tab, "all_favourite", (one.id,), two.id) == gr.skip()
    marked, _, _, *about = call(tab, "all_bin", (one.id,), (), False, two.id)
    assert (marked, about) == ((), [gr.skip()] * 3)
    *_, picture, details, chosen = call(tab, "all_bin", (two.id,), (), False, two.id)
    assert (picture, details, chosen) == (None, "", 0)


def test_a_bin_of_pictures_without_files_can_be_emptied(tab: Any, desk: Desk) -> None:
    kept = drawn(desk)
    desk.gallery.bin([kept.id], "me")
    kept.path.unlink()
    asked = ("", "", "newest", False, True)
    page = page_of(call(tab, "search", *NONE, *asked, event="submit"))
    assert (page["numbers"], page["empty_bin"].visible) == ((), True)
    call(tab, "empty_yes")
    assert not page_of(call(tab, "search", *NONE, *asked, event="submit"))["empty_bin"].visible
