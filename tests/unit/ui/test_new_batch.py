"""The page "New batch" in each of its states, against the simulator where it asks anybody."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from bulk_transcribe.app.launch import LaunchError
from bulk_transcribe.config import load
from bulk_transcribe.simulator import Simulator, SimulatorConfig
from bulk_transcribe.ui import drafts
from tests.unit.ui.stage import SOON_S, Stage, shown, stage

A, B, C = "dQw4w9WgXcQ", "9bZkp7q19f0", "jNQXAC9IVRw"


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(SimulatorConfig(clock_speed=200.0)) as running:
        yield running


@pytest.fixture
def offline(tmp_path: Path) -> Iterator[Stage]:
    """No keys, and nobody to ask."""
    nowhere = "http://127.0.0.1:9"
    with stage(tmp_path, deapi_base_url=nowhere, youtube_base_url=nowhere) as ready:
        yield ready


@pytest.fixture
def online(tmp_path: Path, simulator: Simulator) -> Iterator[Stage]:
    """Both keys, and the simulator."""
    found = load({}, simulator.environment(), tmp_path).settings
    names = [each.name for each in dataclasses.fields(found) if each.name not in {"home", "out"}]
    with stage(tmp_path, **{name: getattr(found, name) for name in names}) as ready:
        yield ready


def button(at: AppTest, label: str) -> Any:
    (found,) = [each for each in at.button if each.label.startswith(label)]
    return found


def metrics(at: AppTest) -> dict[str, str]:
    return {each.label: each.value for each in at.metric}


def settled(at: AppTest) -> AppTest:
    """After all that goes on behind the page has ended."""
    for _ in range(5):
        draft = at.session_state["new_batch"]
        jobs = [job for job in (draft.reading, draft.outlook, draft.beginning) if job is not None]
        assert all(job.wait(SOON_S) for job in jobs)
        at.run()
        assert not at.exception, at.exception
    return at


def read(at: AppTest, text: str) -> AppTest:
    at.run()
    at.text_area[0].set_value(text).run()
    button(at, "Read the list").click().run()
    return settled(at)


def test_an_empty_page_says_how_to_begin_and_offers_no_start(offline: Stage) -> None:
    at = offline.app("new_batch").run()
    assert not at.exception
    at = button(at, "Read the list").click().run()  # it waits for the text, not the other way
    assert not at.exception
    assert "Paste links or upload a file to begin" in shown(at)
    assert not at.metric
    assert [each.label for each in at.button if each.label.startswith("Start")] == []


def test_pasted_links_are_counted_and_bad_lines_are_named(offline: Stage) -> None:
    at = read(offline.app("new_batch"), f"https://youtu.be/{A}\nhello world\n{A}\n{B}")
    assert metrics(at)["Videos"] == "2"
    assert metrics(at)["Not understood"] == "1"
    assert metrics(at)["Twice in the list"] == "1"
    understood, problems = at.dataframe[0].value, at.dataframe[1].value
    assert list(understood["Video"]) == [f"https://www.youtube.com/watch?v={id_}" for id_ in (A, B)]
    assert list(understood["From"]) == ["pasted text:1", "pasted text:4"]
    assert list(problems["Where"]) == ["pasted text, line 2"]
    assert list(problems["Text"]) == ["hello world"]


def test_text_without_any_video_is_an_empty_state_not_an_error(offline: Stage) -> None:
    at = read(offline.app("new_batch"), "nothing here")
    assert "No video was found" in shown(at)
    assert metrics(at)["Videos"] == "0"
    assert not [each for each in at.button if each.label.startswith("Start")]


def test_a_pasted_path_is_not_opened(offline: Stage, tmp_path: Path) -> None:
    secret = tmp_path / "private.txt"
    secret.write_text(f"https://youtu.be/{A}")
    at = read(offline.app("new_batch"), str(secret))
    assert metrics(at)["Videos"] == "0"


def test_without_a_key_the_forecast_says_captions_alone(offline: Stage) -> None:
    at = read(offline.app("new_batch"), A)
    assert "No deAPI key" in shown(at)
    assert metrics(at)["Balance"] == "-"
    assert not button(at, "Start 1 video").disabled


def test_the_column_of_an_upload_can_be_chosen(offline: Stage) -> None:
    at = offline.app("new_batch").run()
    table = f"First,Second\nhttps://youtu.be/{A},https://youtu.be/{B}\n"
    at.file_uploader[0].set_value([("list.csv", table.encode(), "text/csv")]).run()
    (column,) = [each for each in at.selectbox if each.label.startswith("Column of links")]
    assert column.options == ["First", "Second"]
    assert column.value == 0
    column.set_value(1).run()
    button(at, "Read the list").click().run()
    settled(at)
    (understood,) = [each.value for each in at.dataframe if "Video" in each.value]
    assert list(understood["Video"]) == [f"https://www.youtube.com/watch?v={B}"]
    assert list(understood["From"]) == ["list.csv:2"]


def test_a_damaged_workbook_is_told_where_it_was_uploaded(offline: Stage) -> None:
    at = offline.app("new_batch").run()
    at.file_uploader[0].set_value([("list.xlsx", b"no workbook", "")]).run()
    assert not at.exception
    assert len(at.error) == 1


def test_a_changed_list_has_to_be_read_again_before_the_start(offline: Stage) -> None:
    at = read(offline.app("new_batch"), A)
    at.text_area[0].set_value(f"{A}\n{B}").run()
    assert button(at, "Start").disabled
    assert "read it again" in shown(at)


@pytest.mark.parametrize(
    ("label", "value", "message"),
    [
        ("Caption languages", "english!", "not a language code"),
        ("Caption languages", " , ", "Name a language"),
        ("Folder for the files", " ", "Name a folder"),
    ],
)
def test_a_choice_that_cannot_be_used_is_told_and_blocks(
    offline: Stage, label: str, value: str, message: str
) -> None:
    at = read(offline.app("new_batch"), A)
    (box,) = [each for each in at.text_input if each.label.startswith(label)]
    box.set_value(value).run()
    assert message in at.error[0].value
    assert button(at, "Start").disabled


def test_the_forecast_has_cost_time_for_each_order_and_balance(online: Stage) -> None:
    at = read(online.app("new_batch"), f"{A}\n{B}\n{C}")
    found = metrics(at)
    assert found["Videos to do"] == "3"
    assert "$" in found["Cost"]
    assert found["Balance"].startswith("$")
    assert found["Material"] not in {"-", "0 s"}
    orders = at.table[0].value
    assert list(orders["Order"]) == ["Shortest first (chosen)", "Longest first", "As in the list"]
    assert all(orders["Time to the end"])


def test_more_at_once_gives_a_new_forecast(online: Stage) -> None:
    at = read(online.app("new_batch"), "\n".join(f"vid{n:08d}" for n in range(20)))
    before = list(at.table[0].value["Time to the end"])
    at.toggle[0].set_value(True).run()
    settled(at)
    assert list(at.table[0].value["Time to the end"]) != before


def test_the_start_stores_the_choice_and_goes_to_the_monitor(online: Stage, tmp_path: Path) -> None:
    at = read(online.app("new_batch"), f"{A}\n{B}\nno link")
    at.toggle[0].set_value(True).run()
    at.slider[0].set_value(4)
    (mode,) = [each for each in at.selectbox if each.label == "Use of the limit"]
    mode.set_value("conservative")
    (name,) = [each for each in at.text_input if each.label.startswith("Name of")]
    name.set_value("My *batch*").run()
    settled(at)
    begin = button(at, "Start 2 videos")
    begin.click().run()
    settled(at)
    ((session_id, wanted),) = online.launch.started
    assert online.went == [("monitor", session_id)]
    assert wanted.overrides == {"rate_limit_mode": "conservative", "rate_limit_rpm": "300"}
    session = online.sessions.open_session(session_id)
    assert session.info().name == "My *batch*"
    assert session.info().totals.total == 2
    assert len(session.problems()) == 1
    assert session.settings["max_concurrent"] == 4
    assert session.settings["out"] == str(tmp_path / "out")
    assert at.text_area[0].value == ""


def test_an_engine_that_does_not_start_leaves_the_session_and_says_why(online: Stage) -> None:
    online.launch.refusal = LaunchError("The key is wrong.", next_step="Set another one.")
    at = read(online.app("new_batch"), A)
    button(at, "Start 1 video").click().run()
    settled(at)
    assert online.went == []
    assert "The key is wrong" in at.error[0].value
    session_id = online.sessions.latest()
    assert session_id is not None
    assert session_id in shown(at)


def test_a_folder_that_cannot_be_written_stores_nothing(online: Stage, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    at = read(online.app("new_batch"), A)
    (out,) = [each for each in at.text_input if each.label.startswith("Folder for")]
    out.set_value(str(tmp_path / "taken")).run()
    settled(at)
    button(at, "Start 1 video").click().run()
    settled(at)
    assert len(at.error) == 1
    assert online.sessions.latest() is None


def test_a_list_that_is_too_wrong_is_given_up(offline: Stage) -> None:
    at = read(offline.app("new_batch"), "not a link\n" * (drafts.MOST_PROBLEMS + 1))
    assert "are not links" in at.error[0].value
    assert not at.metric


def test_a_text_that_ends_with_the_click_on_read_is_read(offline: Stage) -> None:
    """A browser sends both at once: the text area is left by the click."""
    at = offline.app("new_batch").run()
    at.text_area[0].set_value(A).run()
    at.text_area[0].set_value(f"{A}\n{B}")
    button(at, "Read the list").click().run()
    settled(at)
    assert metrics(at)["Videos"] == "2"
    (name,) = [each for each in at.text_input if each.label.startswith("Name of")]
    name.set_value("named at last")
    button(at, "Start 2 videos").click().run()
    settled(at)
    ((session_id, _),) = offline.launch.started
    assert offline.sessions.open_session(session_id).info().name == "named at last"


def test_a_changed_choice_asks_no_more_videos_for_captions(
    online: Stage, simulator: Simulator
) -> None:
    at = read(online.app("new_batch"), "\n".join(f"prb{n:08d}" for n in range(30)))
    asked = simulator.ledger().counts["watch"]
    assert "asked have captions" in shown(at)
    at.toggle[0].set_value(True).run()
    settled(at)
    assert simulator.ledger().counts["watch"] == asked


def test_the_cost_limit_is_kept_with_the_session_and_warned_of(online: Stage) -> None:
    at = read(online.app("new_batch"), "\n".join(f"lim{n:08d}" for n in range(30)))
    (most,) = [each for each in at.number_input if each.label.startswith("Most to spend")]
    most.set_value(0.0).run()
    settled(at)
    assert "The limit" in shown(at)
    button(at, "Start 30 videos").click().run()
    settled(at)
    ((session_id, _),) = online.launch.started
    assert online.sessions.open_session(session_id).settings["max_cost_usd"] == "0.0"
