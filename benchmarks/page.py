"""How soon the page shows what the store says, and how fast it is with a long list.

    python -m benchmarks.page [--videos N] [--changes N] [--write]

Needs the extra `ui`, playwright and a Chromium. A session of 10,000 videos with four of them in
flight is put into a fresh store, as its engine would have left it; the page is served as people
serve it and opened in a headless browser. This process then plays the engine: it ends one video
after another, each durable in the store, and the browser notes when the figure "Done" changes.
One JSON object on standard output (and in results/page.json with --write):

    videos                    rows of the session
    script_ms                 one whole run of the page's script without a browser: median, worst
    fragment_ms               in the browser, from the click on a filter until the table is there
    return_ms                 in the browser, from the click on "Monitor", with another page open,
                              until its figures are there
    reload_ms                 in the browser, from a fresh load of the address, programs of the
                              page included, until its figures are there
    late_ms                   from a change in the store until it is on the page: median, worst
    within                    whether the bounds hold: script 300 ms, return 300 ms (medians),
                              late 1,500 ms (worst)

Exit code 1 if a bound is broken. All is real time; both programs and the browser share the
machine's cores, so a busy machine gives worse figures, never better.
"""

import argparse
import contextlib
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright
from streamlit.testing.v1 import AppTest

import bulk_transcribe.ui
from bulk_transcribe.core.clock import SystemClock
from bulk_transcribe.core.outcome import Succeeded
from bulk_transcribe.core.stage import Stage, VideoState
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.save.database import open_database
from bulk_transcribe.save.session import Session
from bulk_transcribe.save.sessions import SessionManager

MOST_SCRIPT_MS = 300.0
MOST_RETURN_MS = 300.0
MOST_LATE_MS = 1_500.0
ROUNDS = 15
IN_FLIGHT = 4
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_SCRIPT = Path(bulk_transcribe.ui.__file__).with_name("main.py")
_RESULT = Path(__file__).with_name("results") / "page.json"
#: Notes each new value of a figure with the browser's own time, which is that of the machine.
_WATCH = """
() => {
  window.seen = {};
  const note = () => {
    for (const metric of document.querySelectorAll('[data-testid="stMetric"]')) {
      const label = metric.querySelector('[data-testid="stMetricLabel"]').innerText.trim();
      const value = metric.querySelector('[data-testid="stMetricValue"]').innerText.trim();
      if (label === 'Done' && !(value in window.seen)) window.seen[value] = Date.now();
    }
  };
  new MutationObserver(note).observe(
    document.body, {subtree: true, childList: true, characterData: true});
  note();
}
"""


