"""Bad input and bad moments, sent to a studio that is really served, as the page sends them: a friendly line
comes back, the page goes on, and nothing is left by halves.

The tab as people see it is in tests/serving/browser; disks, memory and kills are in test_hurt_studio.py.
"""

import json
import shutil
import socket
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from held_queue import held
from hurt_studio import state_of
from page_client import Shown, Visitor
from served_studio import Served, bundled_settings, served_studio
from sfumato.models.folders import BUNDLED
from sfumato.recipe.adapters import Adapter, AdaptersPart
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from sfumato.serving.desk import ALONE, open_desk
from sfumato.serving.queue import MOST_EACH
from sfumato.settings import Settings
from tiny_models import tiny_folder
from tiny_studio import followed, frog, open_tiny_desk

CLICKS = 200
WAIT = 60.0
#: What is told to nobody: where files are on the server.
PRIVATE = ("/tmp", "/etc", "/home", "Traceback")


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("shown")))
        with served_studio(bundled_settings(home)) as served:
            yield served


@pytest.fixture(scope="module")
def visitor(studio: Served) -> Iterator[Visitor]:
    """The visitor that most tests share: that the page goes on for them is what the next test shows."""
    with Visitor(studio.url) as visitor:
        yield visitor.open()


@pytest.fixture
def other(studio: Served) -> Iterator[Visitor]:
    with Visitor(studio.url) as visitor:
        yield visitor.open()


@pytest.fixture(scope="module", autouse=True)
def whole(studio: Served) -> Iterator[None]:
    """After all tests the page answers, the next picture is drawn, and nothing is left by halves."""
    yield
    with Visitor(studio.url) as other:
        assert other.open().draw(prompt="a frog", steps="1").done
    left = state_of(studio.desk.settings.data_dir)
    assert left == {
        "sound": "ok",
        "parts": 0,
        "torn": [],
        "files_without_rows": [],
        "rows_without_files": [],
    }


@pytest.mark.parametrize(
    "prompt",
    [
        "a frog " * 150_000,
        "a\0frog",
        "a \ud800 frog",
        "a \u202egorf\u202c \u200b",
        "🐸\u200d🐸",
        "(" * 10_000 + "a frog",
        "[a:b:0.5]" * 5_000,
        "<img src=x onerror=alert(1)>",
        "\x1b[2J\r\n\ta frog",
    ],
    ids=[
        "1 MB",
        "NUL",
        "surrogate",
        "right to left",
        "emoji",
        "brackets",
        "turns",
        "tag",
        "escape",
    ],
)
def test_any_text_is_a_prompt(visitor: Visitor, prompt: str) -> None:
    seen = [*visitor.drawing(prompt=prompt, steps="1")]
    assert seen[-1].done, seen[-1]
    assert max(len(one.progress) for one in seen) < 100_000  # not the whole prompt with every news
    assert all("<img src=x" not in one.progress for one in seen)


@pytest.mark.parametrize("prompt", ["", " \t\n", "\u00a0"], ids=["empty", "blanks", "hard blank"])
@pytest.mark.parametrize("style", ["as it is", "watercolour"])
def test_without_words_nothing_waits(visitor: Visitor, studio: Served, prompt: str, style: str) -> None:
    before = len(studio.desk.queue.of(ALONE))
    said = visitor.press(prompt=prompt, style=style, loras="<lora:ink:1>")
    assert "Say what you would like to see, or take an example." in said.progress
    said = visitor.press("sf-edit-draw", task="change", prompt=prompt)
    assert "Say what you would like to see." in said.progress
    assert len(studio.desk.queue.of(ALONE)) == before


@pytest.mark.parametrize(
    "fields",
    [
        {"steps": "-1"},
        {"steps": "1e308"},
        {"steps": "9" * 40},
        {"steps": "1001"},
        {"guidance": "nan"},
        {"guidance": "101"},
        {"seed": "-1"},
        {"seed": str(2**63)},
        {"seed": "\uff10"},
        {"guidance_start": 0.9, "guidance_stop": 0.1},
        {"loras": "<lora:../../../etc/passwd:1>"},
        {"loras": "<lora:/etc/passwd:1>"},
        {"loras": "<lora:CON:1>"},
        {"loras": f"<lora:{'x' * 300}:1>"},
        {"loras": "<lora:a\0b:1>"},
    ],
    ids=lambda fields: str(fields)[:40].replace("\0", ""),
)
def test_what_cannot_be_drawn_is_said_in_a_line(visitor: Visitor, fields: dict[str, Any]) -> None:
    shown = visitor.draw(**{"prompt": "a frog", "steps": "1", **fields})
    assert 'role="alert"' in shown.progress
    assert shown.pictures == []
    assert "<img" not in shown.progress
    for one in PRIVATE:
        assert one not in shown.progress.replace("/etc/passwd", "")


