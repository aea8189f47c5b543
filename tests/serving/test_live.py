"""A look that is changed while the studio is open, as an open page hears of it."""

import gc
import logging
import threading
import time
import weakref
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient

from sfumato.errors import RecipeError
from sfumato.serving import live
from sfumato.serving.desk import Desk
from sfumato.serving.live import Live
from sfumato.serving.mounting import mounted, repaint
from sfumato.serving.server import Address, application
from sfumato.serving.studio.check import problems_of
from sfumato.serving.studio.look import FILE, Dressed, Look, Source, read_look
from sfumato.serving.studio.news import PAINT, PLACE
from sfumato.serving.studio.wearing import read, unusable
from tiny_studio import open_tiny_desk

HERE = "http://127.0.0.1:7860"
WAIT = 60.0


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        with open_tiny_desk(tmp_path_factory.mktemp("home")) as desk:
            yield desk


def write(folder: Path, text: str) -> None:
    (folder / FILE).write_text(f'tabs = ["gallery"]\n{text}', encoding="utf-8")


def news(client: TestClient) -> dict[str, Any]:
    answer = client.get(PLACE)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()


def news_after(client: TestClient, before: dict[str, Any]) -> dict[str, Any]:
    """Return the first news that differ."""
    give_up = time.monotonic() + WAIT
    while True:
        now = news(client)
        if now != before:
            return now
        assert time.monotonic() < give_up, before
        time.sleep(0.05)


