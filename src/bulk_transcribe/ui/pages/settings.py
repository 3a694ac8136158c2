"""The page "Settings": what is set, where it comes from, and whether all is well."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from functools import partial
from typing import Any, Final

import pandas as pd
import streamlit as st

from bulk_transcribe.app import App
from bulk_transcribe.app.checks import Check, all_checks, is_bad
from bulk_transcribe.config import TOML_NAME, Settings
from bulk_transcribe.core.figures import count
from bulk_transcribe.errors import BulkTranscribeError
from bulk_transcribe.ui.background import Background, News
from bulk_transcribe.ui.context import PageContext
from bulk_transcribe.ui.drafts import BLOCK_CHOICES, SOURCE_CHOICES, Tell
from bulk_transcribe.ui.telling import tell_error, wait_for
from bulk_transcribe.ui.words import plain

_KEY: Final = "settings_checks"
_ICONS: Final = {
    "ok": (":material/check_circle:", "green"),
    "off": (":material/radio_button_unchecked:", "gray"),
    "warn": (":material/warning:", "orange"),
    "fail": (":material/error:", "red"),
}
_STATES: Final = {"ok": "OK", "off": "Not set up", "warn": "Look at this", "fail": "Not working"}
_KEYS: Final = {
    "deapi_api_key": "deAPI key",
    "youtube_data_api_key": "YouTube Data API key",
    "proxy": "Proxy for YouTube",
    "database_url": "PostgreSQL",
    "webshare_username": "Webshare user",
    "webshare_password": "Webshare password",
}


def render(page: PageContext) -> None:
    """Draw it."""
    st.title("Settings", anchor=False)
    st.caption(
        "Settings are changed where they come from: environment variables, a file .env in the "
        f"current folder, or {plain(TOML_NAME)}. Files are read anew with each look at this page; "
        "for a changed environment start the page again."
    )
    _checks_section(page)
    left, right = st.columns(2, gap="medium")
    with left:
        _keys_section(page)
    with right:
        _ways_section(page.settings)
        _limits_section(page.settings)
    _all_section(page)


def keys_of(settings: Settings, origins: Mapping[str, str]) -> list[tuple[str, bool, str]]:
    """Each secret: its name, whether it is set, and where it comes from or how to set it.

    The secrets themselves are not looked at beyond being empty or not.
    """
    found = []
    for each in fields(settings):
        if each.metadata["secret"]:
            is_set = bool(getattr(settings, each.name))
            origin = origins.get(each.name, "default")
            where = f"from {origin}" if is_set else f"set it with {each.metadata['env']}"
            found.append((_KEYS.get(each.name, each.name), is_set, where))
    return found


def setting_columns(settings: Settings, origins: Mapping[str, str]) -> dict[str, list[str]]:
    """The table of all settings, column by column; of a secret only whether it is set."""
    values = settings.public()
    rows = [each for each in fields(settings) if each.name in values]
    return {
        "Setting": [each.name for each in rows],
        "Value": [_shown(values[each.name]) for each in rows],
        "From": [origins.get(each.name, "default") for each in rows],
        "Variable": [each.metadata["env"] for each in rows],
        "What it is": [each.metadata["about"] for each in rows],
    }


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "-"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _keys_section(page: PageContext) -> None:
    st.subheader("Keys and proxies", anchor=False)
    for name, is_set, where in keys_of(page.settings, page.origins):
        icon, colour = _ICONS["ok" if is_set else "off"]
        state = "set" if is_set else "not set"
        st.markdown(f":{colour}[{icon}] **{name}** {state}, {plain(where)}")
    st.caption("Keys are never shown, logged or stored.")


def _ways_section(settings: Settings) -> None:
    st.subheader("Where transcripts come from", anchor=False)
    sources = SOURCE_CHOICES.get(settings.sources, ", then ".join(settings.sources))
    st.markdown(plain(sources))
    st.caption(
        f"Caption languages: {plain(', '.join(settings.languages))}. When YouTube refuses "
        f"captions: {BLOCK_CHOICES[settings.when_blocked].lower()}. deAPI model: "
        f"{plain(settings.model)}."
    )


def _limits_section(settings: Settings) -> None:
    st.subheader("Limits", anchor=False)
    one, two = st.columns(2)
    one.metric("deAPI, a minute", f"{settings.rate_limit_rpm:,}", border=True)
    two.metric("YouTube, a minute", f"{settings.captions_rpm:,}", border=True)
    with App(settings) as app:
        beliefs = app.limiter_beliefs()
    for belief in beliefs:
        st.caption(plain(str(belief["summary"]), 600))
        for reason in belief.get("why", ()):
            st.caption(plain(str(reason), 600))
    if not beliefs:
        st.caption(
            f"Use of the limit: {settings.rate_limit_mode}. No run has learned more of it yet."
        )


def _all_section(page: PageContext) -> None:
    with st.expander("All settings", icon=":material/list:"):
        table = pd.DataFrame(setting_columns(page.settings, page.origins))
        st.dataframe(table, key="all_settings", hide_index=True)


def _checks_section(page: PageContext) -> None:
    job: Background[list[Check]] | None = st.session_state.get(_KEY)
    if job is not None:
        job.wait(0.3)  # quick ones need no second look, and the button is free again

    def check() -> None:
        st.session_state[_KEY] = Background(partial(_check, page.settings)).start()

    st.button(
        "Run the checks",
        on_click=check,
        key="check",
        icon=":material/stethoscope:",
        disabled=job is not None and not job.is_over,
        help="Asks YouTube and deAPI whether they answer and whether the keys work. Costs nothing.",
    )
    if job is None:
        return
    if not job.is_over:
        wait_for(job, _checking_text)
        return
    try:
        _show(job.result())
    except BulkTranscribeError as error:
        tell_error(error)


def _show(found: Iterable[Check]) -> None:
    found = list(found)
    bad = [check for check in found if check.state == "fail"]
    if is_bad(found):
        st.error(
            f"{count(len(bad), 'thing')} to mend before a run can succeed.",
            icon=":material/error:",
        )
    else:
        st.success("All that a run needs is there.", icon=":material/check:")
    for check in found:
        icon, colour = _ICONS[check.state]
        st.markdown(
            f":{colour}[{icon}] **{plain(check.name)}** · {_STATES[check.state]}: "
            f"{plain(check.text, 600)}"
        )
        if check.next_step:
            st.caption(plain(check.next_step, 600))


def _check(settings: Settings, tell: Tell) -> list[Check]:
    found = []
    tell("", 0, None)
    for check in all_checks(settings):
        found.append(check)
        tell(check.name, len(found), None)
    return found


def _checking_text(news: News) -> str:
    return f"Checking: {count(news.done, 'thing')} looked at"
