"""Law 3: money first to disk; nothing in doubt is sent again; nothing paid for is lost."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.job import JobState, JobStatus, Submission, SubmissionState
from bulk_transcribe.core.plan import Price
from bulk_transcribe.core.ports import Reporter, TranscriptSource
from bulk_transcribe.core.request import Ticket
from bulk_transcribe.core.stage import Stage, WaitReason
from bulk_transcribe.core.transcript import ContentKey, Segment, Transcript
from bulk_transcribe.core.video import VideoItem, VideoMetadata
from bulk_transcribe.errors import (
    AuthError,
    BulkTranscribeError,
    CreditSpentError,
    DeadlineError,
    GaveUpError,
    InDoubtError,
    NetworkError,
    RateLimitError,
    RetryableError,
    ServerBusyError,
    SourceBlockedError,
    StoppedError,
    StoreError,
    TranscriptFailedError,
    UnderWayError,
    VideoUnavailableError,
)
from bulk_transcribe.sources.deapi import SUBMIT_URGENCY, DeapiSource
from bulk_transcribe.testing import FakeClock
from tests.unit.sources.test_captions import Notes

VIDEO = "dQw4w9WgXcQ"
ITEM = VideoItem(video_id=VIDEO, duration_s=19.0)
STATE = SubmissionState
DONE = JobStatus(
    request_id="r1",
    state=JobState.DONE,
    text="[0:00 - 0:05] Hello.",
    charged_usd=Decimal("0.005"),
    language="en",
)


class Book:
    """Submissions in memory, with the rules of the port, and a diary of what happened when."""

    def __init__(self, diary: list[str]) -> None:
        self.rows: dict[int, Submission] = {}
        self.transcripts: dict[ContentKey, Transcript] = {}
        self.diary = diary
        self.failures: dict[str, BaseException] = {}
        self.told: str | None = None  # by a webhook

    def find_open(self, key: ContentKey) -> Submission | None:
        states = (STATE.INTENDED, STATE.SENT, STATE.ACCEPTED, STATE.IN_DOUBT)
        rows = [r for r in self.rows.values() if r.key == key and r.state in states]
        return rows[-1] if rows else None

    def intend(
        self,
        key: ContentKey,
        *,
        quoted_usd: Decimal | None = None,
        most_usd: Decimal | None = None,
    ) -> Submission:
        if self.find_open(key) is not None:
            raise InDoubtError("somebody was first", video_id=key.video_id)
        number = len(self.rows) + 1
        row = Submission(
            submission_id=number,
            key=key,
            session_id="s",
            state=STATE.INTENDED,
            quoted_usd=quoted_usd,
            most_usd=most_usd,
        )
        self._set(number, row, "intend")
        return row

    def mark_sent(self, submission_id: int) -> None:
        self._move(submission_id, "mark_sent", STATE.SENT, {STATE.INTENDED})

    def accept(self, submission_id: int, request_id: str) -> None:
        self._move(submission_id, "accept", STATE.ACCEPTED, {STATE.SENT}, request_id=request_id)

    def refuse(self, submission_id: int, detail: str) -> None:
        self._move(submission_id, "refuse", STATE.REFUSED, {STATE.INTENDED, STATE.SENT}, detail)

    def doubt(self, submission_id: int, detail: str) -> Submission:
        self._move(submission_id, "doubt", STATE.IN_DOUBT, {STATE.SENT}, detail)
        if self.told is not None:
            row = self.rows[submission_id]
            told = replace(row, state=STATE.ACCEPTED, request_id=self.told)
            self._set(submission_id, told, "adopt")
        return self.rows[submission_id]

    def claim(
        self, submission_id: int, transcript: Transcript, charged_usd: Decimal | None
    ) -> None:
        self._move(submission_id, "claim", STATE.CLAIMED, {STATE.ACCEPTED}, charged=charged_usd)
        self.transcripts[self.rows[submission_id].key] = transcript

    def fail(self, submission_id: int, detail: str, charged_usd: Decimal | None = None) -> None:
        self._move(submission_id, "fail", STATE.FAILED, {STATE.ACCEPTED}, detail, charged_usd)

    def abandon(self, submission_id: int, detail: str) -> None:
        self._move(submission_id, "abandon", STATE.ABANDONED, set(STATE), detail)

    def _move(
        self,
        number: int,
        what: str,
        to: SubmissionState,
        allowed: set[SubmissionState],
        detail: str = "",
        charged: Decimal | None = None,
        *,
        request_id: str | None = None,
    ) -> None:
        row = self.rows[number]
        assert row.state in allowed, f"{what} from {row.state}"
        row = replace(row, state=to, detail=detail, charged_usd=charged)
        self._set(number, replace(row, request_id=request_id or row.request_id), what)

    def _set(self, number: int, row: Submission, what: str) -> None:
        if what in self.failures:
            raise self.failures[what]
        self.diary.append(what)
        self.rows[number] = row


class Service:
    """Answers a submit with an id or an error, before or after the bytes went out."""

    def __init__(self, diary: list[str]) -> None:
        self.diary = diary
        self.before: list[BaseException | Callable[[], None]] = []  # while waiting for the permit
        self.after: BaseException | None = None  # once the bytes are out
        self.looks: list[JobStatus | Exception] = [DONE]
        self.downloads: list[str | Exception] = []
        self.tickets: list[Ticket] = []
        self.nonces: list[str] = []

    def submit(
        self,
        video_url: str,
        ticket: Ticket,
        *,
        nonce: str = "",
        on_sending: Callable[[], None] | None = None,
    ) -> str:
        self.nonces.append(nonce)
        assert video_url == ITEM.url
        self.tickets.append(ticket)
        if self.before:
            first = self.before.pop(0)
            if isinstance(first, BaseException):
                raise first
            first()
        if on_sending is not None:
            on_sending()
        self.diary.append("POST")
        if self.after is not None:
            raise self.after
        return "r1"

    def job(self, request_id: str, ticket: Ticket) -> JobStatus:
        assert request_id == "r1"
        self.tickets.append(ticket)
        self.diary.append("poll")
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(look, Exception):
            raise look
        return look

    def download(self, result_url: str, _ticket: Ticket) -> str:
        self.diary.append(f"download {result_url}")
        found = self.downloads.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    def price_usd(self, duration_s: float, _ticket: Ticket) -> Decimal:
        raise AssertionError(duration_s)

    def balance_usd(self, _ticket: Ticket) -> Decimal | None:
        raise AssertionError


class Watcher:
    """Looks until the job is over; a look that may be repeated is, as the port says."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.watched: list[tuple[Submission, float | None]] = []

    def watch(
        self,
        submission: Submission,
        *,
        duration_s: float | None,
        look: Callable[[Ticket], JobStatus],
        reporter: Reporter,  # noqa: ARG002 -- the port's
    ) -> JobStatus:
        self.watched.append((submission, duration_s))
        if self.failure is not None:
            raise self.failure
        last: RetryableError | None = None
        for _ in range(5):
            try:
                status = look(Ticket(video_id=submission.key.video_id))
            except RetryableError as error:
                last = error
                continue
            if status.state is not JobState.RUNNING:
                return status
        raise GaveUpError("late", video_id=submission.key.video_id) from last


