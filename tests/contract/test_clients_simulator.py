"""Each client against the simulator: what the one asks, the other understands, and back."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from bulk_transcribe.clients.captions import YouTubeCaptions
from bulk_transcribe.clients.deapi import DeapiClient
from bulk_transcribe.clients.deapi_errors import job_failure
from bulk_transcribe.clients.deapi_text import parse_result
from bulk_transcribe.clients.http import HttpClient
from bulk_transcribe.clients.youtube_data import YouTubeDataClient
from bulk_transcribe.core.clock import SystemClock
from bulk_transcribe.core.job import JobState, JobStatus
from bulk_transcribe.core.request import RequestKind, Ticket
from bulk_transcribe.core.video import Availability, LiveState, watch_url
from bulk_transcribe.errors import (
    AuthError,
    BulkTranscribeError,
    CreditSpentError,
    InputError,
    NetworkError,
    NoCaptionsError,
    RateLimitError,
    RetryableError,
    ServerBusyError,
    SourceBlockedError,
    VideoUnavailableError,
)
from bulk_transcribe.simulator import Faults, Simulator, SimulatorConfig
from tests.unit.clients.doubles import MemoryLog, OpenLimiter

SPEED = 200.0
VIDEO = "vid00000001"
TICKET = Ticket(video_id=VIDEO)


@dataclass
class Meeting:
    """The clients and the simulator that they talk to."""

    simulator: Simulator
    clock: SystemClock
    http: HttpClient
    captions: YouTubeCaptions
    limiter: OpenLimiter = field(default_factory=OpenLimiter)
    log: MemoryLog = field(default_factory=MemoryLog)

    def deapi(self, version: str, *, key: str = "1|simulated", **more: Any) -> DeapiClient:
        return DeapiClient(self.simulator.url, key, http=self.http, api_version=version, **more)

    def data_api(self, key: str = "simulated-youtube-key") -> YouTubeDataClient:
        address = f"{self.simulator.url}/youtube/v3"
        return YouTubeDataClient(address, key, http=self.http, clock=self.clock)

    def finished(self, client: DeapiClient, request_id: str) -> JobStatus:
        """The job's last status; asks until it has one."""
        for _ in range(2_000):
            status = client.job(request_id, TICKET)
            if status.state is not JobState.RUNNING:
                return status
        raise AssertionError("the job does not end")


@pytest.fixture
def meet() -> Iterator[Callable[..., Meeting]]:
    with ExitStack() as parts:

        def make(faults: Faults | None = None, **service: Any) -> Meeting:
            fields: dict[str, Any] = {"clock_speed": SPEED, "duration_s": (60.0, 60.0)} | service
            clock = SystemClock(SPEED)
            limiter, log = OpenLimiter(), MemoryLog()
            simulator = parts.enter_context(
                Simulator(SimulatorConfig(**fields), clock=clock, faults=faults)
            )
            http = parts.enter_context(HttpClient(limiter=limiter, log=log, clock=clock))
            captions = parts.enter_context(
                YouTubeCaptions(limiter=limiter, log=log, clock=clock, base_url=simulator.url)
            )
            return Meeting(simulator, clock, http, captions, limiter, log)

        yield make


both = pytest.mark.parametrize("version", ["v1", "v2"])
Meet = Callable[..., Meeting]


@both
@pytest.mark.parametrize("words", ["official", "varied"])
@pytest.mark.parametrize("inline", [True, False])
def test_a_job_is_submitted_watched_and_brought_home(
    meet: Meet, version: str, words: str, *, inline: bool
) -> None:
    here = meet(status_words=words)
    client = here.deapi(version, inline_result=inline)

    request_id = client.submit(watch_url(VIDEO), TICKET)
    first = client.job(request_id, TICKET)
    last = here.finished(client, request_id)

    assert first.state is JobState.RUNNING
    assert first.progress is not None
    assert first.charged_usd is None
    assert last.state is JobState.DONE
    assert last.progress == 1.0
    assert (last.result_url is None) == inline
    text = last.text if inline else client.download(last.result_url or "", TICKET)
    parsed = parse_result(text or "")
    assert parsed.segments
    assert parsed.segments[-1].end_s <= 60.5
    assert "[" not in parsed.text
    (job,) = here.simulator.ledger().jobs
    assert (job.video_id, job.request_id) == (VIDEO, request_id)
    assert last.charged_usd == (job.charged_usd if version == "v2" else None)


