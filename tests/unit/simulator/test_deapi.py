"""deAPI's jobs, prices and refusals, as its documents and its clients describe them."""

import json
import re
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.simulator.asking import HEADERS, V1, V2, Asker

URL = "https://www.youtube.com/watch?v=abcdefghijk"


def _v1(asker: Asker, **fields: Any) -> Any:
    body = {"video_url": URL, "include_ts": True, "model": "WhisperLargeV3"} | fields
    return asker.post(f"{V1}/vid2txt", json_body=body)


def test_a_job_waits_runs_and_ends_with_its_text() -> None:
    asker = Asker()
    request_id = asker.request_id("abcdefghijk")
    seen: list[str] = []
    data: Any = None
    while not seen or seen[-1] != "done":
        data = asker.status(request_id)
        assert set(data) >= {"status", "preview", "result_url", "result", "progress"}
        assert (data["result"] is not None) == (data["status"] == "done")
        seen.append(data["status"])
        asker.clock.advance(1.0)
        assert len(seen) < 400
    assert list(dict.fromkeys(seen)) == ["pending", "processing", "done"]
    assert re.match(r"\[0:00 - 0:\d\d\] \S", data["result"])
    assert data["result_url"] is None


def test_progress_grows_and_ends_at_a_hundred() -> None:
    asker = Asker()
    request_id = asker.request_id("abcdefghijk")
    shown = []
    for _ in range(400):
        shown.append(asker.status(request_id)["progress"])
        asker.clock.advance(1.0)
        if shown[-1] == 100.0:
            break
    assert shown == sorted(shown)
    assert shown[0] == 0.0
    assert len(set(shown)) > 10
    assert shown[-1] == 100.0


@pytest.mark.parametrize(("style", "shown"), [("jump", {0.0, 100.0}), ("none", {None})])
def test_progress_may_jump_or_be_missing(style: str, shown: set[float | None]) -> None:
    asker = Asker(progress=style)
    request_id = asker.request_id("abcdefghijk")
    found = {asker.status(request_id)["progress"]}
    asker.clock.advance(500)
    assert found | {asker.status(request_id)["progress"]} == shown


def test_a_brief_job_takes_the_estimate_give_or_take_15_percent() -> None:
    lengths = {f"vid{n:08d}": 60.0 + 40 * n for n in range(60)}
    asker = Asker(durations_s=lengths)
    for video_id in lengths:
        asker.request_id(video_id)
    factors = []
    for job in asker.ledger().jobs:
        assert job.done_at_s is not None
        took_s = job.done_at_s - job.submitted_at_s
        factors.append(took_s / min(300.0, 15.0 + 8.0 * lengths[job.video_id] / 60.0))
    assert 0.85 <= min(factors) < 0.9
    assert 1.1 < max(factors) <= 1.15


def test_a_job_of_the_field_waits_and_takes_a_part_of_the_length() -> None:
    lengths = {f"vid{n:08d}": 1_000.0 for n in range(60)}
    asker = Asker(durations_s=lengths, latency="field")
    for video_id in lengths:
        asker.request_id(video_id)
    times_s = [(job.done_at_s or 0) - job.submitted_at_s for job in asker.ledger().jobs]
    assert min(times_s) >= 2 + 5 + 20
    assert max(times_s) <= 20 + 5 + 70
    assert max(times_s) - min(times_s) > 30


def test_the_order_of_submits_changes_nothing_in_what_they_get() -> None:
    videos = [f"vid{n:08d}" for n in range(20)]
    first, second = Asker(), Asker()
    for one, other in zip(videos, reversed(videos), strict=True):
        first.request_id(one)
        second.request_id(other)
    one_book = {job.video_id: job for job in first.ledger().jobs}
    other_book = {job.video_id: job for job in second.ledger().jobs}
    assert one_book == other_book


