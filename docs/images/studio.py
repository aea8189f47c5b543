"""Take the screenshots of docs/how-to/studio.md: `python docs/images/studio.py`, or some of them by name.

Needs the extras studio and dev, and Chromium. Pictures are drawn by the bundled model, in a data folder that
is removed at the end.
"""

import io
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

HERE: Final = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "tests"))

from served_studio import bundled_settings, served_studio  # noqa: E402
from sfumato.serving.studio.look import FILE, Dressed, built_in, read_look  # noqa: E402
from studio_pages import WAIT, draw, go_to  # noqa: E402

MOST_BYTES: Final = 80_000

#: Where files lie on the machine that takes the pictures is nobody's business.
NOWHERE: Final = """() => {
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const now = walk.currentNode;
    now.data = now.data.replace(/\\/[^ ]*\\/models\\/bundled\\/model/, ".../sfumato/models/bundled/model")
      .replace(/\\/[^ ]*\\/models$/, "~/.sfumato/models");
  }
}"""


def main() -> None:
    wanted = sys.argv[1:]  # names of pictures; all, where none is given
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        settings = bundled_settings(Path(home))
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for look, name, show in (
            ("harbour", "studio-create", create),
            ("paper", "studio-grid", grid),
            ("paper", "studio-edit", edit),
            ("paper", "studio-boxes", boxes),
            ("paper", "studio-learn", learn),
            ("meadow", "studio-gallery", gallery),
            ("night", "studio-models", models),
            ("seeds", "studio-look", create),
        ):
            if wanted and name not in wanted:
                continue
            dressed = seeds(Path(home)) if look == "seeds" else built_in(look)
            with served_studio(settings, dressed) as served:
                page = browser.new_page(viewport={"width": 1280, "height": 860})
                page.goto(served.url)
                page.wait_for_selector("#sf-generate")
                show(page)
                page.wait_for_timeout(800)  # until fonts and pictures stand still
                keep(page.screenshot(), HERE / f"{name}.webp")
                page.close()
        browser.close()


def seeds(home: Path) -> Dressed:
    """Return the look that docs/how-to/studio.md writes out, with a picture that the bundled model drew."""
    written = (HERE.parent / "how-to" / "studio.md").read_text(encoding="utf-8").partition("```toml\n")[2]
    (home / "look").mkdir()
    (home / "look" / FILE).write_text(written.partition("```")[0], encoding="utf-8")
    picture = built_in("harbour").file("background")
    assert picture is not None
    shutil.copyfile(picture, home / "look" / "sea.webp")
    return read_look(home / "look")


def create(page: Page) -> None:
    page.fill("#sf-prompt textarea", "a sailboat on the sea at sunset")
    page.get_by_label("Pictures").first.fill("4")
    page.click("#sf-generate")
    expect(page.locator("#sf-create-progress")).to_contain_text("Done in", timeout=4 * WAIT)


def edit(page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 1380})
    page.fill("#sf-prompt textarea", "a frog on a beach")
    page.click("#sf-generate")
    expect(page.locator("#sf-create-progress")).to_contain_text("Done in", timeout=4 * WAIT)
    page.get_by_role("button", name="Edit this").first.click()
    page.locator("#sf-canvas canvas").first.wait_for()
    page.get_by_label("More around it").check()
    expect(page.locator("#sf-extend img")).to_be_visible(timeout=WAIT)
    page.get_by_role("slider", name="Pixels added at the right").press("Shift+ArrowRight")
    page.get_by_role("slider", name="Pixels added at the top").press("Shift+ArrowRight")
    page.fill("#sf-edit-prompt textarea", "a beach")
    page.click("#sf-edit-draw")
    page.wait_for_selector("#sf-edit-slider img", timeout=4 * WAIT)
    page.evaluate("scrollTo(0, 0)")


def boxes(page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 1560})
    go_to(page, "Edit")
    page.get_by_label("Say what goes where").check()
    page.get_by_role("radio", name="Wide 160 x 104").last.check()
    page.fill("#sf-edit-prompt textarea", "a beach")
    for prompt in ("a frog on a beach", "a rocket on a beach"):
        page.get_by_role("button", name="Add a box").click()
        page.keyboard.type(prompt)
    advanced = page.get_by_role("button", name="Advanced").last
    advanced.click()
    page.wait_for_timeout(1000)  # what is typed while it opens may be lost
    page.get_by_label("Seed").last.fill("2")
    advanced.click()
    page.click("#sf-edit-draw")
    page.wait_for_selector("#sf-edit-results img", timeout=4 * WAIT)
    page.evaluate("scrollTo(0, 0)")


def gallery(page: Page) -> None:
    draw(page, "a frog on a beach")
    go_to(page, "Gallery")
    page.locator("#sf-gallery button:has(img)").first.click()
    page.wait_for_selector("#sf-picture img")


def models(page: Page) -> None:
    go_to(page, "Models")
    page.get_by_text("bundled", exact=True).first.click()
    expect(page.locator("#sf-model h2")).to_have_text("bundled", timeout=WAIT)
    page.wait_for_timeout(2000)  # until its digest is there
    page.evaluate(NOWHERE)


def grid(page: Page) -> None:
    go_to(page, "Grid")
    page.fill("#sf-grid-prompt textarea", "a castle in a meadow")
    page.fill("#sf-grid-across-values textarea, #sf-grid-across-values input", "2,4,8,20")
    page.locator("#sf-grid-down input").click()
    page.get_by_role("option", name="Style").click()
    page.fill(
        "#sf-grid-down-values textarea, #sf-grid-down-values input", "as it is,watercolour,pencil sketch"
    )
    page.click("#sf-grid-draw")
    expect(page.locator("#sf-grid-progress")).to_contain_text("12 of 12", timeout=4 * WAIT)


def learn(page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 1500})
    go_to(page, "Learn")
    page.fill("#sf-learn-prompt textarea", "a red frog on a beach at sunset")
    page.get_by_role("button", name="Settings").click()
    page.wait_for_timeout(1000)  # what is typed while it opens may be lost
    page.locator("#sf-learn-seed input, #sf-learn-seed textarea").fill("7")
    page.click("#sf-learn-show")
    page.wait_for_selector("#sf-learn-steps", timeout=4 * WAIT)
    page.get_by_role("button", name="Settings").click()
    page.locator("#sf-learn-steps input[type=range]").fill("4")


def keep(png: bytes, path: Path) -> None:
    """Write a screenshot as WebP, as well as fits into `MOST_BYTES`."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    for quality in range(88, 20, -6):
        image.save(path, quality=quality, method=6)
        if path.stat().st_size <= MOST_BYTES:
            return
    raise SystemExit(f"{path} does not fit into {MOST_BYTES} bytes")


if __name__ == "__main__":
    main()
