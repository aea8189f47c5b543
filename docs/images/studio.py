"""Take the screenshots of docs/how-to/studio.md: `python docs/images/studio.py`.

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
from sfumato.serving.studio.look import built_in  # noqa: E402
from studio_pages import WAIT, go_to  # noqa: E402

MOST_BYTES: Final = 150_000


def main() -> None:
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        settings = bundled_settings(Path(home))
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for look, name, show in (
            ("harbour", "studio-create", create),
            ("paper", "studio-grid", grid),
            ("paper", "studio-learn", learn),
        ):
            with served_studio(settings, built_in(look)) as served:
                page = browser.new_page(viewport={"width": 1280, "height": 860})
                page.goto(served.url)
                page.wait_for_selector("#sf-generate")
                show(page)
                page.wait_for_timeout(800)  # until fonts and pictures stand still
                keep(page.screenshot(), HERE / f"{name}.webp")
                page.close()
        browser.close()


def create(page: Page) -> None:
    page.fill("#sf-prompt textarea", "a sailboat on the sea at sunset")
    page.get_by_label("Pictures").first.fill("4")
    page.click("#sf-generate")
    expect(page.locator("#sf-create-progress")).to_contain_text("Done in", timeout=4 * WAIT)


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
