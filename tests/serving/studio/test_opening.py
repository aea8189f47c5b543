"""As a page is opened one handler looks; what it finds is taken up, for whom there is something."""

import json
from pathlib import Path
from typing import Any

import gradio as gr

from sfumato.errors import OutputError
from sfumato.serving.studio.build import build
from sfumato.serving.studio.look import Dressed, Look
from sfumato.serving.studio.opening import Opening, opening_of
from tiny_studio import asked_by, handler, open_tiny_desk


def gone(owner: str) -> bool:
    raise OutputError("is gone", field="data_dir", value=owner, hint="Plug the disk in.")


def test_it_names_what_there_is_for_whom() -> None:
    opening = Opening()
    with gr.Blocks(analytics_enabled=False):
        opening.when("mine", lambda owner: owner == "me")
        opening.when("all", lambda owner: True)
        opening.when("none", lambda owner: False)
        opening.when("trouble", gone)  # whoever takes it up says so
    assert json.loads(opening.found(asked_by("me"))) == ["mine", "all", "trouble"]
    assert json.loads(opening.found(asked_by("somebody else"))) == ["all", "trouble"]


def test_the_page_presses_a_button_for_each() -> None:
    with gr.Blocks(analytics_enabled=False) as page:
        opening = opening_of(page)
        said = gr.Textbox()
        opening.when("mine", lambda owner: owner == "me")(lambda: "a frog", None, said)
    assert handler(page, page, "load") == opening.found
    config: Any = page.get_config_file()
    looked, presses, taken = config["dependencies"]
    (button,) = [one for one in config["components"] if one["type"] == "button"]
    assert (looked["queue"], presses["backend_fn"], presses["inputs"]) == (False, False, looked["outputs"])
    assert button["props"]["elem_id"] == "sf-opening-mine"
    assert '"sf-opening-" + name' in presses["js"]
    assert (taken["targets"], taken["outputs"]) == ([(button["id"], "click")], [said._id])


def test_nothing_else_of_the_studio_is_asked_for_as_its_page_opens(tmp_path: Path) -> None:
    with open_tiny_desk(tmp_path) as desk:
        page = build(desk, Dressed(Look(), tmp_path))
        loads = [one for one in page.fns.values() if (page._id, "load") in one.targets]
        (asked,) = [one for one in loads if one.fn is not None]
        assert len(asked.outputs) == 1
        assert handler(page, page, "load", asked.outputs[0])(asked_by("me")) == "[]"
