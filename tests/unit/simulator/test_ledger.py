import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.simulator.ledger import Book, RequestSeen, worst_windows
from tests.unit.simulator.asking import V2, Asker


def _seen(at_s: float, pool: str | None = "a") -> RequestSeen:
    return RequestSeen(at_s, "poll", "GET", "/", 200, counted=True, pool=pool, video_id=None)


@given(
    st.lists(st.tuples(st.floats(0, 70), st.sampled_from(["a", "b", None])), max_size=60),
    st.integers(1, 5),
)
def test_the_running_count_is_the_count_by_hand(
    steps: list[tuple[float, str | None]], limit: int
) -> None:
    book, requests, now_s = Book(), [], 1_000.0
    for gap_s, pool in steps:
        now_s += gap_s
        requests.append(_seen(now_s, pool))
        book.note(requests[-1], limit if pool else None)
    by_hand: dict[str, int] = {}
    breaches = 0
    for place, last in enumerate(requests):
        if last.pool is None:
            continue
        within = sum(
            r.pool == last.pool and r.at_s + 60.0 > last.at_s for r in requests[: place + 1]
        )
        by_hand[last.pool] = max(by_hand.get(last.pool, 0), within)
        breaches += within > limit
    assert book.worst == by_hand == worst_windows(requests, 60.0)
    assert book.breaches == breaches


def test_a_request_after_exactly_a_minute_is_in_the_next_window() -> None:
    assert worst_windows([_seen(0.1), _seen(60.1)], 60.0) == {"a": 1}
    assert worst_windows([_seen(0.1), _seen(60.0)], 60.0) == {"a": 2}


def test_refused_requests_are_in_the_window_too() -> None:
    asker = Asker(rate_limit_rpm=2)
    for _ in range(5):
        asker.get(f"{V2}/jobs/x")
    asker.get(f"{V2}/models")
    ledger = asker.ledger()
    assert ledger.worst_window() == ledger.worst_window(30.0, pool="premium") == 5
    assert ledger.worst_window(pool="nothing") == 0
    assert ledger.breaches == 3
    assert ledger.refused_429 == 3
    assert ledger.counts == {"poll": 5, "account": 1}
    assert [r.counted for r in ledger.requests] == [True] * 2 + [False] * 4


def test_an_empty_book_is_all_zeros() -> None:
    ledger = Asker().ledger()
    assert ledger.worst_window() == ledger.worst_window(10.0) == ledger.breaches == 0
    assert not ledger.requests
    assert not ledger.jobs
    assert ledger.charged_usd == 0


def test_a_job_is_noticed_by_the_first_answer_that_tells_of_its_end() -> None:
    asker = Asker()
    request_id = asker.request_id("abcdefghijk")
    asker.status(request_id)
    (job,) = asker.ledger().jobs
    assert job.seen_done_at_s is job.noticed_after_s is None
    assert job.done_at_s is not None
    asker.clock.advance(job.done_at_s - asker.clock.now_s() + 7.0)
    asker.faults.update({"html_502_after": 1, "only": {"html_502_after": ["poll"]}})
    assert asker.get(f"{V2}/jobs/{request_id}").status == 502  # nobody learned anything
    assert asker.ledger().jobs[0].noticed_after_s is None
    asker.clock.advance(2.0)
    asker.status(request_id)
    asker.clock.advance(2.0)
    asker.status(request_id)
    assert asker.ledger().jobs[0].noticed_after_s == pytest.approx(9.0)


def test_requests_know_their_video() -> None:
    asker = Asker()
    asker.status(asker.request_id("abcdefghijk"))
    asker.get("/watch?v=abcdefghijl")
    asker.post("/youtubei/v1/player", json_body={"videoId": "abcdefghijm"})
    asker.get(f"{V2}/models")
    seen = [(r.kind, r.video_id) for r in asker.ledger().requests]
    assert seen == [
        ("submit", "abcdefghijk"),
        ("poll", "abcdefghijk"),
        ("watch", "abcdefghijl"),
        ("player", "abcdefghijm"),
        ("account", None),
    ]


def test_a_ledger_stays_as_it_was_taken() -> None:
    asker = Asker()
    asker.request_id("abcdefghijk")
    ledger = asker.ledger()
    asker.request_id("abcdefghijk")
    assert len(ledger.requests) == len(ledger.jobs) == 1
    assert ledger.duplicates == {}


def test_json_holds_amounts_as_text_and_everything_else() -> None:
    asker = Asker()
    asker.finished("abcdefghijk")
    book: Any = json.loads(json.dumps(asker.ledger().as_json(), allow_nan=False))
    assert Decimal(book["charged_usd"]) == Decimal(book["jobs"][0]["charged_usd"]) > 0
    assert Decimal(book["balance_usd"]) == 50 - Decimal(book["charged_usd"])
    assert book["submits"] == {"abcdefghijk": [book["jobs"][0]["request_id"]]}
    assert book["worst_window"] == 1  # one of the two came long after
    assert book["limits"] == {"premium": 300}
    assert [r["kind"] for r in book["requests"]] == ["submit", "poll"]
    assert asker.state.ledger(with_requests=False).as_json()["requests"] == []
