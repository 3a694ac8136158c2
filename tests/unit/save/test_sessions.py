import os
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulk_transcribe.core.outcome import (
    Cancelled,
    Crashed,
    Failed,
    InDoubt,
    Skipped,
    Succeeded,
    VideoResult,
)
from bulk_transcribe.core.stage import Stage, VideoState
from bulk_transcribe.core.transcript import ContentKey
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.errors import InDoubtError, InputError, StoreError, VideoUnavailableError
from bulk_transcribe.save.database import Database, open_database
from bulk_transcribe.save.session import InputProblem, SessionStatus, VideoSort, Wish
from bulk_transcribe.save.sessions import SessionManager
from bulk_transcribe.save.submissions import Decision, SubmissionLedger
from bulk_transcribe.testing import FakeClock


def items(number: int) -> list[VideoItem]:
    return [VideoItem(video_id=f"v{at:010}", title=f"Title {at}") for at in range(number)]


def gone(video_id: str) -> VideoUnavailableError:
    return VideoUnavailableError("it is gone", video_id=video_id, next_step="look", code="absent")


any_text = st.text(  # halves of characters and NUL: see below
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20
)
any_item = st.builds(
    VideoItem,
    video_id=st.from_regex(r"[A-Za-z0-9_-]{11}", fullmatch=True),
    title=st.none() | any_text,
    channel=st.none() | any_text,
    duration_s=st.none() | st.floats(0, 1e6),
    origin=any_text,
    extra=st.dictionaries(any_text, any_text, max_size=3).map(MappingProxyType),
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None
)
@given(wanted=st.lists(any_item, unique_by=lambda item: item.video_id, max_size=8))
def test_the_items_that_come_out_are_those_that_went_in(
    manager: SessionManager, wanted: list[VideoItem]
) -> None:
    session = manager.open_session(manager.create_session(wanted))
    assert list(session.items()) == wanted
    assert [state.video_id for state in session.states()] == [item.video_id for item in wanted]
    assert session.totals().total == session.totals().queued == len(wanted)


def test_one_setting_can_be_kept_anew_and_the_others_stay(manager: SessionManager) -> None:
    session = manager.open_session(manager.create_session(items(1), settings={"a": "1", "b": 2}))
    session.keep_setting("a", "3")
    session.keep_setting("c", "none")
    assert session.settings == {"a": "3", "b": 2, "c": "none"}


def test_a_session_keeps_what_it_was_made_with(manager: SessionManager, tmp_path: Path) -> None:
    problem = InputProblem(origin="a.txt:3", line=3, text="htp", message="no", suggestion="yes")
    session_id = manager.create_session(
        items(3),
        problems=[problem],
        settings={"model": "Whisper", "out": tmp_path, "languages": ["any"]},
        out_dir=tmp_path,
        name="A course",
    )
    session = manager.open_session(session_id)
    assert session.problems() == [problem]
    assert session.settings == {"model": "Whisper", "out": str(tmp_path), "languages": ["any"]}
    info = session.info()
    assert (info.name, info.out_dir, info.status) == ("A course", str(tmp_path), SessionStatus.NEW)
    assert info.session_id.startswith("20260101-0000")


def test_halves_of_characters_do_not_keep_a_session_from_being_made(
    manager: SessionManager,
) -> None:
    """A file name in another encoding, and a title out of JSON that was cut."""
    item = VideoItem(video_id="aaaaaaaaaaa", title="\ud83d", origin="caf\udce9.txt:1")
    problem = InputProblem(origin="caf\udce9.txt:2", text="\udce9", message="no link")
    session = manager.open_session(manager.create_session([item], problems=[problem]))
    (found,) = session.items()
    assert (found.title, found.origin) == ("?", "caf?.txt:1")
    session.save_states([VideoState(video_id="aaaaaaaaaaa", title="\ud83d", error="\udce9")])
    assert session.count(search="\ud83d") == 1


def test_a_secret_stays_out_of_the_store(manager: SessionManager) -> None:
    with pytest.raises(ValueError, match="deapi_api_key"):
        manager.create_session([], settings={"deapi_api_key": "x"})
    manager.create_session([], settings={"deapi_api_key": "", "proxy": None})