@pytest.mark.parametrize(
    "fields",
    [
        {"model": "../../models"},
        {"model": None},
        {"model": {"path": "x"}},
        {"size": "99999 x 99999"},
        {"count": 10**6},
        {"count": "many"},
        {"sampler": "<script>"},
        {"prompt": [["a"]]},
    ],
    ids=str,
)
def test_what_no_form_says_draws_nothing(visitor: Visitor, studio: Served, fields: dict[str, Any]) -> None:
    before = len(studio.desk.queue.of(ALONE))
    shown = visitor.draw(**{"prompt": "a frog", "steps": "1", **fields})
    if not shown.done:  # a list of words is still words
        assert len(studio.desk.queue.of(ALONE)) == before
        assert not any(one in f"{shown.problem}{shown.progress}" for one in PRIVATE)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("place", ["queue/join", "run/draw", "call/draw"])
def test_addresses_of_pictures_are_not_fetched(visitor: Visitor, scheme: str, place: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        address = f"{scheme}://127.0.0.1:{listening.getsockname()[1]}/a.png"
        picture = {"path": address, "url": address, "meta": {"_type": "gradio.FileData"}}
        body = {"data": [{"background": picture, "layers": [], "composite": None}], "fn_index": 0}
        answer = visitor.http.post(f"/gradio_api/{place}", json={**body, "session_hash": "abc"})
        assert answer.status_code == 403
        with pytest.raises(BlockingIOError):
            listening.accept()


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../../../../etc/passwd",
        "/proc/self/environ",
        "",
        ".",
        "iVBORw0KGgo=",
        "iVBORw0KGgo",
        "iVBOR w0KGgo=",
        "a\0b",
        "x" * 5000,
    ],
    ids=lambda path: path[:20].replace("\0", ""),
)
def test_paths_and_base64_are_no_pictures(visitor: Visitor, path: str) -> None:
    """Pictures come by the upload alone: neither from a path of the server's, nor in the request itself."""
    picture = {"path": path, "meta": {"_type": "gradio.FileData"}}
    canvas = {"background": picture, "layers": [], "composite": None}
    shown = visitor.draw("sf-edit-draw", task="change", prompt="a frog", canvas=canvas)
    assert not shown.done
    assert shown.pictures == []


def test_a_mask_of_another_size_is_said_in_a_line(visitor: Visitor) -> None:
    def png(width: int, height: int) -> bytes:
        written = BytesIO()
        Image.new("RGBA", (width, height), (255, 0, 0, 255)).save(written, "PNG")
        return written.getvalue()

    background = visitor.upload("picture.png", png(64, 64))
    layer = visitor.upload("mask.png", png(65, 64))
    canvas = {"background": background, "layers": [layer], "composite": None}
    shown = visitor.draw("sf-edit-draw", task="repaint", prompt="a frog", canvas=canvas)
    assert "“Mask” has another size than the picture" in shown.progress


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"<svg onload=alert(1)>", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_refused_on_the_canvas(visitor: Visitor, data: bytes) -> None:
    canvas = {"background": visitor.upload("odd.png", data), "layers": [], "composite": None}
    shown = visitor.draw("sf-edit-draw", task="change", prompt="a frog", canvas=canvas)
    assert shown.problem is not None
    assert "picture: is none that can be read" in shown.problem


def test_two_hundred_clicks_are_twenty_drawings_in_their_order(other: Visitor, studio: Served) -> None:
    desk, visitor = studio.desk, other
    known = {one.id for one in desk.queue.of(ALONE)}
    with held(desk) as gate:
        # Each is answered at once; the refused are told why, while the others wait.
        said = [visitor.press(prompt="a frog", steps="1", seed=str(number)) for number in range(CLICKS)]
        assert [one.progress for one in said[:MOST_EACH]] == [""] * MOST_EACH
        assert {f"{MOST_EACH} of yours are waiting" in one.progress for one in said[MOST_EACH:]} == {True}
        mine = [one for one in desk.queue.of(ALONE) if one.id not in known]
        assert [one.state for one in mine] == ["queued"] * MOST_EACH
        assert [one.position for one in mine] == [*range(1, MOST_EACH + 1)]
        assert [one.place for one in mine] == [*range(1, MOST_EACH + 1)]
        assert visitor.http.get("/config").status_code == 200
        seen: list[Shown] = []
        for shown in visitor.follow():  # one stream for all of it
            seen.append(shown)
            gate.set()
    assert f"Waiting: 1 of {MOST_EACH} · 1 before it" in seen[0].progress
    assert f"· {MOST_EACH - 1} more wait" in seen[0].progress
    assert seen[-1].done
    assert len(seen[-1].pictures) == MOST_EACH
    seeds = [one.recipe.seed for one in mine]
    kept = [desk.gallery.get(desk.queue.get(one.id, ALONE).pictures[0], ALONE) for one in mine]
    assert [one.seed for one in sorted(kept, key=lambda one: one.id)] == seeds