@both
def test_every_request_has_had_a_permit_and_is_in_the_log(meet: Meet, version: str) -> None:
    here = meet(caption_share=1.0)
    client = here.deapi(version, inline_result=False)
    last = here.finished(client, client.submit(watch_url(VIDEO), TICKET))
    client.download(last.result_url or "", TICKET)
    client.balance_usd(TICKET)
    client.price_usd(60.0, TICKET)
    here.captions.fetch("vid00000002", ["any"], TICKET)
    here.data_api().fetch([VIDEO])

    seen = here.simulator.ledger().requests
    permits = [permit for permit in here.limiter.permits if not permit.was_given_back]
    assert len(permits) == len(here.log.records) == len(seen)
    assert [permit.status for permit in permits] == [request.status for request in seen]
    named = {kind.value for kind in RequestKind}
    kinds = [request.kind if request.kind in named else "captions" for request in seen]
    assert [record.kind.value for record in here.log.records] == kinds


@both
def test_the_quote_is_what_a_job_is_charged(meet: Meet, version: str) -> None:
    here = meet()
    client = here.deapi(version)

    quote = client.price_usd(60.0, TICKET)
    client.submit(watch_url(VIDEO), TICKET)

    assert quote == here.simulator.ledger().charged_usd == Decimal("0.005781")


@both
def test_the_balance_falls_by_what_is_charged(meet: Meet, version: str) -> None:
    here = meet()
    client = here.deapi(version)
    before = client.balance_usd(TICKET)
    client.submit(watch_url(VIDEO), TICKET)
    after = client.balance_usd(TICKET)

    assert before is not None
    assert after is not None
    assert before - after == here.simulator.ledger().charged_usd


@both
def test_a_key_that_may_not_read_the_balance_gets_none(meet: Meet, version: str) -> None:
    assert meet(key_role="api").deapi(version).balance_usd(TICKET) is None


@both
def test_models_that_transcribe_are_found(meet: Meet, version: str) -> None:
    models = meet().deapi(version).models(TICKET)

    assert {m.slug for m in models if m.transcribes} == {"WhisperLargeV3", "WhisperLargeV3Ct2"}
    assert any(not model.transcribes for model in models)


@both
@pytest.mark.parametrize("envelopes", ["docs", "laravel"])
def test_refusals_are_told_apart_in_every_shape(meet: Meet, version: str, envelopes: str) -> None:
    here = meet(envelopes=envelopes, bad_video="submit")
    client = here.deapi(version)

    with pytest.raises(AuthError):
        here.deapi(version, key="2|wrong").submit(watch_url(VIDEO), TICKET)
    with pytest.raises(BulkTranscribeError) as gone:
        client.submit(watch_url("PRIV0000001"), Ticket(video_id="PRIV0000001"))
    with pytest.raises(BulkTranscribeError) as model:
        here.deapi(version, model="NoSuchModel").submit(watch_url(VIDEO), TICKET)
    here.simulator.set_balance(Decimal("0.10"))
    with pytest.raises(CreditSpentError):
        client.submit(watch_url(VIDEO), TICKET)

    assert isinstance(gone.value, VideoUnavailableError)
    assert model.value.code == "unknown_model"
    assert here.simulator.ledger().jobs == ()


@both
def test_an_unknown_job_says_so_with_its_own_code(meet: Meet, version: str) -> None:
    with pytest.raises(RetryableError) as unknown:
        meet().deapi(version).job("0f0f0f0f-0000-4000-8000-000000000000", TICKET)
    assert unknown.value.code == "job_not_found"


@both
@pytest.mark.parametrize(
    ("code", "expected"),
    [("PROCESSING_ERROR", "processing_error"), ("WORKER_TIMEOUT", "worker_timeout")],
)
def test_a_failed_job_carries_its_cause(meet: Meet, version: str, code: str, expected: str) -> None:
    here = meet(Faults(failing_jobs=True, failing_code=code))
    client = here.deapi(version)
    last = here.finished(client, client.submit(watch_url(VIDEO), TICKET))

    assert last.state is JobState.FAILED
    error = job_failure(last, video_id=VIDEO)
    assert last.error_message
    assert last.error_message.rstrip(".") in error.message
    assert error.code == (expected if version == "v2" else "unknown_error")  # v1 has no codes


