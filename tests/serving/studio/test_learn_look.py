"""The script and the rules of the tab Learn. What they do is seen in browser/test_learn_page.py."""

import re

from sfumato.imaging.plots import LEFT
from sfumato.serving.studio import learn_page
from sfumato.serving.studio.learn_look import SCRIPT, STYLE


def test_markers_stand_where_plots_have_their_first_value() -> None:
    assert f"const x = {LEFT} +" in SCRIPT
    assert "{{" not in SCRIPT


def test_nothing_is_fetched_and_braces_are_closed() -> None:
    for text in (SCRIPT, STYLE):
        assert re.search("https?:|//|@import|fetch|url[(]", text) is None
        assert text.count("{") == text.count("}")


def test_what_the_script_looks_for_is_on_the_page() -> None:
    with open(learn_page.__file__, encoding="utf-8") as file:
        page = file.read()
    wanted = {*re.findall(r"\[(data-[a-z]+)\]", SCRIPT), *re.findall(r'"\.(sf-[a-z]+)"', SCRIPT)}
    assert wanted >= {"data-step", "data-pick", "sf-group"}
    assert [one for one in wanted if one not in page] == []
