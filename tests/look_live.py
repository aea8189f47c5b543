"""How long a page takes to show a look that was changed, and what each change keeps in memory.

    PYTHONPATH=tests python -m look_live --changes 20
    PYTHONPATH=tests python -m look_live --changes 20 --browser

A studio is opened in a process of its own and a title is written again and again into its studio.toml. The
first way asks as an open page does, from saving to the configuration of the page in the new look; with
`--browser` it is Chromium that shows the new title. Memory is what the process has resident (Linux).
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from playwright.sync_api import sync_playwright

from sfumato.serving.studio.look import FILE
from sfumato.serving.studio.news import PLACE

WAIT = 120.0  # seconds
EVERY = 0.5  # seconds between two questions of a page
SHOWN = 1.5  # seconds: what is asked for on a machine that does nothing else
GROWTH = 1.0  # MiB a change, over the second half


def main(arguments: list[str] | None = None) -> int:
    """Print the figures as JSON, and return 0 where both are as they should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=20)
    parser.add_argument("--browser", action="store_true")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as home:
        look = Path(home) / "studio"
        look.mkdir()
        write(look, 0)
        command = [sys.executable, "-m", "sfumato", "studio", "--port", "0", "--no-browser", "--json"]
        told = {**os.environ, "SFUMATO_HOME": home, "SFUMATO_OFFLINE": "1"}
        with subprocess.Popen(command, env=told, stdout=subprocess.PIPE, text=True) as process:
            try:
                url = address_of(process)
                measure = in_browser if asked.browser else over_http
                seconds, memory = measure(url, look, asked.changes, lambda: resident(process.pid))
            finally:
                process.terminate()
    later = memory[2 * len(memory) // 3 :]  # garbage is collected now and then
    growth = (later[-1] - later[0]) / max(1, len(later) - 1)
    figures = {
        "changes": asked.changes,
        "shown_s": {"median": round(statistics.median(seconds), 2), "worst": round(max(seconds), 2)},
        "resident_mib": [round(one, 1) for one in memory],
        "growth_mib_a_change": round(growth, 2),
    }
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    return 0 if statistics.median(seconds) <= SHOWN and growth <= GROWTH else 1


def write(look: Path, number: int) -> None:
    """Save the look whose title has this number, as editors do: a new file in the place of the old."""
    new = look / "new.toml"
    new.write_text(f'title = "Look {number}"\naccent = "#2f4b{number % 256:02x}"\n', encoding="utf-8")
    os.replace(new, look / FILE)


def address_of(process: "subprocess.Popen[str]") -> str:
    """Return where a studio that was begun is, once it answers."""
    assert process.stdout is not None
    written = ""
    for line in process.stdout:
        written += line
        try:
            url: str = json.loads(written)["url"]
        except ValueError:
            continue
        break
    else:
        raise AssertionError("the studio did not open")
    give_up = time.monotonic() + WAIT
    while time.monotonic() < give_up:
        try:
            if httpx.get(url, trust_env=False).status_code == httpx.codes.OK:
                return url
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("the studio did not answer")


def over_http(
    url: str, look: Path, changes: int, memory_of: Callable[[], float]
) -> tuple[list[float], list[float]]:
    """Return the seconds that each change took, and the MiB before the first and after each."""
    seconds: list[float] = []
    with httpx.Client(base_url=url, trust_env=False, timeout=WAIT) as page:
        made = page.get(PLACE).json()["made"]
        memory = [memory_of()]
        for number in range(1, changes + 1):
            write(look, number)
            begun = time.monotonic()
            while (now := page.get(PLACE).json()["made"]) == made:
                assert time.monotonic() - begun < WAIT, "the page did not follow"
                time.sleep(EVERY)
            page.get("/").raise_for_status()
            assert page.get("/config").json()["title"] == f"Look {number}"
            seconds.append(time.monotonic() - begun)
            made = now
            memory.append(memory_of())
    return seconds, memory


def in_browser(
    url: str, look: Path, changes: int, memory_of: Callable[[], float]
) -> tuple[list[float], list[float]]:
    """Return what `over_http` does, as Chromium sees it."""
    seconds: list[float] = []
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert found is not None, "there is no Chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(url)
        page.wait_for_selector("#sf-generate")
        memory = [memory_of()]
        for number in range(1, changes + 1):
            write(look, number)
            begun = time.monotonic()
            page.wait_for_function(
                "title => document.querySelector('.sf-title')?.textContent.trim() === title",
                arg=f"Look {number}",
                timeout=WAIT * 1000,
            )
            seconds.append(time.monotonic() - begun)
            memory.append(memory_of())
        browser.close()
    return seconds, memory


def resident(process: int) -> float:
    """Return what a process has in memory, MiB."""
    (line,) = [one for one in Path(f"/proc/{process}/status").read_text().splitlines() if "VmRSS" in one]
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    sys.exit(main())
