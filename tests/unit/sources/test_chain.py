"""The sources in turn."""

import contextlib
import math
import threading
from collections.abc import Callable, Mapping, Sequence

import pytest

from bulk_transcribe.core.attempt import AttemptOutcome
from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.ports import Reporter
from bulk_transcribe.core.stage import Stage, WaitReason
from bulk_transcribe.core.transcript import ContentKey, Transcript
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.errors import (
    ACTIONS,
    APIError,
    AuthError,
    BulkTranscribeError,
    GaveUpError,
    InDoubtError,
    NetworkError,
    NoCaptionsError,
    NotYetAvailableError,
    RateLimitError,
    SourceBlockedError,
    StoppedError,
    VideoUnavailableError,
)
from bulk_transcribe.sources.chain import (
    Again,
    ChainRules,
    SourceChain,
    WhenBlocked,
    once,
    outcome_of,
)
from bulk_transcribe.sources.rest import RestPace, SourceRest
from bulk_transcribe.testing import FakeClock
from bulk_transcribe.testing.fakes import (
    Answer,
    FakeAttemptLog,
    FakeReporter,
    FakeSource,
    make_transcript,
)

ITEM = VideoItem(video_id="v0000000001")
ID = ITEM.video_id
NOTHING = NoCaptionsError(f"{ID}: no captions in en.", next_step="Try other languages.")
Answers = Mapping[str, Sequence[Answer]]


def _block(retry_after_s: float | None = 900) -> SourceBlockedError:
    return SourceBlockedError(
        "YouTube refuses.",
        source="captions",
        retry_after_s=retry_after_s,
        next_step="Wait an hour.",
    )


class _Scene:
    """Two sources, a chain and a clock that moves by itself."""

    def __init__(
        self,
        captions: Sequence[Answer] = (),
        deapi: Sequence[Answer] = (),
        *,
        when_blocked: WhenBlocked = WhenBlocked.WAIT,
        has_paid: bool = True,
        has_job: Callable[[ContentKey], bool] = lambda _key: False,
        again: Again = once,
    ) -> None:
        self.clock = FakeClock(auto=True)
        self.control = RunControl(self.clock)
        self.rests = SourceRest(self.clock, self.control, RestPace())
        self.captions = FakeSource("captions", {ID: captions} if captions else {})
        self.deapi = FakeSource("deapi", {ID: deapi} if deapi else {})
        self.log = FakeAttemptLog()
        self.reporter = FakeReporter(ID)
        self.chain = SourceChain(
            [self.captions, self.deapi] if has_paid else [self.captions],
            self.rests,
            clock=self.clock,
            attempts=self.log,
            rules=ChainRules(again=again, when_blocked=when_blocked, has_job=has_job),
        )

    def fetch(self, *, may_pay: bool = True) -> Transcript:
        found = self.chain.fetch(ITEM, None, self.reporter, may_pay=may_pay)
        assert found.key == ContentKey(video_id=ID, source=found.transcript.source)
        return found.transcript

    @property
    def asked(self) -> tuple[int, int]:
        return len(self.captions.asked), len(self.deapi.asked)

    @property
    def outcomes(self) -> list[tuple[str, AttemptOutcome]]:
        return [(attempt.source, attempt.outcome) for attempt in self.log.attempts]


def test_a_chain_without_sources_is_refused() -> None:
    clock = FakeClock()
    with pytest.raises(ValueError, match="at least one"):
        SourceChain([], SourceRest(clock, RunControl(clock)), clock=clock)


def test_keys_stand_in_the_order_of_the_sources() -> None:
    assert [key.source for key in _Scene().chain.keys(ID)] == ["captions", "deapi"]


def test_free_captions_cost_nothing() -> None:
    scene = _Scene()
    assert scene.fetch().source == "captions"
    assert scene.asked == (1, 0)
    assert scene.outcomes == [("captions", AttemptOutcome.GOT)]


def test_no_captions_leads_to_the_paid_source() -> None:
    scene = _Scene([NOTHING])
    assert scene.fetch().source == "deapi"
    assert scene.outcomes == [
        ("captions", AttemptOutcome.NOTHING),
        ("deapi", AttemptOutcome.GOT),
    ]
    assert scene.log.attempts[0].error == NOTHING.message
    assert scene.log.attempts[0].error_code == "no_captions"


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (VideoUnavailableError("private", video_id=ID), AttemptOutcome.FAILED),
        (NotYetAvailableError("live", video_id=ID), AttemptOutcome.NOT_YET),
        (GaveUpError("no answer", video_id=ID), AttemptOutcome.FAILED),
        (NetworkError("no answer"), AttemptOutcome.TROUBLE),
        (RateLimitError("slow down"), AttemptOutcome.LIMITED),
        (InDoubtError("lost", video_id=ID), AttemptOutcome.IN_DOUBT),
        (AuthError("wrong key"), AttemptOutcome.STOPPED_BATCH),
        (StoppedError("stopped"), AttemptOutcome.STOPPED),
        (RuntimeError("a bug"), AttemptOutcome.CRASHED),
    ],
)
def test_other_errors_end_the_chain_and_are_noted(
    error: Exception, outcome: AttemptOutcome
) -> None:
    scene = _Scene([error])
    with pytest.raises(type(error)) as caught:
        scene.fetch()
    assert caught.value is error
    assert scene.asked == (1, 0)
    assert scene.outcomes == [("captions", outcome)]


