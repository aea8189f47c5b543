"""A photo that is brought in a browser: nothing that it says is kept, and the page does not need its file."""

import io
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from served_studio import Served
from sfumato.serving.desk import ALONE
from studio_pages import WAIT, OpenPage, go_to, next_frame, on_canvas

PLACE = b"52 degrees 22 minutes north"


def photo() -> bytes:
    """Return a red photo with a blue left edge, which lies on its side and says where it was taken."""
    lying = np.full((320, 240, 3), (200, 30, 30), np.uint8)
    lying[:40] = (20, 20, 220)
    exif = Image.Exif()
    exif[0x0112] = 8  # what is above is left
    exif[0x010E] = PLACE.decode()
    written = io.BytesIO()
    Image.fromarray(lying).save(written, "JPEG", quality=95, exif=exif)
    return written.getvalue()


def bring(page: Page, content: bytes) -> None:
    go_to(page, "Edit")
    page.locator("#sf-canvas canvas").first.wait_for()
    # Gradio has a canvas before it can take anything: then it says how large it shows that.
    expect(page.locator("#sf-canvas")).to_contain_text("%", timeout=WAIT)
    page.locator("#sf-canvas input[type=file]").first.set_input_files(
        {"name": "garden.jpg", "mimeType": "image/jpeg", "buffer": content}
    )
    on_canvas(page)


def names(folder: Path) -> list[str]:
    """Return what the files are called that Gradio keeps."""
    return sorted(one.name for one in folder.rglob("*.*"))


def choose(page: Page, task: str) -> None:
    """Choose what to do with the picture, and wait until the server has answered."""
    page.get_by_label(task).check()
    expect(page.get_by_label("Soft edge, pixels").first).to_be_visible(visible=task != "Change it")


def test_a_photo_is_drawn_on_long_after_its_file_is_gone(
    other_studio: Callable[..., AbstractContextManager[Served]],
    open_page: OpenPage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = tmp_path / "shown"
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(shown))
    with other_studio() as served:
        page = open_page(served)
        bring(page, photo())
        give_up = time.monotonic() + WAIT / 1000
        while len(names(shown)) < 3 and time.monotonic() < give_up:
            next_frame(page)
        choose(page, "Repaint what is marked")  # what comes later sends nothing again
        choose(page, "Change it")
        # What the canvas sends of it, once.
        assert names(shown) == ["background.png", "composite.png", "layer_0.png"]
        assert all(PLACE not in one.read_bytes() for one in tmp_path.rglob("*") if one.is_file())
        page.screenshot(path=tmp_path / "canvas.png", full_page=True)
        shutil.rmtree(shown, ignore_errors=True)  # as after hours
        shown.mkdir(exist_ok=True)
        page.fill("#sf-edit-prompt textarea", "a garden")
        page.click("#sf-edit-draw")
        expect(page.locator("#sf-edit-results img").first).to_be_visible(timeout=WAIT)
        (kept,) = served.desk.gallery.search(ALONE, limit=2)
        assert kept.width > kept.height  # upright, which the photo's own numbers are not
        assert all(PLACE not in one.read_bytes() for one in tmp_path.rglob("*") if one.is_file())
        page.close()
