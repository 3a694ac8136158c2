"""The monitor in every state a session can be in, read as a person would."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from bulk_transcribe.app.launch import LaunchError, Wanted
from bulk_transcribe.core.attempt import AttemptOutcome, SourceAttempt
from bulk_transcribe.core.outcome import Cancelled, Failed, InDoubt, Succeeded
from bulk_transcribe.core.stage import Stage as At
from bulk_transcribe.core.stage import WaitReason
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.errors import AuthError, InDoubtError, TranscriptFailedError
from bulk_transcribe.save.pulses import Belief, Pulse, Pulses
from bulk_transcribe.save.session import Session, SessionStatus, Wish
from bulk_transcribe.ui.words import one_line
from tests.unit.ui.stage import Stage, shown, stage

HOSTILE = "<b>x</b> **y** [z](http://evil) $q$ :red[r]"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as made:
        yield made


def new_session(here: Stage, count: int = 6, *, slots: int = 2) -> Session:
    items = [
        VideoItem(video_id=f"video{n:06d}", title=f"Title {n}", duration_s=60.0 * n)
        for n in range(count)
    ]
    session_id = here.sessions.create_session(
        items, name="lectures", settings={"max_concurrent": slots}, out_dir="/somewhere"
    )
    return here.sessions.open_session(session_id)


def running(here: Stage, count: int = 6, *, slots: int = 2) -> Session:
    """Two in flight, one done, one failed, the rest waiting."""
    session = here.sessions.claim_engine(new_session(here, count, slots=slots).session_id)
    now = here.clock.now()
    states = session.states()
    done, failed, first, second = states[:4]
    session.finish(
        replace(done.moved(At.DONE, now), started_at=now, finished_at=now),
        Succeeded(video_id=done.video_id, source="captions"),
    )
    error = TranscriptFailedError(
        "the service gave it up", video_id=failed.video_id, request_id="job-7"
    )
    error.next_step = "Try it again."
    session.finish(
        failed.moved(At.FAILED, now), Failed(video_id=failed.video_id, error=error, can_retry=True)
    )
    tried = SourceAttempt(
        video_id=failed.video_id,
        source="deapi",
        started_at=now,
        ended_at=now + timedelta(seconds=31),
        outcome=AttemptOutcome.FAILED,
        error="422: audio **too** quiet",
        error_code="job_failed",
    )
    session.save_news(attempts=[tried])
    flying = [
        replace(
            first.moved(At.TRANSCRIBING, now, progress=0.43, started_at=now),
            worker="video_processor_1",
            title=HOSTILE,
        ),
        replace(
            second.moved(At.SUBMITTING, now, started_at=now),
            worker="video_processor_0",
            waiting=WaitReason.LIMIT,
        ),
    ]
    session.save_states(flying if slots > 1 else flying[:1])
    beat(here, session, slots=slots)
    return session


def beat(here: Stage, session: Session, *, slots: int = 2, **changes: object) -> None:
    pulse = Pulse(
        at=here.clock.now(),
        finished=2,
        active=2,
        slots=slots,
        is_auto=False,
        is_draining=False,
        low_s=600.0,
        likely_s=700.0,
        high_s=900.0,
        videos_per_min=3.25,
        limited_60s=212,
        limit_60s=300,
        spent_usd=Decimal("0.5"),
        belief=Belief(summary="auto: 212 of 300 a minute", why=("one *pool* for all",)),
    )
    writer = Pulses(here.database, session.session_id)
    writer.write(replace(pulse, **changes))  # type: ignore[arg-type]  # fields by name
    writer.write(replace(pulse, **changes, at=here.clock.now()))  # type: ignore[arg-type]


def look(here: Stage, session: Session | None = None) -> AppTest:
    at = here.app("monitor", None if session is None else session.session_id).run()
    assert not at.exception
    return at


def numbers(at: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in at.metric}


def buttons(at: AppTest) -> set[str]:
    return {button.label for button in at.button}


def bars(at: AppTest) -> list[tuple[int, str]]:
    """Percent and words of each bar; those of the whole stand beside it."""
    at_whole = next(
        (text.value for text in at.markdown if re.search(r"^No videos|\d finished", text.value)), ""
    )
    return [(bar.proto.value, bar.proto.text or at_whole) for bar in at.get("progress")]


def test_an_empty_store_says_how_to_begin(here: Stage) -> None:
    at = look(here)
    assert "Nothing here yet" in shown(at)
    at.button[0].click().run()
    assert here.went == [("new", None)]


def test_a_new_session_can_be_started(here: Stage) -> None:
    session = new_session(here)
    at = look(here, session)
    assert numbers(at)["Waiting"] == "6"
    assert "Nobody has worked on it yet" in shown(at)
    at.button(key="resume").click().run()
    assert here.launch.resumed == [(session.session_id, Wanted(concurrency=2))]


def test_a_session_without_videos_is_shown(here: Stage) -> None:
    at = look(here, new_session(here, 0))
    assert bars(at)[0] == (100, "No videos in this session")


def test_a_parallel_run_shows_its_numbers_and_a_bar_for_each_worker(here: Stage) -> None:
    at = look(here, running(here))
    found = numbers(at)
    assert (found["Done"], found["Failed"], found["Active"], found["Waiting"]) == (
        "1",
        "1",
        "2",
        "2",
    )
    assert found["Videos a minute"] == "3.2"
    assert found["Requests, last minute"] == "212 / 300"
    assert found["Spent"] == "$0.00"
    overall, *active = bars(at)
    assert overall == (33, "2 of 6 finished · 33% · 10 min to 15 min left")
    assert [value for value, _ in active] == [0, 43]  # by worker, 0 first
    assert "In progress" in shown(at)
    assert "Transcribing · 43%" in shown(at)
    assert "waiting for the rate limit" in shown(at)


def test_a_sequential_run_shows_one_current_video(here: Stage) -> None:
    at = look(here, running(here, slots=1))
    assert "Current video" in shown(at)
    assert len(bars(at)) == 2


def test_titles_stay_text(here: Stage) -> None:
    at = look(here, running(here))
    label = bars(at)[2][1]
    assert "\\<b\\>" in label
    assert "\\*\\*y\\*\\*" in label
    assert "\\[z\\]" in label
    assert HOSTILE in list(at.dataframe[0].value["Title"])  # the table knows no Markdown


def test_the_table_has_all_videos(here: Stage) -> None:
    session = running(here, 40)
    at = look(here, session)
    frame = at.dataframe[0].value
    assert list(frame["#"]) == list(range(1, 41))
    assert list(frame["Status"][:5]) == ["Done", "Failed", "Transcribing", "Sending", "Waiting"]
    assert frame["Why"][1] == "the service gave it up"
    assert frame["Why"][3] == "waiting for the rate limit"
    assert frame["Length"][2] == 2.0


def test_it_can_be_filtered_searched_and_sorted(here: Stage) -> None:
    session = running(here, 40)
    at = look(here, session)
    at.text_input[0].set_value("title 1").run()
    titles = list(at.dataframe[0].value["Title"])
    assert titles == ["Title 1", *(f"Title {n}" for n in range(10, 20))]
    at.selectbox(key=f"sort_{session.session_id}").set_value("Longest first").run()
    assert at.dataframe[0].value["Title"][0] == "Title 19"
    at.text_input[0].set_value("nobody").run()
    assert not at.dataframe
    assert "No video fits" in shown(at)
    at.text_input[0].set_value("").run()
    at.button_group[0].set_value(["Failed", "Done"]).run()
    assert list(at.dataframe[0].value["Status"]) == ["Failed", "Done"]


def test_a_failure_opens_to_cause_step_and_answer(here: Stage) -> None:
    at = look(here, running(here))
    [trouble] = [each for each in at.expander if "Title 1" in each.label]
    words = " ".join(each.value for each in trouble.markdown)
    assert "the service gave it up" in words
    assert "Try it again" in words.replace("\\", "")
    assert "422: audio **too** quiet" in trouble.code[0].value


def test_wishes_reach_the_engine(here: Stage) -> None:
    session = running(here)
    at = look(here, session)
    assert {"Pause", "Stop", "Apply"} <= buttons(at)
    assert "Resume" not in buttons(at)
    at.button(key="wish_pace").click().run()
    at.number_input(key=f"slots_{session.session_id}_live_2").set_value(7).run()
    at.button(key="apply_slots").click().run()
    at.button(key="wish_stop").click().run()
    wishes = [(made.wish, made.value) for made in session.take_wishes()]
    assert wishes == [(Wish.PAUSE, ""), (Wish.CONCURRENCY, "7"), (Wish.STOP, "")]


def test_a_paused_run_can_go_on(here: Stage) -> None:
    session = running(here)
    session.heartbeat(is_paused=True)
    at = look(here, session)
    assert "Paused. 2 videos in flight" in shown(at)
    assert "Pause" not in buttons(at)
    at.button(key="wish_pace").click().run()
    assert [made.wish for made in session.take_wishes()] == [Wish.RESUME]


def test_a_stopping_run_can_be_stopped_now(here: Stage) -> None:
    session = running(here)
    beat(here, session, is_draining=True)
    at = look(here, session)
    assert "Stopping" in shown(at)
    assert buttons(at) == {"Pause", "Stop now"}  # each keeps its place
    assert at.button(key="wish_pace").disabled
    at.button(key="wish_stop").click().run()
    assert [(made.wish, made.value) for made in session.take_wishes()] == [(Wish.STOP, "now")]


def test_an_interrupted_session_can_be_resumed_and_retried(here: Stage, tmp_path: Path) -> None:
    session = running(here)
    with stage(tmp_path) as other:  # another opening of the same store: the first one has ended
        here.database.close()
        at = look(other, session)
        assert (
            other.context(session.session_id).store.overview(session.session_id).info.status
            is SessionStatus.INTERRUPTED
        )
        assert "engine ended without a word" in shown(at)
        assert numbers(at)["Unfinished"] == "2"
        assert "Active" not in numbers(at)
        assert "left" not in bars(at)[0][1]
        at.button(key="retry").click().run()
        at.button(key="resume").click().run()
        assert [each for each, _ in other.launch.retried] == [session.session_id]
        assert [each for each, _ in other.launch.resumed] == [session.session_id]


def test_a_run_that_an_error_stopped_says_what_to_do(here: Stage) -> None:
    session = running(here)
    session.release_engine(
        stopped_by=AuthError("deAPI does not know the *key*.", next_step="Set DEAPI_API_KEY.")
    )
    at = look(here, session)
    text = shown(at).replace("\\", "")
    assert "deAPI does not know the *key*" in text
    assert "Set DEAPI_API_KEY" in text
    assert {"Resume", "Retry 1 failed"} <= buttons(at)


def test_a_finished_session_needs_no_buttons(here: Stage) -> None:
    session = here.sessions.claim_engine(new_session(here, 2).session_id)
    for state in session.states():
        done = Succeeded(video_id=state.video_id, source="captions")
        session.finish(state.moved(At.DONE, here.clock.now()), done)
    session.release_engine()
    at = look(here, session)
    assert "All 2 videos have their transcripts" in shown(at)
    assert not buttons(at)
    assert bars(at) == [(100, "2 of 2 finished · 100%")]


def test_what_is_in_doubt_and_what_was_left_is_named(here: Stage) -> None:
    session = here.sessions.claim_engine(new_session(here, 3).session_id)
    first, second, _third = session.states()
    now = here.clock.now()
    doubt = InDoubt(
        video_id=first.video_id, error=InDoubtError("its answer was lost", video_id=first.video_id)
    )
    session.finish(first.moved(At.IN_DOUBT, now), doubt)
    session.finish(second.moved(At.CANCELLED, now), Cancelled(video_id=second.video_id))
    session.release_engine(was_interrupted=True)
    at = look(here, session)
    assert (numbers(at)["In doubt"], numbers(at)["Left for later"]) == ("1", "1")
    assert "2 videos left for Resume" in shown(at)
    at.selectbox(key="in_doubt").set_value("skip").run()
    at.button(key="resume").click().run()
    [(_, wanted)] = here.launch.resumed
    assert wanted.in_doubt == "skip"


def test_an_engine_that_does_not_start_is_explained(here: Stage) -> None:
    here.launch.refusal = LaunchError("The engine ended: no *credit*", next_step="Add some.")
    at = look(here, new_session(here))
    at.button(key="resume").click().run()
    assert not at.exception
    assert "no *credit*" in at.error[0].value.replace("\\", "")
    assert "Add some" in shown(at).replace("\\", "")


def test_ten_thousand_videos_are_all_there(here: Stage) -> None:
    session = new_session(here, 10_000)
    at = look(here, session)
    assert len(at.dataframe[0].value) == 10_000
    assert numbers(at)["Waiting"] == "10,000"
    assert "10,000 videos. Search or filter" in shown(at)


def test_the_limiters_belief_is_told(here: Stage) -> None:
    at = look(here, running(here))
    assert "auto: 212 of 300 a minute" in [text.value for text in at.text]
    assert "one *pool* for all" in shown(at).replace("\\", "")


def test_a_name_with_markdown_stays_text(here: Stage) -> None:
    session_id = here.sessions.create_session([], name=HOSTILE)
    at = look(here, here.sessions.open_session(session_id))
    heading = at.subheader[0].value.replace("\\", "").replace("\u2060", "")
    assert heading == one_line(HOSTILE, 80)
    assert "**y**" not in at.subheader[0].value
