"""axe-core on every tab of every look, light and dark: nothing serious or critical that is ours."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, expect

from served_studio import Served
from sfumato.serving.studio.look import built_in, names
from studio_pages import OpenPage, draw

#: What is Gradio's own and cannot be reached from here: the rule, what the element must contain, and why.
GRADIO: Final[tuple[tuple[str, str, str], ...]] = (
    ("aria-prohibited-attr", 'aria-label="Empty value"', "it names places where nothing is yet"),
    ("label-content-name-mismatch", "thumbnail", "it names thumbnails by number, and shows the caption"),
)
GRAVE: Final = ("serious", "critical")
CONTRAST: Final = {"runOnly": ["color-contrast"], "resultTypes": ["violations"]}
ALL: Final = {"resultTypes": ["violations"]}


def findings(page: Page, options: dict[str, Any]) -> list[str]:
    """Return what is grave on each tab."""
    found: list[str] = []
    page.add_style_tag(content="* { transition: none !important }")  # colours would fade in
    page.evaluate(AXE_SCRIPT)
    tabs = page.get_by_role("tab")
    for number in range(tabs.count()):
        tabs.nth(number).click()
        expect(tabs.nth(number)).to_have_attribute("aria-selected", "true")
        for one in page.evaluate("options => axe.run(document, options)", options)["violations"]:
            for node in one["nodes"]:
                own = (rule == one["id"] and mark in node["html"] for rule, mark, _ in GRADIO)
                if one["impact"] in GRAVE and not any(own):
                    why = node["failureSummary"].replace("\n", " ")
                    found.append(f"{tabs.nth(number).inner_text()}: {one['id']}: {node['target']}: {why}")
    return found


def test_every_tab_can_be_used_by_everybody(open_page: OpenPage, studio: Served) -> None:
    page = open_page(studio, query="?__theme=light")
    draw(page, "a lighthouse")
    assert findings(page, ALL) == []


@pytest.mark.parametrize("name", names())
def test_every_look_can_be_read(
    name: str, other_studio: Callable[..., AbstractContextManager[Served]], open_page: OpenPage
) -> None:
    with other_studio(built_in(name)) as served:
        page = open_page(served, query="?__theme=light")
        assert findings(page, CONTRAST) == [], "light"
        page.evaluate("document.body.classList.add('dark')")  # as Gradio does it
        assert findings(page, CONTRAST) == [], "dark"
        page.close()
