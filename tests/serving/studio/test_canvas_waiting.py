"""A picture on its way to the canvas is waited for; in a browser: tests/serving/browser/test_edit_page.py."""

import re
from pathlib import Path

from sfumato.serving.studio.build import build
from sfumato.serving.studio.canvas_waiting import SCRIPT
from sfumato.serving.studio.look import built_in
from tiny_studio import open_tiny_desk


def test_it_speaks_of_what_is_on_the_page(tmp_path: Path) -> None:
    with open_tiny_desk(tmp_path) as desk:
        config = build(desk, built_in("paper")).get_config_file()
    there = {one["props"].get("elem_id") for one in config["components"]}
    assert {*re.findall(r"#(sf-[a-z-]+)", SCRIPT)} == {"sf-canvas", "sf-edit-draw"} <= there


def test_the_script_ends_where_it_should() -> None:
    assert SCRIPT.count("<script>") == SCRIPT.count("</script>") == SCRIPT.count("</") == 1
