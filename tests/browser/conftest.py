"""The page as a person uses it: headless Chromium, the installed command, a simulator, a folder.

One simulator and one page for all tests of a worker; each test makes sessions of its own. The
clocks of all of them run sixty times faster than life, with the same arithmetic.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

from tests.browser.serving import Served, serving

#: Clock seconds in a real one.
SPEED = 60
#: Real milliseconds within which anything that a test waits for must be on the page.
SOON_MS = 30_000
_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
FLAGS = (
    "--no-sandbox",  # root has no sandbox to go into
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def chromium() -> str | None:
    """The browser of this machine; None if there is none."""
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder drives a browser, in one process, and takes its time."""
    here = Path(__file__).parent
    missing = None if chromium() else "no Chromium on this machine: install chromium to run these"
    for item in items:
        if here not in item.path.parents:
            continue
        item.add_marker(pytest.mark.browser)
        item.add_marker(pytest.mark.timeout(240))
        if missing:
            item.add_marker(pytest.mark.skip(reason=missing))


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The simulator and the page, for all tests of this worker."""
    folder = tmp_path_factory.mktemp("page")
    # a held request is not a lost one
    patience = {"BULK_TRANSCRIBE_REQUEST_TIMEOUT_S": "36000", "COLUMNS": "120"}
    with serving(folder, speed=SPEED, **patience) as there:
        yield there


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
    expect.set_options(timeout=SOON_MS)
    yield browser
    browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A person's browser: its tabs share it."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    context.set_default_timeout(SOON_MS)
    yield context
    context.close()


@pytest.fixture
def tab(context: BrowserContext) -> Callable[[], Page]:
    """Open tabs. A page that fails in the browser fails the test."""
    return context.new_page