class Playing:
    """A session under way, whose engine is this process."""

    def __init__(self, manager: SessionManager, clock: SystemClock, videos: int) -> None:
        items = [
            VideoItem(video_id=f"v{n:010d}", title=f"Video number {n}", duration_s=300.0 + n % 900)
            for n in range(videos)
        ]
        session_id = manager.create_session(items, name="10,000 videos", out_dir="out")
        self.session: Session = manager.claim_engine(session_id)
        self._clock = clock
        half = [
            replace(state, stage=Stage.DONE) for state in self.session.states(limit=videos // 2)
        ]
        self.session.save_states(half)
        self._queue = self.session.all_states(stages=[Stage.QUEUED])
        self._active = [self._begin() for _ in range(IN_FLIGHT)]
        self.done = len(half)

    def end_one(self) -> float:
        """End a video and begin another; the real moment at which it was in the store, ms."""
        state = self._active.pop(0)
        done = state.moved(Stage.DONE, self._clock.now(), finished_at=self._clock.now())
        self.session.finish(done, Succeeded(video_id=state.video_id, source="deapi"))
        stored_ms = time.time() * 1000
        self.done += 1
        self._active.append(self._begin())
        self.session.heartbeat()
        return stored_ms

    def _begin(self) -> VideoState:
        now = self._clock.now()
        state = next(self._queue).moved(Stage.TRANSCRIBING, now, started_at=now, worker="w_1")
        self.session.save_states([state])
        return state


def script_ms(playing: Playing) -> dict[str, float]:
    """The page's script alone: first looks at a session, with news for each.

    The first run of the process, which imports everything, is left out.
    """
    taken = []
    for number in range(ROUNDS + 1):
        playing.end_one()
        page = AppTest.from_file(str(_SCRIPT), default_timeout=120)
        page.query_params["session"] = playing.session.session_id
        begun_s = time.perf_counter()
        page.run()
        if number:
            taken.append((time.perf_counter() - begun_s) * 1000)
        shown = {metric.label: metric.value for metric in page.metric}
        if shown.get("Done") != f"{playing.done:,}" or not _has_all(page, playing):
            raise RuntimeError("the page does not show what it should")
    return told(taken)


def _has_all(page: AppTest, playing: Playing) -> bool:
    return any(len(table.value) == playing.session.count() for table in page.dataframe)


def told(taken_ms: list[float]) -> dict[str, float]:
    """Median and worst."""
    return {"median": round(statistics.median(taken_ms), 1), "worst": round(max(taken_ms), 1)}


@contextlib.contextmanager
def served(home: Path) -> Iterator[str]:
    """The page, as people serve it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(  # noqa: S603 -- our own command
        [sys.executable, "-m", "bulk_transcribe", "ui", "--no-browser", "--port", str(port)],
        env={**os.environ, "BULK_TRANSCRIBE_HOME": str(home)},
        cwd=home,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(300):
            with contextlib.suppress(urllib.error.URLError, OSError):
                urllib.request.urlopen(f"{url}/_stcore/health", timeout=5).close()  # noqa: S310 -- 127.0.0.1
                break
            time.sleep(0.1)
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


@contextlib.contextmanager
def browser_page() -> Iterator[Page]:
    """A page in a headless browser."""
    found = next(path for name in _BROWSERS if (path := shutil.which(name)))
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=flags)
        yield browser.new_page(viewport={"width": 1280, "height": 900})
        browser.close()


def timed(act: Callable[[], object], until: Callable[[], object]) -> float:
    """Milliseconds from an act until it shows."""
    begun_s = time.perf_counter()
    act()
    until()
    return (time.perf_counter() - begun_s) * 1000


def in_browser(page: Page, url: str, playing: Playing, changes: int) -> dict[str, Any]:
    """What a person waits for."""
    address = f"{url}/?session={playing.session.session_id}"
    figures = page.locator(".st-key-figures")
    total = playing.session.count()

    def shown() -> None:
        page.get_by_text(f"of {total:,} finished").first.wait_for()
        figures.wait_for()

    page.goto(address)
    shown()
    page.get_by_test_id("stDataFrame").wait_for()
    reloads = [timed(page.reload, shown) for _ in range(5)]
    returns, filters = [], []
    links = page.get_by_test_id("stTopNavLink")
    for _ in range(ROUNDS):
        links.filter(has_text="Settings").click()
        figures.wait_for(state="detached")
        returns.append(timed(links.filter(has_text="Monitor").click, shown))
    page.get_by_test_id("stDataFrame").wait_for()
    pill = page.get_by_role("toolbar", name="Show").get_by_role("button", name="Done")
    rows = {True: f"{playing.done:,} videos", False: f"{total:,} videos."}
    for number in range(6):
        after = page.get_by_text(rows[number % 2 == 0]).first
        filters.append(timed(pill.click, after.wait_for))
    page.evaluate(_WATCH)
    late = []
    for _ in range(changes):
        stored_ms = playing.end_one()
        value = f"{playing.done:,}"
        page.wait_for_function("value => value in window.seen", arg=value, polling=20)
        late.append(page.evaluate("value => window.seen[value]", value) - stored_ms)
        time.sleep(0.37)  # not in step with the page's own second
    return {
        "fragment_ms": told(filters),
        "return_ms": told(returns),
        "reload_ms": told(reloads),
        "late_ms": told(late),
    }


def main() -> int:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=int, default=10_000)
    parser.add_argument("--changes", type=int, default=30)
    parser.add_argument("--write", action="store_true", help="Keep the result beside this file.")
    given = parser.parse_args()
    clock = SystemClock()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        os.environ["BULK_TRANSCRIBE_HOME"] = folder  # as for the page that is served
        with open_database(home / "bulk-transcribe.sqlite3") as database:
            playing = Playing(SessionManager(database, clock), clock, given.videos)
            found: dict[str, Any] = {
                "videos": given.videos,
                "script_ms": script_ms(playing),
            }
            with served(home) as url, browser_page() as page:
                found |= in_browser(page, url, playing, given.changes)
    found["within"] = (
        found["script_ms"]["median"] <= MOST_SCRIPT_MS
        and found["return_ms"]["median"] <= MOST_RETURN_MS
        and found["late_ms"]["worst"] <= MOST_LATE_MS
    )
    found["machine"] = {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
    }
    print(json.dumps(found))
    if given.write:
        _RESULT.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0 if found["within"] else 1


if __name__ == "__main__":
    sys.exit(main())
