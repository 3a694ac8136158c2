"""What people do with the page, in a real browser."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.serving import Served


def test_the_page_opens(served: Served, tab: Callable[[], Page]) -> None:
    page = tab()
    page.goto(served.url)
    expect(page).to_have_title("Bulk Transcribe")