def test_the_same_video_submitted_twice_is_two_jobs_and_paid_twice() -> None:
    asker = Asker()
    ids = (asker.request_id("abcdefghijk"), asker.request_id("abcdefghijk"))
    ledger = asker.ledger()
    assert ledger.submits == ledger.duplicates == {"abcdefghijk": ids}
    assert ledger.charged_usd == 2 * ledger.jobs[0].charged_usd
    assert ledger.balance_usd == Decimal(50) - ledger.charged_usd


def test_without_stamps_the_text_is_plain() -> None:
    text = Asker().finished("abcdefghijk", include_ts="0")["result"]
    assert "[" not in text
    assert len(text.split()) > 50


def test_the_structured_model_gives_a_document() -> None:
    data = Asker().finished("abcdefghijk", model="WhisperLargeV3Ct2")
    assert json.loads(data["result"])["segments"]
    assert data["transcription"]["structured"] is True


def test_a_silent_video_is_done_with_an_empty_text() -> None:
    data = Asker().finished("SILEaaaaaaa")
    assert (data["status"], data["result"]) == ("done", "")


def test_version_1_takes_json_and_knows_the_same_jobs() -> None:
    asker = Asker()
    reply = _v1(asker, return_result_in_response=True)
    asker.clock.advance(1_000)
    data = asker.get(f"{V1}/request-status/{reply.json['data']['request_id']}").json["data"]
    assert data["status"] == "done"
    assert data["result"].startswith("[0:00")
    assert set(data) == {
        "status", "preview", "result_url", "results_alt_formats", "result", "progress",
    }  # fmt: skip


@pytest.mark.parametrize("flag", ["1", "true", "0", "false"])
def test_switches_in_a_form_may_be_numbers_or_words(flag: str) -> None:
    data = Asker().finished("abcdefghijk", include_ts=flag)
    assert data["result"].startswith("[") == (flag in {"1", "true"})


def test_what_is_no_switch_is_refused() -> None:
    reply = Asker().submit("abcdefghijk", include_ts="yes")
    assert reply.status == 422
    assert set(reply.json["errors"]) == {"include_ts"}


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"source_url": ""}, {"source_url", "source_file"}),
        ({"source_file": b"ID3"}, {"source_url", "source_file"}),
        ({"file": b"ID3"}, {"file"}),
        ({"model": "WhisperLargeV9"}, {"model"}),
        ({"model": ""}, {"model"}),
        ({"source_url": "https://vimeo.com/1"}, {"source_url"}),
        ({"source_url": "https://youtube.com.evil.example/watch?v=abcdefghijk"}, {"source_url"}),
        ({"source_url": "ftp://youtube.com/watch?v=abcdefghijk"}, {"source_url"}),
        ({"source_url": "https://www.youtube.com/playlist?list=PLx"}, {"source_url"}),
        ({"source_url": "https://youtu.be/short"}, {"source_url"}),
        ({"diarize": "1"}, {"diarize"}),
        ({"ts_level": "word"}, {"ts_level"}),
        ({"webhook_url": "http://example.com"}, {"webhook_url", "webhook_secret"}),
        ({"webhook_url": "https://example.com"}, {"webhook_secret"}),
        ({"webhook_secret": "x"}, {"webhook_url"}),
    ],
)
def test_a_bad_submit_is_refused_and_nothing_is_charged(
    fields: dict[str, str | bytes], wrong: set[str]
) -> None:
    asker = Asker()
    good = {"source_url": URL, "model": "WhisperLargeV3", "include_ts": "1"}
    reply = asker.post(f"{V2}/audio/transcriptions", form=good | fields)
    assert reply.status == 422
    assert set(reply.json["errors"]) == wrong
    assert asker.ledger().jobs == ()


@pytest.mark.parametrize(
    "address",
    [
        "https://youtu.be/abcdefghijk?si=x",
        "https://m.youtube.com/watch?list=PLx&v=abcdefghijk",
        "https://www.youtube.com/shorts/abcdefghijk",
        "http://youtube.com/live/abcdefghijk",
    ],
)
def test_every_form_of_an_address_is_the_same_video(address: str) -> None:
    asker = Asker()
    assert asker.submit("x", source_url=address).status == 200
    assert list(asker.ledger().submits) == ["abcdefghijk"]


