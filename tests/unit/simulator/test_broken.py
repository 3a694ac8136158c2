"""What goes wrong, and what of it was done all the same."""

from typing import Any

import pytest

from bulk_transcribe.simulator import Faults
from tests.unit.simulator.asking import HEADERS, V2, Asker


def _faults(**changes: Any) -> Faults:
    faults = Faults()
    faults.update(changes)
    return faults


def test_an_error_page_before_the_work_leaves_nothing() -> None:
    asker = Asker(Faults(html_502=1))
    reply = asker.submit("abcdefghijk")
    assert reply.status == 502
    assert reply.text.startswith("<!DOCTYPE html>")
    assert asker.ledger().jobs == ()
    assert not asker.ledger().requests[0].counted


@pytest.mark.parametrize("fault", ["html_502_after", "garbage_body", "drop_answer_after"])
def test_an_answer_that_breaks_after_the_work_leaves_a_paid_job(fault: str) -> None:
    asker = Asker(_faults(**{fault: 1}))
    reply = asker.submit("abcdefghijk")
    assert b"request_id" not in reply.body or fault == "garbage_body"
    ledger = asker.ledger()
    assert len(ledger.jobs) == 1
    assert ledger.charged_usd > 0
    assert ledger.requests[0].counted
    assert asker.submit("abcdefghijk").status == 200


def test_a_connection_cut_before_the_work_leaves_nothing() -> None:
    asker = Asker(Faults(drop_answer_before=1))
    assert asker.submit("abcdefghijk").status == 0
    assert asker.ledger().jobs == ()
    assert asker.ledger().requests[0].status is None


def test_a_500_is_counted_and_nothing_is_done() -> None:
    asker = Asker(Faults(server_error_500=1))
    reply = asker.submit("abcdefghijk")
    assert (reply.status, reply.json["message"]) == (500, "Server Error")
    assert asker.ledger().requests[0].counted
    assert asker.ledger().jobs == ()


def test_the_key_can_be_revoked_and_given_back() -> None:
    asker = Asker(Faults(revoke_key=True))
    assert asker.submit("abcdefghijk").status == 401
    asker.faults.revoke_key = False
    assert asker.submit("abcdefghijk").status == 200


def test_credit_can_be_spent_while_running_jobs_go_on() -> None:
    asker = Asker()
    request_id = asker.request_id("abcdefghijk")
    asker.faults.spend_credit = True
    assert asker.submit("abcdefghijl").status == 422
    assert asker.get(f"{V2}/account/balance").json["balance"] == 0
    asker.clock.advance(1_000)
    assert asker.status(request_id)["status"] == "done"


def test_jobs_can_be_made_to_fail_or_to_hang() -> None:
    asker = Asker(Faults(failing_jobs=1, failing_code="WORKER_TIMEOUT"))
    assert asker.finished("abcdefghijk")["error_code"] == "WORKER_TIMEOUT"
    assert asker.finished("abcdefghijk")["status"] == "done"
    asker.faults.stuck_jobs = 1
    assert asker.finished("abcdefghijl")["status"] == "processing"


def test_a_forgotten_job_is_404() -> None:
    asker = Asker()
    request_id = asker.request_id("abcdefghijk")
    asker.faults.missing_requests = {request_id}
    assert asker.get(f"{V2}/jobs/{request_id}").status == 404
    asker.faults.missing_requests = set()
    assert asker.get(f"{V2}/jobs/{request_id}").status == 200


def test_a_new_job_may_be_unknown_for_a_moment() -> None:
    asker = Asker(Faults(hidden_after_submit_s=3.0))
    request_id = asker.request_id("abcdefghijk")
    assert asker.get(f"{V2}/jobs/{request_id}").status == 404
    asker.clock.advance(3.0)
    assert asker.get(f"{V2}/jobs/{request_id}").status == 200


def test_faults_of_the_paid_service_leave_the_others_alone_unless_told() -> None:
    asker = Asker(Faults(html_502=True))
    video = "/youtube/v3/videos?part=id&id=abcdefghijk&key=simulated-youtube-key"
    assert asker.get(video).status == 200
    assert asker.get("/watch?v=abcdefghijk").status == 200
    for fault, status in (("html_502", 502), ("server_error_500", 500), ("drop_answer_after", 0)):
        asker = Asker(_faults(**{fault: True, "only": {fault: ["data_api", "watch"]}}))
        assert asker.get(video).status == status
        assert asker.get("/watch?v=abcdefghijk").status == status
        assert asker.get(f"{V2}/jobs/x").status == 404


def test_a_share_of_polls_fails_the_same_way_in_every_run() -> None:
    def statuses() -> list[int]:
        asker = Asker(Faults(html_502=0.5))
        return [asker.get(f"{V2}/jobs/x").status for _ in range(40)]

    first = statuses()
    assert first == statuses()
    assert {404, 502} == set(first)


def test_an_unknown_page_is_404_and_noted() -> None:
    asker = Asker()
    assert asker.get("/nothing/here").status == 404
    assert asker.get("/api/v2/nothing", headers=HEADERS).json["message"].startswith("The route")
    assert asker.get("/login").status == 200
    assert asker.ledger().counts == {"other": 3}