def price_of(duration_s: float | None) -> Price | None:
    if duration_s is None:
        return None
    likely_usd = Decimal(duration_s) / 1000
    return Price(likely_usd=likely_usd, most_usd=likely_usd + Decimal("0.1"))


@dataclass
class World:
    diary: list[str] = field(default_factory=list)
    notes: Notes = field(default_factory=Notes)
    watcher: Watcher = field(default_factory=Watcher)
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.book, self.service = Book(self.diary), Service(self.diary)
        self.control = RunControl(self.clock)
        self.source = DeapiSource(
            self.service,
            self.book,
            self.watcher,
            control=self.control,
            clock=self.clock,
            model="WhisperLargeV3",
            quote=price_of,
        )

    def fetch(self, item: VideoItem = ITEM, metadata: VideoMetadata | None = None) -> Transcript:
        return self.source.fetch(item, metadata, self.notes)

    def put(self, state: SubmissionState, request_id: str | None = None) -> None:
        """An earlier submission of the same content."""
        key = self.source.key(VIDEO)
        self.book.rows[1] = Submission(
            submission_id=1, key=key, session_id="old", state=state, request_id=request_id
        )

    @property
    def posts(self) -> int:
        return self.diary.count("POST")

    @property
    def row(self) -> Submission:
        return self.book.rows[max(self.book.rows)]