def test_every_family_of_errors_has_an_outcome() -> None:
    for family in ACTIONS:
        error = family.__new__(family)
        assert isinstance(outcome_of(error), AttemptOutcome)
    assert outcome_of(None) is AttemptOutcome.GOT


def test_when_no_source_has_one_the_error_says_what_each_said() -> None:
    scene = _Scene([NOTHING], [NoCaptionsError("not taken", next_step="Ask deAPI.")])
    with pytest.raises(VideoUnavailableError) as caught:
        scene.fetch()
    assert str(caught.value) == (
        f"{ID}: no transcript to be had. captions said: no captions in en.; "
        "deapi said: not taken Ask deAPI."
    )
    assert caught.value.code == "no_transcript"
    assert not caught.value.can_retry


def test_without_a_paid_source_the_error_names_the_key_to_set() -> None:
    with pytest.raises(VideoUnavailableError, match="Set DEAPI_API_KEY") as caught:
        _Scene([NOTHING], has_paid=False).fetch()
    assert caught.value.can_retry


def test_nothing_is_paid_where_it_may_not_be() -> None:
    scene = _Scene([NOTHING])
    with pytest.raises(VideoUnavailableError, match="age-restricted"):
        scene.fetch(may_pay=False)
    assert scene.asked == (1, 0)


@pytest.mark.parametrize("may_pay", [True, False])
def test_a_job_on_its_way_is_fetched_first_come_what_may(*, may_pay: bool) -> None:
    scene = _Scene(has_job=lambda key: key.source == "deapi")
    assert scene.chain.has_job(ID)
    assert scene.fetch(may_pay=may_pay).source == "deapi"
    assert scene.asked == (0, 1)


def test_a_blocked_source_is_waited_for_and_nothing_is_paid_meanwhile() -> None:
    scene = _Scene([_block(), make_transcript(ID)])
    before_s = scene.clock.now_s()
    assert scene.fetch().source == "captions"
    assert scene.asked == (2, 0)
    assert scene.clock.now_s() - before_s == 900
    assert scene.reporter.waits == [WaitReason.SOURCE_REST]
    assert scene.outcomes == [
        ("captions", AttemptOutcome.BLOCKED),
        ("captions", AttemptOutcome.GOT),
    ]


def test_a_source_that_stays_blocked_is_waited_for_for_so_long_and_no_longer() -> None:
    scene = _Scene([_block()])
    before_s = scene.clock.now_s()
    with pytest.raises(APIError) as caught:
        scene.fetch()
    assert scene.clock.now_s() - before_s == 3_000
    assert scene.asked == (3, 0)  # at once, after 900 s and after another 1,800 s
    assert caught.value.can_retry
    assert caught.value.code == "blocked"
    assert str(caught.value) == (
        f"{ID}: captions rested for too long: YouTube refuses. Wait an hour."
    )


def test_who_chose_to_pay_goes_on_to_the_paid_source_at_once() -> None:
    scene = _Scene([_block()], when_blocked=WhenBlocked.PAY)
    before_s = scene.clock.now_s()
    assert scene.fetch().source == "deapi"
    assert scene.fetch().source == "deapi"
    assert scene.clock.now_s() == before_s
    assert scene.asked == (1, 2)  # the second video does not ask a resting source


def test_who_chose_to_pay_and_has_nobody_to_pay_waits() -> None:
    scene = _Scene([_block(), make_transcript(ID)], when_blocked=WhenBlocked.PAY, has_paid=False)
    assert scene.fetch().source == "captions"
    assert scene.asked == (2, 0)


def test_who_chose_to_fail_fails_at_once_and_can_retry() -> None:
    scene = _Scene([_block()], when_blocked=WhenBlocked.FAIL)
    for _ in range(2):
        with pytest.raises(APIError) as caught:
            scene.fetch()
        assert caught.value.can_retry
    assert scene.asked == (1, 0)


def test_blocked_and_paid_for_in_vain_can_be_retried() -> None:
    scene = _Scene([_block()], [NOTHING], when_blocked=WhenBlocked.PAY)
    with pytest.raises(VideoUnavailableError, match="captions said: YouTube refuses") as caught:
        scene.fetch()
    assert caught.value.can_retry


def test_a_block_of_the_paid_source_is_waited_for_even_by_those_who_pay() -> None:
    refusal = SourceBlockedError("deAPI's network refuses.", source="deapi")
    scene = _Scene([NOTHING], [refusal, make_transcript(ID, "deapi")], when_blocked=WhenBlocked.PAY)
    assert scene.fetch().source == "deapi"
    assert scene.asked == (1, 2)