def test_other_platforms_and_files_are_taken() -> None:
    asker = Asker()
    assert asker.submit("x", source_url="https://x.com/someone/status/1").status == 200
    form = {"source_file": b"ID3 noise", "model": "WhisperLargeV3", "include_ts": "1"}
    assert asker.post(f"{V2}/audio/transcriptions", form=form).status == 200
    assert len(asker.ledger().submits) == 2


def test_a_large_file_is_too_large() -> None:
    form = {"source_file": bytes(10 * 1024 * 1024 + 1), "model": "WhisperLargeV3"}
    assert Asker().post(f"{V2}/audio/transcriptions", form=form).status == 413


def test_version_2_wants_a_form_and_version_1_wants_json() -> None:
    asker = Asker()
    body = {"source_url": URL, "model": "WhisperLargeV3"}
    assert asker.post(f"{V2}/audio/transcriptions", json_body=body).status == 422
    form = {"video_url": URL, "include_ts": "1"}
    assert asker.post(f"{V1}/vid2txt", form=form).status == 422
    assert _v1(asker).status == 200


def test_spaces_have_an_endpoint_of_their_own() -> None:
    asker = Asker()
    body = {"audio_url": URL, "include_ts": True, "model": "WhisperLargeV3"}
    assert asker.post(f"{V1}/aud2txt", json_body=body).status == 422
    body["audio_url"] = "https://x.com/i/spaces/1abc"
    assert asker.post(f"{V1}/aud2txt", json_body=body).status == 200


def test_transcribe_takes_an_address_as_json_and_a_file_as_a_form() -> None:
    asker = Asker()
    assert asker.post(f"{V1}/transcribe", json_body={"source_url": URL}).status == 200
    assert asker.post(f"{V1}/transcribe", form={"source_file": b"ID3"}).status == 200


@pytest.mark.parametrize("path", ["request-status", "v2jobs"])
def test_an_unknown_job_is_404(path: str) -> None:
    address = f"{V2}/jobs/nobody" if path == "v2jobs" else f"{V1}/request-status/nobody"
    assert Asker().get(address).status == 404


def test_the_old_status_path_is_not_in_version_2() -> None:
    asker = Asker()
    request_id = asker.request_id("abcdefghijk")
    reply = asker.get(f"{V2}/request-status/{request_id}")
    assert reply.status == 404
    assert "could not be found" in reply.json["message"]


def test_a_wrong_method_is_405() -> None:
    assert Asker().get(f"{V2}/audio/transcriptions").status == 405


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("authorization", "", 401),
        ("authorization", "Bearer 2|other", 401),
        ("authorization", "Bearer dpn-sk-1|simulated", 401),
        ("authorization", "1|simulated", 401),
        ("user-agent", "", 403),
        ("user-agent", "Python-urllib/3.11", 403),
        ("accept", "", 302),
        ("accept", "*/*", 302),
    ],
)
def test_a_caller_who_is_not_as_he_should_be_is_refused_uncounted(
    header: str, value: str, status: int
) -> None:
    asker = Asker()
    reply = asker.get(f"{V2}/jobs/x", headers=HEADERS | {header: value})
    assert reply.status == status
    assert ("html" in reply.headers["content-type"]) == (status != 401)
    (seen,) = asker.ledger().requests
    assert not seen.counted
    assert asker.get(f"{V2}/jobs/x").headers["x-ratelimit-remaining"] == "299"


def test_without_a_set_key_any_of_the_right_shape_will_do() -> None:
    asker = Asker(api_key=None)
    good = HEADERS | {"authorization": "Bearer 77|whatever"}
    bad = HEADERS | {"authorization": "Bearer whatever"}
    assert asker.get(f"{V2}/account/balance", headers=good).status == 200
    assert asker.get(f"{V2}/account/balance", headers=bad).status == 401


