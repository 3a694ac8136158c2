"""What people do with the page, in a real browser, while the service misbehaves."""

import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser import monitor
from tests.browser.serving import Served, end, free_port, wait_until_up

#: Videos of the simulator whose ids begin like this have no captions.
PAID = "NOCC"


def links(prefix: str, count: int) -> list[str]:
    """Links to videos of the simulator that no other test has."""
    return [f"https://youtu.be/{prefix}{number:0{11 - len(prefix)}d}" for number in range(count)]


class Trouble:
    """What the simulated service does wrong. Holding paid requests makes a run stand still."""

    def __init__(self, served: Served) -> None:
        self._served = served

    def make(self, **faults: object) -> None:
        self._served.faults(**faults)

    def hold(self) -> None:
        """Videos that need the paid service wait from here on; captions still come."""
        self._served.faults(hold="before_work")

    def let_go(self) -> None:
        self._served.faults(hold=None)

    def is_held(self, number: int) -> None:
        """Wait until so many requests are held."""
        self._served.wait_for_held(number)


@pytest.fixture
def trouble(served: Served) -> Iterator[Trouble]:
    """A tenth of the answers but those to paid requests are errors; all is well at the end."""
    trouble = Trouble(served)
    kinds = ["poll", "price", "account"]
    trouble.make(
        html_502=0.05,
        server_error_500=0.05,
        only={"html_502": kinds, "server_error_500": kinds},
    )
    yield trouble
    trouble.make(html_502=0, server_error_500=0, failing_jobs=0, only={})
    trouble.let_go()


def begin(page: Page, served: Served, *, slots: int | None = None) -> None:
    """From a list that was read to a run: choose how, see the forecast, start."""
    expect(page.get_by_text("What was understood")).to_be_visible()
    expect(monitor.figure(page, "Cost")).to_contain_text("$")
    if slots is not None:
        page.get_by_text("Work on several videos at once").click()
        slider = page.get_by_role("slider", name="Videos at once")
        expect(slider).to_have_value("2")
        for _ in range(slots - 2):
            slider.press("ArrowRight")
        expect(slider).to_have_value(str(slots))
        expect(monitor.figure(page, "Effective rate")).to_have_text(
            f"{min(300, 60 * slots)} a minute"
        )
    expect(monitor.figure(page, "Cost")).to_contain_text("$")
    expect(monitor.figure(page, "Balance")).to_contain_text("$")
    start = page.get_by_role("button", name=re.compile("Start .* video"))
    expect(start).to_be_enabled()
    start.click()
    monitor.expect_status(page, "Running")
    assert served.command("sessions", "--json")[0]["status"] == "running"


def test_from_an_upload_to_files_one_video_after_the_other(
    served: Served, tab: Callable[[], Page], trouble: Trouble, tmp_path: Path
) -> None:
    """Upload, forecast, start, watch, refresh, second tab, close, come back, read, download."""
    listed = tmp_path / "list.csv"
    rows = [
        f"{number},{link},note"
        for number, link in enumerate([*links("seq", 3), *links(f"{PAID}seq", 3)])
    ]
    listed.write_text("\n".join(["number,link,about", *rows, "9,htp://not-a-video,odd"]))
    page = tab()
    page.goto(f"{served.url}/new")
    page.locator("input[type=file]").set_input_files(listed)
    expect(page.get_by_text("Column of links in list.csv")).to_be_visible()
    monitor.click(page, "Read the list")
    expect(monitor.figure(page, "Videos")).to_have_text("6")
    expect(monitor.figure(page, "Not understood")).to_have_text("1")
    trouble.hold()
    begin(page, served)

    trouble.is_held(1)
    expect(page.get_by_text("Current video")).to_be_visible()
    expect(monitor.in_flight(page)).to_have_count(1)
    expect(monitor.in_flight(page)).to_contain_text("Sending")
    shown = monitor.overall(page).inner_text()
    assert monitor.finished(page) < 6
    page.reload()
    expect(monitor.overall(page)).to_contain_text(shown[:18])
    second = tab()
    second.goto(page.url)
    expect(monitor.overall(second)).to_contain_text(shown[:18])
    page.close()  # the engine does not notice
    trouble.let_go()
    monitor.expect_finished(second, 6, 6)  # the numbers move by themselves
    second.close()
    back = tab()
    back.goto(served.url)
    monitor.expect_finished(back, 6, 6)
    monitor.expect_status(back, "Finished")
    expect(monitor.figure(back, "Done")).to_have_text("6")
    expect(monitor.figure(back, "Spent")).to_have_text(re.compile(r"\$0\.0*[1-9]"))

    read_and_download(back, tmp_path / "all.zip", videos=6)


