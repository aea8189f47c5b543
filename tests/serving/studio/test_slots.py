"""One place for what is drawn: what the rules lean on is what the page is made of."""

import re
from pathlib import Path

from sfumato.serving.studio.build import build, style
from sfumato.serving.studio.look import built_in
from sfumato.serving.studio.slots import SCRIPT, STYLE
from tiny_studio import open_tiny_desk


def test_what_the_rules_name_is_on_the_page(tmp_path: Path) -> None:
    with open_tiny_desk(tmp_path) as desk:
        parts = build(desk, built_in("paper")).get_config_file()["components"]
    names = {one["props"].get("elem_id") for one in parts}
    for name in re.findall(r"#(sf-[a-z-]+)", STYLE):
        assert name in names, name
    classes = {name for one in parts for name in one["props"].get("elem_classes") or ()}
    assert {"sf-slot", "sf-progress", "sf-results"} <= classes
    assert any(one["props"].get("variant") == "primary" for one in parts if one["type"] == "button")


def test_every_look_has_the_rules() -> None:
    assert STYLE in style()
    assert "prefers-reduced-motion" in SCRIPT