@pytest.mark.parametrize(
    ("seconds", "usd"), [(19, 0.005247), (1_120, 0.019583), (0, None), ("x", None)]
)
def test_prices_are_the_measured_ones(seconds: object, usd: float | None) -> None:
    form = {"duration_seconds": str(seconds), "model": "WhisperLargeV3", "include_ts": "1"}
    reply = Asker().post(f"{V2}/audio/transcriptions/price", form=form)
    assert reply.status == (422 if usd is None else 200)
    if usd is not None:
        assert reply.json == {"data": {"price": usd}}


def test_the_charge_is_the_quote() -> None:
    asker = Asker()
    body = {"video_url": URL, "include_ts": True}
    quote = asker.post(f"{V1}/vid2txt/price-calculation", json_body=body).json["data"]["price"]
    amount = asker.finished("abcdefghijk")["price"]["amount"]
    assert quote == amount == float(asker.ledger().charged_usd)


def test_word_stamps_cost_half_as_much_again() -> None:
    plain, words = Asker(), Asker()
    plain.request_id("abcdefghijk", model="WhisperLargeV3Ct2")
    words.request_id("abcdefghijk", model="WhisperLargeV3Ct2", ts_level="word")
    ratio = words.ledger().charged_usd / plain.ledger().charged_usd
    assert abs(ratio - Decimal("1.5")) < Decimal("0.001")


def test_no_job_is_taken_below_49_cents() -> None:
    asker = Asker(balance_usd=Decimal("0.50"), durations_s={"abcdefghijk": 1_000})
    assert asker.submit("abcdefghijk").status == 200
    reply = asker.submit("abcdefghijk")
    assert reply.status == 422
    assert reply.json == {
        "message": "Not enough balance.",
        "errors": {"balance": ["Not enough balance."]},
    }
    assert len(asker.ledger().jobs) == 1


@pytest.mark.parametrize("version", [1, 2])
def test_the_balance_falls_by_what_was_charged(version: int) -> None:
    asker = Asker()
    asker.request_id("abcdefghijk")
    body = asker.get(f"{V1}/balance" if version == 1 else f"{V2}/account/balance").json
    balance = body.get("data", body)["balance"]
    assert balance == pytest.approx(50 - float(asker.ledger().charged_usd))
    assert ("data" in body) == (version == 1)


def test_a_key_of_the_lesser_role_may_not_see_the_balance_but_may_submit() -> None:
    asker = Asker(key_role="api")
    reply = asker.get(f"{V2}/account/balance")
    assert reply.status == 403
    assert reply.json["code"] == "insufficient_permissions"
    assert asker.submit("abcdefghijk").status == 200


def test_models_come_in_pages_and_each_version_ignores_the_others_size() -> None:
    asker = Asker()
    first = asker.get(f"{V1}/models?per_page=10").json
    assert len(first["data"]) == 10
    assert len(asker.get(f"{V2}/models?per_page=10").json["data"]) > 10
    slugs = []
    for page in range(1, first["meta"]["last_page"] + 1):
        slugs += [m["slug"] for m in asker.get(f"{V1}/models?per_page=10&page={page}").json["data"]]
    assert len(slugs) == len(set(slugs)) == first["meta"]["total"]
    assert {"WhisperLargeV3", "WhisperLargeV3Ct2"} <= set(slugs)
    only = asker.get(f"{V1}/models?filter[inference_types]=video2text").json["data"]
    assert [model["slug"] for model in only] == ["WhisperLargeV3", "WhisperLargeV3Ct2"]


