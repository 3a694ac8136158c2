"""A share of the hostile inputs in every run of the tests; `python -m tests.fuzz` has the rest."""

import math
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.clients.deapi import read_progress, read_status
from bulk_transcribe.clients.deapi_text import parse_result
from bulk_transcribe.clients.http import parse_retry_after_s
from bulk_transcribe.clients.yt_dlp_client import read_info
from bulk_transcribe.errors import InputError, NetworkError
from bulk_transcribe.inputs.url import VideoLink, read_link
from bulk_transcribe.save.export.names import FileNames
from tests.fuzz.harness import Sandbox, Target, run_target, shares
from tests.fuzz.mischief import Mischief
from tests.fuzz.targets import TARGETS

#: Of all targets together; some ten seconds.
INPUTS = 2_500
NOW = datetime(2026, 1, 1, tzinfo=UTC)
IDS = st.from_regex(r"[0-9A-Za-z_-]{11}", fullmatch=True)
ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**300, 10**400)
    | st.floats()
    | st.decimals()
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
COUNTS: dict[str, int] = {t.name: n for t, n in zip(TARGETS, shares(TARGETS, INPUTS), strict=True)}


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_no_hostile_input_leads_to_a_traceback_a_hang_or_an_escape(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where an escape by a relative path would land
    row = run_target(target, seed=2, numbers=range(COUNTS[target.name]), root=tmp_path)
    assert row.inputs == COUNTS[target.name]
    assert row.is_clean, "\n".join(row.reports[:3])


@pytest.mark.parametrize(
    ("feed", "found"),
    [
        (lambda _m, _s: dict[str, int]()["missing"], "tracebacks"),
        (lambda _m, s: (s.root.parent / "out.txt").write_text("x"), "escapes"),
        (lambda _m, s: (s.out / ".." / ".." / "folder").mkdir(), "escapes"),
        (lambda _m, _s: _connect(), "escapes"),
    ],
    ids=["a bug", "a file outside", "a folder outside", "a call"],
)
def test_the_harness_sees_what_it_is_there_to_see(feed: object, found: str, tmp_path: Path) -> None:
    target = Target(name="bad", feed=feed)  # type: ignore[arg-type]  # one lambda for each case
    row = run_target(target, seed=1, numbers=range(1), root=tmp_path)
    assert getattr(row, found) == 1
    assert not row.is_clean
    assert row.reports


def test_what_the_product_writes_in_its_folder_is_no_escape(tmp_path: Path) -> None:
    def feed(_mischief: Mischief, sandbox: Sandbox) -> None:
        (sandbox.out / "x.md").write_text("x")

    target = Target(name="good", feed=feed)
    assert run_target(target, seed=1, numbers=range(1), root=tmp_path).is_clean


def test_the_same_seed_and_number_draw_the_same_input(tmp_path: Path) -> None:
    drawn: list[str] = []
    target = Target(name="same", feed=lambda mischief, _: drawn.append(mischief.link()))
    for _ in range(2):
        run_target(target, seed=7, numbers=[41], root=tmp_path)
    assert drawn[0] == drawn[1]


def _connect() -> None:
    import socket  # noqa: PLC0415 -- for this case alone

    with socket.socket() as sock:
        sock.settimeout(0.1)
        sock.connect_ex(("127.0.0.1", 9))


@given(IDS, st.text(max_size=20), st.text(max_size=20))
def test_an_id_survives_whatever_stands_round_its_link(
    video_id: str, name: str, value: str
) -> None:
    extra = "".join(c for c in f"&{name}={value}" if c.isalnum() or c in "&=")
    link = f"https://www.youtube.com/watch?v={video_id}{extra}"
    if "&v=" not in extra and "&list=" not in extra:
        assert read_link(link) == VideoLink(video_id)


@given(st.text())
def test_any_text_is_a_link_or_is_refused(text: str) -> None:
    try:
        read_link(text)
    except InputError as error:
        assert error.message  # noqa: PT017 -- both ends are right


@given(ANY_JSON)
def test_any_json_is_a_status_or_an_answer_that_cannot_be_read(body: object) -> None:
    try:
        status = read_status({"data": body, "status": "done"}, request_id="1")
    except NetworkError:
        return
    assert status.progress is None or 0.0 <= status.progress <= 1.0
    assert status.charged_usd is None or len(f"{status.charged_usd:,.4f}") < 40


@given(ANY_JSON)
def test_progress_is_a_share_or_unknown(value: object) -> None:
    progress = read_progress(value)
    assert progress is None or 0.0 <= progress <= 1.0


@given(
    st.dictionaries(
        st.sampled_from(
            ["title", "duration", "timestamp", "upload_date", "subtitles", "availability"]
        ),
        ANY_JSON,
    )
)
def test_any_facts_of_yt_dlp_are_facts_of_ours(info: dict[str, object]) -> None:
    facts = read_info("jNQXAC9IVRw", info, NOW)
    assert facts.duration_s is None or math.isfinite(facts.duration_s)


@given(st.text() | st.from_regex(r"[\[\]{}0-9:., -]{0,80}"))
def test_any_text_is_a_result(text: str) -> None:
    segments = parse_result(text).segments
    assert all(0 <= s.start_s <= s.end_s and math.isfinite(s.end_s) for s in segments)


@given(
    st.text()
    | st.integers().map(str)
    | st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ [\d:]+ GMT")
)
def test_any_retry_after_is_a_wait_of_a_day_at_most_or_none(text: str) -> None:
    wait_s = parse_retry_after_s(text, NOW)
    assert wait_s is None or 0 <= wait_s <= 86_400


@given(st.lists(st.tuples(IDS, st.text()), max_size=8))
def test_names_stay_in_their_folder_and_apart(videos: list[tuple[str, str]]) -> None:
    names = FileNames()
    stems = {video_id: names.stem(video_id, title) for video_id, title in videos}
    assert len({stem.casefold() for stem in stems.values()}) == len(stems)
    for stem in stems.values():
        assert Path(stem).name == stem
        assert not stem.startswith(".")
