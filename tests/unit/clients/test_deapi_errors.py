"""Every known refusal of deAPI, in every known shape, leads where it should."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.clients.deapi_errors import (
    CAUSES,
    JOB_CAUSES,
    explain_refusal,
    job_failure,
    read_refusal,
)
from bulk_transcribe.clients.http import Reply
from bulk_transcribe.core.job import JobState, JobStatus
from bulk_transcribe.errors import (
    Action,
    APIError,
    AuthError,
    BulkTranscribeError,
    CreditSpentError,
    NetworkError,
    NotYetAvailableError,
    RateLimitError,
    RetryableError,
    ServerBusyError,
    SourceBlockedError,
    StopBatchError,
    VideoUnavailableError,
    action_for,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
VIDEO = "dQw4w9WgXcQ"


def reply(status: int, body: object, **headers: str) -> Reply:
    text = body if isinstance(body, str) else json.dumps(body)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status=status, headers=names, text=text, received_at=NOW)


@pytest.mark.parametrize(
    ("status", "body", "family", "code"),
    [
        (401, {"message": "Unauthenticated."}, AuthError, "bad_key"),
        (
            401,
            {"data": None, "message": "Unauthorized user.", "errors": [], "statusCode": 401},
            AuthError,
            "bad_key",
        ),
        (402, {"message": "Payment required"}, CreditSpentError, "no_credit"),
        (403, {"message": "Your account has been suspended."}, AuthError, "suspended"),
        (
            403,
            {"message": "You may not read the balance.", "code": "insufficient_permissions"},
            AuthError,
            "insufficient_permissions",
        ),
        (403, {"message": "This action is unauthorized."}, AuthError, "forbidden"),
        (403, {"message": "Balance below $0.49"}, CreditSpentError, "no_credit"),
        (403, "<!DOCTYPE html><title>Attention Required</title>", SourceBlockedError, "edge_block"),
        (404, {"message": "Not found."}, StopBatchError, "unknown_address"),
        (405, "", StopBatchError, "unknown_address"),
        (413, "<html>too large</html>", VideoUnavailableError, "too_big"),
        (
            422,
            {"message": "Not enough balance.", "errors": {"balance": ["Not enough balance."]}},
            CreditSpentError,
            "no_credit",
        ),
        (
            422,
            {"message": "Bad", "errors": [{"field": "balance", "messages": ["Too low"]}]},
            CreditSpentError,
            "no_credit",
        ),
        (
            422,
            {"message": "The selected model is invalid.", "errors": {"model": ["invalid"]}},
            StopBatchError,
            "unknown_model",
        ),
        (
            422,
            {"message": "Bad", "errors": [{"field": "model", "messages": ["unknown"]}]},
            StopBatchError,
            "unknown_model",
        ),
        (
            422,
            {"message": "The source url is invalid.", "errors": {"source_url": ["invalid"]}},
            VideoUnavailableError,
            "refused_video",
        ),
        (422, {"message": "The video is too long."}, VideoUnavailableError, "too_long"),
        (422, {"message": "Private video"}, VideoUnavailableError, "private_video"),
        (422, {"message": "This live event will begin soon"}, NotYetAvailableError, "upcoming"),
        (422, {"errors": ["no", "idea"]}, VideoUnavailableError, "refused_video"),
        (422, {"error": {"message": "gateway says no"}}, VideoUnavailableError, "refused_video"),
        (422, "not json", VideoUnavailableError, "refused_video"),
        (418, "teapot", APIError, "refused"),
        (429, {"message": "Too Many Attempts."}, RateLimitError, "rate_limited"),
        (500, {"message": "Server Error"}, ServerBusyError, "server_busy"),
        (502, "<html>Bad gateway</html>", ServerBusyError, "server_busy"),
        (408, "", NetworkError, "network"),
    ],
)
def test_each_refusal_has_one_cause(
    status: int, body: object, family: type[BulkTranscribeError], code: str
) -> None:
    error = explain_refusal(reply(status, body), video_id=VIDEO)
    assert (type(error), error.code) == (family, code)


def test_what_hits_every_video_stops_the_batch_and_what_hits_one_does_not() -> None:
    balance = reply(422, {"errors": {"balance": ["no"]}})
    link = reply(422, {"errors": {"source_url": ["no"]}})
    assert action_for(explain_refusal(balance, video_id=VIDEO)) is Action.STOP_BATCH
    assert action_for(explain_refusal(link, video_id=VIDEO)) is Action.GIVE_UP


def test_a_daily_limit_says_so_and_carries_its_wait() -> None:
    daily = reply(429, {"message": "x"}, retry_after="86400", x_ratelimit_type="daily")
    error = explain_refusal(daily, video_id=VIDEO)
    assert isinstance(error, RateLimitError)
    assert (error.code, error.retry_after_s, error.refused) == ("daily_limit", 86_400.0, True)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 524, 408])
def test_behind_a_failing_proxy_a_submit_may_have_been_taken(status: int) -> None:
    error = explain_refusal(reply(status, "<html></html>"), video_id=VIDEO)
    assert isinstance(error, RetryableError)
    assert not error.refused
    assert not error.never_sent


def test_every_cause_says_what_to_do() -> None:
    for cause in CAUSES:
        assert cause.next_step
        assert cause.says


BODIES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["message", "errors", "error", "code", "field", "messages"]), inner
        )
    ),
    max_leaves=15,
)


@given(st.integers(300, 599), BODIES)
def test_no_body_breaks_the_reader(status: int, body: object) -> None:
    answer = reply(status, body)
    assert isinstance(explain_refusal(answer, video_id=VIDEO), BulkTranscribeError)
    assert len(read_refusal(answer).message) <= 1_000


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(body: str) -> None:
    assert isinstance(explain_refusal(reply(422, body), video_id=VIDEO), BulkTranscribeError)


def failed(code: str | None, message: str | None = None) -> JobStatus:
    return JobStatus(request_id="r1", state=JobState.FAILED, error_code=code, error_message=message)


@pytest.mark.parametrize(
    ("code", "message", "ours", "can_retry"),
    [
        ("WORKER_TIMEOUT", None, "worker_timeout", True),
        ("processing_error", None, "processing_error", True),
        ("AGE_RESTRICTED", "x", "age_restricted", False),
        ("INVALID_INPUT", "x", "invalid_input", False),
        ("CONTEXT_LENGTH_EXCEEDED", None, "too_long", False),
        ("UNKNOWN_ERROR", None, "unknown_error", True),
        ("UNKNOWN_ERROR", "WORKER_TIMEOUT: gone", "worker_timeout", True),
        ("SOMETHING_NEW", None, "unknown_error", True),
        (None, "AGE_RESTRICTED", "age_restricted", False),
        (None, "ERROR: Private video", "private_video", False),
        (None, "Premieres in 2 hours", "upcoming", True),
        (None, "Sign in to confirm you are not a bot", "unknown_error", True),
        (None, None, "unknown_error", True),
    ],
)
def test_each_job_failure_says_whether_to_try_again(
    code: str | None, message: str | None, ours: str, *, can_retry: bool
) -> None:
    error = job_failure(failed(code, message), video_id=VIDEO)
    assert (error.code, error.can_retry) == (ours, can_retry)
    assert (error.video_id, error.request_id) == (VIDEO, "r1")


def test_every_job_cause_says_what_to_do() -> None:
    assert all(cause.says and cause.next_step for cause in JOB_CAUSES.values())
