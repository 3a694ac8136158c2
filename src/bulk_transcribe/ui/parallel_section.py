"""The part of a page where parallel work is chosen: how many videos at once, and how boldly."""

import math
import os
from dataclasses import dataclass
from typing import Final

import streamlit as st

from bulk_transcribe.config import MAX_SLOTS, RATE_LIMIT_MODES, UI_MAX_SLOTS, ParallelConfig

#: Where the slider stands when parallel work is switched on.
_FIRST_SLOTS: Final = 2
#: A job is looked at every second at most, however idle the limit is: `aim.SHORTEST_STEP_S`.
_LOOKS_A_MINUTE: Final = 60
#: A video takes at least a submit and a look.
_REQUESTS_A_VIDEO: Final = 2
#: A transcription takes about this long: 15 s and 8 s a minute, for a video of six minutes.
_TYPICAL_VIDEO_S: Final = 60
#: Sockets, database and files of the program itself, and for each video in flight.
_OPEN_FILES: Final = 64
_OPEN_FILES_EACH: Final = 4

_MODE_TEXTS: Final = {
    "auto": "Start with one shared budget, and use more only once the service has shown more.",
    "conservative": "One budget for all requests, as if the account had a single pool. Safest.",
    "aggressive": "A budget for each kind of request. Faster if the account has them; if not, "
    "the service refuses some requests and the run slows down by itself.",
}


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What this computer gives a program; None where it does not tell."""

    open_files: int | None = None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something to know of a choice; one that `blocks` has to be mended before the start."""

    text: str
    blocks: bool = False


def this_machine() -> Machine:
    """What the computer that serves the page gives a program."""
    if os.name != "posix":
        return Machine()
    import resource  # noqa: PLC0415 -- only there on POSIX

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Machine(open_files=None if soft == resource.RLIM_INFINITY else soft)


def effective_rpm(config: ParallelConfig) -> int:
    """Requests a minute that this choice can use: what its videos may ask, never over the limit."""
    if config.slots == "auto":
        return max(0, config.rate_limit_rpm)
    return max(0, min(config.rate_limit_rpm, config.slots * _LOOKS_A_MINUTE))


def findings(config: ParallelConfig, machine: Machine) -> tuple[Finding, ...]:
    """What is wrong with the choice, or unwise, and how to mend it; empty when it is fine."""
    found = [Finding(text=problem, blocks=True) for problem in config.problems()]
    if found:
        return tuple(found)
    slots = config.slots
    if not config.is_ui_compatible():
        found.append(
            Finding(
                text=f"The settings ask for {slots} videos at once, the page offers up to "
                f"{UI_MAX_SLOTS}. Choose here, or start with -j {slots} from the command line.",
                blocks=True,
            )
        )
    enough = max(1, math.ceil(config.rate_limit_rpm / _REQUESTS_A_VIDEO * _TYPICAL_VIDEO_S / 60))
    if slots != "auto" and slots > enough:
        found.append(
            Finding(
                text=f"A limit of {config.rate_limit_rpm} requests a minute lets about "
                f"{enough} videos a minute through, so {slots} at once would mostly wait for it: "
                f"{enough} is enough."
            )
        )
    most = MAX_SLOTS if slots == "auto" else slots
    needed = _OPEN_FILES + most * _OPEN_FILES_EACH
    if config.enable_parallel and machine.open_files is not None and machine.open_files < needed:
        fits = max(1, (machine.open_files - _OPEN_FILES) // _OPEN_FILES_EACH)
        found.append(
            Finding(
                text=f"This computer lets a program open {machine.open_files} files at a time, "
                f"enough for about {fits} videos at once; this choice may want {most}. Raise it "
                f"with `ulimit -n {needed}` before you start the page, or choose a number."
            )
        )
    return tuple(found)


def render_parallel_config_section(
    base: ParallelConfig | None = None, *, machine: Machine | None = None, key: str = "parallel"
) -> ParallelConfig:
    """Draw the section; what was chosen in it. Off by default: one video at a time.

    Args:
        base: Where the widgets start, and the limit of the account; by default the settings'
            own defaults.
        machine: By default this one.
        key: Parts the widgets from those of another section on the same page.
    """
    base = base or ParallelConfig()
    st.subheader("Parallel work", anchor=False)
    is_on = st.toggle(
        "Work on several videos at once",
        value=base.enable_parallel,
        key=f"{key}_on",
        help="Off: one video after the other. On: the next one starts while others are being "
        "transcribed. The limit of your account is kept either way. It was made for a Premium "
        "account; begin with a few and add more once that goes well.",
    )
    if is_on and not base.is_ui_compatible():
        for finding in findings(base, Machine()):
            st.info(finding.text, icon=":material/info:")
    config = _chosen(base, key) if is_on else _sequential(base)
    for finding in findings(config, machine or this_machine()):
        if finding.blocks:
            st.error(finding.text, icon=":material/error:")
        else:
            st.warning(finding.text, icon=":material/info:")
    return config


def is_usable(config: ParallelConfig) -> bool:
    """Whether a run may start with this choice."""
    return config.validate_config() and config.is_ui_compatible()


def _sequential(base: ParallelConfig) -> ParallelConfig:
    return ParallelConfig(rate_limit_rpm=base.rate_limit_rpm, rate_limit_mode=base.rate_limit_mode)


def _chosen(base: ParallelConfig, key: str) -> ParallelConfig:
    left, middle, right = st.columns([3, 3, 2], gap="medium")
    with left:
        is_auto = st.checkbox(
            "auto",
            value=base.max_concurrent == "auto",
            key=f"{key}_auto",
            help="Let the program find the number: it adds videos while the limit has room, and "
            "takes some back when the service is in trouble.",
        )
        slots = st.slider(
            "Videos at once",
            min_value=1,
            max_value=UI_MAX_SLOTS,
            value=_slider_start(base),
            key=f"{key}_slots",
            disabled=is_auto,
            help="How many videos are in flight at the same time. Each waits for the service most "
            "of its time, so more of them finish sooner, until the limit is used up.",
        )
    with middle:
        mode = st.selectbox(
            "Use of the limit",
            RATE_LIMIT_MODES,
            index=RATE_LIMIT_MODES.index(base.rate_limit_mode),
            key=f"{key}_mode",
            help="How boldly the account's limit is used. When in doubt: auto.",
        )
        st.caption(_MODE_TEXTS[mode])
    config = ParallelConfig(
        enable_parallel=True,
        max_concurrent="auto" if is_auto else slots,
        rate_limit_rpm=base.rate_limit_rpm,
        rate_limit_mode=mode,
    )
    with right:
        st.metric(
            "Effective rate",
            f"{effective_rpm(config)} a minute",
            help="Requests a minute that this choice can use at most. The page never lets more "
            "through than the account allows.",
        )
        st.caption(f"of {config.rate_limit_rpm} that the account allows")
    return config


def _slider_start(base: ParallelConfig) -> int:
    if not base.enable_parallel or base.max_concurrent == "auto":
        return _FIRST_SLOTS
    return min(UI_MAX_SLOTS, max(1, base.max_concurrent))