@pytest.mark.parametrize(
    ("prefix", "code"),
    [("PRIV", "INVALID_INPUT"), ("GONE", "INVALID_INPUT"), ("LIVE", "INVALID_INPUT"),
     ("SOON", "INVALID_INPUT"), ("AGED", "AGE_RESTRICTED"), ("FAIL", "PROCESSING_ERROR")],
)  # fmt: skip
def test_what_cannot_be_had_fails_as_a_job(prefix: str, code: str) -> None:
    data = Asker(bad_video="job").finished(f"{prefix}aaaaaaa")
    assert (data["status"], data["error_code"]) == ("error", code)
    assert data["error_message"]
    assert data["result"] is data["result_url"] is None


def test_what_cannot_be_had_may_be_refused_at_once_instead() -> None:
    asker = Asker(bad_video="submit")
    assert asker.submit("GONEaaaaaaa").status == 422
    assert asker.submit("FAILaaaaaaa").status == 200
    both = [Asker().submit(f"GONE{n:07d}").status for n in range(20)]
    assert set(both) == {200, 422}


def test_a_stuck_job_never_ends() -> None:
    asker = Asker()
    request_id = asker.request_id("STUKaaaaaaa")
    asker.clock.advance(1_000_000)
    assert asker.status(request_id)["status"] == "processing"
    (job,) = asker.ledger().jobs
    assert job.done_at_s is job.noticed_after_s is None
    json.dumps(asker.ledger().as_json(), allow_nan=False)


@pytest.mark.parametrize("refund", [True, False])
def test_a_failed_job_is_refunded_when_it_fails_if_so_configured(refund: bool) -> None:  # noqa: FBT001
    asker = Asker(refund_failed=refund)
    asker.request_id("FAILaaaaaaa")
    before_usd = asker.ledger().balance_usd
    assert before_usd < 50
    asker.clock.advance(1_000)
    ledger = asker.ledger()
    assert ledger.balance_usd == (50 if refund else before_usd)
    assert ledger.refunded_usd == (ledger.charged_usd if refund else 0)


def test_running_jobs_may_have_words_that_no_document_knows() -> None:
    asker = Asker(status_words="varied")
    words = set()
    for n in range(30):
        request_id = asker.request_id(f"vid{n:08d}")
        words.add(asker.status(request_id)["status"])
        asker.clock.advance(6)
        words.add(asker.status(request_id)["status"])
    assert words >= {"queued", "in_progress", "processing"}


@pytest.mark.parametrize("status", [401, 404, 422])
@pytest.mark.parametrize("style", ["laravel", "docs"])
def test_errors_have_the_configured_shape(style: str, status: int) -> None:
    asker = Asker(envelopes=style)
    if status == 401:
        reply = asker.get(f"{V2}/jobs/x", headers=HEADERS | {"authorization": "Bearer 2|x"})
    elif status == 404:
        reply = asker.get(f"{V2}/jobs/x")
    else:
        reply = asker.submit("abcdefghijk", model="nothing")
    assert reply.status == status
    body = reply.json
    if style == "docs":
        assert body["statusCode"] == status
        assert body["data"] is None
        assert isinstance(body["errors"], list)
    else:
        assert "statusCode" not in body
    if status == 422:
        errors = body["errors"]
        named = [e["field"] for e in errors] if style == "docs" else list(errors)
        assert named == ["model"]


def test_both_shapes_occur_where_they_are_mixed() -> None:
    asker = Asker(envelopes="mixed")
    shapes = {"statusCode" in asker.get(f"{V2}/jobs/{n}").json for n in range(20)}
    assert shapes == {True, False}


def test_a_form_that_is_none_and_json_that_is_none_are_refused() -> None:
    asker = Asker()
    broken = HEADERS | {"content-type": "multipart/form-data"}
    assert asker.post(f"{V2}/audio/transcriptions", headers=broken, body=b"x").status == 422
    broken = HEADERS | {"content-type": "application/json"}
    assert asker.post(f"{V1}/vid2txt", headers=broken, body=b"{").status == 422
    assert asker.post(f"{V1}/vid2txt", headers=broken, body=b"[1]").status == 422
