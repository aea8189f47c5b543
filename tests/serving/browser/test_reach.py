"""Who has no mouse, or a small screen."""

from playwright.sync_api import Page, expect

from served_studio import Served
from studio_pages import PHONE, WAIT, OpenPage, draw, overflow_of

FOCUSED = """() => {
  const one = document.activeElement;
  const ringed = one.matches("[type=radio], [type=checkbox]") ? one.closest("label") : one;
  const style = getComputedStyle(ringed);
  return {id: one.id || one.closest("[id^=sf-]")?.id || "", outline: style.outlineStyle,
          width: parseFloat(style.outlineWidth)};
}"""


def tab_until(page: Page, wanted: str, most: int = 30) -> list[str]:
    """Press Tab until something inside of `wanted` has the focus; on the way all that has it shows it."""
    passed: list[str] = []
    for _ in range(most):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        assert focused["outline"] not in ("none", "hidden"), (passed, focused)
        assert focused["width"] >= 2, (passed, focused)
        passed.append(focused["id"])
        if focused["id"] == wanted:
            return passed
    raise AssertionError(f"{wanted} was not reached: {passed}")


def test_a_phone_shows_every_tab_without_scrolling_sideways(open_page: OpenPage, studio: Served) -> None:
    page = open_page(studio, viewport=PHONE, has_touch=True, is_mobile=True)
    draw(page, "a lighthouse")
    tabs = page.get_by_role("tab")
    assert tabs.count() >= 2
    for number in range(tabs.count()):
        tabs.nth(number).click()
        expect(tabs.nth(number)).to_have_attribute("aria-selected", "true")
        assert overflow_of(page) <= 0, tabs.nth(number).inner_text()


def test_a_picture_is_drawn_with_the_keyboard_alone(page: Page) -> None:
    page.locator("h1").click()  # the prompt has the focus when the page opens
    tab_until(page, "sf-prompt")
    page.keyboard.type("a castle")
    tab_until(page, "sf-generate")
    page.keyboard.press("Enter")
    expect(page.locator("#sf-create-progress")).to_contain_text("Done in", timeout=WAIT)
    tab_until(page, "sf-create-results", most=60)


def test_what_is_said_while_it_is_drawn_is_announced(page: Page) -> None:
    draw(page, "a castle")
    expect(page.locator("#sf-create-progress [role=status]")).to_have_count(1)
