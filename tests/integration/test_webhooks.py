"""Webhooks from the simulated service to the engine: they save polls and settle doubts."""

import socket
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from bulk_transcribe.core.stage import Stage
from bulk_transcribe.save.database import open_database
from bulk_transcribe.save.submissions import SubmissionLedger
from bulk_transcribe.simulator import Faults
from tests.integration.conftest import Ran, World, links

#: News pass through a real socket: half a minute of grace must be more than a moment.
SPEED = 40.0
SECRET = "simulated-webhook-secret"


@pytest.fixture
def hooks() -> dict[str, Any]:
    """Settings of a receiver on a port of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return {
        "webhook_url": f"http://127.0.0.1:{port}/hooks",
        "webhook_secret": SECRET,
        "webhook_bind": f"127.0.0.1:{port}",
    }


def no_thread_stays() -> None:
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith(("webhook", "late", "video"))]


def polls_each(ran: Ran, prefix: str) -> float:
    """Polls for each of the later jobs: by then it is known whether webhooks come."""
    jobs = [job.video_id for job in ran.ledger.jobs if job.video_id.startswith(prefix)]
    later = jobs[len(jobs) // 2 :]
    polls = Counter(seen.video_id for seen in ran.ledger.requests if seen.kind == "poll")
    return sum(polls[video_id] for video_id in later) / len(later)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_each_lost_answer_is_adopted_and_nothing_is_sent_again(
    world: Callable[..., World], hooks: dict[str, Any], version: str
) -> None:
    here = world(Faults(drop_answer_after=True), clock_speed=SPEED, webhook_http=True)
    ran = here.run(links(2), deapi_version=version, **hooks)

    assert ran.result.is_complete
    assert len(ran.ledger.jobs) == ran.ledger.counts["submit"] == 2
    ran.check_counts()
    ran.check_paid_once()
    if version == "v2":  # the other does not tell what it took
        ran.check_money()
    no_thread_stays()


def test_without_webhooks_the_same_answers_stay_in_doubt(world: Callable[..., World]) -> None:
    here = world(Faults(drop_answer_after=True), clock_speed=SPEED)
    ran = here.run(links(2))
    assert ran.result.totals.in_doubt == 2


def test_what_was_told_after_the_run_is_adopted_by_the_next_one(
    world: Callable[..., World], hooks: dict[str, Any]
) -> None:
    """The run's own receiver is gone; the store tells the next run what another one received."""
    here = world(
        Faults(drop_answer_after=1, webhook_lost=True), clock_speed=SPEED, webhook_http=True
    )
    first = here.run(links(2), **hooks)
    assert first.result.totals.in_doubt == 1
    (lost,) = (job for job in first.ledger.jobs if job.seen_done_at_s is None)
    with open_database(here.folder / "home" / "bulk-transcribe.sqlite3") as database:
        ledger = SubmissionLedger(database, here.simulator.clock)
        (doubt,) = ledger.list_in_doubt()
        ledger.told(doubt.nonce, lost.request_id)
    second = here.run(session_id=first.session_id, **hooks)
    assert second.result.is_complete
    assert second.ledger.counts["submit"] == 2


def test_polls_are_few_while_webhooks_work(
    world: Callable[..., World], hooks: dict[str, Any]
) -> None:
    # slow enough that a busy machine's moment is not a service's minute
    here = world(clock_speed=15.0, webhook_http=True, progress="none")
    without = polls_each(here.run(links(16, "poll"), max_concurrent=4), "poll")
    told = here.run(links(16, "told"), max_concurrent=4, **hooks)

    assert told.result.is_complete
    assert polls_each(told, "told") < 0.5 * without
    assert all(each.status == 200 for each in told.ledger.deliveries)


def test_when_webhooks_are_lost_every_job_is_found_all_the_same(
    world: Callable[..., World], hooks: dict[str, Any]
) -> None:
    here = world(Faults(webhook_lost=0.5), clock_speed=SPEED, webhook_http=True)
    ran = here.run(links(12), **hooks)
    assert ran.result.is_complete
    ran.check_books()


@pytest.mark.parametrize(
    "fault",
    ["webhook_forged", "webhook_unsigned", "webhook_stale", "webhook_garbage"],
)
def test_a_spoilt_delivery_is_refused_and_its_good_repetition_is_believed(
    world: Callable[..., World], hooks: dict[str, Any], fault: str
) -> None:
    here = world(
        Faults(drop_answer_after=1, **{fault: True}),  # type: ignore[arg-type]  # one of them
        clock_speed=SPEED,
        webhook_http=True,
    )
    ran = here.run(links(1), **hooks)

    assert ran.result.is_complete  # the second attempt came a minute later
    spoilt = [each for each in ran.ledger.deliveries if each.fault]
    assert spoilt
    assert all(each.status in {400, 401, 422} for each in spoilt)
    ran.check_paid_once()
    ran.check_money()


def test_repeated_and_reordered_deliveries_do_no_harm(
    world: Callable[..., World], hooks: dict[str, Any]
) -> None:
    here = world(
        Faults(drop_answer_after=2, webhook_twice=True, webhook_reordered=0.5),
        clock_speed=SPEED,
        webhook_http=True,
    )
    ran = here.run(links(6), **hooks)
    assert ran.result.is_complete
    ran.check_counts()
    ran.check_paid_once()
    ran.check_money()


def test_jobs_that_fail_are_told_of_as_well(
    world: Callable[..., World], hooks: dict[str, Any]
) -> None:
    here = world(Faults(failing_jobs=2), clock_speed=SPEED, webhook_http=True)
    ran = here.run(links(3), **hooks)
    stages = Counter(state.stage for state in ran.states.values())
    assert stages == {Stage.DONE: 1, Stage.FAILED: 2}
    assert "job.failed" in {each.event for each in ran.ledger.deliveries}
    ran.check_books()


def test_two_runs_share_one_receiver(world: Callable[..., World], hooks: dict[str, Any]) -> None:
    here = world(Faults(drop_answer_after=0.3), clock_speed=SPEED, webhook_http=True)
    one = here.start(links(4, "one"), **hooks)
    other = here.start(links(4, "two"), **hooks)
    first, second = one.ended(), other.ended()
    assert second.ledger.counts["submit"] == 8
    assert first.result.totals.done + second.result.totals.done >= 7  # who receives may end first
    first.check_paid_once()
    no_thread_stays()