@contextmanager
def no_garbage_looked_for() -> Generator[None]:
    """Have Python look for garbage only where it is told to."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def title(client: TestClient) -> str:
    return client.get("/config").json()["title"]


def test_a_look_is_changed_broken_and_mended(
    desk: Desk, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, 'title = "First"')
    app = application(desk, read(Source(tmp_path), desk.settings), Address())
    with TestClient(app, base_url=HERE) as client, caplog.at_level(logging.WARNING, "sfumato.studio"):
        first = news(client)
        assert first["notes"] == []
        assert first["made"] in client.get("/").text
        assert news(client) == first
        write(tmp_path, 'title = "Second"\nbackground = "sea.png"')
        broken = news_after(client, first)
        # There is no such picture: what was worn is worn on, and it is said.
        assert broken["made"] == first["made"]
        assert f"{FILE}, line 3: background: there is no such file" in broken["notes"][0]
        assert str(tmp_path) not in broken["notes"][0]
        assert title(client) == "First"
        assert caplog.messages == broken["notes"]
        Image.new("RGB", (4, 4), "blue").save(tmp_path / "sea.png")
        mended = news_after(client, broken)
        assert mended["made"] != first["made"]
        assert mended["notes"] == []
        assert title(client) == "Second"
        assert mended["made"] in client.get("/").text
        write(tmp_path, "title = Third")
        assert "line 2" in news_after(client, mended)["notes"][0]
        assert title(client) == "Second"


def test_files_of_a_look_are_followed(desk: Desk, tmp_path: Path) -> None:
    write(tmp_path, 'css = "more.css"\nabove = "above.html"')
    (tmp_path / "more.css").write_text("h1 { color: red }")
    (tmp_path / "above.html").write_text("<p>First</p>")
    app = application(desk, read(Source(tmp_path), desk.settings), Address())
    with TestClient(app, base_url=HERE) as client:
        before = news(client)
        for number in range(3):
            (tmp_path / "more.css").write_text(f"h1 {{ margin: {number}px }}")
            now = news_after(client, before)
            assert now["made"] != before["made"]
            assert f"margin: {number}px" in client.get("/config").json()["css"]
            before = now
        (tmp_path / "above.html").write_text("<p>Second one</p>")
        assert news_after(client, before)["built"] != before["built"]
        assert "Second one" in client.get("/").text


def test_a_page_that_is_open_is_told_how_it_looks_now(desk: Desk, tmp_path: Path) -> None:
    write(tmp_path, 'title = "First"')
    app = application(desk, read(Source(tmp_path), desk.settings), Address())
    with TestClient(app, base_url=HERE) as client:
        first = news(client)
        client.get("/config", params={"session_hash": "old"})
        write(tmp_path, 'title = "A <b> & more"\naccent = "#123456"')
        second = news_after(client, first)
        assert second["built"] == first["built"] == first["made"] != second["made"]
        paint = client.get(PAINT).json()
        assert {**second, **paint} == {**paint, "notes": []}
        assert paint["title"] == "A <b> & more"
        assert "A &lt;b&gt; &amp; more" in paint["heading"]
        assert "#123456" in paint["theme"]
        # Whoever opens the page now gets the same, and the page is the same one.
        config = client.get("/config", params={"session_hash": "old"}).json()
        assert config["css"] == paint["rules"]
        assert config["title"] == paint["title"]
        assert client.get("/theme.css").text == paint["theme"]
        shown = client.get("/").text.replace("\\", "")
        assert f'"made": "{second["made"]}", "built": "{first["made"]}"' in shown
        # What cannot be painted is said, and what was worn is worn on.
        write(tmp_path, 'title = "Third"\naccent = "greenish"')
        assert "accent: is no colour" in news_after(client, second)["notes"][0]
        assert client.get(PAINT).json() == paint


def test_files_are_looked_at_while_a_page_is_open_and_not_only_as_it_asks(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = threading.Event()

    def remembered(page: gr.Blocks, *values: Any, **more: Any) -> None:
        repaint(page, *values, **more)
        seen.set()

    monkeypatch.setattr(live, "repaint", remembered)
    monkeypatch.setattr(live, "_ASKED", WAIT)
    write(tmp_path, 'title = "First"')
    app = application(desk, read(Source(tmp_path), desk.settings), Address())
    with TestClient(app, base_url=HERE) as client:
        first = news(client)
        write(tmp_path, 'title = "Second"')
        assert seen.wait(WAIT)
        assert news_after(client, first)["made"] == client.get(PAINT).json()["made"]


def test_pages_of_before_are_let_go(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each keeps 6 MB for as long as anything knows of it, such as tasks of Gradio's own. Nobody waits for
    Python to look for garbage by itself.
    """
    made: list[weakref.ref[gr.Blocks]] = []

    def remembered(page: gr.Blocks, *values: Any, **more: Any) -> FastAPI:
        made.append(weakref.ref(page))
        return mounted(page, *values, **more)

    monkeypatch.setattr(live, "mounted", remembered)
    write(tmp_path, 'title = "First"')
    app = application(desk, read(Source(tmp_path), desk.settings), Address())
    with no_garbage_looked_for(), TestClient(app, base_url=HERE) as client:
        now = news(client)
        for number in range(6):
            client.get("/config", params={"session_hash": f"visitor{number}"})
            client.post(
                "/gradio_api/queue/join", json={"data": [], "fn_index": 0, "session_hash": f"v{number}"}
            )
            write(tmp_path, f'title = "Look {number}"\nwelcome = "Again {number}"')
            now = news_after(client, now)
        give_up = time.monotonic() + WAIT
        while sum(one() is not None for one in made) > 3 and time.monotonic() < give_up:
            time.sleep(0.1)
        assert len(made) == 7
        # The one that is worn, and two for pages that were not loaded again.
        assert [one() is not None for one in made] == [False] * 4 + [True] * 3
        assert title(client) == "Look 5"


