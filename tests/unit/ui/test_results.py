"""The page "Results" in each of its states."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.unit.ui.stage import SOON_S, Stage, put_session, shown, stage, transcript_of

A, B, C = "dQw4w9WgXcQ", "9bZkp7q19f0", "jNQXAC9IVRw"
HOSTILE = "<img src=x onerror=alert(1)> **bold** [link](http://evil.example) $x$ :smile:"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as ready:
        yield ready


def put(place: Stage, *ids: str, name: str = "") -> str:
    videos = {
        id_: (f"Title {id_}", transcript_of(id_, [f"opening of {id_}", "the common words", "end"]))
        for id_ in ids
    }
    return put_session(place.database, place.sessions, place.clock, videos, name=name)


def run(at: AppTest) -> AppTest:
    at.run()
    assert not at.exception, at.exception
    return at


def html(at: AppTest) -> str:
    return "".join(str(each.proto.body) for each in at.get("html"))


def view(at: AppTest, name: str) -> AppTest:
    at.segmented_control[0].set_value(name)
    return run(at)


def test_without_a_session_it_says_so_and_leads_to_a_new_batch(place: Stage) -> None:
    at = run(place.app("results"))
    assert "once a batch has run" in shown(at)
    at.button[0].click().run()
    assert place.went == [("new", None)]


def test_a_session_without_transcripts_is_an_empty_state(place: Stage) -> None:
    session_id = put_session(place.database, place.sessions, place.clock, {}, waiting=(A,))
    at = run(place.app("results"))
    assert "no transcripts" in at.info[0].value
    at.button[0].click().run()
    assert place.went == [("monitor", session_id)]


def test_a_running_session_without_transcripts_asks_for_patience(place: Stage) -> None:
    session_id = put_session(place.database, place.sessions, place.clock, {}, waiting=(A,))
    session = place.sessions.claim_engine(session_id)
    assert "is running" in run(place.app("results")).info[0].value
    session.release_engine()


def test_a_transcript_is_read_beside_its_video_with_clickable_times(place: Stage) -> None:
    put(place, A, B)
    at = run(place.app("results"))
    assert at.subheader[0].value == f"Title {A}"
    assert f'href="https://www.youtube.com/watch?v={A}&amp;t=0s"' in html(at)
    assert f"opening of {A} the common words end" in html(at)
    (link,) = at.get("link_button")
    assert link.proto.url == f"https://www.youtube.com/watch?v={A}"
    (video,) = [each for each in at.selectbox if each.label == "Video"]
    video.set_value(B)
    run(at)
    assert f"opening of {B}" in html(at)
    assert f"opening of {A}" not in html(at)


def test_a_title_search_narrows_the_choice_or_finds_nothing(place: Stage) -> None:
    put(place, A, B)
    at = run(place.app("results"))
    at.text_input[0].set_value(B)
    run(at)
    assert at.subheader[0].value == f"Title {B}"
    at.text_input[0].set_value("zzzz")
    run(at)
    assert "No finished video fits" in shown(at)


def test_the_address_can_name_the_video(place: Stage) -> None:
    put(place, A, B, C)
    at = place.app("results")
    at.query_params["video"] = C
    run(at)
    assert at.subheader[0].value == f"Title {C}"


def test_titles_and_words_with_markup_stay_text(place: Stage) -> None:
    videos = {A: (HOSTILE, transcript_of(A, [HOSTILE]))}
    put_session(place.database, place.sessions, place.clock, videos, name=HOSTILE)
    at = run(place.app("results"))
    assert "<img" not in html(at)
    assert "&lt;img" in html(at)
    heading = at.subheader[0].value
    for sign in ("\\<img", "\\*\\*bold", "\\[link\\]", "\\$x\\$"):
        assert sign in heading
    view(at, "Search")
    (words,) = at.text_input
    words.set_value("bold")
    at.button[0].click()
    settled(at)
    assert "<img" not in html(at)
    assert "<mark>bold</mark>" in html(at)


def test_a_lost_transcript_is_said(place: Stage) -> None:
    videos = {A: ("Lost", None), B: ("There", transcript_of(B, ["x"]))}
    put_session(place.database, place.sessions, place.clock, videos)
    at = run(place.app("results"))
    assert "no longer in the store" in at.warning[0].value


def test_each_format_can_be_downloaded(place: Stage) -> None:
    put(place, A)
    at = run(place.app("results"))
    labels = [each.proto.label for each in at.get("download_button")]
    assert labels == [".md", ".srt", ".vtt", ".txt", ".json"]


def settled(at: AppTest) -> AppTest:
    run(at)
    for _ in range(2):
        desk = at.session_state["results"]
        for job in (desk.searching, desk.packing):
            assert job is None or job.wait(SOON_S)
        run(at)
    return at


def search(at: AppTest, words: str) -> AppTest:
    view(at, "Search")
    at.text_input[0].set_value(words)
    at.button[0].click()
    return settled(at)


def test_a_search_looks_into_every_transcript_and_leads_to_the_place(place: Stage) -> None:
    put(place, A, B)
    at = search(run(place.app("results")), "COMMON words")
    assert "2 places in 2 videos" in shown(at)
    assert html(at).count("<mark>common words</mark>") == 2
    assert f"v={B}&amp;t=10s" in html(at)
    (_, second) = [each for each in at.button if each.label == "Read"]
    second.click()
    run(at)
    assert at.segmented_control[0].value == "Read"
    assert at.subheader[0].value == f"Title {B}"


def test_a_search_without_a_hit_says_how_much_was_read(place: Stage) -> None:
    put(place, A, B)
    at = search(run(place.app("results")), "unheard of")
    assert "Nothing found in 2 transcripts" in shown(at)


def test_too_many_hits_are_capped_and_it_is_said(place: Stage) -> None:
    ids = [f"vid{n:08d}" for n in range(60)]
    videos = {i: (i, transcript_of(i, ["yes " * 6])) for i in ids}
    put_session(place.database, place.sessions, place.clock, videos)
    at = search(run(place.app("results")), "yes")
    assert "The first 200 places in 40 videos" in at.warning[0].value
    assert "only the first 40 of 60 transcripts" in at.warning[0].value
    assert len([each for each in at.button if each.label == "Read"]) == 20
    at.number_input[0].set_value(2)
    run(at)
    assert len([each for each in at.button if each.label == "Read"]) == 20


def test_a_zip_of_the_chosen_formats_is_made(place: Stage) -> None:
    put(place, A, B)
    at = view(run(place.app("results")), "Download")
    (formats,) = [each for each in at.pills if each.label.startswith("Files")]
    formats.set_value(["txt", "vtt"])
    run(at)
    (make,) = [each for each in at.button if each.label.startswith("Make a ZIP of 2 videos")]
    make.click()
    settled(at)
    assert "2 videos, txt, vtt" in at.success[0].value
    assert not [each for each in at.button if each.disabled]
    packed = at.session_state["results"].packing.result()
    with zipfile.ZipFile(packed.path) as archive:
        assert len(archive.namelist()) == 4
    assert [each.proto.label for each in at.get("download_button")] == ["Download the ZIP"]


def test_without_a_format_there_is_no_zip(place: Stage) -> None:
    put(place, A)
    at = view(run(place.app("results")), "Download")
    (formats,) = [each for each in at.pills if each.label.startswith("Files")]
    formats.set_value([])
    run(at)
    assert "Choose at least one format" in shown(at)
    (make,) = [each for each in at.button if each.label.startswith("Make a ZIP")]
    assert make.disabled


def test_another_batch_can_be_chosen_and_its_search_is_its_own(place: Stage) -> None:
    first = put(place, A, name="first")
    second = put(place, B, name="second")
    at = run(place.app("results", first))
    search(at, "common")
    assert "1 place in 1 video" in shown(at)
    at.session_state["page"] = place.context(second)
    view(at, "Read")
    assert at.subheader[0].value == f"Title {B}"
    view(at, "Search")
    assert not at.get("html")
