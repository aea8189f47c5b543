"""What tests do with the studio's page in a browser, and how it is looked at."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Final

from playwright.sync_api import Locator, Page, ViewportSize, expect

PHONE: Final = ViewportSize(width=390, height=844)
DESK: Final = ViewportSize(width=1280, height=900)
WAIT: Final = 30_000.0  # milliseconds that anything may take, on the busiest machine
#: Opens the page of a studio: `open_page(studio, query="?__theme=dark", viewport=PHONE)`.
OpenPage = Callable[..., Page]

_DROP = """(target, {data, name, type}) => {
  const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([bytes], name, {type}));
  for (const kind of ["dragenter", "dragover", "drop"]) {
    target.dispatchEvent(new DragEvent(kind, {dataTransfer, bubbles: true, cancelable: true}));
  }
}"""


def draw(page: Page, prompt: str) -> None:
    """Type a prompt on the tab Create, click Generate, and wait for the picture: not for one from before."""
    before = page.locator("#sf-create-results img").evaluate_all("all => all.map((one) => one.src)")
    page.fill("#sf-prompt textarea", prompt)
    page.click("#sf-generate")
    page.wait_for_function(
        "(before) => [...document.querySelectorAll('#sf-create-results img')]"
        ".some((one) => one.src && !before.includes(one.src))",
        arg=before,
    )
    expect(page.locator("#sf-create-progress")).to_contain_text("Done in", timeout=WAIT)


def drawn(page: Page) -> bytes:
    """Return the file of the first picture that the tab Create shows, as the page was given it."""
    address = page.locator("#sf-create-results img").first.get_attribute("src")
    assert address is not None
    return page.request.get(address).body()


def on_canvas(page: Page) -> None:
    """Wait until there is a picture on the canvas of Edit, which can be painted on and fits into it."""
    expect(page.locator("#sf-canvas .empty")).to_have_count(0, timeout=WAIT)
    expect(page.locator("#sf-canvas .pixi-target canvas")).to_have_count(1, timeout=WAIT)
    expect(page.locator("#sf-canvas [aria-label='Brush Size']")).to_have_count(1, timeout=WAIT)
    next_frame(page)


def next_frame(page: Page) -> None:
    """Wait until the page has shown what it was told until now."""
    page.evaluate("() => new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))")


def open_advanced(page: Page) -> None:
    """Show what the tab Create keeps behind Advanced."""
    page.get_by_role("button", name="Advanced").click()
    page.get_by_label("Steps").wait_for()


def go_to(page: Page, tab: str) -> None:
    """Choose a tab by its name, and wait until it is there."""
    tab_button = page.get_by_role("tab", name=tab, exact=True)
    tab_button.click()
    expect(tab_button).to_have_attribute("aria-selected", "true")


def drop(target: Locator, name: str, content: bytes, kind: str = "image/png") -> None:
    """Let a file fall on something."""
    target.evaluate(_DROP, {"data": base64.b64encode(content).decode("ascii"), "name": name, "type": kind})


def overflow_of(page: Page) -> int:
    """Return by how many pixels the page is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth - window.innerWidth")


def screenshot(page: Page, path: Path) -> None:
    """Keep a picture of the page: for looking at while a test is written."""
    page.screenshot(path=path, full_page=True)


def kept(page: Page) -> None:
    """Wait until the browser has kept what was typed: it does so as soon as it has nothing else to do."""
    page.evaluate(
        "() => new Promise((done) => setTimeout(() => requestIdleCallback(() => setTimeout(done))))"
    )


def type_in(page: Page, field: str, text: str) -> None:
    """Type `text` into a field of a fold that was just opened.

    Gradio puts such a field on the page only then, and sets what is in it some milliseconds after it can be
    seen: no person types in between, but a test does, and what it typed is gone (1 of 24 times).
    """
    for _ in range(10):
        page.fill(field, text)
        page.wait_for_timeout(100)
        if page.input_value(field) == text:
            return
    raise AssertionError(f"{field} does not keep what is typed")