@pytest.mark.parametrize(
    ("answer", "is_over"),
    [
        (make_transcript(ID), True),
        (NOTHING, True),
        (VideoUnavailableError("private", video_id=ID), True),
        (NetworkError("no answer"), False),
        (GaveUpError("no answer", video_id=ID), False),
        (RuntimeError("a bug"), False),
    ],
)
def test_an_answer_about_the_video_ends_the_rest_and_silence_does_not(
    answer: Answer, *, is_over: bool
) -> None:
    scene = _Scene([answer], has_paid=False, when_blocked=WhenBlocked.FAIL)
    turn = scene.rests.try_enter("captions")
    assert turn is not None
    scene.rests.blocked(turn, None)
    scene.clock.advance(60)
    with contextlib.suppress(BulkTranscribeError, RuntimeError):
        scene.fetch()
    turn = scene.rests.try_enter("captions")
    assert turn is not None
    assert turn.is_probe is not is_over


def test_an_accepted_job_ends_the_rest_before_it_is_done() -> None:
    scene = _Scene()

    def during(_item: VideoItem, reporter: Reporter) -> None:
        assert "captions" in scene.rests.resting()
        reporter.stage(Stage.TRANSCRIBING)
        assert scene.rests.resting() == {}

    source = FakeSource("captions", during=during)
    chain = SourceChain([source], scene.rests, clock=scene.clock)
    turn = scene.rests.try_enter("captions")
    assert turn is not None
    scene.rests.blocked(turn, None)
    scene.clock.advance(60)
    chain.fetch(ITEM, None, scene.reporter)
    assert source.asked == [ID]


def _lost() -> InDoubtError:
    """A paid request that was sent just now; its answer did not come."""
    error = InDoubtError("the answer was lost", video_id=ID)
    error.__cause__ = NetworkError("no answer")
    return error


def test_three_lost_answers_in_a_row_rest_the_paid_source() -> None:
    """They did not: an outage of a minute brought every video that was left into doubt."""
    scene = _Scene([NOTHING], [_lost(), _lost(), _lost(), make_transcript(ID, "deapi")])
    for _ in range(3):
        with pytest.raises(InDoubtError):
            scene.fetch()
    lost_s = scene.clock.now_s()

    assert scene.fetch().source == "deapi"

    assert scene.clock.now_s() - lost_s == pytest.approx(60.0)
    assert scene.asked == (4, 4)


def test_answers_between_lost_ones_and_old_doubts_rest_nothing() -> None:
    old = InDoubtError("lost in an earlier run", video_id=ID)
    answered = VideoUnavailableError("private", video_id=ID)
    scene = _Scene([NOTHING], [_lost(), _lost(), answered, _lost(), _lost(), *[old] * 4])
    for _ in range(9):
        with pytest.raises(APIError):
            scene.fetch()

    assert scene.clock.now_s() == FakeClock().now_s()
    assert scene.rests.resting() == {}


def test_each_repeated_call_is_an_attempt_of_its_own() -> None:
    def thrice(
        _video_id: str, _reporter: Reporter, call: Callable[[], Transcript], /
    ) -> Transcript:
        for _ in range(2):
            with pytest.raises(NetworkError):
                call()
        return call()

    scene = _Scene([NetworkError("a"), NetworkError("b"), make_transcript(ID)], again=thrice)
    scene.fetch()
    assert [outcome for _, outcome in scene.outcomes] == [
        AttemptOutcome.TROUBLE,
        AttemptOutcome.TROUBLE,
        AttemptOutcome.GOT,
    ]


def test_eight_videos_meet_a_block_and_all_get_their_captions_without_paying() -> None:
    clock = FakeClock()
    control = RunControl(clock)
    items = [VideoItem(video_id=f"v{n:010}") for n in range(8)]
    asked_s: list[float] = []

    def refuse_for_twenty_minutes(_item: VideoItem, _reporter: Reporter) -> None:
        asked_s.append(clock.now_s() - 1_000)
        if asked_s[-1] < 1_200:
            raise _block()

    source = FakeSource("captions", during=refuse_for_twenty_minutes)
    paid = FakeSource("deapi")
    chain = SourceChain(
        [source, paid],
        SourceRest(clock, control),
        clock=clock,
        rules=ChainRules(patience_s=math.inf),
    )
    barrier, got = threading.Barrier(8), []

    def video(item: VideoItem) -> None:
        barrier.wait(10)
        got.append(chain.fetch(item, None, FakeReporter()).transcript.video_id)

    threads = [threading.Thread(target=video, args=(item,)) for item in items]
    with clock.running():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert sorted(got) == [item.video_id for item in items]
    assert paid.asked == []
    at_first = [at_s for at_s in asked_s if at_s == 0]
    assert asked_s == at_first + [900] + [2_700] * 8
    assert 1 <= len(at_first) <= 8
