"""What the live preview costs: the same recipe drawn with a page that follows it, with and without previews,
and by the engine alone.

    PYTHONPATH=tests python -m preview_cost --repeats 15

All are drawn in one process with one loaded model, in turns, so that a busy machine slows them alike. The
page is another process, as a browser is: it asks and follows as the page does (tests/page_client.py), or is
the page in Chromium with --browser. Timed is drawing: from the recipe to the finished pixels, without keeping
the picture, which is done in both cases by whoever wants it. On a busy machine look at the processor time of
the server's process instead: waiting for a turn is not in it.
"""

import argparse
import json
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import uvicorn

from page_client import Visitor
from served_studio import WAIT, bundled_settings
from sfumato.engine.events import Event, Events, Picture
from sfumato.engine.gathering import NAMES_ONLY
from sfumato.engine.run import run
from sfumato.models.cache import ModelCache
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from sfumato.serving.desk import PREVIEW_PAUSE, open_desk
from sfumato.serving.queue import JobQueue
from sfumato.serving.server import HERE, Address, application, server_of
from sfumato.serving.store import Store
from sfumato.serving.studio.look import built_in, names
from sfumato.settings import Settings

PROMPT: Final = "a red fox in the snow at night"
MOST: Final = 1.10
PAGES: Final = ("without", "with")  # previews


@dataclass(eq=False)
class Timed:
    """Draws, and keeps what each drawing took until its picture was there: seconds, and seconds of the
    processor that this process had meanwhile.
    """

    settings: Settings
    models: ModelCache
    previews: bool = True
    took: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])

    def __call__(self, recipe: Recipe, preview_every: int) -> Events:
        return self._timed(recipe, preview_every if self.previews else 0)

    def _timed(self, recipe: Recipe, preview_every: int) -> Generator[Event, None, None]:
        began, busy = time.perf_counter(), time.process_time()
        drawing = run(
            recipe,
            self.settings,
            preview_every=preview_every,
            preview_pause=PREVIEW_PAUSE,
            cache=self.models,
            trust=NAMES_ONLY,
        )
        with closing(drawing) as events:
            for event in events:
                if isinstance(event, Picture):
                    self.took.append((time.perf_counter() - began, time.process_time() - busy))
                yield event


@contextmanager
def served(settings: Settings, draw: Timed) -> Iterator[str]:
    """Serve a studio in which `draw` draws, and give its address."""
    with open_desk(settings) as opened, socket.create_server((HERE, 0)) as listening:
        store = Store(settings.data_dir / "studio" / "studio.db")
        queue = JobQueue(draw, opened.gallery, store)
        desk = replace(opened, queue=queue)
        address = Address(port=listening.getsockname()[1])
        server: uvicorn.Server = server_of(application(desk, built_in(names()[0]), address))
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        queue.start()
        thread.start()
        try:
            yield address.url
        finally:
            server.should_exit = True
            thread.join(WAIT)
            queue.close()
            store.close()


def follow(url: str, *, browser: bool) -> None:
    """Be the page: for every line of standard input, its steps and its seed, draw one and follow it."""
    if browser:
        _follow_in_browser(url)
        return
    with Visitor(url).open() as visitor:
        _say("ready")
        for line in sys.stdin:
            asked = json.loads(line)
            news = sum(1 for _ in visitor.drawing(prompt=PROMPT, **asked))
            _say(str(news))


def _follow_in_browser(url: str) -> None:
    import shutil

    from playwright.sync_api import expect, sync_playwright

    from studio_pages import WAIT as PATIENCE
    from studio_pages import open_advanced

    with sync_playwright() as playwright:
        found = shutil.which("chromium") or shutil.which("chromium-browser")
        page = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"]).new_page()
        page.goto(url)
        page.wait_for_selector("#sf-generate")
        open_advanced(page)
        page.fill("#sf-prompt textarea", PROMPT)
        _say("ready")
        for line in sys.stdin:
            asked = json.loads(line)
            page.get_by_label("Steps").fill(asked["steps"])
            page.get_by_role("textbox", name="Seed").fill(asked["seed"])
            page.click("#sf-generate")
            picture = page.locator("#sf-create-results img").first
            expect(picture).to_have_attribute("alt", re.compile(f" {asked['seed']}$"), timeout=PATIENCE)
            _say("1")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@contextmanager