def read_and_download(back: Page, path: Path, *, videos: int) -> None:
    """From the monitor of a finished session: read, search, take a ZIP."""
    monitor.go(back, "Results")
    expect(back.get_by_role("link", name="Watch on YouTube")).to_be_visible()
    moment = back.locator("a[href*='t=']").first
    expect(moment).to_have_attribute("href", re.compile(r"youtu.*t=\d+"))
    back.get_by_text("Search", exact=True).click()
    box = back.get_by_role("textbox", name="Search in all transcripts")
    for words in ("the", "nowhere said", "the"):  # the box stays one: Enter counts each time
        box.fill(words)
        box.press("Enter")
        found = r"in \d+ videos?" if words == "the" else "Nothing|No "
        expect(back.get_by_text(re.compile(found)).first).to_be_visible()
    expect(box).to_be_focused()
    back.get_by_text("Download", exact=True).click()
    monitor.click(back, f"Make a ZIP of {videos} videos")
    with back.expect_download() as taken:
        monitor.click(back, "Download the ZIP")
    taken.value.save_as(path)
    with zipfile.ZipFile(path) as packed:
        assert len([name for name in packed.namelist() if name.endswith(".md")]) == videos
        assert packed.testzip() is None


def paste(page: Page, served: Served, wanted: list[str]) -> None:
    """Paste a list and have it read."""
    page.goto(f"{served.url}/new")
    area = page.get_by_role("textbox", name="Paste links")
    area.fill("\n".join(wanted))
    area.press("Control+Enter")
    monitor.click(page, "Read the list")
    expect(monitor.figure(page, "Videos")).to_have_text(str(len(wanted)))


def test_parallel_pause_stop_resume_and_retry(
    served: Served, tab: Callable[[], Page], trouble: Trouble
) -> None:
    page = tab()
    paste(page, served, links(f"{PAID}par", 18))
    trouble.make(failing_jobs=0.4)
    trouble.hold()
    begin(page, served, slots=4)
    session = served.command("sessions", "--json")[0]["session"]
    trouble.is_held(1)
    expect(page.get_by_text("In progress")).to_be_visible()
    expect(monitor.in_flight(page)).to_have_count(4)

    monitor.steer(page, "Pause")
    monitor.expect_status(page, "Paused")
    expect(page.get_by_text(re.compile("in flight will be finished"))).to_be_visible()
    trouble.let_go()
    expect(page.get_by_text("Nothing is in flight")).to_be_visible()
    assert served.command("status", session, "--json")["status"] == "paused"
    before = monitor.finished(page)
    assert 1 <= before < 18

    trouble.hold()
    monitor.steer(page, "Go on")
    monitor.expect_status(page, "Running")
    trouble.is_held(1)
    monitor.steer(page, "Pause")
    monitor.expect_status(page, "Paused")
    monitor.steer(page, "Stop")
    monitor.expect_status(page, "Stopping")
    expect(page.get_by_text("what is in flight is finished first")).to_be_visible()
    expect(page.get_by_role("button", name="Go on")).to_be_disabled()
    trouble.let_go()
    monitor.expect_status(page, "Stopped")
    assert before < monitor.finished(page)
    expect(page.get_by_text(re.compile(r"It was stopped. \d+ videos? left"))).to_be_visible()

    monitor.steer(page, "Resume")
    monitor.expect_finished(page, 18, 18)
    monitor.expect_status(page, "Finished")
    failed = int(monitor.figure(page, "Failed").inner_text())
    assert failed
    expect(page.get_by_text(f"What went wrong: {failed} video")).to_be_visible()
    page.get_by_test_id("stExpander").filter(has_text="Failed").first.click()
    expect(page.get_by_text("What was tried").first).to_be_visible()

    trouble.make(failing_jobs=0)
    monitor.steer(page, "Retry")
    expect(monitor.figure(page, "Done")).to_have_text("18")
    expect(monitor.figure(page, "Failed")).to_have_text("0")
    monitor.expect_status(page, "Finished")
    stored = served.command("status", session, "--json")
    assert (stored["done"], stored["failed"]) == (18, 0)


def test_a_run_outlives_the_page_that_started_it(
    served: Served, tab: Callable[[], Page], trouble: Trouble
) -> None:
    """The server of the page is ended; the engine goes on; a new server shows it."""
    port = free_port()
    server = served.start("ui", "--no-browser", "--port", str(port))
    other = replace(served, url=f"http://127.0.0.1:{port}")
    wait_until_up(f"{other.url}/_stcore/health", server)
    page = tab()
    paste(page, other, links(f"{PAID}out", 4))
    trouble.hold()
    begin(page, served)
    session = served.command("sessions", "--json")[0]["session"]
    trouble.is_held(1)
    end(server)
    assert server.returncode is not None
    page.close()

    page = tab()
    page.goto(f"{served.url}/?session={session}")
    monitor.expect_status(page, "Running")
    trouble.let_go()
    monitor.expect_finished(page, 4, 4)
    monitor.expect_status(page, "Finished")