@pytest.fixture
def world() -> World:
    return World()


@contextmanager
def raises(family: type[BaseException]) -> Iterator[pytest.ExceptionInfo[BaseException]]:
    with pytest.raises(family) as caught:
        yield caught
    assert type(caught.value) is family


def test_everything_is_written_down_before_and_after_the_money_goes_out(world: World) -> None:
    transcript = world.fetch()
    assert world.diary == ["intend", "mark_sent", "POST", "accept", "poll", "claim"]
    assert transcript == Transcript(
        video_id=VIDEO,
        source="deapi",
        text="Hello.",
        segments=(Segment(0.0, 5.0, "Hello."),),
        language="en",
        model="WhisperLargeV3",
        request_id="r1",
    )
    assert world.book.transcripts == {world.source.key(VIDEO): transcript}
    assert (world.row.state, world.row.charged_usd) == (STATE.CLAIMED, Decimal("0.005"))
    assert world.row.quoted_usd == Decimal("0.019")


def test_the_monitor_hears_of_every_stage(world: World) -> None:
    running = replace(DONE, state=JobState.RUNNING, progress=0.4, text=None)
    world.service.looks = [running, DONE]
    world.fetch()
    assert world.notes.said == [
        (Stage.SUBMITTING, "deapi"),
        (Stage.TRANSCRIBING, "deapi"),
    ]
    world.service.tickets[0].on_wait(WaitReason.LIMIT, None)
    assert world.notes.said[-1] == (WaitReason.LIMIT, None)
    assert world.service.tickets[0].urgency == SUBMIT_URGENCY


def test_the_watcher_gets_the_accepted_submission_and_the_best_known_length(world: World) -> None:
    world.fetch(metadata=VideoMetadata(video_id=VIDEO, duration_s=20.0))
    ((submission, duration_s),) = world.watcher.watched
    assert (submission.state, submission.request_id) == (STATE.ACCEPTED, "r1")
    assert submission.accepted_at == world.clock.now()
    assert duration_s == 20.0
    other = World()
    other.fetch(metadata=VideoMetadata(video_id=VIDEO))
    assert other.watcher.watched[0][1] == ITEM.duration_s


def test_another_model_or_option_is_another_transcript(world: World) -> None:
    source: TranscriptSource = world.source
    key = source.key(VIDEO)
    assert (key.source, key.model, key.options) == ("deapi", "WhisperLargeV3", "include_ts=1")
    assert source.name == "deapi"


def test_a_job_that_was_accepted_earlier_is_fetched_and_not_paid_again(world: World) -> None:
    world.put(STATE.ACCEPTED, "r1")
    assert world.fetch().text == "Hello."
    assert world.diary == ["poll", "claim"]


@pytest.mark.parametrize(
    ("state", "error"),
    [
        (STATE.IN_DOUBT, InDoubtError),
        (STATE.SENT, UnderWayError),
        (STATE.INTENDED, UnderWayError),
    ],
)
def test_what_is_in_doubt_or_in_other_hands_is_never_sent_again(
    world: World, state: SubmissionState, error: type[InDoubtError]
) -> None:
    for request_id in (None, "r1"):
        world.put(state, request_id)
        with raises(error):
            world.fetch()
    assert world.diary == []


def test_an_accepted_job_without_an_id_is_in_doubt(world: World) -> None:
    world.put(STATE.ACCEPTED, None)
    with raises(InDoubtError):
        world.fetch()
    assert world.posts == 0


