"""Looks as the browser paints them: what the seeds of this project could not get is twelve lines."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect

from served_studio import Served
from sfumato.serving.studio.look import FILE, read_look
from studio_pages import OpenPage, go_to

WHITE = "rgb(255, 255, 255)"
SEEDS = """\
title = "Dreams at sea"
welcome = "Say **what you dream of**."
background = "sea.webp"
ground = "#0d1330"
text = "#ffffff"
accent = "#2f4bd8"
font = "Quicksand"
heading_font = "Montserrat"
footer = false
[words]
generate = "Dream!"
prompt = "Your dream"
"""


def colours(page: Page, selector: str) -> set[str]:
    """Return the colours of all that is seen and matches."""
    return set(
        page.locator(selector).evaluate_all(
            "all => all.filter(one => one.offsetParent).map(one => getComputedStyle(one).color)"
        )
    )


def test_the_example_of_the_seeds_is_twelve_lines(
    other_studio: Callable[..., AbstractContextManager[Served]], open_page: OpenPage, tmp_path: Path
) -> None:
    assert len(SEEDS.splitlines()) <= 12
    Image.linear_gradient("L").convert("RGB").save(tmp_path / "sea.webp")
    (tmp_path / FILE).write_text(SEEDS, encoding="utf-8")
    with other_studio(read_look(tmp_path)) as served:
        for scheme in ("light", "dark"):
            page = open_page(served, query=f"?__theme={scheme}")
            assert page.title() == "Dreams at sea"
            expect(page.locator("#sf-generate")).to_have_text("Dream!")
            background = page.evaluate("getComputedStyle(document.body).backgroundImage")
            assert background.startswith('url("data:image/webp;base64,')
            for where in ("h1", ".sf-welcome strong", "[data-testid=block-info]", "#sf-prompt textarea"):
                assert colours(page, where) == {WHITE}, (scheme, where)
            # Radios, the tabs that are not chosen, buttons, the label of what takes files.
            assert colours(page, ".sf-chips label span") == {WHITE}
            assert colours(page, "[role=tab][aria-selected=false]") <= {WHITE}
            assert colours(page, ".sf-actions button") <= {WHITE}
            assert colours(page, "[data-testid=block-label]") == {WHITE}
            assert page.locator("footer:visible").count() == 0
            for where, font in (("h1", "Montserrat"), ("#sf-generate", "Quicksand")):
                family = page.locator(where).first.evaluate("one => getComputedStyle(one).fontFamily")
                assert font in family.split(",")[0]
            assert page.evaluate("document.fonts.check('16px Quicksand')")
            go_to(page, "Gallery")
            assert colours(page, "[data-testid=block-info]") == {WHITE}
            page.close()
