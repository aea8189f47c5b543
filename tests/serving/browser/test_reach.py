"""Who has no mouse, or a small screen."""

from playwright.sync_api import Page, expect

from served_studio import Served
from studio_pages import PHONE, WAIT, OpenPage, draw, go_to, overflow_of

FOCUSED = """() => {
  const one = document.activeElement;
  const ringed = one.matches("[type=radio], [type=checkbox]") ? one.closest("label") : one;
  const style = getComputedStyle(ringed);
  return {id: one.id || one.closest("[id^=sf-]")?.id || "", outline: style.outlineStyle,
          width: parseFloat(style.outlineWidth)};
}"""


def tab_until_text(page: Page, text: str, most: int = 30) -> None:
    """Press Tab until a button with this text has the focus."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText") == text:
            return
    raise AssertionError(f"{text} was not reached")


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


#: What can be pressed and is less than 44 pixels high, of what is seen. Of a radio button that is its label,
#: of a list that opens the frame around it. The track of Gradio's sliders is drawn as high as it is.
SMALL = """() => [...document.querySelectorAll("button, a[href], select, textarea, input:not([type=range])")]
  .filter((one) => one.offsetParent && !one.closest("[aria-hidden=true]"))
  .map((one) => {
    const place = one.matches("[type=radio], [type=checkbox]") ? one.closest("label")
      : one.matches("[role=listbox], [role=combobox]") ? one.closest(".wrap") : one;
    return [one.outerHTML.slice(0, 160), (place || one).getBoundingClientRect()];
  })
  .filter(([_, place]) => place.width > 1 && place.height > 1 && place.height < 43.5)
  .map(([what, place]) => `${what}: ${place.height}`)"""


def test_a_phone_shows_every_tab_in_full_and_large_enough(open_page: OpenPage, studio: Served) -> None:
    page = open_page(studio, viewport=PHONE, has_touch=True, is_mobile=True)
    tabs = ["Create", "Edit", "Learn", "Grid", "Gallery", "Models"]
    expect(page.get_by_role("tab")).to_have_text(tabs)
    for tab in page.get_by_role("tab").all():
        expect(tab).to_be_in_viewport(ratio=1)
    draw(page, "a lighthouse")
    for tab in tabs:
        go_to(page, tab)
        assert overflow_of(page) <= 0, tab
        assert page.evaluate(SMALL) == [], tab


def test_a_picture_is_drawn_with_the_keyboard_alone(page: Page) -> None:
    page.locator("h1").click()  # the prompt has the focus when the page opens
    tab_until(page, "sf-prompt")
    page.keyboard.type("a castle")
    size = page.locator(".sf-chips input:checked").first
    before = size.get_attribute("value")
    passed = tab_until(page, "sf-generate")
    assert passed.index("sf-generate") > 1  # sizes and styles are on the way
    page.keyboard.press("Enter")
    expect(page.locator("#sf-create-progress")).to_contain_text("Done in", timeout=WAIT)
    tab_until(page, "sf-create-results", most=60)
    tab_until_text(page, "How it was made")
    assert size.get_attribute("value") == before  # Tab alone changes nothing


def test_tabs_are_chosen_with_arrows_and_passed_with_one_key(page: Page) -> None:
    tabs = page.get_by_role("tab")
    tabs.first.focus()
    for key, name in (
        ("ArrowRight", "Edit"),
        ("ArrowRight", "Learn"),
        ("ArrowLeft", "Edit"),
        ("Home", "Create"),
    ):
        page.keyboard.press(key)
        expect(page.get_by_role("tab", name=name, exact=True)).to_be_focused()
        expect(page.get_by_role("tab", name=name, exact=True)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("End")
    expect(tabs.last).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowRight")  # round to the first one
    expect(tabs.first).to_be_focused()
    skip = page.locator(".sf-skip")
    skip.focus()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#sf-prompt textarea")).to_be_focused()
    expect(skip).not_to_be_in_viewport()


def test_what_is_said_while_it_is_drawn_is_announced(page: Page) -> None:
    draw(page, "a castle")
    expect(page.locator("#sf-create-progress [role=status]")).to_have_count(1)
