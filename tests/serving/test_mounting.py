"""The page as an application; what it answers and refuses is tested in test_server.py."""

from pathlib import Path

import gradio as gr
import pytest
from starlette.testclient import TestClient

from sfumato.errors import RecipeError
from sfumato.serving.mounting import mounted
from sfumato.serving.studio.look import Dressed, Look


def page() -> gr.Blocks:
    with gr.Blocks(analytics_enabled=False, delete_cache=(600, 600)) as page:
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