@pytest.mark.parametrize(("retry_after_s", "expected_s"), [(17.0, 17.0), (None, None)])
def test_a_429_tells_how_long_to_wait(
    meet: Meet, retry_after_s: float | None, expected_s: float | None
) -> None:
    here = meet(Faults(storm_429=True, storm_retry_after_s=retry_after_s))

    with pytest.raises(RateLimitError) as limited:
        here.deapi("v2").submit(watch_url(VIDEO), TICKET)

    assert limited.value.retry_after_s == expected_s
    assert limited.value.refused
    (permit,) = here.limiter.permits
    assert permit.status == 429
    assert any(name.lower() == "x-ratelimit-limit" for name in permit.headers)


@pytest.mark.parametrize(
    ("fault", "family"),
    [
        ("server_error_500", ServerBusyError),
        ("html_502", ServerBusyError),
        ("html_502_after", ServerBusyError),
        ("drop_answer_before", NetworkError),
        ("drop_answer_after", NetworkError),
        ("garbage_body", NetworkError),
    ],
)
def test_a_submit_without_a_good_answer_is_neither_refused_nor_unsent(
    meet: Meet, fault: str, family: type[RetryableError]
) -> None:
    here = meet(Faults(**{fault: True}))  # type: ignore[arg-type]

    with pytest.raises(family) as lost:
        here.deapi("v2").submit(watch_url(VIDEO), TICKET)

    assert not lost.value.refused
    assert not lost.value.never_sent
    assert here.simulator.ledger().counts["submit"] == 1  # and it was not sent again


def test_a_server_that_is_not_there_was_certainly_never_asked(meet: Meet) -> None:
    here = meet()
    client = here.deapi("v2")
    here.simulator.stop()

    with pytest.raises(NetworkError) as lost:
        client.submit(watch_url(VIDEO), TICKET)

    assert lost.value.never_sent


def test_an_expired_address_says_so(meet: Meet) -> None:
    here = meet()
    client = here.deapi("v2", inline_result=False)
    last = here.finished(client, client.submit(watch_url(VIDEO), TICKET))
    here.simulator.faults.update({"expire_urls_now": True})

    with pytest.raises(RetryableError) as expired:
        client.download(last.result_url or "", TICKET)

    assert expired.value.code == "expired_url"
    fresh = client.job(last.request_id, TICKET)
    assert client.download(fresh.result_url or "", TICKET)


def test_silence_is_an_empty_transcript_and_no_error(meet: Meet) -> None:
    here = meet()
    client = here.deapi("v2")
    last = here.finished(client, client.submit(watch_url("SILE0000001"), TICKET))

    assert last.state is JobState.DONE
    assert parse_result(last.text or "").text == ""


# --- captions ---


def test_captions_come_with_their_times_and_their_language(meet: Meet) -> None:
    here = meet(caption_share=1.0)
    got = here.captions.fetch(VIDEO, ["any"], TICKET)

    assert got.source == "captions"
    assert got.language
    assert got.segments
    assert got.text
    assert all(s.start_s <= s.end_s for s in got.segments)
    assert "&#" not in got.text
    assert here.simulator.ledger().counts == {"watch": 1, "player": 1, "timedtext": 1}


@pytest.mark.parametrize(
    ("video_id", "family", "code"),
    [
        ("NOCC0000001", NoCaptionsError, "no_captions"),
        ("PRIV0000001", VideoUnavailableError, "private_video"),
        ("GONE0000001", VideoUnavailableError, "unavailable"),
        ("AGED0000001", VideoUnavailableError, "age_restricted"),
    ],
)
def test_why_there_are_no_captions_is_told(
    meet: Meet, video_id: str, family: type[BulkTranscribeError], code: str
) -> None:
    here = meet()
    with pytest.raises(family) as nothing:
        here.captions.fetch(video_id, ["any"], Ticket(video_id=video_id))
    assert nothing.value.code == code


def test_a_language_that_is_not_there_is_not_made_up(meet: Meet) -> None:
    with pytest.raises(NoCaptionsError, match="no captions in xx"):
        meet(caption_share=1.0).captions.fetch(VIDEO, ["xx"], TICKET)


