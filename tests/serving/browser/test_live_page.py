"""A look that is changed while its page is open: the page follows, and what is typed stays."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect

from served_studio import Served
from sfumato.serving.studio.look import FILE, Source
from sfumato.serving.studio.wearing import read
from studio_pages import WAIT, OpenPage, draw, go_to, on_canvas, open_advanced

WELCOME = 'welcome = "Say what you dream of."\n'
LOOK = 'title = "Dreams at sea"\naccent = "#2f4bd8"\nfont = "No Such Font"\n'


def write(folder: Path, text: str) -> None:
    (folder / FILE).write_text(text, encoding="utf-8")


def test_a_page_follows_its_look_and_keeps_what_is_typed(
    other_studio: Callable[..., AbstractContextManager[Served]], open_page: OpenPage, tmp_path: Path
) -> None:
    folder = tmp_path / "look"
    folder.mkdir()
    write(folder, LOOK)
    with other_studio() as unused:
        settings = unused.desk.settings
    with other_studio(read(Source(folder), settings)) as served:
        # What Gradio says when a page is left while it still hears from the server.
        page = open_page(served)
        bar = page.locator("#sf-news")
        expect(bar).to_contain_text("The font No Such Font does not come along", timeout=WAIT)
        bar.get_by_role("button", name="Close").click()
        expect(bar).to_have_count(0)
        page.fill("#sf-prompt textarea", "a quiet <bay> \"of\" 'mine'")
        open_advanced(page)
        page.get_by_label("Steps").fill("7")
        go_to(page, "Grid")
        page.fill("#sf-grid-prompt textarea", "a castle")
        write(folder, LOOK.replace("at sea", "ashore") + WELCOME)
        expect(page).to_have_title("Dreams ashore", timeout=WAIT)
        grid = page.get_by_role("tab", name="Grid", exact=True)
        expect(grid).to_have_attribute("aria-selected", "true", timeout=WAIT)
        expect(page.locator("#sf-grid-prompt textarea")).to_have_value("a castle", timeout=WAIT)
        go_to(page, "Create")
        expect(page.locator("#sf-prompt textarea")).to_have_value("a quiet <bay> \"of\" 'mine'", timeout=WAIT)
        # A mistake is said, and mended without anything being lost.
        write(folder, LOOK.replace('"#2f4bd8"', "#2f4bd8") + WELCOME)
        expect(bar).to_contain_text("line 2", timeout=WAIT)
        assert page.title() == "Dreams ashore"
        write(folder, LOOK.replace('font = "No Such Font"\n', ""))
        expect(page).to_have_title("Dreams at sea", timeout=WAIT)
        expect(page.locator("#sf-prompt textarea")).to_have_value("a quiet <bay> \"of\" 'mine'", timeout=WAIT)
        expect(bar).to_have_count(0)
        open_advanced(page)
        expect(page.get_by_label("Steps")).to_have_value("7", timeout=WAIT)
        painted_pictures_are_asked_for(page, folder)
        page.close()


PAINT = """\
title = "Dreams <ashore> & at sea"
logo = "sea.png"
background = "sea.png"
css = "more.css"
veil = 0.6
accent = "#cc0033"
ground = "#e0e8f0"
font = "Quicksand"
heading_font = "Montserrat"
rounding = 30
size = "large"
mode = "light"
"""
# What is painted, of a dozen parts of the page, and of what is behind them, once nothing moves.
LOOKS = """() => {
  document.activeElement.blur();
  document.getAnimations().filter((one) => one instanceof CSSTransition).forEach((one) => one.finish());
  return ["body", "gradio-app", "main.contain", "h1", ".sf-logo", "#sf-generate", "#sf-prompt",
    "#sf-prompt textarea", "[role=tab][aria-selected=true]", "[data-testid=block-info]", ".sf-chips label",
    "input[type=range]"].map((one) => {
  const style = getComputedStyle(document.querySelector(one));
  return [one, ...["color", "backgroundColor", "backgroundImage", "fontFamily", "fontSize", "fontWeight",
    "borderColor", "borderRadius", "padding", "letterSpacing"].map((name) => style[name])];
})}"""


def test_what_is_only_painted_is_put_on_the_page_as_it_is(
    other_studio: Callable[..., AbstractContextManager[Served]], open_page: OpenPage, tmp_path: Path
) -> None:
    folder = tmp_path / "look"
    folder.mkdir()
    Image.linear_gradient("L").convert("RGB").save(folder / "sea.png")
    (folder / "more.css").write_text("h1 { letter-spacing: 9px }\n.dark h1 { color: #ffffff }")
    write(folder, 'mode = "light"')
    with other_studio() as unused:
        settings = unused.desk.settings
    with other_studio(read(Source(folder), settings)) as served:
        page = open_page(served)
        before = page.evaluate(LOOKS.replace('".sf-logo", ', ""))
        page.evaluate("window.opened = 'once'")
        draw(page, "a frog")
        page.get_by_role("button", name="Edit this").first.click()
        on_canvas(page)
        go_to(page, "Create")
        page.fill("#sf-prompt textarea", "a quiet bay")
        write(folder, PAINT)
        expect(page).to_have_title("Dreams <ashore> & at sea", timeout=WAIT)
        expect(page.locator("h1")).to_have_text("Dreams <ashore> & at sea")
        # The page is the same one, with the picture on its canvas, about which nobody is asked.
        assert page.evaluate("window.opened") == "once"
        expect(page.locator("#sf-prompt textarea")).to_have_value("a quiet bay")
        expect(page.locator("#sf-news")).to_have_count(0)
        (folder / "more.css").write_text("h1 { letter-spacing: 11px }")
        expect(page.locator("h1")).to_have_css("letter-spacing", "11px")
        assert page.evaluate("window.opened") == "once"
        painted = page.evaluate(LOOKS)
        page.reload()
        page.wait_for_selector("#sf-generate")
        expect(page.locator("#sf-prompt textarea")).to_have_value("a quiet bay", timeout=WAIT)
        assert painted == page.evaluate(LOOKS)
        # And back.
        page.evaluate("window.opened = 'again'")
        write(folder, 'mode = "light"')
        expect(page).to_have_title("Sfumato", timeout=WAIT)
        assert page.evaluate("window.opened") == "again"
        expect(page.locator(".sf-logo")).to_have_count(0)
        assert before == page.evaluate(LOOKS.replace('".sf-logo", ', ""))
        # Where Gradio has its rules in other places, the page loads itself again.
        page.evaluate("document.querySelectorAll('link[rel=modulepreload]').forEach((one) => one.remove())")
        write(folder, 'mode = "light"\ntitle = "Last"')
        expect(page).to_have_title("Last", timeout=WAIT)
        page.wait_for_selector("#sf-generate")
        assert page.evaluate("window.opened") is None
        page.close()


def painted_pictures_are_asked_for(page: Page, folder: Path) -> None:
    """Have a picture on the canvas, which is not kept, and see that nobody takes it away."""
    go_to(page, "Create")
    draw(page, "a frog")
    page.get_by_role("button", name="Edit this").first.click()
    on_canvas(page)
    expect(page.get_by_role("tab", name="Edit", exact=True)).to_have_attribute("aria-selected", "true")
    expect(page.locator("#sf-edit-prompt textarea")).to_have_value("a frog", timeout=WAIT)
    write(folder, LOOK.replace("at sea", "of home") + WELCOME)
    bar = page.locator("#sf-news")
    expect(bar).to_contain_text("What is on the canvas would be lost", timeout=WAIT)
    assert page.title() == "Dreams at sea"
    bar.get_by_role("button", name="Show it").click()
    expect(page).to_have_title("Dreams of home", timeout=WAIT)
