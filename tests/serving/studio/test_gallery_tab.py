"""The tab Gallery: what is found, chosen, favoured and thrown away, each visitor's own."""

from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from sfumato.serving.desk import Desk
from sfumato.serving.studio import gallery_tab
from sfumato.serving.studio.choosing import found_line
from sfumato.serving.studio.details import details_of
from sfumato.serving.studio.gallery_tab import build
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.words import words_of
from tiny_studio import asked_by, drawn, followed, frog, handler, open_tiny_desk

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
    compared = handler(tab[0], tab[1]["chosen"], "change", tab[1]["compared"])
    number, html, label = compare(first.id, 0)
    assert (number, label) == (first.id, WORDS("compare_end"))
    assert WORDS("compare_choose") in html

    def other(chosen: int) -> Any:
        return compared(ME, chosen, number)

    assert '<th scope="row">seed</th><td>1</td><td>2</td>' in other(second.id)
    assert WORDS("compare_choose") in other(first.id)
    assert WORDS("compare_gone") in other(yours.id)
    assert "__type__" in compared(ME, second.id, 0)  # nothing happens
    second.path.write_bytes(b"no picture")
    damaged = other(second.id)
    assert 'role="alert"' in damaged
    assert str(desk.gallery.folder) not in damaged
    assert compare(second.id, number) == (0, "", WORDS("compare"))
    assert WORDS("choose_picture") in compare(0, 0)[1]


def test_a_picture_that_is_chosen_is_shown_with_all_it_says(tab: Any, desk: Desk) -> None:
    kept = drawn(desk)
    picture, details, chosen, *labels = call(tab, "grid", picked(0), (kept.id,), event="select")
    assert Path(picture.value["path"] if isinstance(picture.value, dict) else picture.value).name
    assert picture.alt_text == "a frog"
    assert "<dt>Seed</dt><dd>7</dd>" in details
    assert chosen == kept.id
    assert labels == [WORDS("favourite"), WORDS("delete"), "Larger: 128 x 128"]


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
    said, column = call(tab, "empty_yes")
    assert (said, column.visible) == ("", False)
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


def test_who_leaves_the_words_as_they_were_stays_where_they_are(tab: Any, desk: Desk) -> None:
    kept = drawn(desk)
    page = page_of(call(tab, "search", *NONE, "frog", *ALL[1:], event="submit"))
    assert page["sought"] == "frog"
    assert call(tab, "search", "frog", *NONE, "frog", *ALL[1:], event="blur") == gr.skip()
    assert call(tab, "search", "", *NONE, None, *ALL[1:], event="blur") == gr.skip()
    page = page_of(call(tab, "search", "fox", *NONE, "frog", *ALL[1:], event="blur"))
    assert (page["numbers"], page["sought"]) == ((kept.id,), "frog")


@pytest.mark.parametrize("binned", [False, True])
def test_pictures_without_files_are_not_counted(tab: Any, desk: Desk, binned: bool) -> None:
    kept = drawn(desk)
    if binned:
        desk.gallery.bin([kept.id], "me")
    kept.path.unlink()
    page = page_of(call(tab, "search", *NONE, "", "", "newest", False, binned, event="submit"))
    assert (page["numbers"], page["empty_bin"].visible) == ((), False)
    assert page["found"] == found_line(0, 1, gallery_tab.PAGE, WORDS, asked=binned)


def test_a_bin_that_cannot_be_emptied_says_so_where_it_was_asked(tab: Any, desk: Desk) -> None:
    kept = desk.gallery.get(drawn(desk, frog(prompt="<b>")).id, "me")
    desk.gallery.bin([kept.id], "me")
    thumbnail = desk.gallery.thumbnail(kept)
    thumbnail.unlink()
    (thumbnail / "folder").mkdir(parents=True)  # what nobody can remove as a file
    said, column = call(tab, "empty_yes")
    assert "cannot be removed" in said
    assert 'role="alert"' in said
    assert str(desk.gallery.folder) not in said
    assert column == gr.skip()  # it can be tried again
    assert kept.path.is_file()


def test_the_picture_of_an_animation_is_chosen_where_none_is(tab: Any, desk: Desk) -> None:
    kept, (page, parts) = drawn(desk, frog(steps=3)), tab
    line = parts["line"]
    job = followed(desk, desk.queue.get(call(tab, "animate", kept.id)[line.series], "me"))
    (showing,) = [one for one in page.fns.values() if (line.films._id, "change") in one.targets]
    (then,) = [one.fn for one in page.fns.values() if one.trigger_after == showing._id]
    assert then is not None
    picture, said, number, *_ = then(ME, 0, job.film)
    assert (Path(picture.value["path"]).name, number) == (kept.path.name, kept.id)
    assert "a frog" in said
    assert then(ME, kept.id, job.film) == then(ME, 0, None) == gr.skip()
    assert then(asked_by("somebody else"), 0, job.film) == gr.skip()


def test_one_that_was_removed_by_hand_is_said_with_its_name_and_no_folder(tab: Any, desk: Desk) -> None:
    kept = drawn(desk)
    shown = page_of(call(tab, "search", *NONE, *ALL, event="submit"))
    kept.path.unlink()
    choose = handler(tab[0], tab[1]["grid"], "select")
    picture, said, number, *_ = choose(ME, picked(0), shown["numbers"])
    assert (picture, number) == (None, 0)
    told = [said, call(tab, "copy_recipe", kept.id), call(tab, "animate", kept.id)[tab[1]["line"].notice]]
    for one in told:
        assert "The picture 'a-frog-7.png' is no longer there" in unescape(one)
        assert str(desk.gallery.folder) not in one
        assert "folder" not in one


def test_what_is_done_with_a_picture_is_what_create_does(tab: Any, desk: Desk) -> None:
    kept, yours = drawn(desk), drawn(desk, owner="somebody else")
    parts, line = tab[1], tab[1]["line"]
    assert "seed = 7" in call(tab, "copy_recipe", kept.id)
    assert "there is no such picture" in call(tab, "copy_recipe", yours.id)
    answer = call(tab, "animate", kept.id)
    (job,) = desk.queue.series(answer[line.series], "me")
    assert (job.tab, job.other) == ("gallery", True)
    news = dict[Any, Any]()
    for one in line.follow(ME, answer[line.series]):
        news |= one
    assert news[line.films] == (job.id,)
    assert "Done in" in news[line.line]
    assert "there is no such picture" in call(tab, "animate", yours.id)[line.notice]
    long = desk.queue.submit(frog(steps=1000), "me", tab="gallery")
    handler(tab[0], parts["stop"])(ME, long.series)
    assert followed(desk, long).state == "cancelled"
