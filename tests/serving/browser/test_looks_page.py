"""Looks as the browser paints them: what the seeds of this project could not get is twelve lines."""

import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from served_studio import Served
from sfumato.serving.studio.check import readings_of
from sfumato.serving.studio.colours import Colour, contrast, parse_colour
from sfumato.serving.studio.look import FILE, read_look
from studio_axe import CONTRAST, MEASURE, findings
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


#: White words before a picture, and nothing said of what is behind them.
NO_GROUND = """\
title = "Dream machine"
welcome = "Paint *something*."
background = "bg.png"
text = "#ffffff"
footer = false
heading_font = "A font of nobody"
tabs = ["create", "gallery"]
[words]
generate = "Paint!"
"""
READ_ON = {
    "text on panels": "#sf-prompt [data-testid=block-info]",
    "text on fields": ".sf-chips label span",
    "soft text on panels": "[data-testid=max-value]",
    "links on panels": "[role=tab][aria-selected=true]",
    "words on buttons": "#sf-generate",
    "news": "#sf-news p",
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_white_words_alone_are_read_in_every_browser_as_well_as_the_check_says(
    scheme: str,
    other_studio: Callable[..., AbstractContextManager[Served]],
    open_page: OpenPage,
    tmp_path: Path,
) -> None:
    picture = Image.new("RGB", (1280, 900), "black")
    picture.paste("white", (640, 0, 1280, 900))
    picture.save(tmp_path / "bg.png")
    (tmp_path / FILE).write_text(NO_GROUND, encoding="utf-8")
    dressed = read_look(tmp_path)
    said = {one.what: one.ratio for one in readings_of(dressed) if one.mode == scheme}
    with other_studio(dressed) as served:
        page = open_page(served, color_scheme=scheme)
        page.wait_for_function("document.body.classList.contains('dark')")  # else it is about to load again
        page.wait_for_selector("#sf-generate")
        go_to(page, "Create")
        page.wait_for_selector("#sf-news p")
        assert findings(page, CONTRAST, ["Gallery", "Create"]) == []
        # The same number as the check's, which goes to whole levels of colour.
        for (what, _), measured in zip(
            READ_ON.items(), page.evaluate(MEASURE, list(READ_ON.values())), strict=True
        ):
            assert measured is not None, what
            assert measured[0] == pytest.approx(said[what], abs=0.1), what
            assert measured[0] >= 4.5, what
        tag = page.evaluate(MEASURE, ["[data-testid=block-label]"])
        assert tag[0][0] >= 4.5
        # And as it is painted: the veil at the left, over black, and at the right, over white.
        box = page.locator("main.contain").bounding_box()
        assert box is not None
        painted = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        y = round(box["y"]) + 6
        ends = [painted.getpixel((round(x), y)) for x in (box["x"] + 6, box["x"] + box["width"] - 6)]
        white = parse_colour("#ffffff", "text")
        worst = min(contrast(white, Colour(*one)) for one in ends if isinstance(one, tuple))
        assert worst == pytest.approx(said["text on panels"], abs=0.1)
        page.close()
