"""Several pictures of the gallery at once: chosen over its pages, favoured, thrown away, packed."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from sfumato.serving.desk import Desk
from sfumato.serving.studio import gallery_tab
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.words import words_of
from tiny_studio import asked_by, drawn, frog, handler, open_tiny_desk

WORDS = words_of(Look())
ME = asked_by("me")
ALL = ("", "", "newest", False, False)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_tiny_desk(tmp_path) as desk:
        yield desk


@pytest.fixture
def tab(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[gr.Blocks, gallery_tab.Parts]:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "copies"))
    with gr.Blocks(analytics_enabled=False) as page:
        parts = gallery_tab.build(desk, WORDS, Look())
    return page, parts


def call(tab: tuple[gr.Blocks, gallery_tab.Parts], part: str, *values: Any, event: str = "click") -> Any:
    return handler(tab[0], tab[1][part], event)(ME, *values)


def search(tab: tuple[gr.Blocks, gallery_tab.Parts], *asked: Any) -> tuple[int, ...]:
    """Return the numbers of the pictures that are found."""
    return call(tab, "search", (), False, *asked, event="submit")[2]


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
    told_on = call(tab, "search", marked, True, *ALL, event="submit")
    assert "Chosen: 3" in told_on[gallery_tab._SHOWN.index("marks")]
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
    # Gradio sends it from there, without a copy of its own.
    assert save.move_resource_to_block_cache(str(path)) == str(path)
    assert [*path.parents[1].iterdir()] == [path.parent]
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


def test_details_say_nothing_that_changed_with_several(tab: Any, desk: Desk) -> None:
    one, two = drawn(desk), drawn(desk)
    assert call(tab, "all_favourite", (one.id,), one.id) == WORDS("unfavourite")
    assert call(tab, "all_favourite", (one.id,), one.id) == WORDS("favourite")
    assert call(tab, "all_favourite", (one.id,), two.id) == gr.skip()
    marked, _, _, *about = call(tab, "all_bin", (one.id,), (), False, two.id)
    assert (marked, about) == ((), [gr.skip()] * 3)
    *_, picture, details, chosen = call(tab, "all_bin", (two.id,), (), False, two.id)
    assert (picture, details, chosen) == (None, "", 0)