def test_a_video_twice_makes_no_session_at_all(manager: SessionManager) -> None:
    with pytest.raises(ValueError, match="once"):
        manager.create_session([*items(3), *items(1)])
    assert manager.list_sessions() == []


def test_ids_differ_also_within_a_second(database: Database, clock: FakeClock) -> None:
    tails = iter(["aaaa", "aaaa", "bbbb"])
    manager = SessionManager(database, clock, tail=lambda: next(tails))
    assert manager.create_session([]).endswith("-aaaa")
    assert manager.create_session([]).endswith("-bbbb")


def test_a_session_is_found_by_its_beginning_or_end(database: Database, clock: FakeClock) -> None:
    tails = iter(["aaaa", "bbbb"])
    manager = SessionManager(database, clock, tail=lambda: next(tails))
    assert manager.latest() is None
    with pytest.raises(InputError, match="no session yet"):
        manager.resolve("")
    first = manager.create_session([])
    clock.advance(61)
    second = manager.create_session([])
    assert manager.latest() == second
    assert manager.resolve(first) == manager.resolve("aaaa") == manager.resolve(first[:14]) == first
    with pytest.raises(InputError, match="several sessions") as caught:
        manager.resolve("2026")
    assert first in str(caught.value)
    with pytest.raises(InputError, match="no session '%'"):
        manager.resolve("%")
    with pytest.raises(InputError, match="no session"):
        manager.open_session("2026")
    assert [info.session_id for info in manager.list_sessions()] == [second, first]
    assert [info.session_id for info in manager.list_sessions(limit=1)] == [second]


def test_pages_are_filtered_sorted_and_counted(manager: SessionManager) -> None:
    wanted = [
        VideoItem(video_id="aaaaaaaaaaa", title="Beta 100%", duration_s=30),
        VideoItem(video_id="bbbbbbbbbbb", title="alpha", duration_s=None, channel="Chan"),
        VideoItem(video_id="ccccccccccc", title=None, duration_s=10),
    ]
    session = manager.open_session(manager.create_session(wanted))

    def ids(**how: object) -> str:
        return "".join(state.video_id[0] for state in session.states(**how))  # type: ignore[arg-type]  # keywords of many types

    assert ids() == "abc"
    assert ids(sort=VideoSort.TITLE) == "bac"
    assert ids(sort=VideoSort.TITLE, descending=True) == "abc"  # without title: last, both ways
    assert ids(sort=VideoSort.DURATION) == "cab"
    assert ids(offset=1, limit=1) == "b"
    assert ids(search="BETA") == "a"
    assert ids(search="chan") == "b"
    assert ids(search="ccc") == "c"
    assert ids(search="100%") == "a"
    assert ids(search="1_0") == ""  # no wildcards
    session.save_states([VideoState(video_id="aaaaaaaaaaa", stage=Stage.CAPTIONS)])
    assert ids(stages=[Stage.CAPTIONS]) == "a"
    assert ids(stages=[]) == ""
    assert session.count() == 3
    assert session.count(stages=[Stage.QUEUED], search="alpha") == 1
    assert [item.video_id[0] for item in session.items(stages=[Stage.QUEUED])] == ["b", "c"]


def test_walking_through_a_session_takes_every_video_once(manager: SessionManager) -> None:
    wanted = items(2_500)  # more than are read at a time, and not a multiple
    session = manager.open_session(manager.create_session(wanted))
    assert list(session.items()) == wanted
    assert [state.position for state in session.all_states()] == list(range(2_500))


