"""The steps of one video."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import pytest

from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.outcome import Cancelled, Failed, InDoubt, Skipped, Succeeded, VideoResult
from bulk_transcribe.core.stage import Stage, WaitReason
from bulk_transcribe.core.transcript import ContentKey
from bulk_transcribe.core.video import Availability, LiveState, VideoItem, VideoMetadata
from bulk_transcribe.errors import (
    ACTIONS,
    Action,
    APIError,
    AuthError,
    BulkTranscribeError,
    ConfigError,
    CreditSpentError,
    GaveUpError,
    InDoubtError,
    NetworkError,
    NextSourceError,
    NoCaptionsError,
    NotYetAvailableError,
    OutputError,
    RateLimitError,
    SourceBlockedError,
    StopBatchError,
    StoppedError,
    StoreError,
    TranscriptFailedError,
    VideoUnavailableError,
    action_for,
)
from bulk_transcribe.process.backoff import Backoff
from bulk_transcribe.process.gauge import Gauge
from bulk_transcribe.process.one_video import OneVideo, VideoTools, outcome_for
from bulk_transcribe.sources.chain import ChainRules, SourceChain
from bulk_transcribe.sources.rest import SourceRest
from bulk_transcribe.testing import FakeClock
from bulk_transcribe.testing.fakes import (
    Answer,
    FakeExporter,
    FakeMetadata,
    FakeReporter,
    FakeSource,
    MemoryTranscripts,
    make_transcript,
)

ITEM = VideoItem(video_id="v0000000001", title="As pasted")
ID = ITEM.video_id
NOTHING = NoCaptionsError(f"{ID}: no captions.")


class _Scene:
    """One video, two sources, a store in memory and a clock that moves by itself."""

    def __init__(
        self,
        captions: Sequence[Answer] = (),
        deapi: Sequence[Answer] = (),
        *,
        metadata: FakeMetadata | None = None,
        exporter: FakeExporter | None = None,
        has_job: bool = False,
        refresh: bool = False,
    ) -> None:
        self.clock = FakeClock(auto=True)
        self.control = RunControl(self.clock)
        self.captions = FakeSource("captions", {ID: captions} if captions else {})
        self.deapi = FakeSource("deapi", {ID: deapi} if deapi else {})
        self.store = MemoryTranscripts()
        self.exporter = exporter or FakeExporter()
        self.reporter = FakeReporter(ID)
        self.gauge = Gauge()
        self.told: list[VideoMetadata] = []
        chain = SourceChain(
            [self.captions, self.deapi],
            SourceRest(self.clock, self.control),
            clock=self.clock,
            rules=ChainRules(
                again=Backoff(self.control, self.clock, on_trouble=self.gauge.trouble),
                has_job=lambda _key: has_job,
            ),
        )
        tools = VideoTools(
            sources=chain,
            store=self.store,
            exporter=self.exporter,
            control=self.control,
            clock=self.clock,
            reporter=lambda _item: self.reporter,
            metadata=metadata,
            on_metadata=self.told.append,
            spent_usd=lambda _video_id: Decimal("0.02"),
            gauge=self.gauge,
            refresh=refresh,
        )
        self._one_video = OneVideo(tools)

    def process(self) -> VideoResult:
        return self._one_video.process(ITEM)

    @property
    def asked(self) -> tuple[int, int]:
        return len(self.captions.asked), len(self.deapi.asked)


def _facts(
    availability: Availability = Availability.PUBLIC,
    live_state: LiveState = LiveState.NONE,
    *,
    scene: _Scene | None = None,
    age: timedelta = timedelta(0),
) -> VideoMetadata:
    clock = scene.clock if scene else FakeClock()
    return VideoMetadata(
        video_id=ID,
        title="As published",
        availability=availability,
        live_state=live_state,
        fetched_at=clock.now() - age,
    )


def test_captions_are_saved_and_exported() -> None:
    scene = _Scene()
    assert scene.process() == Succeeded(
        video_id=ID, source="captions", files=(f"{ID}.md",), spent_usd=Decimal("0.02")
    )
    assert scene.store.find_transcript(scene.captions.key(ID)) == make_transcript(ID)
    assert scene.exporter.written == [make_transcript(ID)]
    assert scene.reporter.stages[-1] is Stage.SAVING


def test_without_captions_the_paid_source_gives_it() -> None:
    scene = _Scene([NOTHING])
    result = scene.process()
    assert isinstance(result, Succeeded)
    assert result.source == "deapi"
    assert scene.store.find_transcript(scene.deapi.key(ID)) == make_transcript(ID, "deapi")


@pytest.mark.parametrize("source", ["captions", "deapi"])
def test_a_known_transcript_costs_no_request_and_is_exported(source: str) -> None:
    metadata = FakeMetadata([_facts()])
    scene = _Scene(metadata=metadata)
    known = make_transcript(ID, source)
    scene.store.save_transcript(ContentKey(video_id=ID, source=source), known)
    assert scene.process() == Succeeded(
        video_id=ID, source=source, files=(f"{ID}.md",), was_known=True
    )
    assert scene.asked == (0, 0)
    assert metadata.asked == []
    assert scene.exporter.written == [known]


def test_refresh_asks_again() -> None:
    scene = _Scene(refresh=True)
    scene.store.save_transcript(scene.captions.key(ID), make_transcript(ID, "deapi"))
    result = scene.process()
    assert isinstance(result, Succeeded)
    assert not result.was_known
    assert scene.asked == (1, 0)


def test_facts_are_fetched_stored_and_told() -> None:
    facts = _facts()
    scene = _Scene(metadata=FakeMetadata([facts]))
    assert isinstance(scene.process(), Succeeded)
    assert scene.store.metadata == {ID: facts}
    assert scene.told == [facts]
    assert scene.reporter.stages[0] is Stage.METADATA


def test_stored_facts_are_not_fetched_again() -> None:
    metadata = FakeMetadata([_facts()])
    scene = _Scene(metadata=metadata)
    scene.store.save_metadata([_facts()])
    assert isinstance(scene.process(), Succeeded)
    assert metadata.asked == []


@pytest.mark.parametrize(
    "error",
    [
        NetworkError("no network"),
        RateLimitError("slow down", retry_after_s=9_999),
        SourceBlockedError("not a bot", source="metadata"),
        AuthError("wrong key"),
        APIError("odd", video_id=ID),
    ],
)
def test_no_trouble_with_facts_fails_or_delays_a_video(error: BulkTranscribeError) -> None:
    scene = _Scene(metadata=FakeMetadata(error=error))
    before_s = scene.clock.now_s()
    assert isinstance(scene.process(), Succeeded)
    assert scene.clock.now_s() == before_s


def test_a_metadata_source_that_finds_the_video_gone_says_so() -> None:
    gone = VideoUnavailableError("gone", video_id=ID)
    scene = _Scene(metadata=FakeMetadata(error=gone))
    assert scene.process() == Failed(video_id=ID, error=gone, spent_usd=Decimal("0.02"))
    assert scene.asked == (0, 0)


@pytest.mark.parametrize(
    "availability",
    [Availability.PRIVATE, Availability.ABSENT, Availability.MEMBERS, Availability.FAILED],
)
def test_hopeless_videos_cost_no_request(availability: Availability) -> None:
    scene = _Scene(metadata=FakeMetadata([_facts(availability)]))
    result = scene.process()
    assert isinstance(result, Failed)
    assert isinstance(result.error, VideoUnavailableError)
    assert not result.can_retry
    assert scene.asked == (0, 0)


def test_live_videos_are_skipped_for_now() -> None:
    scene = _Scene(metadata=FakeMetadata([_facts(live_state=LiveState.LIVE)]))
    result = scene.process()
    assert isinstance(result, Skipped)
    assert result.can_retry
    assert scene.asked == (0, 0)


def test_age_restricted_videos_are_tried_free_and_not_paid_for() -> None:
    facts = _facts(Availability.AGE_RESTRICTED)
    assert isinstance(_Scene(metadata=FakeMetadata([facts])).process(), Succeeded)
    scene = _Scene([NOTHING], metadata=FakeMetadata([facts]))
    assert isinstance(scene.process(), Failed)
    assert scene.asked == (1, 0)


def test_a_job_that_was_paid_for_is_fetched_though_the_video_is_private_now() -> None:
    metadata = FakeMetadata([_facts(Availability.PRIVATE)])
    scene = _Scene(metadata=metadata, has_job=True)
    scene.store.save_metadata([_facts(Availability.PRIVATE)])
    result = scene.process()
    assert isinstance(result, Succeeded)
    assert result.source == "deapi"
    assert metadata.asked == []


def test_old_bad_news_are_asked_for_again() -> None:
    metadata = FakeMetadata([_facts()])
    scene = _Scene(metadata=metadata)
    scene.store.save_metadata([_facts(Availability.PRIVATE, scene=scene, age=timedelta(hours=1))])
    assert isinstance(scene.process(), Succeeded)
    assert metadata.asked == [ID]


def test_old_bad_news_that_nobody_confirms_are_not_believed() -> None:
    scene = _Scene(metadata=FakeMetadata(error=NetworkError("no network")))
    scene.store.save_metadata([_facts(Availability.PRIVATE, scene=scene, age=timedelta(hours=1))])
    assert isinstance(scene.process(), Succeeded)
    assert scene.told[0].title == "As published"


def test_passing_trouble_is_waited_out() -> None:
    scene = _Scene([NetworkError("a"), RateLimitError("b", retry_after_s=60), make_transcript(ID)])
    assert isinstance(scene.process(), Succeeded)
    assert scene.reporter.waits == [WaitReason.RETRY, WaitReason.LIMIT]
    assert scene.gauge.read().errors == 1
    assert scene.gauge.read().refused == 1


def test_lasting_trouble_fails_the_video_and_can_be_retried_and_is_not_paid_around() -> None:
    scene = _Scene([NetworkError("no answer")])
    result = scene.process()
    assert isinstance(result, Failed)
    assert isinstance(result.error, GaveUpError)
    assert result.can_retry
    assert scene.asked == (5, 0)


def test_a_video_in_doubt_is_neither_done_nor_failed() -> None:
    doubt = InDoubtError("the answer was lost", video_id=ID)
    scene = _Scene([NOTHING], [doubt])
    assert scene.process() == InDoubt(video_id=ID, error=doubt)
    assert scene.asked == (1, 1)


def test_a_job_that_the_service_gave_up_is_not_paid_for_again() -> None:
    given_up = TranscriptFailedError("timeout", video_id=ID, request_id="r1", can_retry=True)
    scene = _Scene([NOTHING], [given_up])
    assert scene.process() == Failed(
        video_id=ID, error=given_up, can_retry=True, spent_usd=Decimal("0.02")
    )
    assert scene.asked == (1, 1)


@pytest.mark.parametrize("family", [AuthError, CreditSpentError, StoreError])
def test_what_would_hit_every_video_comes_out(family: type[StopBatchError]) -> None:
    with pytest.raises(family):
        _Scene([NOTHING], [family("no")]).process()


def test_a_full_disk_comes_out_and_the_transcript_is_known_the_next_time() -> None:
    scene = _Scene(exporter=FakeExporter(OutputError("disk full")))
    with pytest.raises(OutputError):
        scene.process()
    scene.exporter.error = None
    result = scene.process()
    assert isinstance(result, Succeeded)
    assert result.was_known
    assert scene.asked == (1, 0)


def test_bugs_come_out() -> None:
    with pytest.raises(ZeroDivisionError):
        _Scene([ZeroDivisionError()]).process()


def test_a_halted_run_asks_nobody() -> None:
    scene = _Scene()
    scene.control.halt()
    assert scene.process() == Cancelled(video_id=ID)
    assert scene.asked == (0, 0)


def test_a_video_that_ends_while_it_waits_is_off_the_gauge() -> None:
    scene = _Scene([RateLimitError("tomorrow", retry_after_s=99_999)])
    assert isinstance(scene.process(), Failed)
    assert scene.gauge.read().held_up == 0


EXAMPLES: dict[BulkTranscribeError, type[VideoResult] | None] = {
    ConfigError("a"): Failed,
    StoppedError("a"): Cancelled,
    NextSourceError("a"): Failed,
    APIError("a", video_id=ID): Failed,
    VideoUnavailableError("a", video_id=ID): Failed,
    NotYetAvailableError("a", video_id=ID): Skipped,
    InDoubtError("a", video_id=ID): InDoubt,
    NetworkError("a"): Failed,
    RateLimitError("a"): Failed,
    SourceBlockedError("a", source="captions"): Failed,
    AuthError("a"): None,
    BulkTranscribeError("a"): None,
}


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_each_error_leads_to_the_outcome_that_its_action_names(error: BulkTranscribeError) -> None:
    expected = EXAMPLES[error]
    if expected is None:
        with pytest.raises(type(error)):
            outcome_for(error, ID)
        return
    result = outcome_for(error, ID)
    assert type(result) is expected
    assert result.video_id == ID
    if isinstance(result, Failed):
        assert result.can_retry == isinstance(
            error, NetworkError | RateLimitError | SourceBlockedError
        )


def test_every_action_is_among_the_examples() -> None:
    assert {action_for(error) for error in EXAMPLES} == {*Action, None}
    assert set(ACTIONS.values()) == set(Action)