def test_whoever_loses_the_race_for_the_intent_sends_nothing(world: World) -> None:
    world.book.failures["intend"] = InDoubtError("first come", video_id=VIDEO)
    with raises(InDoubtError):
        world.fetch()
    assert world.posts == 0


REFUSALS: list[BulkTranscribeError] = [
    RateLimitError("429", refused=True),
    NetworkError("no route", never_sent=True),
    ServerBusyError("521", refused=True),
    VideoUnavailableError("422", video_id=VIDEO),
    AuthError("401"),
    CreditSpentError("422"),
    SourceBlockedError("403", source="deapi"),
]


@pytest.mark.parametrize("error", REFUSALS, ids=lambda e: f"{type(e).__name__} {e.message}")
def test_what_was_certainly_not_accepted_may_be_sent_again(
    world: World, error: BulkTranscribeError
) -> None:
    world.service.after = error
    with raises(type(error)) as caught:
        world.fetch()
    assert caught.value is error
    assert world.row.state is STATE.REFUSED
    world.service.after = None
    assert world.fetch().text == "Hello."
    assert len(world.book.rows) == 2


LOST: list[RetryableError] = [
    NetworkError("no answer"),
    ServerBusyError("502"),
    NetworkError("no request id"),
    RetryableError("who knows"),
]


@pytest.mark.parametrize("error", LOST, ids=lambda e: f"{type(e).__name__} {e.message}")
def test_an_answer_that_was_lost_is_held_in_doubt_for_ever(
    world: World, error: RetryableError
) -> None:
    world.service.after = error
    with raises(InDoubtError) as caught:
        world.fetch()
    assert caught.value.__cause__ is error
    assert world.row.state is STATE.IN_DOUBT
    world.service.after = None
    for _ in range(3):
        with raises(InDoubtError):
            world.fetch()
    assert world.posts == 1


def test_an_answer_that_was_lost_of_a_job_that_a_webhook_told_is_no_doubt(world: World) -> None:
    world.book.told = "r1"
    world.service.after = NetworkError("cut")
    assert world.fetch().request_id == "r1"
    assert world.row.state is STATE.CLAIMED
    assert world.posts == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(), ValueError("a bug")])
def test_a_crash_after_the_bytes_went_out_is_noted_as_in_doubt_and_comes_out(
    world: World, error: BaseException
) -> None:
    world.service.after = error
    with raises(type(error)) as caught:
        world.fetch()
    assert caught.value is error
    assert world.row.state is STATE.IN_DOUBT


def test_a_crash_that_cannot_even_be_noted_stays_open(world: World) -> None:
    world.service.after = NetworkError("lost")
    world.book.failures["doubt"] = StoreError("disk full")
    with raises(StoreError):
        world.fetch()
    assert world.row.state is STATE.SENT
    assert world.book.find_open(world.source.key(VIDEO)) is not None


@pytest.mark.parametrize(
    "error", [StoppedError("stop"), DeadlineError("late"), KeyboardInterrupt(), OSError("bug")]
)
def test_an_end_while_waiting_for_the_permit_leaves_nothing_in_doubt(
    world: World, error: BaseException
) -> None:
    """A kill during a long wait for the limit must not cost the user a decision."""
    world.service.before = [error]
    with raises(type(error)):
        world.fetch()
    assert world.posts == 0
    assert world.row.state is STATE.REFUSED
    assert world.fetch().text == "Hello."


def test_nothing_goes_out_that_could_not_be_noted_as_sent(world: World) -> None:
    world.book.failures["mark_sent"] = StoreError("disk full")
    with raises(StoreError):
        world.fetch()
    assert world.posts == 0


def test_nothing_goes_out_without_an_intent_on_disk(world: World) -> None:
    world.book.failures["intend"] = StoreError("disk full")
    with raises(StoreError):
        world.fetch()
    assert world.posts == 0


def test_an_id_that_cannot_be_noted_is_told_to_the_user(world: World) -> None:
    world.book.failures["accept"] = StoreError("disk full")
    with raises(StoreError) as caught:
        world.fetch()
    assert "r1" in str(caught.value)
    assert world.row.state is STATE.SENT
    with raises(UnderWayError):
        world.fetch()
    assert world.posts == 1


