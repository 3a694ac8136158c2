"""The page "New batch": what to transcribe, how, what it will take, and the start."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Final

import pandas as pd
import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from bulk_transcribe.app import Gathered
from bulk_transcribe.config import FORMATS, Settings
from bulk_transcribe.core.figures import count, money, short_time, time_range
from bulk_transcribe.core.plan import CaptionProbe
from bulk_transcribe.errors import BulkTranscribeError, ConfigError
from bulk_transcribe.inputs.preview import Preview, is_spreadsheet, preview
from bulk_transcribe.inputs.readers import readable_suffixes
from bulk_transcribe.ui import drafts
from bulk_transcribe.ui.background import Background
from bulk_transcribe.ui.context import PageContext
from bulk_transcribe.ui.drafts import Begun, Choice, Given, Outlook
from bulk_transcribe.ui.parallel_section import is_usable, render_parallel_config_section
from bulk_transcribe.ui.scratch import Scratch
from bulk_transcribe.ui.telling import tell_error, wait_for
from bulk_transcribe.ui.words import plain

_KEY: Final = "new_batch"
#: Real seconds of one wait for the engine; the waits go on until it has the session or has died.
_PATIENCE_S: Final = 1.0
_EXAMPLE: Final = (
    "https://youtu.be/jNQXAC9IVRw\n"
    "https://www.youtube.com/playlist?list=PL…\n"
    "https://www.youtube.com/@channel"
)


@dataclass
class _Draft:
    """What one browser tab has so far. `number` parts the widgets of one draft from the next."""

    number: int = 0
    scratch: Scratch = field(default_factory=Scratch)
    stored: dict[str, Path] = field(default_factory=dict)  # by Streamlit's id of the upload
    previews: dict[Path, Preview | BulkTranscribeError] = field(default_factory=dict)
    reading: Background[Gathered] | None = None
    read: Given | None = None  # what is being read, or was
    readings: int = 0
    gathered: Gathered | None = None
    trouble: BulkTranscribeError | None = None
    outlook: Background[Outlook] | None = None
    outlook_key: str = ""
    probes: dict[str, CaptionProbe] = field(default_factory=dict)  # by `drafts.probe_key`
    beginning: Background[Begun] | None = None
    kept: str = ""  # the session for which no engine could be started


def render(page: PageContext) -> None:
    """Draw it."""
    draft = _draft()
    _collect_what_is_over(page, draft)
    st.title("New batch", anchor=False)
    given = _input_section(draft)
    if draft.reading is not None:
        wait_for(draft.reading, drafts.progress_text)
    if draft.trouble is not None:
        tell_error(draft.trouble)
    if draft.kept:
        st.info(
            f"The batch is kept as {draft.kept}. Once that is mended, resume it on the page "
            "Sessions.",
            icon=":material/save:",
        )
    _read_button(page, draft, given)
    if draft.gathered is None or draft.read is None:
        return
    if given != draft.read:
        st.info(
            "You have changed the list since it was read: read it again to take that in.",
            icon=":material/sync:",
        )
    _understood_section(draft.gathered, draft.read)
    if draft.gathered.items:
        _how_section(page, draft, draft.gathered, is_stale=given != draft.read)


def _draft() -> _Draft:
    found = st.session_state.get(_KEY)
    if not isinstance(found, _Draft):
        found = st.session_state[_KEY] = _Draft()
    return found


def _collect_what_is_over(page: PageContext, draft: _Draft) -> None:
    """Take what came of the reading and of the start, and go to the monitor after a start."""
    if draft.reading is not None and draft.reading.is_over:
        try:
            draft.gathered = draft.reading.result()
            draft.readings += 1
        except BulkTranscribeError as error:
            draft.trouble = error
        draft.reading = None
    if draft.beginning is not None and draft.beginning.is_over:
        try:
            begun = draft.beginning.result()
        except BulkTranscribeError as error:
            draft.trouble = error
            draft.beginning = None
            return
        fresh = st.session_state[_KEY] = _Draft(number=draft.number + 1)
        if begun.trouble is None:
            page.go("monitor", begun.session_id)
        fresh.trouble = begun.trouble
        fresh.kept = begun.session_id
        st.rerun()


def _input_section(draft: _Draft) -> Given:
    number = draft.number
    left, right = st.columns(2, gap="medium")
    with left:
        text = st.text_area(
            "Paste links",
            key=f"text_{number}",
            height=190,
            max_chars=drafts.MOST_CHARACTERS,
            placeholder=_EXAMPLE,
            help="Videos, playlists, channels or video ids, in any text: one a line is fine, and "
            "so is a chat or a note with links in it.",
        )
    with right:
        uploads = st.file_uploader(
            "Or upload files",
            type=[suffix.removeprefix(".") for suffix in readable_suffixes()],
            accept_multiple_files=True,
            max_upload_size=drafts.MOST_UPLOAD_MB,
            key=f"files_{number}",
            help=f"Up to {drafts.MOST_FILES} files of {drafts.MOST_UPLOAD_MB} MB each, and "
            f"{drafts.MOST_VIDEOS:,} videos in all.",
        )
        files = _stored(draft, uploads or [])
    columns = [
        (path, wanted) for path in files if (wanted := _column_of(draft, path, number)) is not None
    ]
    with st.expander("Which videos of a list", icon=":material/filter_list:"):
        one, two, three = st.columns(3, gap="medium", vertical_alignment="bottom")
        newest = one.number_input(
            "Take at most",
            min_value=1,
            max_value=drafts.MOST_VIDEOS,
            value=None,
            key=f"newest_{number}",
            placeholder="all videos",
        )
        since = two.date_input(
            "Published since",
            value=None,
            key=f"since_{number}",
            help="Leaves out older videos of playlists and channels.",
        )
        whole = three.checkbox(
            "Whole playlist of a video link",
            key=f"whole_{number}",
            help="For links that name a video and a playlist: take all of the playlist.",
        )
    return Given(
        text=text or "",
        files=tuple(files),
        columns=tuple(columns),
        newest=newest,
        since=since,
        prefer_playlist=whole,
    )


def _stored(draft: _Draft, uploads: Sequence[UploadedFile]) -> list[Path]:
    """The uploads as files of ours, each stored once; those that are too big are refused."""
    if len(uploads) > drafts.MOST_FILES:
        st.error(
            f"{len(uploads)} files are too many: the first {drafts.MOST_FILES} are taken.",
            icon=":material/error:",
        )
    files = []
    for upload in uploads[: drafts.MOST_FILES]:
        try:
            drafts.refuse_oversize(upload.size, upload.name)
        except BulkTranscribeError as error:
            tell_error(error)
            continue
        if upload.file_id not in draft.stored:
            count_so_far = len(draft.stored) + 1
            folder = draft.scratch.folder / str(count_so_far)  # two files may have one name
            folder.mkdir()
            path = folder / drafts.stored_name(upload.name, count_so_far)
            path.write_bytes(upload.getbuffer())
            draft.stored[upload.file_id] = path
        files.append(draft.stored[upload.file_id])
    return files


def _column_of(draft: _Draft, path: Path, number: int) -> str | None:
    """The column of links of a spreadsheet, where the user chose another than would be found."""
    if not is_spreadsheet(path):
        return None
    if path not in draft.previews:
        try:
            draft.previews[path] = preview(path)
        except BulkTranscribeError as error:
            draft.previews[path] = error
    shown = draft.previews[path]
    if isinstance(shown, BulkTranscribeError):
        tell_error(shown)
        return None
    if not shown.columns:
        st.warning(f"{plain(path.name)} is empty.", icon=":material/info:")
        return None
    with st.container(border=True):
        chosen = st.selectbox(
            f"Column of links in {plain(path.name, 60)}",
            range(len(shown.columns)),
            index=shown.found,
            format_func=lambda index: shown.columns[index].name,
            key=f"column_{number}_{path.parent.name}",
            placeholder="Choose a column",
            help="The one that looks like it is chosen already.",
        )
        names = [column.name for column in shown.columns]
        st.dataframe(
            pd.DataFrame(shown.rows, columns=names), hide_index=True, width="stretch", height="auto"
        )
    if chosen is None or chosen == shown.found:
        return None
    return shown.columns[chosen].wanted


def _read_button(page: PageContext, draft: _Draft, given: Given) -> None:
    is_next = draft.gathered is None or given != draft.read
    # not in a callback: that would see what was given before a text that this click ended
    is_asked = st.button(
        "Read the list",
        key=f"read_{draft.number}",
        # never disabled for want of a text: the click that ends the typing must count
        disabled=draft.reading is not None,
        type="primary" if is_next else "secondary",
        icon=":material/playlist_add_check:",
    )
    if is_asked and draft.reading is None and not given.is_empty:
        draft.read, draft.gathered, draft.trouble, draft.kept = given, None, None, ""
        draft.outlook, draft.outlook_key = None, ""
        draft.reading = Background(partial(drafts.read_batch, page.settings, given)).start()
        st.rerun()
    if given.is_empty:
        st.caption("Paste links or upload a file to begin. Nothing is paid before you start.")


def _understood_section(gathered: Gathered, read: Given) -> None:
    st.subheader("What was understood", anchor=False)
    one, two, three = st.columns(3)
    one.metric("Videos", f"{len(gathered.items):,}", border=True)
    two.metric("Not understood", f"{len(gathered.problems):,}", border=True)
    three.metric("Twice in the list", f"{len(gathered.duplicates):,}", border=True)
    for warning in gathered.warnings:
        st.warning(plain(warning, 600), icon=":material/info:")
    if drafts.is_cut_off(gathered, read):
        st.warning(
            f"Only the first {drafts.MOST_VIDEOS:,} videos were taken: a batch of the page has no "
            "more. The command line takes any number.",
            icon=":material/info:",
        )
    if not gathered.items:
        st.warning("No video was found in the list.", icon=":material/search_off:")
    if gathered.items:
        rows = gathered.items[: drafts.MOST_ROWS]
        st.dataframe(
            pd.DataFrame(drafts.item_columns(rows)),
            key="understood",
            hide_index=True,
            height=min(300, 38 + 35 * len(rows)),
            lazy=True,
            column_config={
                "#": st.column_config.NumberColumn(width=50),
                "Video": st.column_config.LinkColumn(display_text=r"v=([\w-]{11})"),
            },
        )
        _tell_rest(len(gathered.items))
    if gathered.problems:
        with st.expander(
            f"Not understood: {count(len(gathered.problems), 'line')}",
            icon=":material/warning:",
            expanded=not gathered.items,
        ):
            st.dataframe(
                pd.DataFrame(drafts.problem_columns(gathered.problems[: drafts.MOST_ROWS])),
                key="problems",
                hide_index=True,
                lazy=True,
            )
            _tell_rest(len(gathered.problems))


def _tell_rest(rows: int) -> None:
    if rows > drafts.MOST_ROWS:
        st.caption(f"The first {drafts.MOST_ROWS:,} of {rows:,} are shown; all of them count.")


def _how_section(page: PageContext, draft: _Draft, gathered: Gathered, *, is_stale: bool) -> None:
    base, number = page.settings, draft.number
    st.subheader("How", anchor=False)
    choice = _choice(base, number)
    try:
        settings = drafts.settings_for(base, choice)
    except ConfigError as error:
        tell_error(error)
        settings = None
    name = st.text_input(
        "Name of the batch",
        key=f"name_{number}",
        max_chars=100,
        placeholder="to find it again; may be left out",
    )
    usable = settings if is_usable(choice.parallel) else None
    st.subheader("Forecast", anchor=False)
    if usable is None:
        st.caption("The forecast comes once the choices above can be used.")
    else:
        _forecast_section(draft, usable, gathered)
    _start_section(page, draft, gathered, usable, name, is_stale=is_stale)


def _choice(base: Settings, number: int) -> Choice:
    one, two = st.columns(2, gap="medium")
    choices = dict(drafts.SOURCE_CHOICES)
    choices.setdefault(base.sources, ", then ".join(base.sources))
    sources = one.selectbox(
        "Where transcripts come from",
        list(choices),
        index=list(choices).index(base.sources),
        format_func=lambda value: choices[value],
        key=f"sources_{number}",
    )
    languages = two.text_input(
        "Caption languages, best first",
        ",".join(base.languages),
        key=f"languages_{number}",
        help='Codes such as "en,de". "any" takes whatever there is, the spoken one first.',
    )
    formats = one.pills(
        "Files for each video",
        FORMATS,
        selection_mode="multi",
        default=list(base.formats),
        key=f"formats_{number}",
        help=drafts.FORMATS_HELP,
    )
    out = two.text_input(
        "Folder for the files",
        str(base.out),
        key=f"out_{number}",
        help="On the computer that runs this program. It is made if it is not there.",
    )
    if not Path(out).expanduser().is_absolute():
        two.caption(f"That is {plain(str(Path(out).absolute()), 300)}")
    order = one.segmented_control(
        "Order",
        list(drafts.ORDER_CHOICES),
        default=base.order,
        required=True,
        format_func=lambda value: drafts.ORDER_CHOICES[value],
        key=f"order_{number}",
        help="Shortest first gives the first results soonest, longest first ends soonest.",
    )
    when_blocked = two.selectbox(
        "When YouTube refuses captions to this address",
        list(drafts.BLOCK_CHOICES),
        index=list(drafts.BLOCK_CHOICES).index(base.when_blocked),
        format_func=lambda value: drafts.BLOCK_CHOICES[value],
        key=f"blocked_{number}",
    )
    most = one.number_input(
        "Most to spend, US dollars",
        min_value=0.0,
        value=None if base.max_cost_usd is None else float(base.max_cost_usd),
        format="%.2f",
        step=1.0,
        key=f"most_{number}",
        placeholder="no limit of the batch",
        help="Never passed. When it is reached nothing more is paid for, and the rest is kept.",
    )
    parallel = render_parallel_config_section(base.parallel, key=f"parallel_{number}")
    return Choice(
        sources=sources,
        languages=languages,
        formats=formats,
        out=out,
        when_blocked=when_blocked,
        order=order or base.order,
        max_cost_usd=None if most is None else Decimal(str(most)),
        parallel=parallel,
    )


def _forecast_section(draft: _Draft, settings: Settings, gathered: Gathered) -> None:
    key = drafts.outlook_key(settings, draft.readings)
    if draft.outlook is None or draft.outlook_key != key:
        if draft.outlook is not None:
            draft.outlook.cancel()
        answers = draft.probes.get(drafts.probe_key(settings, draft.readings))
        work = partial(drafts.look_ahead, settings, gathered.items, answers)
        draft.outlook = Background(work).start()
        draft.outlook_key = key
    draft.outlook.wait(0.3)  # a quick one needs no second look
    if not draft.outlook.is_over:
        wait_for(draft.outlook, drafts.outlook_text)
        return
    try:
        outlook = draft.outlook.result()
    except BulkTranscribeError as error:
        tell_error(error)
        return
    if outlook.forecast.probe is not None:
        draft.probes[drafts.probe_key(settings, draft.readings)] = outlook.forecast.probe
    _show(outlook)


def _show(outlook: Outlook) -> None:
    forecast = outlook.forecast
    one, two, three, four = st.columns(4)
    one.metric(
        "Videos to do",
        f"{forecast.videos - forecast.known:,}",
        help="Those that earlier batches have transcribed are taken from there, for free.",
        border=True,
    )
    two.metric("Material", short_time(forecast.material_s), border=True)
    three.metric(
        "Cost",
        drafts.cost_text(forecast),
        help="What is likely, by the captions of a few videos of the list and the service's own "
        "prices. What videos really cost is in the receipts.",
        border=True,
    )
    four.metric("Balance", money(forecast.balance_usd), border=True)
    notes = drafts.forecast_notes(forecast)
    if notes:
        st.caption(plain(" ".join(notes), 600))
    st.table(
        {
            "Order": [
                drafts.ORDER_CHOICES[order] + (" (chosen)" if order == outlook.order else "")
                for order in forecast.time_s
            ],
            "Time to the end": [
                time_range(span.low, span.high) for span in forecast.time_s.values()
            ],
        },
        hide_index=True,
    )
    for warning in (*outlook.warnings, *drafts.money_warnings(outlook)):
        st.warning(plain(warning, 600), icon=":material/info:")


def _start_section(
    page: PageContext,
    draft: _Draft,
    gathered: Gathered,
    settings: Settings | None,
    name: str,
    *,
    is_stale: bool,
) -> None:
    is_asked = st.button(
        f"Start {count(len(gathered.items), 'video')}",
        key=f"start_{draft.number}",
        type="primary",
        icon=":material/play_arrow:",
        disabled=settings is None or is_stale or draft.beginning is not None,
    )
    if is_asked and draft.beginning is None and settings is not None and not is_stale:
        draft.trouble = None
        draft.beginning = Background(
            partial(drafts.begin, settings, page.launch, gathered, name.strip())
        ).start()
        st.rerun()  # the button goes before it can be pressed twice
    if draft.beginning is not None:
        # no part that draws itself anew: it could still be drawing when the monitor takes its place
        with st.spinner("Starting the engine…"):
            while not draft.beginning.wait(_PATIENCE_S):
                pass
        st.rerun()
    elif is_stale:
        st.caption("Read the list again first.")
    elif settings is None:
        st.caption("Mend what is marked in red first.")