def test_every_end_is_kept_with_its_reason(manager: SessionManager, clock: FakeClock) -> None:
    session = manager.open_session(manager.create_session(items(6)))
    ids = [item.video_id for item in session.items()]
    now = clock.now()
    ends: list[VideoResult] = [
        Succeeded(video_id=ids[0], source="captions", files=("/out/a.md",), was_known=True),
        Failed(video_id=ids[1], error=gone(ids[1]), can_retry=True),
        Skipped(video_id=ids[2], error=gone(ids[2])),
        InDoubt(video_id=ids[3], error=InDoubtError("lost", video_id=ids[3])),
        Cancelled(video_id=ids[4]),
        Crashed(video_id=ids[5], error=ZeroDivisionError("private words")),
    ]
    for end in ends:
        session.finish(VideoState(video_id=end.video_id, stage=end.stage, finished_at=now), end)
    done = session.state(ids[0])
    failed = session.state(ids[1])
    assert done is not None
    assert failed is not None
    assert (done.stage, done.source, done.files) == (Stage.DONE, "captions", ("/out/a.md",))
    assert (failed.error, failed.error_code, failed.next_step) == ("it is gone", "absent", "look")
    assert failed.can_retry
    assert failed.finished_at == now
    crashed = session.state(ids[5])
    assert crashed is not None
    assert (crashed.error_code, crashed.error) == (
        "crashed",
        "ZeroDivisionError inside the program",
    )
    totals = session.totals()
    assert (totals.done, totals.failed, totals.skipped, totals.in_doubt, totals.cancelled) == (
        1, 2, 1, 1, 1,
    )  # fmt: skip
    assert session.state("zzzzzzzzzzz") is None
    assert session.item("zzzzzzzzzzz") is None


def test_news_that_come_after_the_end_come_too_late(manager: SessionManager) -> None:
    """The once-a-second writer may hold an older state when the end is written."""
    session = manager.open_session(manager.create_session(items(1)))
    (item,) = session.items()
    state = VideoState(video_id=item.video_id, stage=Stage.SAVING)
    session.finish(state, Succeeded(video_id=item.video_id, source="captions"))
    session.save_states([state])
    assert session.totals().done == 1


def test_an_end_of_a_video_that_is_not_there_is_an_error(manager: SessionManager) -> None:
    session = manager.open_session(manager.create_session([]))
    end = Succeeded(video_id="zzzzzzzzzzz", source="captions")
    with pytest.raises(StoreError, match="no video zzzzzzzzzzz"):
        session.finish(VideoState(video_id="zzzzzzzzzzz"), end)


@pytest.fixture
def other(place: Path | str) -> Iterator[Database]:
    """The same database as another process has it open."""
    with open_database(place) as opened:
        yield opened


def test_two_engines_never_take_the_same_session(
    manager: SessionManager, other: Database, clock: FakeClock
) -> None:
    session_id = manager.create_session(items(1))
    session = manager.claim_engine(session_id)
    session.heartbeat()
    others = SessionManager(other, clock)
    with pytest.raises(InputError, match=f"worked on by process {os.getpid()}"):
        others.claim_engine(session_id)
    with pytest.raises(InputError, match="worked on"):
        others.prepare_resume(session_id)
    with pytest.raises(InputError, match="worked on"):
        others.delete_session(session_id)
    assert others.open_session(session_id).info().status is SessionStatus.RUNNING
    session.heartbeat(is_paused=True)
    assert others.open_session(session_id).info().status is SessionStatus.PAUSED
    with pytest.raises(StoreError, match="does not have the session"):
        others.open_session(session_id).heartbeat()


def test_the_claim_of_a_dead_engine_is_taken_over(
    manager: SessionManager, other: Database, clock: FakeClock
) -> None:
    others = SessionManager(other, clock)
    session_id = others.create_session(items(1))
    others.claim_engine(session_id)
    other.close()  # what the operating system does for a killed process
    assert manager.open_session(session_id).info().status is SessionStatus.INTERRUPTED
    assert manager.list_sessions()[0].status is SessionStatus.INTERRUPTED
    manager.claim_engine(session_id)
    assert manager.open_session(session_id).info().status is SessionStatus.RUNNING


def test_a_run_ends_finished_or_stopped_with_its_reason(manager: SessionManager) -> None:
    session_id = manager.create_session(items(1))
    session = manager.claim_engine(session_id)
    error = StoreError("no space", next_step="free some")
    assert session.release_engine(stopped_by=error) is SessionStatus.STOPPED
    info = session.info()
    assert (info.stopped_reason, info.stopped_next_step, info.stopped_code) == (
        "no space",
        "free some",
        "store",
    )
    session = manager.claim_engine(session_id)
    assert session.info().stopped_reason == ""
    assert session.release_engine(was_interrupted=True) is SessionStatus.STOPPED
    assert "request" in session.info().stopped_reason
    session = manager.claim_engine(session_id)
    (item,) = session.items()
    session.finish(VideoState(video_id=item.video_id), Failed(video_id="x", error=gone("x")))
    assert session.release_engine() is SessionStatus.FINISHED
    assert not session.info().is_live
    with pytest.raises(StoreError, match="does not have"):
        session.release_engine()