def test_a_halt_before_the_submit_sends_nothing(world: World) -> None:
    world.control.halt()
    with raises(StoppedError):
        world.fetch()
    assert world.diary == []


def test_a_halt_while_waiting_for_the_permit_sends_nothing(world: World) -> None:
    world.service.before = [world.control.halt]
    with raises(StoppedError):
        world.fetch()
    assert world.posts == 0
    assert world.row.state is STATE.REFUSED


def test_a_drain_lets_a_video_in_flight_go_to_its_end(world: World) -> None:
    world.control.drain()
    assert world.fetch().text == "Hello."


def test_a_pause_holds_the_submit_back_and_a_resume_lets_it_go(world: World) -> None:
    world.control.pause()
    done = threading.Thread(target=world.fetch)
    done.start()
    while (WaitReason.PAUSED, None) not in world.notes.said:
        pass
    assert world.diary == []
    world.control.resume()
    done.join()
    assert world.diary[-1] == "claim"


def test_a_pause_during_the_wait_for_the_permit_holds_the_submit_back_too(world: World) -> None:
    world.service.before = [world.control.pause]
    done = threading.Thread(target=world.fetch)
    done.start()
    while (WaitReason.PAUSED, None) not in world.notes.said:
        pass
    assert world.diary == ["intend"]
    world.control.resume()
    done.join()
    assert world.diary == ["intend", "mark_sent", "POST", "accept", "poll", "claim"]


def test_a_pause_does_not_hold_back_what_is_paid_for(world: World) -> None:
    world.put(STATE.ACCEPTED, "r1")
    world.control.pause()
    assert world.fetch().text == "Hello."


def test_a_failed_look_is_answered_by_another_look_only(world: World) -> None:
    world.service.looks = [NetworkError("x"), ServerBusyError("x"), DONE]
    world.fetch()
    assert world.posts == 1


@pytest.mark.parametrize("error", [GaveUpError("late", video_id=VIDEO), StoppedError("stop")])
def test_a_job_that_is_given_up_stays_claimable(world: World, error: Exception) -> None:
    world.watcher.failure = error
    with raises(type(error)):
        world.fetch()
    assert world.row.state is STATE.ACCEPTED
    world.watcher.failure = None
    assert world.fetch().text == "Hello."
    assert world.posts == 1


@pytest.mark.parametrize(
    ("code", "can_retry"), [("WORKER_TIMEOUT", True), ("INVALID_INPUT", False)]
)
def test_a_failed_job_is_closed_and_says_whether_to_retry(
    world: World, code: str, *, can_retry: bool
) -> None:
    failed = JobStatus(request_id="r1", state=JobState.FAILED, error_code=code)
    world.service.looks = [replace(failed, charged_usd=Decimal("0.01"))]
    with raises(TranscriptFailedError) as caught:
        world.fetch()
    assert isinstance(caught.value, TranscriptFailedError)
    assert caught.value.can_retry is can_retry
    assert (world.row.state, world.row.charged_usd) == (STATE.FAILED, Decimal("0.01"))


UNKNOWN = RetryableError("404", code="job_not_found", refused=True)


def test_a_job_may_be_unknown_for_a_moment_after_the_submit(world: World) -> None:
    world.service.looks = [UNKNOWN, UNKNOWN, DONE]
    assert world.fetch().text == "Hello."


def test_a_job_that_stays_unknown_fails_the_video_but_stays_open(world: World) -> None:
    """With another key on the same database, its jobs are unknown: they must not be paid again."""
    world.service.looks = [UNKNOWN]
    with raises(TranscriptFailedError) as caught:
        world.fetch()
    assert isinstance(caught.value.__cause__, GaveUpError)
    assert "another key" in str(caught.value)
    assert world.row.state is STATE.ACCEPTED
    assert "fail" not in world.diary
    world.service.looks = [DONE]
    assert world.fetch().text == "Hello."
    assert world.posts == 1


