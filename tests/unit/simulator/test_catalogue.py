from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.simulator import SimulatorConfig
from bulk_transcribe.simulator.catalogue import Catalogue, VideoList, is_video_id

_ids = st.from_regex(r"[0-9A-Za-z_-]{11}", fullmatch=True)
_SAMPLE = [f"vid{n:08d}" for n in range(1_000)]


def _catalogue(**config: Any) -> Catalogue:
    return Catalogue(SimulatorConfig(**config))


def _list(catalogue: Catalogue, list_id: str) -> VideoList:
    found = catalogue.list(list_id)
    assert isinstance(found, VideoList)
    return found


@given(_ids, st.integers(0, 3))
def test_every_well_formed_id_is_a_video_that_stays_the_same(video_id: str, seed: int) -> None:
    video = _catalogue(seed=seed).video(video_id)
    assert video == _catalogue(seed=seed).video(video_id)
    assert video.title.startswith("Simulated ")
    assert video.duration_s > 0


@pytest.mark.parametrize("text", ["", "short", "twelve_chars", "has a space", "umlautäöüab"])
def test_other_texts_are_no_ids(text: str) -> None:
    assert not is_video_id(text)


def test_lengths_are_spread_from_half_a_minute_to_two_hours() -> None:
    catalogue = _catalogue()
    lengths = sorted(catalogue.video(each).duration_s for each in _SAMPLE)
    assert 30 <= lengths[0] < 60
    assert 6_000 < lengths[-1] <= 7_200
    assert 400 < lengths[500] < 550  # the middle of an even spread of logarithms: 465 s


def test_a_range_of_lengths_is_spread_evenly() -> None:
    catalogue = _catalogue(duration_s=(60, 1_800))
    lengths = [catalogue.video(each).duration_s for each in _SAMPLE]
    assert 60 <= min(lengths) < 100
    assert 1_760 < max(lengths) <= 1_800
    assert 880 < sum(lengths) / len(lengths) < 980


def test_a_given_length_counts_before_all_others() -> None:
    catalogue = _catalogue(durations_s={"LONGaaaaaaa": 77})
    assert catalogue.video("LONGaaaaaaa").duration_s == 77
    assert catalogue.video("LONGaaaaaab").duration_s == 10_800


def test_the_share_of_videos_with_captions_is_as_configured() -> None:
    for share in (0.0, 0.6, 1.0):
        catalogue = _catalogue(caption_share=share)
        found = sum(bool(catalogue.video(each).tracks) for each in _SAMPLE)
        assert abs(found - share * 1_000) < 50


def test_captions_are_by_hand_by_machine_and_in_several_languages() -> None:
    catalogue = _catalogue(caption_share=1.0)
    videos = [catalogue.video(each) for each in _SAMPLE]
    assert {t.language for v in videos for t in v.tracks} == {"en", "en-GB", "de", "es"}
    assert any(all(t.generated for t in v.tracks) for v in videos)
    assert any(not any(t.generated for t in v.tracks) for v in videos)
    assert any(len({t.language for t in v.tracks}) > 1 for v in videos)
    for video in videos:
        assert len(set(video.tracks)) == len(video.tracks)


@pytest.mark.parametrize(
    ("prefix", "kind"),
    [("PRIV", "private"), ("GONE", "gone"), ("LIVE", "live"), ("SOON", "upcoming"), ("AGED", "age"),
     ("NOCC", "no_captions"), ("SILE", "silent"), ("FAIL", "failing"), ("STUK", "stuck")],
)  # fmt: skip
def test_the_beginning_of_an_id_tells_what_it_is(prefix: str, kind: str) -> None:
    assert _catalogue().video(f"{prefix}aaaaaaa").kind == kind


def test_the_configuration_decides_before_the_beginning() -> None:
    catalogue = _catalogue(special={"GONEaaaaaaa": "plain", "abcdefghijk": "gone"})
    assert catalogue.video("GONEaaaaaaa").kind == "plain"
    assert catalogue.video("abcdefghijk").kind == "gone"


def test_nobody_speaks_in_a_silent_video() -> None:
    catalogue = _catalogue(silent_share=0.5)
    assert catalogue.speech(catalogue.video("SILEaaaaaaa")).text == ""
    silent = sum(not catalogue.speech(catalogue.video(each)).lines for each in _SAMPLE[:200])
    assert 70 < silent < 130


def test_a_list_has_as_many_entries_as_its_name_says() -> None:
    catalogue = _catalogue()
    assert _list(catalogue, "PLn250_anything").size == 250
    assert _list(catalogue, "PLn999999_anything").size == 20_000
    assert 5 <= _list(catalogue, "PLsomething").size < 120


def test_private_and_unknown_lists_are_told_apart() -> None:
    catalogue = _catalogue()
    assert catalogue.list("PLprivate_things") == "private"
    for list_id in ("PLunknown_things", "WL", "", "XX123", "UUtoo_short"):
        assert catalogue.list(list_id) is None


def test_entries_are_different_videos_and_a_few_are_gone() -> None:
    catalogue = _catalogue()
    found = _list(catalogue, "PLn2000_x")
    entries = [catalogue.entry(found, place) for place in range(2_000)]
    assert len({entry.video_id for entry in entries}) == 2_000
    assert all(is_video_id(entry.video_id) for entry in entries)
    for state, kind in (("deleted", "gone"), ("private", "private")):
        lost = [entry for entry in entries if entry.state == state]
        assert 5 < len(lost) < 50
        assert {catalogue.video(entry.video_id).kind for entry in lost} == {kind}


@given(st.from_regex(r"[a-z][\w.-]{2,20}", fullmatch=True))
def test_a_channels_uploads_belong_to_it(name: str) -> None:
    catalogue = _catalogue()
    channel = catalogue.channel_of_handle(f"@{name}")
    if name.startswith("unknown"):
        assert channel is None
        return
    assert channel is not None
    assert channel == catalogue.channel(channel.channel_id) == catalogue.channel_of_handle(name)
    uploads = _list(catalogue, channel.uploads_id)
    for place in range(3):
        entry = catalogue.entry(uploads, place)
        assert catalogue.video(entry.video_id).channel == channel


@pytest.mark.parametrize("channel_id", ["UCshort", "UCunknown" + "a" * 15, "XX" + "a" * 22])
def test_an_unknown_channel_is_none(channel_id: str) -> None:
    assert _catalogue().channel(channel_id) is None
