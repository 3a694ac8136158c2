"""What can be read on the monitor page in a browser."""

import re

from playwright.sync_api import Locator, Page, expect

_OVERALL = re.compile(r"([\d,]+) of ([\d,]+) finished")


def overall(page: Page) -> Locator:
    """The words at the bar of the whole session."""
    return page.locator(".st-key-overall").filter(has_text=_OVERALL).first


def finished(page: Page) -> int:
    """How many videos the bar says are finished."""
    found = _OVERALL.search(overall(page).inner_text())
    assert found
    return int(found.group(1).replace(",", ""))


def expect_finished(page: Page, least: int, total: int) -> None:
    """The bar comes to at least `least` of `total`."""
    numbers = "|".join(str(number) for number in range(least, total + 1))
    expect(overall(page)).to_contain_text(re.compile(rf"\b({numbers}) of {total} finished"))


def figure(page: Page, label: str) -> Locator:
    """The value of a figure."""
    named = page.get_by_test_id("stMetric").filter(
        has=page.get_by_test_id("stMetricLabel").get_by_text(label, exact=True)
    )
    return named.get_by_test_id("stMetricValue")


def expect_status(page: Page, *words: str) -> None:
    """The session's status comes to be one of these."""
    pattern = re.compile("|".join(rf"^\s*{word}\s*$" for word in words))
    expect(page.locator(".st-key-head").get_by_text(pattern).first).to_be_visible()


def click(page: Page, name: str) -> None:
    """Press a button by its words."""
    page.get_by_role("button", name=name, exact=False).first.click()


def steer(page: Page, name: str) -> None:
    """Press a button of the session; Streamlit has a "Stop" of its own."""
    page.locator(".st-key-controls").get_by_role("button", name=name).click()


def go(page: Page, name: str) -> None:
    """Choose another page."""
    page.get_by_test_id("stTopNavLink").filter(has_text=name).first.click()


def in_flight(page: Page) -> Locator:
    """The cards of the videos in progress."""
    return page.locator("[class*='st-key-active_']")
