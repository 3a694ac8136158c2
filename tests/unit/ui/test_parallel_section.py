"""The parallel section: off by default, and a choice that says what is wrong with it."""

# ruff: noqa: PLC0415 -- AppTest takes the source of a function, so that it imports for itself

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from bulk_transcribe.config import RATE_LIMIT_MODES, ParallelConfig, Slots
from bulk_transcribe.ui.parallel_section import (
    Machine,
    effective_rpm,
    findings,
    is_usable,
)

_ROOMY = Machine(open_files=65_536)


def chosen(slots: Slots, *, rpm: int = 300, mode: str = "auto") -> ParallelConfig:
    return ParallelConfig(
        enable_parallel=True, max_concurrent=slots, rate_limit_rpm=rpm, rate_limit_mode=mode
    )


def page() -> None:
    """The section alone, and what it returned."""
    import streamlit as st

    from bulk_transcribe.config import ParallelConfig
    from bulk_transcribe.ui.parallel_section import Machine, render_parallel_config_section

    base = st.session_state.get("base") or ParallelConfig()
    machine = st.session_state.get("machine") or Machine()
    st.session_state["config"] = render_parallel_config_section(base, machine=machine)


def shown(base: ParallelConfig | None = None, machine: Machine = _ROOMY) -> AppTest:
    at = AppTest.from_function(page)
    at.session_state["base"] = base
    at.session_state["machine"] = machine
    at.run()
    assert not at.exception
    return at


def config_of(at: AppTest) -> ParallelConfig:
    config = at.session_state["config"]
    assert isinstance(config, ParallelConfig)
    return config


def test_it_is_off_by_default_and_sequential() -> None:
    at = shown()
    assert at.toggle[0].value is False
    assert len(at.slider) == 0
    assert config_of(at) == ParallelConfig()
    assert config_of(at).slots == 1


def test_switched_on_it_begins_with_two_of_ten() -> None:
    at = shown()
    at.toggle[0].set_value(True).run()
    slider = at.slider[0]
    assert (slider.min, slider.max, slider.value) == (1, 10, 2)
    assert config_of(at) == chosen(2)
    assert at.metric[0].value == "120 a minute"


def test_the_slider_the_mode_and_auto_come_through() -> None:
    at = shown()
    at.toggle[0].set_value(True).run()
    at.slider[0].set_value(7)
    at.selectbox[0].set_value("aggressive").run()
    assert config_of(at) == chosen(7, mode="aggressive")
    at.checkbox[0].set_value(True).run()
    assert config_of(at) == chosen("auto", mode="aggressive")
    assert at.slider[0].disabled
    assert at.metric[0].value == "300 a minute"
    at.toggle[0].set_value(False).run()
    assert config_of(at).slots == 1


def test_it_starts_where_the_settings_are() -> None:
    at = shown(chosen(5, rpm=60, mode="conservative"))
    assert at.toggle[0].value is True
    assert config_of(at) == chosen(5, rpm=60, mode="conservative")
    assert config_of(shown(chosen("auto"))) == chosen("auto")


def test_more_than_the_slider_has_is_said_and_where_it_can_be_had() -> None:
    at = shown(chosen(64))
    assert config_of(at) == chosen(10)
    assert "-j 64" in at.info[0].value
    assert is_usable(config_of(at))


def test_a_small_limit_is_warned_of_but_does_not_block() -> None:
    at = shown(chosen(10, rpm=6))
    assert "3 is enough" in at.warning[0].value
    assert not at.error
    assert is_usable(config_of(at))


def test_a_limit_that_lets_nothing_through_blocks() -> None:
    at = shown(ParallelConfig(rate_limit_rpm=0))
    assert "lets nothing through" in at.error[0].value
    assert not is_usable(config_of(at))


def test_few_open_files_are_named_with_what_would_do() -> None:
    at = shown(chosen("auto"), Machine(open_files=256))
    assert "256 files" in at.warning[0].value
    assert "about 48 videos" in at.warning[0].value
    assert not findings(chosen(10), Machine(open_files=256))


@pytest.mark.parametrize("config", [chosen(64), chosen(0), chosen(513)])
def test_what_the_page_cannot_start_blocks(config: ParallelConfig) -> None:
    assert any(finding.blocks for finding in findings(config, _ROOMY))
    assert not is_usable(config)


@given(
    st.integers(1, 600) | st.just("auto"),
    st.integers(-5, 10_000),
    st.sampled_from([*RATE_LIMIT_MODES, "bold"]),
    st.booleans(),
)
def test_a_choice_blocks_exactly_when_it_is_not_usable(
    slots: Slots,
    rpm: int,
    mode: str,
    is_on: bool,  # noqa: FBT001 -- drawn by hypothesis
) -> None:
    config = ParallelConfig(
        enable_parallel=is_on, max_concurrent=slots, rate_limit_rpm=rpm, rate_limit_mode=mode
    )
    blocks = any(finding.blocks for finding in findings(config, _ROOMY))
    assert blocks is not is_usable(config)
    assert 0 <= effective_rpm(config) <= max(0, rpm)
