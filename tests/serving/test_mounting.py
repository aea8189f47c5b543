"""The page as an application; what it answers and refuses is tested in test_server.py."""

import json
from pathlib import Path

import gradio as gr
import pytest
from starlette.testclient import TestClient

from sfumato.errors import RecipeError
from sfumato.serving.mounting import mounted, paint_of, repaint
from sfumato.serving.studio.look import Dressed, Look
from sfumato.serving.studio.news import HEADING


def page() -> gr.Blocks:
    with gr.Blocks(analytics_enabled=False, delete_cache=(600, 600)) as page:
        gr.HTML("<h1>Before</h1>", elem_id=HEADING)
        gr.Markdown("Here I am.")
    return page


def test_a_page_says_what_it_was_made_as_and_wears_its_rules(tmp_path: Path) -> None:
    app = mounted(page(), Dressed(Look(footer=True), tmp_path), "1a2b", css=".mine {}", outside=None)
    with TestClient(app) as client:
        shown = client.get("/").text.replace("\\", "")
        assert '"made": "1a2b"' in shown
        config = client.get("/config").json()
        assert config["css"].endswith(".mine {}")
        assert config["footer_links"] == ["gradio", "settings"]


def test_a_proxy_shows_it_at_its_own_address(tmp_path: Path) -> None:
    app = mounted(page(), Dressed(Look(), tmp_path), "1", css="", outside="https://studio.example")
    with TestClient(app) as client:
        assert client.get("/config").json()["root"] == "https://studio.example"


def test_a_look_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="is no colour"):
        mounted(page(), Dressed(Look(accent="x"), tmp_path), "1", css="", outside=None)


def test_a_page_is_painted_as_if_it_had_been_mounted_so(tmp_path: Path) -> None:
    after = Dressed(Look(title="<Two>", accent="#123456"), tmp_path)
    painted = page()
    app = mounted(painted, Dressed(Look(title="One"), tmp_path), "1a", css=".mine {}", outside=None)
    fresh = mounted(page(), after, "1a", css=".mine {}", outside=None)
    repaint(painted, after, "1b", "1a", css=".mine {}")
    with TestClient(app) as client, TestClient(fresh) as other:
        config, wanted = client.get("/config").json(), other.get("/config").json()
        for one in ("css", "theme_hash", "body_css", "stylesheets"):
            assert config[one] == wanted[one]
        assert config["title"] == "<Two>"
        assert config["head"] == wanted["head"].replace('"made": "1a"', '"made": "1b"')
        assert client.get("/theme.css").text == other.get("/theme.css").text
        heading = next(one for one in config["components"] if one["props"].get("elem_id") == HEADING)
        assert "&lt;Two&gt;</h1>" in heading["props"]["value"]
    paint = json.loads(paint_of(painted, after, "1b", "1a"))
    assert (paint["made"], paint["built"], paint["title"], paint["fonts"]) == ("1b", "1a", "<Two>", [])
    assert paint["heading"] in heading["props"]["value"]
    assert paint["ground"] in config["head"]
    assert paint["rules"].endswith(".mine {}")
    assert "#123456" in paint["theme"]


def test_a_look_that_cannot_be_used_paints_nothing(tmp_path: Path) -> None:
    shown = page()
    with TestClient(mounted(shown, Dressed(Look(), tmp_path), "1", css="", outside=None)) as client:
        before = client.get("/config").json()
        with pytest.raises(RecipeError, match="is no colour"):
            repaint(shown, Dressed(Look(title="x", accent="x"), tmp_path), "2", "1", css="")
        assert client.get("/config").json() == before