@pytest.mark.parametrize("how", ["429", "bot", "recaptcha"])
def test_a_block_is_never_taken_for_no_captions(meet: Meet, how: str) -> None:
    here = meet(Faults(captions_blocked=how), caption_share=1.0)  # type: ignore[arg-type]
    with pytest.raises(SourceBlockedError) as blocked:
        here.captions.fetch(VIDEO, ["any"], TICKET)
    assert blocked.value.source == "captions"


def test_garbled_captions_are_worth_another_try(meet: Meet) -> None:
    here = meet(Faults(captions_garbage=True), caption_share=1.0)
    with pytest.raises(RetryableError):
        here.captions.fetch(VIDEO, ["any"], TICKET)


def test_captions_behind_a_token_are_no_captions(meet: Meet) -> None:
    here = meet(Faults(captions_po_token=True), caption_share=1.0)
    with pytest.raises(NoCaptionsError) as guarded:
        here.captions.fetch(VIDEO, ["any"], TICKET)
    assert guarded.value.code == "guarded_captions"


def test_the_consent_page_is_passed(meet: Meet) -> None:
    here = meet(Faults(consent_page=True), caption_share=1.0)
    assert here.captions.fetch(VIDEO, ["any"], TICKET).text


# --- the Data API ---


def test_facts_come_in_the_order_asked_and_tell_what_cannot_be_had(meet: Meet) -> None:
    wanted = ["SOON0000001", VIDEO, "GONE0000001", "LIVE0000001", "AGED0000001"]
    facts = meet().data_api().fetch(wanted)

    assert list(facts) == wanted
    assert facts[VIDEO].duration_s == 60.0
    assert facts[VIDEO].title
    assert facts[VIDEO].availability is Availability.PUBLIC
    assert facts["GONE0000001"].availability is Availability.ABSENT
    assert facts["AGED0000001"].availability is Availability.AGE_RESTRICTED
    assert facts["LIVE0000001"].live_state is LiveState.LIVE
    assert facts["SOON0000001"].live_state is LiveState.UPCOMING


def test_hundred_and_twenty_videos_are_three_requests(meet: Meet) -> None:
    here = meet()
    facts = here.data_api().fetch([f"vid{number:08d}" for number in range(120)])
    assert len(facts) == 120
    assert here.simulator.ledger().counts == {"data_api": 3}


def test_a_playlist_is_read_page_by_page_and_no_further_than_wanted(meet: Meet) -> None:
    here = meet()
    client = here.data_api()
    everything = [item.video_id for item in client.playlist("PLn130_some_list")]
    pages = here.simulator.ledger().counts["data_api"]
    few = [item.video_id for item in client.playlist("PLn130_some_list", limit=7)]

    assert 100 <= len(set(everything)) == len(everything) <= 130  # some entries are deleted
    assert few == everything[:7]
    assert pages == 3
    assert here.simulator.ledger().counts["data_api"] == pages + 1


def test_a_channel_is_found_by_its_id_and_by_its_handle(meet: Meet) -> None:
    here = meet()
    client = here.data_api()
    facts = client.fetch([VIDEO])[VIDEO]
    assert facts.channel_id is not None

    by_id = [item.video_id for item in client.channel(facts.channel_id, limit=5)]
    by_handle = [item.video_id for item in client.channel("@somebody", limit=5)]

    assert len(by_id) == len(by_handle) == 5


@pytest.mark.parametrize("list_id", ["PLprivate_list", "PLunknown_list"])
def test_a_list_that_cannot_be_read_is_the_users_to_mend(meet: Meet, list_id: str) -> None:
    with pytest.raises(InputError) as refused:
        list(meet().data_api().playlist(list_id))
    assert refused.value.next_step


@pytest.mark.parametrize("shape", ["legacy", "modern"])
def test_a_bad_key_and_a_spent_quota_are_told_apart(meet: Meet, shape: str) -> None:
    here = meet(data_api_errors=shape)
    with pytest.raises(AuthError):
        here.data_api("wrong").fetch([VIDEO])
    here.simulator.faults.update({"quota_exceeded": True})
    with pytest.raises(SourceBlockedError) as spent:
        here.data_api().fetch([VIDEO])
    assert spent.value.code == "quota_exceeded"
    assert 0 < (spent.value.retry_after_s or 0) <= 86_400.0