def test_what_gradio_remembers_does_not_grow(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of looks that are changed, and of uploads, which are written anew: their own names are gone at once."""
    made: list[gr.Blocks] = []

    def remembered(page: gr.Blocks, *values: Any, **more: Any) -> FastAPI:
        made.append(page)
        return mounted(page, *values, **more)

    monkeypatch.setattr(live, "mounted", remembered)
    monkeypatch.setattr(live, "_OFTEN", 0.0)
    write(tmp_path, 'title = "First"')
    app = application(desk, read(Source(tmp_path), desk.settings), Address())
    with TestClient(app, base_url=HERE) as client:
        now = news(client)
        kept: set[Path] = set()
        for number in range(4):
            for kind in ("JPEG", "PNG"):
                with BytesIO() as file:
                    Image.new("RGB", (8, 8), (90 * (kind == "PNG"), 60 * number, 0)).save(file, kind)
                    sent = {"files": (f"a.{kind}", file.getvalue(), f"image/{kind.lower()}")}
                (path,) = client.post("/gradio_api/upload", files=sent).json()
                kept.add(Path(path))
            write(tmp_path, f'welcome = "Look {number}"')
            now = news_after(client, now)
            news(client)
            (names,) = made[-1].temp_file_sets
            # Photos are files of ours by then; what had nothing but pixels is Gradio's still.
            assert {*map(Path, names)} == {one for one in kept if one.stem == "a" and one.suffix == ".PNG"}
        assert all(one.is_file() for one in kept)
        assert len(kept) == 8
        assert all(len(one.temp_file_sets) == 1 for one in made)
        assert sum(len(one.upload_file_set) for one in made) == 4
    assert not any(one.exists() for one in kept)


def test_a_look_that_is_broken_from_the_start_is_not_worn(desk: Desk, tmp_path: Path) -> None:
    write(tmp_path, 'titel = "First"')
    source = Source(tmp_path)
    with pytest.raises(RecipeError) as caught:
        read(source, desk.settings)
    with TestClient(application(desk, unusable(caught.value, source), Address()), base_url=HERE) as client:
        broken = news(client)
        assert f"{FILE}, line 2: titel: no such field" in broken["notes"][0]
        assert "wears a plain one" in broken["notes"][0]
        assert title(client) == "Sfumato"
        write(tmp_path, 'title = "First"')
        assert news_after(client, broken)["notes"] == []
        assert title(client) == "First"


def test_what_only_building_finds_out_is_as_kind(desk: Desk, tmp_path: Path) -> None:
    write(tmp_path, 'accent = "greenish"')
    app = application(desk, read(Source(tmp_path), desk.settings), Address())
    with TestClient(app, base_url=HERE) as client:
        assert f"{FILE}, line 2: accent: is no colour" in news(client)["notes"][0]


def test_without_a_source_it_is_refused_and_nothing_is_followed(desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="is no colour"):
        Live(desk, Dressed(Look(accent="x"), tmp_path), outside=None, page=None, css="")
    write(tmp_path, 'title = "Other"')
    dressed = Dressed(Look(title="Mine", tabs=()), tmp_path, notes=("Mind the gap.",))
    with TestClient(application(desk, dressed, Address()), base_url=HERE) as client:
        assert news(client)["notes"] == ["Mind the gap."]
        assert title(client) == "Mine"
        assert '"live": false' in client.get("/").text.replace("\\", "")


def test_other_sites_hear_nothing_of_it(desk: Desk, tmp_path: Path) -> None:
    with TestClient(application(desk, Dressed(Look(tabs=()), tmp_path), Address()), base_url=HERE) as client:
        assert client.get(PLACE, headers={"origin": "http://evil.example"}).status_code == 403
        assert client.get(PLACE, headers={"host": "evil.example"}).status_code == 400


def test_a_page_that_was_not_loaded_again_goes_on_with_its_own(desk: Desk, tmp_path: Path) -> None:
    write(tmp_path, 'title = "First"')
    app = application(desk, read(Source(tmp_path), desk.settings), Address())
    with TestClient(app, base_url=HERE) as client:
        before = news(client)

        def title_for(session: str) -> str:
            return client.get("/config", params={"session_hash": session}).json()["title"]

        asked = {"data": [], "fn_index": 0, "session_hash": "old"}
        client.post("/gradio_api/queue/join", json=asked)  # as a page does that opens
        write(tmp_path, 'title = "Second"\nwelcome = "Again"')
        news_after(client, before)
        assert (title_for("old"), title_for("new"), title(client)) == ("First", "Second", "Second")


def test_who_writes_a_look_is_told_what_cannot_be_read(
    desk: Desk, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, 'text = "#ffffff"\nground = "#ffffff"')
    with caplog.at_level(logging.WARNING, "sfumato.studio"):
        app = application(desk, read(Source(tmp_path), desk.settings), Address())
        told = [f"problem: {one}" for one in problems_of(read_look(tmp_path))]
        assert len(told) > 2
        assert caplog.messages == told
        with TestClient(app, base_url=HERE) as client:
            before = news(client)
            write(tmp_path, 'text = "#ffffff"\nground = "#888888"')
            assert news_after(client, before)["notes"] == []  # visitors are not told
            again = [f"problem: {one}" for one in problems_of(read_look(tmp_path))]
    assert again != told
    assert caplog.messages == [*told, *again]
