"""Where things stand on the page: nothing moves while something is drawn, and nothing is out of sight."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from playwright.sync_api import Page, expect

from served_studio import Served
from sfumato.serving.studio.look import built_in
from studio_pages import DESK, PHONE, WAIT, OpenPage, draw, go_to, next_frame

#: How far things move, as browsers add it up (Layout Instability), but for what somebody's own click moves.
SHIFTS = """() => { window.moved = 0; new PerformanceObserver((list) => {
  for (const one of list.getEntries()) if (!one.hadRecentInput) window.moved += one.value;
}).observe({type: "layout-shift", buffered: false}); }"""
MOST = 0.1  # what the web's own measure (Core Web Vitals) calls good


#: Browser contexts, by what they are like.
SCREENS = {
    "desk": {"viewport": DESK},
    "phone": {"viewport": PHONE, "has_touch": True, "is_mobile": True, "reduced_motion": "reduce"},
}


def moved(page: Page) -> float:
    """Return how far things moved since `SHIFTS`, what the next picture of the page shows included."""
    next_frame(page)
    return page.evaluate("() => { const all = window.moved; window.moved = 0; return all; }")


@pytest.mark.parametrize("screen", SCREENS)
def test_nothing_moves_while_a_lesson_is_drawn(
    other_studio: Callable[..., AbstractContextManager[Served]], open_page: OpenPage, screen: str
) -> None:
    with other_studio() as served:  # in which no lesson of another kind was drawn before
        page = open_page(served, **SCREENS[screen])
        go_to(page, "Learn")
        expect(page.locator("#sf-learn-lesson .sf-learn")).to_be_visible()
        page.evaluate(SHIFTS)
        for prompt in ("a frog on a beach", "a rabbit in the snow at night"):
            page.fill("#sf-learn-prompt textarea", prompt)
            page.click("#sf-learn-show")
            expect(page.locator(".sf-lesson-of b")).to_have_text(prompt, timeout=3 * WAIT)
            expect(page.locator("#sf-learn-progress")).to_contain_text("Done in")
            assert moved(page) < MOST
        page.close()


@pytest.mark.parametrize("screen", SCREENS)
def test_nothing_moves_while_a_grid_is_drawn(
    other_studio: Callable[..., AbstractContextManager[Served]], open_page: OpenPage, screen: str
) -> None:
    with other_studio() as served:  # in which nobody drew a grid before
        page = open_page(served, **SCREENS[screen])
        go_to(page, "Grid")
        expect(page.locator("#sf-grid-table")).to_contain_text("picture for every combination")
        page.evaluate(SHIFTS)
        for prompt, values in (("a frog", "2,4,8"), ("a rabbit in the snow", "2,3,4,5,6")):
            page.fill("#sf-grid-prompt textarea", prompt)
            page.fill("#sf-grid-across-values textarea, #sf-grid-across-values input", values)
            page.click("#sf-grid-draw")
            expect(page.locator("#sf-grid-table caption")).to_contain_text(prompt, timeout=WAIT)
            number = values.count(",") + 1
            done = f"{number} of {number} pictures"
            expect(page.locator("#sf-grid-progress")).to_contain_text(done, timeout=3 * WAIT)
            expect(page.locator("#sf-grid-sheet a").first).to_be_attached()
            assert moved(page) < MOST
        page.close()


def test_nothing_moves_while_a_picture_is_drawn(page: Page) -> None:
    page.evaluate(SHIFTS)
    place = page.locator("#sf-create-results").bounding_box()
    prompt = page.locator("#sf-prompt").bounding_box()
    assert place is not None
    assert prompt is not None
    assert abs(place["y"] - prompt["y"]) < 3
    draw(page, "a castle")
    assert moved(page) < MOST


def test_nine_pictures_are_seen_as_they_are_drawn(page: Page) -> None:
    page.locator("input[type=number]:visible").first.fill("9")
    page.keyboard.press("Tab")
    page.fill("#sf-prompt textarea", "a castle")
    page.click("#sf-generate")
    # In one look: there is no bar any more when all are drawn.
    places = page.wait_for_function("""() => {
      const told = document.getElementById("sf-create-progress"), bar = told.querySelector(".sf-bar");
      if (!bar || told.querySelectorAll("img").length < 8) return null;
      return [told, bar].map((one) => one.getBoundingClientRect().bottom);
    }""").json_value()
    assert all(0 < bottom < DESK["height"] for bottom in places)
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


#: Where what has the focus ends, where the field before the button that draws, and where its row begins.
EDGES = """() => {
  const row = document.querySelector("#sf-edit-draw").parentElement;
  let before = row.previousElementSibling;
  while (!before.getBoundingClientRect().height) before = before.previousElementSibling;
  const end = (one) => one.getBoundingClientRect().bottom;
  return [end(document.activeElement), end(before), row.getBoundingClientRect().top];
}"""


def test_what_draws_covers_nothing_in_a_usual_window_and_never_what_has_the_focus(page: Page) -> None:
    go_to(page, "Edit")
    page.set_viewport_size({"width": 1280, "height": 900})
    canvas = page.locator("#sf-canvas")
    expect(canvas).to_be_visible()
    small = canvas.bounding_box()
    _, before, row = page.evaluate(EDGES)
    assert before <= row
    page.set_viewport_size({"width": 1280, "height": 1200})
    large = canvas.bounding_box()
    assert small is not None
    assert large is not None
    assert large["height"] == small["height"] + 300  # what a larger window has more is for the picture
    page.locator("#sf-task").get_by_label("More around it").click()
    extended = canvas.bounding_box()
    assert extended is not None
    assert extended["height"] == 352  # here it is the frame around it that is worked on
    page.set_viewport_size({"width": 1280, "height": 700})
    page.locator("#sf-task").get_by_label("Mix two prompts").click()
    expect(page.get_by_label("number input for Share of the third prompt")).to_be_visible()
    page.locator("#sf-edit-prompt textarea").focus()
    for _ in range(9):  # up to how they are mixed
        page.keyboard.press("Tab")
        focused, _, row = page.evaluate(EDGES)
        assert focused <= row, page.evaluate("document.activeElement.outerHTML")


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


@pytest.mark.parametrize("tab", ["Learn", "Grid"])
def test_a_preview_beside_the_line_makes_it_no_higher(page: Page, tab: str) -> None:
    go_to(page, tab)
    told = page.locator(f"#sf-{tab.lower()}-progress")
    # As previews stand there; whether a drawing has any depends on how long it takes.
    before, after, picture = told.evaluate("""(told) => {
      const high = (one) => one.getBoundingClientRect().height, before = high(told);
      const picture = "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' width='512' height='512'/>";
      told.querySelector(".prose").innerHTML = `<div class="sf-line">Drawing</div><div class="sf-bar"></div>
        <div class="sf-previews"><img alt="" src="${picture}"></div>`;
      return [before, high(told), high(told.querySelector("img"))];
    }""")
    assert before == after == picture > 40