def test_a_job_that_cannot_be_asked_for_is_given_up_as_it_is(world: World) -> None:
    world.service.looks = [ServerBusyError("502")]
    with raises(GaveUpError):
        world.fetch()
    assert world.row.state is STATE.ACCEPTED


def at(url: str) -> JobStatus:
    return replace(DONE, text=None, result_url=url)


EXPIRED = RetryableError("403", code="expired_url", refused=True)


def test_a_result_at_an_address_is_downloaded(world: World) -> None:
    world.service.looks = [at("https://s/1")]
    world.service.downloads = ["Plain words."]
    assert world.fetch().text == "Plain words."
    assert world.diary[-2:] == ["download https://s/1", "claim"]


def test_an_expired_address_is_replaced_by_a_fresh_one(world: World) -> None:
    world.service.looks = [at("https://s/1"), at("https://s/2")]
    world.service.downloads = [EXPIRED, "Plain words."]
    assert world.fetch().text == "Plain words."
    assert world.diary[-4:] == ["download https://s/1", "poll", "download https://s/2", "claim"]


def test_fresh_addresses_come_to_an_end_and_the_job_stays_claimable(world: World) -> None:
    world.service.looks = [at("https://s/1")]
    world.service.downloads = [EXPIRED] * 10
    with raises(RetryableError):
        world.fetch()
    assert world.diary.count("download https://s/1") == 4
    assert world.row.state is STATE.ACCEPTED
    world.service.downloads = ["Plain words."]
    assert world.fetch().text == "Plain words."
    assert world.posts == 1


def test_a_download_that_fails_leaves_the_job_claimable(world: World) -> None:
    world.service.looks = [at("https://s/1")]
    world.service.downloads = [NetworkError("cut"), "Plain words."]
    with raises(NetworkError):
        world.fetch()
    assert world.row.state is STATE.ACCEPTED
    assert world.fetch().text == "Plain words."
    assert world.posts == 1


def test_a_job_that_is_no_longer_done_is_not_taken_for_silence(world: World) -> None:
    world.service.looks = [at("https://s/1"), replace(DONE, state=JobState.RUNNING, text=None)]
    world.service.downloads = [EXPIRED]
    with raises(RetryableError):
        world.fetch()
    assert world.row.state is STATE.ACCEPTED


def test_silence_is_a_transcript(world: World) -> None:
    world.service.looks = [replace(DONE, text="")]
    assert world.fetch().text == ""
    assert world.row.state is STATE.CLAIMED


def test_a_claim_that_cannot_be_stored_leaves_the_job_claimable(world: World) -> None:
    world.book.failures["claim"] = StoreError("disk full")
    with raises(StoreError):
        world.fetch()
    assert world.row.state is STATE.ACCEPTED
    world.book.failures.clear()
    assert world.fetch().text == "Hello."
    assert world.posts == 1


ENDINGS = st.sampled_from(
    [None, *REFUSALS, *LOST, StoppedError("x"), KeyboardInterrupt(), ValueError("bug")]
)


@given(
    endings=st.lists(st.tuples(st.booleans(), ENDINGS), max_size=8),
    noted=st.lists(st.sampled_from(["", "accept", "doubt", "refuse", "claim"]), max_size=8),
)
def test_whatever_happens_at_most_one_request_is_ever_unsettled_or_paid(
    endings: list[tuple[bool, BaseException | None]], noted: list[str]
) -> None:
    """Fetch again and again through every kind of trouble, with a store that fails at times.

    A post that ended neither as refused nor never sent may have been paid: there is at most one.
    """
    world = World()
    maybe_paid = 0
    for number, (is_before, ending) in enumerate(endings):
        world.service.before = [ending] if is_before and ending is not None else []
        world.service.after = None if is_before else ending
        trouble = noted[number] if number < len(noted) else ""
        world.book.failures = {trouble: StoreError("disk full")} if trouble else {}
        posts = world.posts
        with suppress(BaseException):  # every ending is allowed here
            world.fetch()
        if world.posts > posts and ending not in REFUSALS:
            maybe_paid += 1
        if world.row.state is STATE.CLAIMED:
            break
    assert maybe_paid <= 1