def test_who_closes_the_tab_finds_the_picture_in_the_gallery(other: Visitor, studio: Served) -> None:
    desk, visitor = studio.desk, other
    with held(desk):
        visitor.press(prompt="closed meanwhile", steps="2", seed="77")
        visitor.join()
        with closing(visitor.stream()) as stream:
            next(stream)
        visitor.http.close()  # while it waits
        (job,) = [one for one in desk.queue.of(ALONE) if one.recipe.seed == 77]
        assert job.state == "queued"
    assert followed(desk, job).state == "done"
    assert [one.prompt for one in desk.gallery.search(ALONE, "closed meanwhile")] == ["closed meanwhile"]


def test_a_number_that_is_none_does_not_disturb_what_is_followed(other: Visitor, studio: Served) -> None:
    with held(studio.desk) as gate:
        assert other.press(prompt="a frog", steps="1").progress == ""
        news = other.follow()
        assert "Waiting" in next(news).progress
        with Visitor(studio.url, session=other.session) as same_page:
            refused = same_page.open().press(prompt="a frog", steps="many")
        assert 'role="alert"' in refused.progress
        gate.set()
        *_, last = news
    assert last.done
    assert len(last.pictures) == 1


def test_pages_of_one_visitor_follow_all_of_it(other: Visitor, studio: Served) -> None:
    with held(studio.desk) as gate, Visitor(studio.url) as second:
        assert other.press(prompt="first page", steps="1").progress == ""
        news = other.follow()
        assert "Waiting ·" in next(news).progress
        assert second.open().press(prompt="second page", steps="1").progress == ""
        assert "Waiting: 1 of 2" in next(news).progress
        gate.set()
        *_, last = second.follow()
        *_, here = news
    assert last.done
    assert here.done
    assert len(last.pictures) == len(here.pictures) == 2


def test_a_request_that_is_no_request_hurts_nobody(studio: Served) -> None:
    with httpx.Client(base_url=studio.url, trust_env=False, timeout=WAIT) as http:
        for body in (b"", b"{", b"[]", b"null", b'{"data": 7}', b'{"fn_index": 99999, "data": []}'):
            for place in ("queue/join", "run/predict", "cancel", "reset", "component_server"):
                json_type = {"content-type": "application/json"}
                answer = http.post(f"/gradio_api/{place}", content=body, headers=json_type)
                assert answer.status_code >= 400 or answer.json() is not None
        assert json.loads(http.get("/config").text)["components"]


def vanishing(tmp_path: Path) -> tuple[Path, Settings]:
    folder = tmp_path / "models" / "tiny"
    shutil.copytree(tiny_folder(), folder)
    settings = Settings(tmp_path / "home", model_dirs=(folder.parent,), backend="torch", device="cpu")
    return folder, settings


@pytest.mark.parametrize("loaded", [False, True])
def test_a_model_that_vanishes_is_said_and_others_draw(loaded: bool, tmp_path: Path) -> None:
    folder, settings = vanishing(tmp_path)
    with open_desk(settings) as desk:
        if loaded:
            assert followed(desk, desk.queue.submit(frog(), ALONE)).state == "done"
        with held(desk):
            job = desk.queue.submit(frog(), ALONE)
            shutil.rmtree(folder)
        last = followed(desk, job)
        assert last.state == "failed"
        assert last.problem is not None
        assert last.problem.startswith("model: ")
        assert "Something went wrong" not in last.problem
        assert followed(desk, desk.queue.submit(Recipe(model=BUNDLED, steps=1), ALONE)).state == "done"


def test_a_model_that_is_torn_while_it_is_used_is_said(tmp_path: Path) -> None:
    folder, settings = vanishing(tmp_path)
    with open_desk(settings) as desk:
        for weights in folder.rglob("*.safetensors"):
            weights.write_bytes(weights.read_bytes()[:100])
        last = followed(desk, desk.queue.submit(frog(), ALONE))
        assert last.state == "failed"
        assert "Something went wrong" not in (last.problem or "")


@pytest.mark.parametrize(
    "name",
    ["../tiny", "/etc", "..", ".", "a\0b", "CON", "x" * 300, "<img src=x onerror=alert(1)>", "tiny/../tiny"],
    ids=lambda name: name[:20].replace("\0", ""),
)
def test_names_of_models_lead_nowhere(name: str, tmp_path: Path) -> None:
    with open_tiny_desk(tmp_path) as desk:
        last = followed(desk, desk.queue.submit(frog(model=name), ALONE))
        assert last.state == "failed"
        assert "Something went wrong" not in (last.problem or "")
        assert (last.problem or "").startswith("model: ")
        lora = AdaptersPart(adapters=(Adapter(name=name),))
        recipe = Recipe(parts=(TextPart(prompt="a frog"), lora), model="tiny", steps=1)
        last = followed(desk, desk.queue.submit(recipe, ALONE))
        assert last.state == "failed"
        assert "Something went wrong" not in (last.problem or "")
