from datetime import UTC, datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulk_transcribe.core.transcript import ContentKey, Segment, Transcript
from bulk_transcribe.core.video import Availability, LiveState, VideoMetadata
from bulk_transcribe.save.database import Database
from bulk_transcribe.save.transcripts import Transcripts, pack, unpack
from bulk_transcribe.testing import FakeClock

texts = st.text(st.characters(), max_size=30)  # halves of characters included
times = st.floats(0, 1e6)
transcripts = st.builds(
    Transcript,
    video_id=st.just("dQw4w9WgXcQ"),
    source=st.sampled_from(["captions", "deapi"]),
    text=texts,
    segments=st.lists(st.builds(Segment, times, times, texts), max_size=5).map(tuple),
    language=st.none() | texts,
    model=st.none() | texts,
    is_generated=st.none() | st.booleans(),
    request_id=st.none() | texts,
)
KEY = ContentKey(video_id="dQw4w9WgXcQ", source="deapi", model="M", language="any")


@given(transcripts)
def test_what_is_saved_is_what_is_loaded(transcript: Transcript) -> None:
    assert unpack(pack(transcript)) == transcript


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20, deadline=None
)
@given(one=transcripts, other=transcripts)
def test_saving_a_key_again_replaces_only_that_key(
    database: Database, clock: FakeClock, one: Transcript, other: Transcript
) -> None:
    store = Transcripts(database, clock)
    another_key = ContentKey(video_id=KEY.video_id, source="deapi", model="other")
    store.save_transcript(KEY, other)
    store.save_transcript(another_key, other)
    store.save_transcript(KEY, one)
    assert store.find_transcript(KEY) == one
    assert store.find_transcript(another_key) == other
    assert store.known_keys([KEY, another_key]) == {KEY, another_key}


def test_what_was_never_saved_is_not_found(database: Database, clock: FakeClock) -> None:
    store = Transcripts(database, clock)
    assert store.find_transcript(KEY) is None
    assert store.find_newest(KEY.video_id) is None
    assert store.known_keys([KEY]) == set()
    assert store.find_metadata([]) == {}
    assert store.find_metadata(["dQw4w9WgXcQ"]) == {}
    store.save_metadata([])


def test_the_newest_of_a_source_is_found_without_its_wishes(
    database: Database, clock: FakeClock
) -> None:
    store = Transcripts(database, clock)
    for number, source in enumerate(["captions", "deapi", "captions"]):
        key = ContentKey(video_id="dQw4w9WgXcQ", source=source, language=str(number))
        store.save_transcript(
            key, Transcript(video_id="dQw4w9WgXcQ", source=source, text=str(number))
        )
        clock.advance(1)
    newest, deapi = store.find_newest("dQw4w9WgXcQ"), store.find_newest("dQw4w9WgXcQ", "deapi")
    assert newest is not None
    assert deapi is not None
    assert (newest.text, deapi.text) == ("2", "1")


def test_metadata_of_many_videos_is_found_and_replaced(
    database: Database, clock: FakeClock
) -> None:
    store = Transcripts(database, clock)
    known = [
        VideoMetadata(
            video_id=f"v{number:010}",
            title="T",
            published_at=datetime(2020, 2, 29, tzinfo=UTC),
            duration_s=1.5,
            availability=Availability.UNLISTED,
            live_state=LiveState.ENDED,
            has_captions=True,
            fetched_at=clock.now(),
        )
        for number in range(2_100)
    ]
    store.save_metadata(known)
    newer = VideoMetadata(video_id=known[0].video_id, availability=Availability.ABSENT)
    store.save_metadata(iter([known[0], newer]))
    found = store.find_metadata([facts.video_id for facts in known] + ["zzzzzzzzzzz"])
    assert found == {facts.video_id: facts for facts in [*known[1:], newer]}
