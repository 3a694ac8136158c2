"""The page "Settings": what is set and from where, and the checks. Keys are never shown."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from bulk_transcribe.config import Settings, load
from bulk_transcribe.simulator import Faults, Simulator, SimulatorConfig
from bulk_transcribe.ui.pages.settings import keys_of, setting_columns
from tests.unit.ui.stage import SOON_S, Stage, shown, stage

#: Looks like keys, and is nowhere else in the page.
PLANTED: dict[str, Any] = {
    "deapi_api_key": "1|planted-deapi-7f3a",
    "youtube_data_api_key": "planted-youtube-9c1d",
    "proxy": "http://planted-user:planted-word-2b@127.0.0.1:9",
    "webshare_username": "planted-shareuser",
    "webshare_password": "planted-shareword",
}


@pytest.fixture
def online(tmp_path: Path) -> Iterator[tuple[Stage, Simulator]]:
    with Simulator(SimulatorConfig(clock_speed=200.0), faults=Faults()) as simulator:
        found = load({}, simulator.environment(), tmp_path).settings
        names = [
            each.name for each in dataclasses.fields(found) if each.name not in {"home", "out"}
        ]
        with stage(tmp_path, **{name: getattr(found, name) for name in names}) as ready:
            yield ready, simulator


def run(at: AppTest) -> AppTest:
    at.run()
    assert not at.exception, at.exception
    return at


def checked(at: AppTest) -> AppTest:
    at.button[0].click()
    run(at)
    assert at.session_state["settings_checks"].wait(SOON_S)
    return run(at)


def everything(at: AppTest) -> str:
    """Every element as it goes to the browser."""
    tables = "".join(each.value.to_csv() for each in at.dataframe)
    return repr(at._tree) + shown(at) + tables


def test_no_key_is_anywhere_on_the_page(tmp_path: Path) -> None:
    with stage(tmp_path, **PLANTED) as place:
        at = run(place.app("settings"))
        text = everything(at)
    assert "deAPI key" in text
    for secret in PLANTED.values():
        assert secret not in text
    assert "planted" not in text


def test_each_key_says_where_it_comes_from_or_how_to_set_it(tmp_path: Path) -> None:
    loaded = load({}, {"DEAPI_API_KEY": PLANTED["deapi_api_key"]}, tmp_path)
    found = {
        name: (is_set, where) for name, is_set, where in keys_of(loaded.settings, loaded.origins)
    }
    assert found["deAPI key"] == (True, "from environment variable DEAPI_API_KEY")
    assert found["YouTube Data API key"] == (False, "set it with YOUTUBE_DATA_API_KEY")
    assert len(found) == 7


def test_every_setting_is_in_the_table_secrets_by_their_state_alone() -> None:
    table = setting_columns(Settings(**PLANTED), {"out": "flag"})
    assert len({len(column) for column in table.values()}) == 1
    assert table["Setting"] == [each.name for each in dataclasses.fields(Settings)]
    by_name = dict(zip(table["Setting"], table["Value"], strict=True))
    assert by_name["deapi_api_key"] == "set"
    assert by_name["formats"] == "md, srt, json"
    assert dict(zip(table["Setting"], table["From"], strict=True))["out"] == "flag"
    assert all(table["What it is"])
    assert "planted" not in repr(table)


def test_the_limits_of_the_settings_are_shown(tmp_path: Path) -> None:
    with stage(tmp_path, rate_limit_rpm=20) as place:
        at = run(place.app("settings"))
    assert [each.value for each in at.metric] == ["20", "120"]


def test_checks_are_not_run_unasked(tmp_path: Path) -> None:
    with stage(tmp_path, deapi_base_url="http://127.0.0.1:9") as place:
        at = run(place.app("settings"))
        assert not at.success
        assert not at.error


def test_the_checks_find_all_well(online: tuple[Stage, Simulator]) -> None:
    place, _ = online
    at = checked(run(place.app("settings")))
    assert "All that a run needs is there" in at.success[0].value
    assert not at.button[0].disabled
    text = shown(at)
    for name in ("versions", "database", "YouTube captions", "YouTube Data API", "deAPI"):
        assert f"**{name}**" in text


def test_the_checks_find_a_wrong_key_and_say_what_to_do(tmp_path: Path) -> None:
    with Simulator(SimulatorConfig(clock_speed=200.0, api_key="1|the-right-one")) as simulator:
        addresses = {
            "deapi_base_url": simulator.url,
            "youtube_base_url": simulator.url,
            "deapi_api_key": "1|planted-wrong-one",
        }
        with stage(tmp_path, clock_speed=200.0, **addresses) as place:
            at = checked(run(place.app("settings")))
            text = everything(at)
    assert "to mend before a run can succeed" in at.error[0].value
    assert "planted-wrong-one" not in text
