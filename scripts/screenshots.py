"""Takes the pictures of the page in `docs/screenshots/`: `python -m scripts.screenshots`.

Runs the installed command against the simulator, drives the page in Chromium, and leaves one PNG
for each page and state. Needs the extra `dev` and a Chromium.
"""

import signal
import tempfile
from contextlib import ExitStack
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser import monitor
from tests.browser.conftest import FLAGS, chromium
from tests.browser.serving import Served, serving

PICTURES = Path(__file__).parents[1] / "docs" / "screenshots"
#: Clock seconds in a real one: slow enough that videos in flight can be seen.
SPEED = 12
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
#: Ids that begin like this have no captions at the simulator.
PAID = "NOCC"
SOON_MS = 90_000
#: Looks for a moment at which nothing is being drawn anew.
TRIES = 20
COLOURS = 128

LIST = [
    *(f"https://youtu.be/{PAID}show{number:03d}" for number in range(12)),
    *(f"https://youtu.be/seen{number:07d}" for number in range(6)),
    "https://example.com/not-a-video",
    "notes about lesson 4",
]


def main() -> None:
    """Take all pictures."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with ExitStack() as parts:
        folder = Path(parts.enter_context(tempfile.TemporaryDirectory()))
        served = parts.enter_context(serving(folder, speed=SPEED))
        started = parts.enter_context(sync_playwright())
        browser = started.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        parts.callback(browser.close)
        expect.set_options(timeout=SOON_MS)
        page = tab(browser)
        new_batch(page, served)
        running(page, browser)
        ended(page, served)
        read(page)
        interrupted(page, served)
        others(page, browser, served)


def tab(browser: Browser, *, size: dict[str, int] = DESKTOP, dark: bool = False) -> Page:
    """A tab of a person's browser."""
    page = browser.new_page(
        viewport={"width": size["width"], "height": size["height"]},
        color_scheme="dark" if dark else "light",
    )
    page.set_default_timeout(SOON_MS)
    return page


def take(page: Page, name: str, *, whole: bool = False) -> None:
    """Save what is seen, without the cursor's marks; the pointer is out of the way."""
    page.mouse.move(0, 0)
    stale = page.locator("[data-stale=true]")
    for _ in range(TRIES):
        page.wait_for_timeout(600)  # the fades of what was drawn last
        if not stale.count():
            break
    path = PICTURES / f"{name}.png"
    page.screenshot(path=path, full_page=whole, animations="disabled")
    with Image.open(path) as picture:  # few colours: a third of the size
        picture.convert("RGB").quantize(COLOURS).save(path, optimize=True)
    print(f"{name}.png  {(PICTURES / f'{name}.png').stat().st_size // 1000} KB")


def new_batch(page: Page, served: Served) -> None:
    """The empty page, a list that was read, and its forecast."""
    page.goto(f"{served.url}/new")
    expect(page.get_by_role("button", name="Read the list")).to_be_visible()
    take(page, "new-empty")
    area = page.get_by_role("textbox", name="Paste links")
    area.fill("\n".join(LIST))
    area.press("Control+Enter")
    monitor.click(page, "Read the list")
    expect(monitor.figure(page, "Videos")).to_have_text("18")
    page.get_by_text("Work on several videos at once").click()
    slider = page.get_by_role("slider", name="Videos at once")
    expect(slider).to_have_value("2")
    for _ in range(4):
        slider.press("ArrowRight")
    expect(monitor.figure(page, "Cost")).to_contain_text("$")
    tall = {"width": 1280, "height": 2250}
    page.set_viewport_size({"width": tall["width"], "height": tall["height"]})
    take(page, "new-forecast")
    page.set_viewport_size({"width": 1280, "height": 900})


def running(page: Page, browser: Browser) -> None:
    """A run with six videos in flight, on a desk and on a phone, and paused."""
    page.get_by_role("button", name="Start 18 videos").click()
    monitor.expect_status(page, "Running")
    expect(monitor.in_flight(page).nth(3)).to_be_visible()
    page.wait_for_timeout(4_000)
    take(page, "monitor-running")
    phone = tab(browser, size=PHONE, dark=True)
    phone.goto(page.url)
    expect(monitor.in_flight(phone).first).to_be_visible()
    take(phone, "monitor-phone-dark")
    phone.close()
    monitor.click(page, "Pause")
    monitor.expect_status(page, "Paused")
    take(page, "monitor-paused")
    monitor.click(page, "Go on")
    monitor.expect_status(page, "Running")


def ended(page: Page, served: Served) -> None:
    """A session whose last videos failed."""
    served.faults(failing_jobs=0.5)
    monitor.expect_status(page, "Finished")
    served.faults(failing_jobs=0)
    page.set_viewport_size({"width": 1280, "height": 1500})
    take(page, "monitor-finished")
    page.set_viewport_size({"width": 1280, "height": 900})


def read(page: Page) -> None:
    """A transcript, and a search in all of them."""
    monitor.go(page, "Results")
    expect(page.get_by_role("link", name="Watch on YouTube")).to_be_visible()
    take(page, "results-read")
    page.get_by_text("Search", exact=True).click()
    box = page.get_by_role("textbox", name="Search in all transcripts")
    box.fill("the")
    page.get_by_test_id("stForm").get_by_role("button", name="Search").click()
    expect(page.get_by_text(" videos").first).to_be_visible()
    take(page, "results-search")


def interrupted(page: Page, served: Served) -> None:
    """A run from the command line, one video after the other, that was killed."""
    links = [f"https://youtu.be/{PAID}kill{number:03d}" for number in range(5)]
    process = served.start("run", *links, "--quiet")
    served.wait_for_jobs(f"{PAID}kill")
    session = served.command("sessions", "--json")[0]["session"]
    page.goto(f"{served.url}/?session={session}")
    monitor.expect_status(page, "Running")
    expect(page.get_by_text("Current video")).to_be_visible()
    take(page, "monitor-sequential")
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    monitor.expect_status(page, "Interrupted")
    take(page, "monitor-interrupted")


def others(page: Page, browser: Browser, served: Served) -> None:
    """Sessions and settings; the new batch in the dark."""
    monitor.go(page, "Sessions")
    expect(page.get_by_text("Interrupted").first).to_be_visible()
    take(page, "sessions")
    monitor.go(page, "Settings")
    expect(page.get_by_text("DEAPI_API_KEY").first).to_be_visible()
    take(page, "settings")
    dark = tab(browser, dark=True)
    dark.goto(f"{served.url}/new")
    expect(dark.get_by_role("button", name="Read the list")).to_be_visible()
    take(dark, "new-dark")
    dark.close()


if __name__ == "__main__":
    main()
