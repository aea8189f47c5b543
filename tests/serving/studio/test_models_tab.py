"""The tab Models: what there is, who may do what, and what is done by the queue."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from held_queue import held
from served_studio import WAIT
from sfumato.models.digests import digests_of
from sfumato.serving.desk import ALONE, Desk, open_desk
from sfumato.serving.studio import models_convert, models_tab
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.models_shelf import Shelf
from sfumato.serving.studio.words import words_of
from tiny_adapters import kohya_lora, write_adapter
from tiny_models import tiny_folder, tiny_settings
from tiny_studio import asked_by, frog, handler, open_tiny_desk

WORDS = words_of(Look())
VISITOR = "a-visitor-of-the-net"
Tab = tuple[gr.Blocks, dict[str, Any]]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_tiny_desk(tmp_path) as desk:
        yield desk


def tab_of(desk: Desk) -> Tab:
    with gr.Blocks(analytics_enabled=False) as page:
        parts: dict[str, Any] = models_tab.build(desk, WORDS, Look())
    return page, parts


@pytest.fixture
def tab(desk: Desk) -> Tab:
    return tab_of(desk)


def lora(desk: Desk) -> Path:
    path = desk.settings.data_dir / "models" / "loras" / "ink.safetensors"
    return write_adapter(path, kohya_lora(seed=1))


def find(tab: Tab, visitor: str = ALONE, search: str = "", kind: str = "") -> dict[str, Any]:
    """Return what the page shows when it looks through the library, by the names of its parts."""
    call, _, outputs = tab[1]["find"]
    names = {id(part): name for name, part in tab[1].items()}
    values = call(asked_by(visitor), search, kind, "")
    return {names[id(part)]: value for part, value in zip(outputs, values, strict=True)}


def key_of(tab: Tab, name: str) -> str:
    shelf: Shelf = tab[1]["shelf"]
    return next(one.key for one in shelf.items if one.entry.name == name)


def choose(tab: Tab, key: str, visitor: str = ALONE, job: str = "") -> tuple[Any, ...]:
    event = gr.EventData(None, {"key": key})
    return handler(tab[0], tab[1]["table"], "select")(asked_by(visitor), event, job)


def last(news: Iterator[dict[Any, Any]], part: Any) -> str:
    (*_, end) = [one[part] for one in news if part in one]
    return end


def test_it_shows_what_there_is(desk: Desk, tab: Tab) -> None:
    lora(desk)
    shown = find(tab)
    for name in ("bundled", "tiny", "ink"):
        assert f">{name}</button>" in shown["table"]
    assert str(desk.settings.data_dir) in shown["where"]
    assert "3 of 3" in shown["table"]
    assert "1 of 3" in find(tab, search="ink", kind="LoRA")["table"]
    assert tab[1]["key"].value == ""


def test_what_is_chosen_is_told_of_and_can_be_drawn_with(desk: Desk, tab: Tab) -> None:
    lora(desk)
    find(tab)
    details, estimate, chosen, key, layout, notice, progress, *buttons = choose(tab, key_of(tab, "tiny"))
    assert "<h2>tiny</h2>" in details
    assert "Drawing takes about" in estimate
    assert (chosen, key) == ("tiny", key_of(tab, "tiny"))
    assert layout == "folder"  # no single file can hold its words
    assert (notice, progress) == ("", "")  # what was refused before is over
    assert [one.interactive for one in buttons] == [True] * 4
    details, estimate, chosen, _, layout, _, _, *buttons = choose(tab, key_of(tab, "ink"))
    assert [one.interactive for one in buttons] == [False] * 4
    assert "<h2>ink</h2>" in details
    assert (estimate, chosen) == ("", "")
    assert not isinstance(layout, str)
    for wrong in ("", "tiny", "../tiny"):
        details, _, chosen, key, _, _, _, *buttons = choose(tab, wrong)
        assert 'role="alert"' in details
        assert [one.interactive for one in buttons] == [False] * 4
        assert (chosen, key) == ("", "")


def test_nothing_can_be_done_with_a_model_before_one_is_chosen(desk: Desk, tab: Tab) -> None:
    page, parts = tab
    for name in ("use", "load", "give_back", "do_convert"):
        assert not parts[name].interactive
    (chosen,) = [one for one in page.fns.values() if (parts["table"]._id, "select") in one.targets]
    assert chosen.outputs[-4:] == [parts[name] for name in ("use", "load", "give_back", "do_convert")]


def test_the_line_of_what_ended_goes_with_what_is_done_next(desk: Desk, tab: Tab) -> None:
    page, parts = tab
    find(tab)
    load = handler(page, parts["load"])
    failed = last(load(asked_by(), "nowhere", ""), parts["job"])
    assert "“Model”" in last(load(asked_by(), "nowhere", failed), parts["progress"])
    assert choose(tab, key_of(tab, "tiny"), job=failed)[6] == ""
    assert choose(tab, "gone", job=failed)[6] == ""
    assert last(load(asked_by(), "", failed), parts["progress"]) == ""
    back, convert = handler(page, parts["give_back"]), handler(page, parts["do_convert"])
    for name in ("", "tiny"):
        assert back(asked_by(), name, failed)[parts["progress"]] == ""
    assert last(convert(asked_by(), failed, "", "folder", "", "", ""), parts["progress"]) == ""
    with held(desk):
        waits = desk.queue.submit(frog(), ALONE).id
        assert choose(tab, key_of(tab, "tiny"), job=waits)[6] == gr.skip()
        assert back(asked_by(), "", waits)[parts["progress"]] == gr.skip()


def test_visitors_hear_of_no_folder_and_manage_nothing(desk: Desk, tab: Tab) -> None:
    lora(desk)
    find(tab, VISITOR)
    assert desk.hasher.wait(WAIT)  # else it would be told how far the hashes are
    shown = find(tab, VISITOR)
    assert shown["where"] == ""
    assert not shown["convert"].visible
    assert not shown["give_back"].visible
    page, parts = tab
    details = choose(tab, key_of(tab, "ink"), VISITOR)[0]
    assert str(desk.settings.data_dir) not in details + shown["table"]
    told = handler(page, parts["give_back"])(asked_by(VISITOR), "tiny", "")
    assert WORDS("models_owner_only") in told[parts["notice"]]
    convert = handler(page, parts["do_convert"])
    news = convert(asked_by(VISITOR), "", key_of(tab, "tiny"), "folder", "", "", "mine")
    assert WORDS("models_owner_only") in last(news, parts["notice"])
    assert desk.queue.of(VISITOR) == ()
    allowed = replace(desk, settings=replace(desk.settings, visitors_manage=True))
    assert models_tab.may_manage(asked_by(VISITOR), allowed)
    assert not models_tab.may_manage(asked_by(VISITOR), desk)


def test_a_model_is_loaded_shown_and_given_back(desk: Desk, tab: Tab) -> None:
    page, parts = tab
    assert WORDS("models_now_none") in find(tab)["loaded"]
    load, back = handler(page, parts["load"]), handler(page, parts["give_back"])
    assert WORDS("cannot_draw") in last(load(asked_by(VISITOR), "", ""), parts["notice"])
    news = [*load(asked_by(VISITOR), "tiny", "")]  # who may draw may load
    assert "Loaded in" in news[-1][parts["progress"]]
    assert last(iter(news), parts["notice"]) == ""
    assert "tiny (1 MB)" in news[-1][parts["loaded"]]
    assert any("Loading tiny" in one.get(parts["progress"], "") for one in news)
    told = back(asked_by(), "tiny", "")
    assert "tiny is unloaded: its memory is free again." in told[parts["progress"]]
    assert WORDS("models_now_none") in told[parts["loaded"]]
    assert told[parts["notice"]] == ""
    assert WORDS("models_not_given", "tiny") in back(asked_by(), "tiny", "")[parts["notice"]]
    assert WORDS("models_chosen_first") in back(asked_by(), "", "")[parts["notice"]]


def test_a_conversion_is_a_job_and_its_model_is_found(desk: Desk, tab: Tab) -> None:
    page, parts = tab
    find(tab)
    form = (key_of(tab, "tiny"), "folder", "float16", "", "half")
    room, convert = handler(page, parts["key"], "change"), handler(page, parts["do_convert"])
    assert "as half;" in room(asked_by(), *form)
    assert room(asked_by(VISITOR), *form) == ""
    news = [*convert(asked_by(), "", *form)]
    assert "half is there" in news[-1][parts["progress"]]
    assert ">half</button>" in find(tab)["table"]
    assert "half" in models_tab.drawn_with(desk)
    again = last(convert(asked_by(), "", *form), parts["notice"])
    assert "“Name” is there already" in again
    assert "“Name” is there already" in room(asked_by(), *form)
    nothing = last(convert(asked_by(), "", "", *form[1:]), parts["notice"])
    assert WORDS("models_chosen_first") in nothing


def test_what_is_wrong_names_no_folder(desk: Desk, tab: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    page, parts = tab
    find(tab)
    room = handler(page, parts["key"], "change")
    told = room(asked_by(), key_of(tab, "tiny"), "file", "", "", "")
    assert "its words are not CLIP&#x27;s" in told
    assert str(desk.settings.model_dirs[0]) not in told
    monkeypatch.setattr(models_convert, "SPARE", 10**17)
    told = room(asked_by(), key_of(tab, "tiny"), "folder", "", "", "")
    assert "There is too little room" in told


def test_hashes_are_shown_when_they_are_taken(desk: Desk, tab: Tab) -> None:
    page, parts = tab
    path = lora(desk)
    assert desk.hasher.wait(20)
    find(tab)
    assert desk.hasher.wait(20)
    tick = handler(page, parts["timer"], "tick")
    _, table, timer, told = tick(asked_by(), "", "", "", 0)
    digests = digests_of(path, desk.settings)
    assert digests.auto_v3 in find(tab)["table"]
    assert not timer.active
    _, table, _, _ = tick(asked_by(), "", "", "", told)
    assert not isinstance(table, str)  # nothing new


def test_a_folder_of_models_that_vanishes_leaves_the_bundled_one(tmp_path: Path) -> None:
    library = tmp_path / "disk"
    shutil.copytree(tiny_folder(), library / "tiny")
    with open_desk(replace(tiny_settings(library), data_dir=tmp_path / "home")) as desk:
        tab = tab_of(desk)
        assert 'role="alert"' not in find(tab)["where"]
        key = key_of(tab, "tiny")
        library.rename(tmp_path / "unplugged")
        assert 'role="alert"' in choose(tab, key)[0]
        load = handler(tab[0], tab[1]["load"])
        assert "unknown model" in last(load(asked_by(), "tiny", ""), tab[1]["progress"])
        shown = find(tab)
        assert f"is not there: {library}." in shown["where"]
        assert str(library) not in find(tab, VISITOR)["where"]
        assert WORDS("models_gone_somewhere") in find(tab, VISITOR)["where"]
        assert "1 of 1" in shown["table"]
        assert models_tab.drawn_with(desk) == ["bundled"]
        (tmp_path / "unplugged").rename(library)
        assert "2 of 2" in find(tab)["table"]
