"""Where things stand on the page: nothing moves while something is drawn, and nothing is out of sight."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from playwright.sync_api import Page, expect

from served_studio import Served
from sfumato.serving.studio.look import built_in
from studio_pages import PHONE, WAIT, OpenPage, draw, go_to

#: How far things move, as browsers add it up (Layout Instability), but for what somebody's own click moves.
SHIFTS = """() => { window.moved = 0; new PerformanceObserver((list) => {
  for (const one of list.getEntries()) if (!one.hadRecentInput) window.moved += one.value;
}).observe({type: "layout-shift", buffered: false}); }"""
MOST = 0.1  # what the web's own measure (Core Web Vitals) calls good


def test_nothing_moves_while_a_picture_is_drawn(page: Page) -> None:
    page.evaluate(SHIFTS)
    place = page.locator("#sf-create-results").bounding_box()
    prompt = page.locator("#sf-prompt").bounding_box()
    assert place is not None
    assert prompt is not None
    assert abs(place["y"] - prompt["y"]) < 3
    draw(page, "a castle")
    page.wait_for_timeout(500)
    assert page.evaluate("window.moved") < MOST


def test_nine_pictures_are_seen_as_they_are_drawn(page: Page) -> None:
    page.locator("input[type=number]:visible").first.fill("9")
    page.keyboard.press("Tab")
    page.fill("#sf-prompt textarea", "a castle")
    page.click("#sf-generate")
    bar = page.locator("#sf-create-progress .sf-bar")
    bar.wait_for(timeout=WAIT)
    page.locator("#sf-create-progress img").nth(7).wait_for(timeout=WAIT)
    assert page.locator("#sf-create-progress").evaluate("one => one.getBoundingClientRect().bottom") < 900
    expect(bar).to_be_in_viewport()
    expect(page.locator("#sf-create-progress")).to_contain_text("Done in", timeout=WAIT)
    for one in page.locator("#sf-create-results .thumbnail-lg").all():
        expect(one).to_be_in_viewport(ratio=0.9)


def test_on_a_phone_the_picture_comes_into_view(open_page: OpenPage, studio: Served) -> None:
    page = open_page(studio, viewport=PHONE, has_touch=True, is_mobile=True, reduced_motion="reduce")
    page.fill("#sf-prompt textarea", "a castle")
    page.evaluate("window.scrollTo(0, 0)")
    page.click("#sf-generate")
    expect(page.locator("#sf-create-progress")).to_contain_text("Done in", timeout=WAIT)
    expect(page.locator("#sf-create-results")).to_be_in_viewport(ratio=0.95)
    results = page.locator("#sf-create-results").bounding_box()
    advanced = page.get_by_role("button", name="Advanced").bounding_box()
    assert results is not None
    assert advanced is not None
    assert results["y"] < advanced["y"]


def test_what_draws_is_at_hand_on_edit_and_the_canvas_where_it_is_used(page: Page) -> None:
    go_to(page, "Edit")
    for task, canvas in (
        ("Change it", True),
        ("Follow its lines", True),
        ("Say what goes where", False),
        ("Mix two prompts", False),
    ):
        page.locator("#sf-task").get_by_label(task).click()
        expect(page.locator("#sf-canvas")).to_be_visible(visible=canvas)
        if task != "Say what goes where":  # the fields of its boxes would be covered
            expect(page.locator("#sf-edit-draw")).to_be_in_viewport(ratio=1)
    page.locator("#sf-task").get_by_label("Say what goes where").click()
    page.locator("#sf-begin input").click()
    expect(page.locator("#sf-canvas")).to_be_visible()


def test_a_look_with_a_mode_of_its_own_is_that_in_every_browser(
    other_studio: Callable[..., AbstractContextManager[Served]], open_page: OpenPage
) -> None:
    for name, scheme, dark in (("meadow", "dark", False), ("night", "light", True)):
        with other_studio(built_in(name)) as served:
            page = open_page(served, color_scheme=scheme)
            page.wait_for_function(f"document.body.classList.contains('dark') === {str(dark).lower()}")
            expect(page.locator("#sf-generate")).to_be_visible()
            assert "__theme" not in page.url
            page.close()


def test_on_learn_the_preview_is_small(page: Page) -> None:
    go_to(page, "Learn")
    # As previews stand there; whether a drawing has any depends on how long it takes.
    high = page.locator("#sf-learn-prompt").evaluate("""(field) => {
      const picture = "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' width='512' height='512'/>";
      field.parentElement.insertAdjacentHTML(
        "beforeend", `<div class="sf-previews"><img alt="" src="${picture}"></div>`);
      return document.querySelector(".sf-previews").getBoundingClientRect().height;
    }""")
    assert 100 < high < 200