def test_resume_takes_up_what_is_left_and_retry_what_may_work(
    manager: SessionManager, database: Database, clock: FakeClock
) -> None:
    session_id = manager.create_session(items(9))
    session = manager.claim_engine(session_id)
    ids = [item.video_id for item in session.items()]
    ends: list[VideoResult] = [
        Succeeded(video_id=ids[0], source="captions"),
        Failed(video_id=ids[1], error=gone(ids[1]), can_retry=True),
        Failed(video_id=ids[2], error=gone(ids[2]), can_retry=False),
        Skipped(video_id=ids[3], error=gone(ids[3]), can_retry=True),
        Skipped(video_id=ids[4], error=gone(ids[4]), can_retry=False),
        Cancelled(video_id=ids[5]),
        InDoubt(video_id=ids[6], error=InDoubtError("lost", video_id=ids[6])),
    ]
    for end in ends:
        session.finish(VideoState(video_id=end.video_id, worker="w"), end)
    session.save_states([VideoState(video_id=ids[7], stage=Stage.TRANSCRIBING, worker="w")])
    ledger = SubmissionLedger(database, clock, session_id)
    lost = ledger.intend(ContentKey(video_id=ids[6], source="deapi"))
    ledger.mark_sent(lost.submission_id)
    ledger.doubt(lost.submission_id, "cut")

    def queued() -> list[int]:
        return [state.position for state in session.states(stages=[Stage.QUEUED])]

    assert manager.prepare_resume(session_id) == 3
    assert queued() == [5, 7, 8]
    again = session.state(ids[7])
    assert again is not None
    assert again.worker is None
    assert manager.prepare_resume(session_id, retry_failed=True) == 5
    assert queued() == [1, 3, 5, 7, 8]
    ledger.decide_in_doubt(lost.submission_id, Decision.RESEND)
    assert manager.prepare_resume(session_id) == 6
    assert session.totals().done == 1


def test_a_deleted_session_is_gone_and_its_money_is_not(
    manager: SessionManager, database: Database, clock: FakeClock
) -> None:
    session_id = manager.create_session(
        items(2), problems=[InputProblem(origin="a", text="b", message="c")]
    )
    ledger = SubmissionLedger(database, clock, session_id)
    key = ContentKey(video_id="v0000000000", source="deapi")
    ledger.intend(key)
    manager.delete_session(session_id)
    assert manager.list_sessions() == []
    assert ledger.find_open(key) is not None
    with pytest.raises(InputError, match="no session"):
        manager.delete_session(session_id)
    with database.read() as connection:
        left = connection.exec_driver_sql("SELECT count(*) FROM videos").scalar()
    assert left == 0


def test_what_was_wished_of_an_ended_engine_is_not_done_by_the_next(
    manager: SessionManager,
) -> None:
    """A second click on Stop came after the end, and stopped the resumed run at once."""
    session = manager.claim_engine(manager.create_session([]))
    session.release_engine(was_interrupted=True)
    session.wish(Wish.STOP)
    assert manager.claim_engine(session.session_id).take_wishes() == []
    session.wish(Wish.PAUSE)
    assert [made.wish for made in session.take_wishes()] == [Wish.PAUSE]


def test_a_wish_is_given_out_once_and_in_order(
    manager: SessionManager, other: Database, clock: FakeClock
) -> None:
    session = manager.open_session(manager.create_session([]))
    page = SessionManager(other, clock).open_session(session.session_id)
    assert session.take_wishes() == []
    page.wish(Wish.PAUSE)
    page.wish(Wish.CONCURRENCY, "20")
    taken = session.take_wishes()
    assert [(made.wish, made.value) for made in taken] == [
        (Wish.PAUSE, ""),
        (Wish.CONCURRENCY, "20"),
    ]
    assert taken[0].made_at == clock.now()
    assert session.take_wishes() == []
