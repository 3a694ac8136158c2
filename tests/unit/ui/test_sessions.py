"""The list of sessions: look at one, go on with it, delete it after a question."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from bulk_transcribe.app.launch import LaunchError
from bulk_transcribe.core.outcome import Succeeded
from bulk_transcribe.core.stage import Stage as At
from bulk_transcribe.core.video import VideoItem
from tests.unit.ui.stage import Stage, shown, stage


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as made:
        yield made


def new_session(here: Stage, name: str = "", count: int = 2) -> str:
    items = [VideoItem(video_id=f"video{n:06d}") for n in range(count)]
    return here.sessions.create_session(items, name=name)


def look(here: Stage) -> AppTest:
    at = here.app("sessions").run()
    assert not at.exception
    return at


def test_without_any_it_says_how_to_begin(here: Stage) -> None:
    at = look(here)
    assert "No batch was started yet" in shown(at)
    at.button[0].click().run()
    assert here.went == [("new", None)]


def test_the_newest_is_first_and_names_stay_text(here: Stage) -> None:
    new_session(here, "first <b>")
    new_session(here, "**second**")
    at = look(here)
    names = [each.value.replace("\\", "") for each in at.markdown]
    wanted = [name for name in names if "first" in name or "second" in name]
    assert wanted == ["****second****", "**first <b>**"]
    assert "\\*\\*second" in at.markdown[0].value


def test_one_can_be_watched_and_read(here: Stage) -> None:
    session_id = new_session(here)
    look(here).button(key=f"watch_{session_id}").click().run()
    look(here).button(key=f"read_{session_id}").click().run()
    assert here.went == [("monitor", session_id), ("results", session_id)]


def test_one_that_has_work_left_can_be_resumed(here: Stage) -> None:
    session_id = new_session(here)
    look(here).button(key=f"resume_{session_id}").click().run()
    assert [each for each, _ in here.launch.resumed] == [session_id]
    assert here.went == [("monitor", session_id)]


def test_a_refusal_is_shown(here: Stage) -> None:
    here.launch.refusal = LaunchError("The engine ended: no disk.")
    session_id = new_session(here)
    at = look(here).button(key=f"resume_{session_id}").click().run()
    assert "no disk" in at.error[0].value
    assert here.went == []


def test_nothing_is_deleted_without_a_yes(here: Stage) -> None:
    session_id = new_session(here, "mine")
    at = look(here).button(key=f"delete_{session_id}").click().run()
    assert here.sessions.latest() == session_id
    assert "The files, the transcripts" in shown(at)
    at.button(key="delete_no").click().run()
    assert here.sessions.latest() == session_id
    at = look(here).button(key=f"delete_{session_id}").click().run()
    at.button(key="delete_yes").click().run()
    assert here.sessions.latest() is None


def test_what_is_worked_on_can_neither_be_resumed_nor_deleted(here: Stage) -> None:
    session_id = new_session(here)
    here.sessions.claim_engine(session_id)
    keys = {button.key for button in look(here).button}
    assert f"watch_{session_id}" in keys
    assert not {f"resume_{session_id}", f"delete_{session_id}"} & keys


def test_a_finished_one_has_nothing_to_resume(here: Stage) -> None:
    session_id = new_session(here, count=1)
    session = here.sessions.claim_engine(session_id)
    [state] = session.states()
    session.finish(
        state.moved(At.DONE, here.clock.now()),
        Succeeded(video_id=state.video_id, source="captions"),
    )
    session.release_engine()
    at = look(here)
    assert f"resume_{session_id}" not in {button.key for button in at.button}
    assert "1 of 1 done" in at.get("progress")[0].proto.text


def test_many_come_in_pages(here: Stage) -> None:
    ids = [new_session(here, str(n), count=0) for n in range(23)]
    at = look(here)
    assert sum((button.key or "").startswith("watch_") for button in at.button) == 20
    at.number_input(key="sessions_page").set_value(2).run()
    shown_ids = {button.key for button in at.button if (button.key or "").startswith("watch_")}
    assert shown_ids == {f"watch_{session_id}" for session_id in ids[:3]}