def page_of(url: str, *, browser: bool) -> Iterator[Callable[[str], str]]:
    """Open a page in a process of its own; call what is given with a line, and it returns the answer."""
    command = [sys.executable, "-m", "preview_cost", "--follow", url, *(["--browser"] if browser else [])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def ask(line: str) -> str:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(line + "\n")
            process.stdin.flush()
            return process.stdout.readline().strip()

        assert process.stdout.readline().strip() == "ready"
        yield ask
        process.stdin.close()


def measure(home: Path, *, repeats: int, steps: int, browser: bool) -> dict[str, Any]:
    """Return what `repeats` drawings took in each of the three ways, and how they compare."""
    settings = bundled_settings(home)
    draw = Timed(settings, ModelCache.of(settings))
    ways: dict[str, list[tuple[float, float]]] = {"alone": [], "without": [], "with": []}
    news: list[int] = []
    with served(settings, draw) as url, page_of(url, browser=browser) as ask:
        for turn in range(repeats + 2):  # the first two warm everything up
            recipe = Recipe(parts=(TextPart(prompt=PROMPT),), steps=steps, seed=turn)

            def by_engine(recipe: Recipe = recipe) -> None:
                for _ in draw(recipe, 0):
                    pass

            def by_page(turn: int = turn, *, previews: bool) -> None:
                draw.previews = previews
                seed = str(2 * turn + previews)  # a page knows a new picture by it
                told = int(ask(json.dumps({"steps": str(steps), "seed": seed})))
                draw.previews = True
                if previews:
                    news.append(told)

            draws = {"alone": by_engine, **{one: partial(by_page, previews=one == "with") for one in PAGES}}
            # Each begins in turn, so that none is always the one behind another.
            for one in (*[*draws][turn % 3 :], *[*draws][: turn % 3]):
                draw.took.clear()
                draws[one]()
                ways[one].append(draw.took[0])
    told = {name: some[2:] for name, some in ways.items()}
    preview = _ratios(told["with"], told["without"])
    return {
        "n": repeats,
        "steps": steps,
        "page": "Chromium" if browser else "HTTP",
        **{f"{name}_s": round(statistics.median(one for one, _ in some), 4) for name, some in told.items()},
        "previews": preview,
        "page_and_previews": _ratios(told["with"], told["alone"]),
        "news": round(statistics.mean(news[2:]), 1),
        "within": preview["ratio"] <= MOST,
    }


def _ratios(some: list[tuple[float, float]], others: list[tuple[float, float]]) -> dict[str, Any]:
    """Return how much longer `some` took than `others`, pair by pair, and of the processor."""
    pairs = [*zip(some, others, strict=True)]
    ratios, busy = ([one[which] / other[which] for one, other in pairs] for which in (0, 1))
    return {
        "ratio": round(statistics.median(ratios), 3),
        "quartiles": [round(one, 3) for one in statistics.quantiles(ratios, n=4)],
        "of_processor_time": round(statistics.median(busy), 3),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--browser", action="store_true", help="follow in Chromium")
    parser.add_argument("--follow", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.follow:
        follow(asked.follow, browser=asked.browser)
        return 0
    with tempfile.TemporaryDirectory() as home:
        found = partial(measure, Path(home), repeats=asked.repeats, steps=asked.steps)
        figures = found(browser=asked.browser)
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    return 0 if figures["within"] else 1


if __name__ == "__main__":
    sys.exit(main())
