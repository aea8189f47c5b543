"""How long it takes from `sfumato studio` to a page, and from opening the page to the first picture.

    PYTHONPATH=tests python -m studio_start --repeats 5

Each round is a process of its own with an empty data folder, and a browser that has never seen the page. One
click: on Generate, as soon as it can be clicked, with a prompt typed before.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
from playwright.sync_api import Browser, expect, sync_playwright

from studio_pages import WAIT

READY, PICTURE = 8.0, 3.0  # seconds that are allowed


def _round(browser: Browser, home: Path) -> tuple[float, float]:
    """Return the seconds until the page answers, and from opening it to a picture that can be seen."""
    command = [sys.executable, "-m", "sfumato", "studio", "--no-browser", "--port", "0"]
    began = time.perf_counter()
    with subprocess.Popen(
        command, env={"SFUMATO_HOME": str(home), "PATH": "/usr/bin:/bin"}, stdout=subprocess.PIPE, text=True
    ) as studio:
        try:
            assert studio.stdout is not None
            url = studio.stdout.readline().strip()
            while True:
                try:
                    httpx.get(url).raise_for_status()
                    break
                except httpx.TransportError:
                    time.sleep(0.01)
            ready = time.perf_counter() - began
            page = browser.new_page()
            opened = time.perf_counter()
            page.goto(url)
            page.fill("#sf-prompt textarea", "a frog on a beach")
            page.click("#sf-generate")
            expect(page.locator("#sf-create-results img").first).to_be_visible(timeout=WAIT)
            seen = time.perf_counter() - opened
            page.close()
        finally:
            studio.terminate()
    return ready, seen


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    rounds: list[tuple[float, float]] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        for _ in range(asked.repeats):
            with tempfile.TemporaryDirectory() as home:
                rounds.append(_round(browser, Path(home)))
    figures = {
        name: {"median": round(statistics.median(some), 2), "all": sorted(round(one, 2) for one in some)}
        for name, some in zip(
            ("page_ready_s", "page_open_to_picture_s"), zip(*rounds, strict=True), strict=True
        )
    }
    sys.stdout.write(json.dumps({"clicks": 1, "n": asked.repeats, **figures}, indent=1) + "\n")
    medians = [statistics.median(some) for some in zip(*rounds, strict=True)]
    return 0 if medians[0] <= READY and medians[1] <= PICTURE else 1


if __name__ == "__main__":
    sys.exit(main())
