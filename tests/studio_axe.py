"""axe-core on the studio: every tab of every look, light and dark.

`PYTHONPATH=tests python -m studio_axe --markdown` looks at all of them and prints a table of looks, modes and
tabs; it takes some minutes. The suite looks at less: see tests/serving/browser/test_accessibility.py.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, expect, sync_playwright

from served_studio import bundled_settings, served_studio
from sfumato.serving.studio.look import built_in, names
from studio_pages import DESK, WAIT, draw, go_to

#: WCAG 2.0, 2.1 and 2.2, levels A and AA, and what axe-core calls best practice.
TAGS: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice")
ALL: Final[dict[str, Any]] = {"runOnly": [*TAGS], "resultTypes": ["violations", "incomplete"]}
CONTRAST: Final[dict[str, Any]] = {"runOnly": ["color-contrast"], "resultTypes": ["violations", "incomplete"]}
HIGH: Final = 2000  # pixels: of a window that holds all that Edit has above its finer points
#: What is Gradio's own and cannot be reached from here: the rule, what the element must contain, and why.
GRADIO: Final[tuple[tuple[str, str, str], ...]] = (
    ("aria-prohibited-attr", 'aria-label="Empty value"', "it names places where nothing is yet"),
    ("label-content-name-mismatch", "thumbnail", "it names thumbnails by number, and shows the caption"),
    (
        "target-size",
        'class="download-link',
        "it is a link around a button of the same size, which does the same",
    ),
    (
        "image-redundant-alt",
        "/gradio_api/file=",
        "its gallery writes a caption beside the picture, and gives it "
        "to those who do not see the picture as well",
    ),
)


#: Of words whose ground axe-core does not see, as something lies half over them: the contrast of their colour
#: against what is painted by all that is around them, the worse of over black and over white where there is a
#: picture, and what is asked for. None where a gradient is behind.
MEASURE: Final = """(targets) => targets.map((target) => {
  const one = document.querySelector(target);
  if (!one || !one.textContent.trim()) return null;
  const parse = (text) => {
    const numbers = (text.match(/[\\d.]+/g) || []).map(Number);
    const scale = text.startsWith("color(") ? 255 : 1;
    return [...numbers.slice(0, 3).map((n) => n * scale), numbers.length > 3 ? numbers[3] : 1];
  };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3]));
  const light = (colour) => {
    const [r, g, b] = colour.map((v) => v / 255)
      .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const layers = [];
  let ends = [[255, 255, 255]];
  for (let at = one; at; at = at.parentElement) {
    const style = getComputedStyle(at), fill = parse(style.backgroundColor);
    if (style.backgroundImage.includes("gradient")) return null;
    if (style.backgroundImage !== "none") { ends = [[0, 0, 0], [255, 255, 255]]; break; }
    if (fill[3] > 0) layers.push(fill);
    if (fill[3] === 1) break;
  }
  const style = getComputedStyle(one), text = parse(style.color);
  const ratios = ends.map((end) => {
    const ground = layers.reduceRight((under, layer) => over(layer, under), end);
    const pair = [light(over(text, ground)), light(ground)].sort((a, b) => a - b);
    return (pair[1] + 0.05) / (pair[0] + 0.05);
  });
  const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
  return [Math.min(...ratios), large ? 3 : 4.5];
})"""


@dataclass(frozen=True)
class Finding:
    """What axe-core finds wrong with one element of a tab: `rule`, how grave it is, the element and why."""

    tab: str
    rule: str
    impact: str
    target: str
    html: str
    why: str

    @property
    def excused(self) -> bool:
        """Whether it is one of `GRADIO`."""
        return any(rule == self.rule and mark in self.html for rule, mark, _ in GRADIO)

    def __str__(self) -> str:
        return f"{self.tab}: {self.rule} ({self.impact}): {self.target}: {self.why}: {self.html[:160]}"


def findings(page: Page, options: dict[str, Any] = ALL, tabs: Iterable[str] | None = None) -> list[Finding]:
    """Return what is wrong on `tabs`, or on each, as they are now."""
    page.add_style_tag(content="* { transition: none !important }")  # colours would fade in
    page.evaluate(AXE_SCRIPT)
    chosen = tabs_of(page) if tabs is None else tabs
    return [one for tab in chosen for one in _on_tab(page, tab, options)]


def tasks_of_edit(page: Page, options: dict[str, Any] = ALL) -> list[Finding]:
    """Return what is wrong with the fields of each thing that Edit does, in a window with all in sight: what
    stays at its lower edge covers none.
    """
    go_to(page, "Edit")
    before = page.viewport_size or DESK
    page.set_viewport_size({"width": before["width"], "height": HIGH})
    tasks = page.locator("#sf-task input")
    chosen = page.locator("#sf-task input:checked").get_attribute("value")
    found = []
    for task in [tasks.nth(i).get_attribute("value") for i in range(tasks.count())]:
        page.locator(f"#sf-task input[value={task}]").check()
        page.wait_for_timeout(800)  # its fields come from the server
        found += _on_tab(page, "Edit", options)
    page.locator(f"#sf-task input[value={chosen}]").check()
    page.set_viewport_size(before)
    return found


def tabs_of(page: Page) -> list[str]:
    """Return the names of the tabs, in their order."""
    return page.get_by_role("tab").all_inner_texts()


def fill(page: Page) -> None:
    """Use every tab, so that something stands there, and open what is folded up."""
    draw(page, "a lighthouse")
    page.get_by_role("button", name="Edit this", exact=True).first.click()
    expect(page.get_by_role("tab", name="Edit", exact=True)).to_have_attribute("aria-selected", "true")
    page.wait_for_timeout(2000)  # until the canvas has sent the picture that it was given
    page.click("#sf-edit-draw")
    page.wait_for_selector("#sf-edit-results img", timeout=WAIT)
    go_to(page, "Grid")
    page.fill("#sf-grid-prompt textarea", "a lighthouse")
    page.fill("#sf-grid-across-values :is(textarea, input)", "1,2")
    page.click("#sf-grid-draw")
    expect(page.locator("#sf-grid-progress")).to_contain_text("2 of 2", timeout=WAIT)
    go_to(page, "Learn")
    page.wait_for_timeout(500)  # until what the tab shows first is wholly there
    page.fill("#sf-learn-prompt textarea", "a lighthouse")
    page.click("#sf-learn-show")
    page.wait_for_selector("#sf-learn-steps", timeout=WAIT)
    for tab in tabs_of(page):
        go_to(page, tab)
        closed = page.locator("button.label-wrap:not(.open):visible")
        while closed.count():
            closed.first.click()
    go_to(page, "Gallery")
    page.locator("#sf-gallery button:has(img)").first.click()
    page.wait_for_selector("#sf-picture img")


def _on_tab(page: Page, tab: str, options: dict[str, Any]) -> Iterator[Finding]:
    go_to(page, tab)
    found = page.evaluate("options => axe.run(document, options)", options)
    for one in found["violations"]:
        for node in one["nodes"]:
            why = " ".join(node["failureSummary"].split())
            target = " ".join(map(str, node["target"]))
            yield Finding(tab, one["id"], one["impact"], target, node["html"], why)
    left = [node for one in found["incomplete"] if one["id"] == "color-contrast" for node in one["nodes"]]
    targets = [str(node["target"][-1]) for node in left]
    for node, target, measured in zip(left, targets, page.evaluate(MEASURE, targets), strict=True):
        if measured is not None and measured[0] < measured[1]:
            why = f"measured: contrast {measured[0]:.2f}, {measured[1]:g} is asked for"
            yield Finding(tab, "color-contrast", "serious", target, node["html"], why)


def main() -> int:
    parser = argparse.ArgumentParser(prog="studio_axe", description=__doc__)
    parser.add_argument("--markdown", action="store_true", help="print the table alone")
    parser.add_argument("--look", choices=names(), help="one look instead of all")
    given = parser.parse_args()
    looks = names() if given.look is None else (given.look,)
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    found: dict[tuple[str, str], list[Finding]] = {}
    tabs: list[str] = []
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for look in looks:
            with served_studio(bundled_settings(Path(home)), built_in(look)) as served:
                page = browser.new_page(viewport=DESK, locale="en-GB")
                page.set_default_timeout(WAIT)
                page.goto(f"{served.url}?__theme=light")
                page.wait_for_selector("#sf-generate")
                fill(page)
                tabs = tabs_of(page)
                for mode in ("light", "dark"):
                    # As Gradio does it.
                    page.evaluate("dark => document.body.classList.toggle('dark', dark)", mode == "dark")
                    found[look, mode] = [*findings(page), *tasks_of_edit(page)]
                page.close()
        browser.close()
    print(_table(found, tabs))
    ours = [one for some in found.values() for one in some if not one.excused]
    if not given.markdown:
        told = sorted({str(one) for one in ours})
        print("\n".join(("", *told)))
    return 1 if ours else 0


def _table(found: dict[tuple[str, str], list[Finding]], tabs: list[str]) -> str:
    """Return how many findings are ours, and how many are excused as Gradio's."""
    rows = [f"| look | mode | {' | '.join(tabs)} |", f"|---|---|{'---|' * len(tabs)}"]
    for (look, mode), some in found.items():
        cells = []
        for tab in tabs:
            here = [one for one in some if one.tab == tab]
            ours = [one for one in here if not one.excused]
            by_rule = ", ".join(sorted({f"{one.rule} ({one.impact})" for one in ours}))
            excused = len(here) - len(ours)
            cells.append(f"{len(ours)}{f': {by_rule}' if ours else ''}{f' (+{excused})' if excused else ''}")
        rows.append(f"| {look} | {mode} | {' | '.join(cells)} |")
    rows.append("")
    rows.append("Ours; in brackets what is Gradio's own and cannot be reached:")
    rows += [f"- {rule}, where the element has `{mark}`: {why}" for rule, mark, why in GRADIO]
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
