"""A run does not notice that somebody looks, however often and however wildly."""

import random
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser import monitor
from tests.browser.serving import Served

#: One list; every third video has no captions and is paid for.
LIST = [f"NOCCref{n:04d}" if n % 3 == 0 else f"ref{n:08d}" for n in range(15)]
LOOKS = 100
#: So many of them while the run stands still at a paid request; the others while it moves.
LOOKS_AT_REST = 60


def journal(home: Path) -> dict[str, Counter[Any]]:
    """All that the newest run of a store wrote of itself and of each video, without the moments."""
    queries = {
        "videos": "SELECT video_id, position, stage, source, spent_usd, error_code FROM videos",
        "requests": "SELECT video_id, kind, sent, refused, failed FROM requests",
        "attempts": "SELECT video_id, source, outcome, error_code FROM attempts",
        "submissions": "SELECT video_id, source, state, quoted_usd, charged_usd FROM submissions",
        "wishes": "SELECT wish, value FROM wishes",
    }
    store = sqlite3.connect(home / "bulk-transcribe.sqlite3")
    try:
        (session,) = store.execute("SELECT MAX(session_id) FROM sessions").fetchone()
        return {
            name: Counter(store.execute(f"{query} WHERE session_id = ?", (session,)).fetchall())
            for name, query in queries.items()
        }
    finally:
        store.close()


class Looks:
    """Reloads, other pages, filters, searches, opened videos: the same ones each time."""

    def __init__(self, page: Page, served: Served, session: str) -> None:
        self._page = page
        self._address = f"{served.url}/?session={session}"
        self._choices = random.Random(7)
        self.done: Counter[str] = Counter()
        page.goto(self._address)

    def look(self, times: int) -> None:
        for _ in range(times):
            what = self._choices.choice(
                ["reload", "reload", "address", "page", "filter", "search", "click"]
            )
            self._do(what)
            self.done[what] += 1

    def _do(self, what: str) -> None:
        page = self._page
        match what:
            case "reload":
                page.reload(wait_until="domcontentloaded")
            case "address":
                page.goto(self._address, wait_until="domcontentloaded")
            case "page":
                other = self._choices.choice(["Results", "Sessions", "Settings", "New batch"])
                monitor.go(page, other)
                page.goto(self._address, wait_until="domcontentloaded")
            case "filter":
                pills = page.get_by_role("toolbar", name="Show")
                pills.get_by_role("button", name=self._choices.choice(["Done", "Waiting"])).click()
            case "search":
                box = page.get_by_placeholder("Search title, channel or id")
                box.fill(self._choices.choice(["the", "", "rivers"]))
                box.press("Enter")
            case _:  # opens and closes, and changes nothing
                page.locator(".st-key-controls").get_by_role(
                    "button", name="Videos at once"
                ).click()
                page.keyboard.press("Escape")


def without_polls(counts: Counter[Any]) -> Counter[Any]:
    return Counter({row: times for row, times in counts.items() if row[1] != "poll"})


def polls(counts: Counter[Any]) -> dict[str, int]:
    return {row[0]: row[2] for row in counts if row[1] == "poll"}


def test_a_hundred_looks_leave_the_journal_as_it_is_without_any(
    served: Served, tab: Callable[[], Page], tmp_path: Path
) -> None:
    """Same seed, same list, once with nobody there and once under a hundred looks.

    Videos, tries, paid requests and money are the same, and so is every request but one kind:
    how many polls a job takes hangs on the moment at which it is looked at, and so on how busy
    the machine is. Whoever was polled is the same, and every poll is in the run's own journal.
    """
    flags = ("-j", "1", "--order", "input", "--quiet", "--json")
    videos = [f"https://youtu.be/{video_id}" for video_id in LIST]
    alone, watched = (served.simulate("--fault=failing_jobs=0.3") for _ in range(2))
    unseen = tmp_path / "unseen"
    reference = served.start(
        "run", *videos, *flags, **alone.environment, BULK_TRANSCRIBE_HOME=str(unseen)
    )
    watched.faults(hold="before_work")
    run = served.start("run", *videos, *flags, **watched.environment)
    watched.wait_for_held(1)

    session = served.command("sessions", "--json")[0]["session"]
    looks = Looks(tab(), served, session)
    looks.look(LOOKS_AT_REST)
    assert run.poll() is None
    watched.faults(hold=None)
    looks.look(LOOKS - LOOKS_AT_REST)
    assert looks.done.total() == LOOKS
    assert reference.wait(90) is not None
    assert run.wait(90) is not None

    page = tab()
    page.goto(f"{served.url}/?session={session}")
    monitor.expect_finished(page, len(LIST), len(LIST))
    seen_books = journal(Path(served.environment["BULK_TRANSCRIBE_HOME"]))
    books = journal(unseen)
    expect(monitor.figure(page, "Done")).to_have_text(
        str(sum(row[2] == "done" for row in books["videos"]))
    )
    for name in ("videos", "attempts", "submissions", "wishes"):
        assert seen_books[name] == books[name], name
    requests, seen_requests = books["requests"], seen_books["requests"]
    assert without_polls(seen_requests) == without_polls(requests)
    assert polls(seen_requests).keys() == polls(requests).keys()
    assert all(polls(seen_requests).values())
    # the page itself asked the services for nothing: all that came is in the run's own journal
    sent = sum(row[2] * times for row, times in seen_requests.items())
    assert sum(watched.ledger()["counts"].values()) == sent
