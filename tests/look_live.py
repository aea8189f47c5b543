"""How long a page takes to show a look that was changed, and what each change keeps in memory.

    PYTHONPATH=tests python -m look_live --changes 20
    PYTHONPATH=tests python -m look_live --changes 20 --browser

A studio is opened in a process of its own, and its studio.toml is written again and again: first with another
title and colour, which are put on the page as it is, and then with another welcome too, for which the page is
put together and loaded again. The first way asks as an open page does, from saving until the page in the new
look can be had; with `--browser` it is Chromium that shows the new look. Memory is what the process has
resident (Linux) once it is calm: what pages of before left is cleared away two seconds later.
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
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
from playwright.sync_api import sync_playwright

from sfumato.serving.studio.look import FILE
from sfumato.serving.studio.news import PAINT, PLACE

WAIT = 120.0  # seconds
EVERY = 0.5  # seconds between two questions of a page
SHOWN = 1.5  # seconds: what is asked for on a machine that does nothing else
GROWTH = 1.0  # MiB a change, after the first third
CALM = 4.0  # seconds without growth
SHOWS = """([title, welcome]) => document.querySelector('.sf-title')?.textContent.trim() === title &&
  (document.querySelector('.sf-welcome')?.textContent.trim() ?? '') === welcome"""
Changes = Callable[[int, bool], float]  # from a change's number, and whether of parts, to seconds until shown


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
                with (in_browser if asked.browser else over_http)(address_of(process), look) as change:
                    painted = figures(change, 0, asked.changes, process.pid, parts=False)
                    rebuilt = figures(change, asked.changes, asked.changes, process.pid, parts=True)
            finally:
                process.terminate()
    told = {"changes": asked.changes, "painted": painted, "put_together": rebuilt}
    sys.stdout.write(json.dumps(told, indent=1) + "\n")
    fine = all(one["shown_s"] <= SHOWN and one["growth_mib_a_change"] <= GROWTH for one in (painted, rebuilt))
    return 0 if fine else 1


def figures(change: Changes, before: int, changes: int, process: int, *, parts: bool) -> dict[str, float]:
    """Return the seconds and MiB of `changes` changes, after `before` others."""
    seconds: list[float] = []
    memory = [calm(process)]
    for number in range(1, changes + 1):
        seconds.append(change(before + number, parts))
        if number == changes // 3:  # two pages of before are kept
            memory.append(calm(process))
    memory.append(calm(process))
    growth = (memory[-1] - memory[-2]) / (changes - changes // 3)
    return {
        "shown_s": round(statistics.median(seconds), 2),
        "worst_s": round(max(seconds), 2),
        "resident_mib_before": round(memory[0], 1),
        "resident_mib_after": round(memory[-1], 1),
        "growth_mib_a_change": round(growth, 2),
    }


def write(look: Path, number: int, *, parts: bool = False) -> None:
    """Save the look whose title has this number, as editors do: a new file in the place of the old."""
    welcome = f'welcome = "Welcome {number}"\n' if parts else ""
    new = look / "new.toml"
    text = f'title = "Look {number}"\naccent = "#2f4b{number % 256:02x}"\n{welcome}'
    new.write_text(text, encoding="utf-8")
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


@contextmanager
def over_http(url: str, look: Path) -> Generator[Changes]:
    """Give what changes the look, and returns the seconds until a page could be loaded in it."""
    with httpx.Client(base_url=url, trust_env=False, timeout=WAIT) as page:

        def change(number: int, parts: bool) -> float:
            made = page.get(PLACE).json()["made"]
            write(look, number, parts=parts)
            begun = time.monotonic()
            while page.get(PLACE).json()["made"] == made:
                assert time.monotonic() - begun < WAIT, "the page did not follow"
                time.sleep(EVERY)
            if parts:
                page.get("/").raise_for_status()
                shown = page.get("/config").json()["title"]
            else:
                shown = page.get(PAINT).json()["title"]
            assert shown == f"Look {number}"
            return time.monotonic() - begun

        yield change


@contextmanager
def in_browser(url: str, look: Path) -> Generator[Changes]:
    """Give what `over_http` does, as Chromium sees it."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert found is not None, "there is no Chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(url)
        page.wait_for_selector("#sf-generate")

        def change(number: int, parts: bool) -> float:
            write(look, number, parts=parts)
            begun = time.monotonic()
            shown = [f"Look {number}", f"Welcome {number}" if parts else ""]
            page.wait_for_function(SHOWS, arg=shown, timeout=WAIT * 1000)
            return time.monotonic() - begun

        yield change
        browser.close()


def calm(process: int) -> float:
    """Return what a process has in memory, MiB, once it has not grown for a while."""
    least, since = resident(process), time.monotonic()
    while time.monotonic() - since < CALM:
        time.sleep(0.1)
        now = resident(process)
        if abs(now - least) > GROWTH:
            least, since = now, time.monotonic()
    return resident(process)


def resident(process: int) -> float:
    """Return what a process has in memory, MiB."""
    (line,) = [one for one in Path(f"/proc/{process}/status").read_text().splitlines() if "VmRSS" in one]
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    sys.exit(main())
