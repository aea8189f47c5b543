"""The page in a real browser: Debian's Chromium, one studio for most tests, a fresh visitor for each.

Whatever a page asks of another machine than this one, and whatever lands on the browser's console as an
error, fails the test that opened it.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Error,
    Page,
    Request,
    expect,
    sync_playwright,
)

from served_studio import Served, bundled_settings, served_studio
from studio_pages import DESK, WAIT, OpenPage

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
NONE_HERE = "The studio was NOT tested in a browser: there is no Chromium. On Debian: apt install chromium"
#: What Gradio says of a stream that ends with its page, when it is closed or loaded anew.
ENDED = ("AbortError", "Unexpected error Connection errored out")
_skipped: list[str] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if CHROMIUM is None:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=NONE_HERE))
                _skipped.append(item.name)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _skipped:
        terminalreporter.write_sep("!", NONE_HERE, red=True)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=WAIT)
    with sync_playwright() as playwright:
        # Containers have no user namespaces for Chromium's own sandbox; the pages are ours alone.
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@pytest.fixture(scope="session")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Have Gradio keep its copies of files where the tests keep theirs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        yield


@pytest.fixture(scope="session")
def studio(copies: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The studio that most tests share. What one draws, others see in its gallery."""
    with served_studio(bundled_settings(tmp_path_factory.mktemp("studio"))) as served:
        yield served


@pytest.fixture
def other_studio(copies: None, tmp_path: Path) -> Callable[..., AbstractContextManager[Served]]:
    """Open a studio of one's own: `with other_studio(dressed) as served:`, each time with the same data."""
    settings = bundled_settings(tmp_path / "home")

    def open_it(*arguments: Any) -> AbstractContextManager[Served]:
        return served_studio(settings, *arguments)

    return open_it


@pytest.fixture(scope="session")
def room(browser: Browser) -> BrowserContext:
    """A browser that has seen the studio before: most of it comes from its cache."""
    return browser.new_context(viewport=DESK, locale="en-GB")


@pytest.fixture
def open_page(browser: Browser, room: BrowserContext) -> Iterator[OpenPage]:
    """Open the page of a studio, and wait until it can be used: `open_page(studio, query="?__theme=dark")`.
    Further arguments are those of a browser context: `viewport=PHONE`; then nobody used it before.
    `allowed` are beginnings of what may be said on the console as an error.
    """
    opened: list[tuple[Page, list[str], list[str]]] = []

    def open_it(served: Served, *, query: str = "", allowed: tuple[str, ...] = (), **context: Any) -> Page:
        new = {"viewport": DESK, "locale": "en-GB", **context}
        page = browser.new_page(**new) if context else room.new_page()
        page.set_default_timeout(WAIT)
        left: list[str] = []
        errors: list[str] = []
        opened.append((page, left, errors))

        def asked(request: Request) -> None:
            address = urlsplit(request.url)
            if address.scheme not in ("data", "blob") and address.netloc != served.host:
                left.append(request.url)

        def said(message: ConsoleMessage) -> None:
            if message.type == "error" and not message.text.startswith((*allowed, *ENDED)):
                errors.append(f"{message.text} ({message.location['url']})")

        def failed(error: Error) -> None:
            if not any(one in str(error) for one in ENDED):
                errors.append(str(error))

        def spoke(dialog: Dialog) -> None:
            errors.append(f"dialog: {dialog.message}")
            dialog.dismiss()

        page.on("request", asked)
        page.on("console", said)
        page.on("pageerror", failed)
        page.on("dialog", spoke)
        page.goto(served.url + query)
        page.wait_for_selector("#sf-generate")
        return page

    yield open_it
    for page, left, errors in opened:
        page.close()
        assert left == [], "the page asked other machines"
        assert errors == [], "the browser's console"


@pytest.fixture
def page(open_page: OpenPage, studio: Served) -> Page:
    """The page of the studio that most tests share."""
    return open_page(studio)
