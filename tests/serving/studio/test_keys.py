"""Keys press what is there."""

import re
from pathlib import Path

from sfumato.serving.studio.build import build
from sfumato.serving.studio.keys import KEYS
from sfumato.serving.studio.look import built_in
from tiny_studio import open_tiny_desk


def test_keys_press_what_is_there(tmp_path: Path) -> None:
    with open_tiny_desk(tmp_path) as desk:
        config = build(desk, built_in("paper")).get_config_file()
    there = {one["props"].get("elem_id") for one in config["components"]}
    pressed = set(re.findall(r"#(sf-[a-z-]+)", KEYS))
    assert {"sf-generate", "sf-stop", "sf-canvas"} <= pressed <= there


def test_the_script_ends_where_it_should() -> None:
    assert KEYS.count("<") - KEYS.count("</") == KEYS.count("<script>") == KEYS.count("</script>") == 1
