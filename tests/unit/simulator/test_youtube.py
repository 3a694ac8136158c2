"""youtube.com, read by the caption library that users have, as it comes."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
import requests
import youtube_transcript_api as yta
from requests.adapters import HTTPAdapter

from bulk_transcribe.simulator import Faults, Simulator, SimulatorConfig
from bulk_transcribe.simulator.catalogue import Catalogue, Video
from bulk_transcribe.testing import FakeClock
from tests.unit.simulator.asking import Asker

CONFIG = SimulatorConfig(caption_share=1.0, duration_s=(60, 300))
CATALOGUE = Catalogue(CONFIG)


class _ToSimulator(HTTPAdapter):
    """Sends what is meant for www.youtube.com to the simulator."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = urlsplit(url)

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        parts = urlsplit(request.url or "")
        here = self._url
        request.url = urlunsplit((here.scheme, here.netloc, parts.path, parts.query, ""))
        return super().send(request, *args, **kwargs)


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    with Simulator(CONFIG, clock=FakeClock()) as simulator:
        yield simulator


@pytest.fixture
def faults(running: Simulator) -> Iterator[Faults]:
    yield running.faults
    running.faults.update(vars(Faults()))


@pytest.fixture
def api(running: Simulator) -> Iterator[yta.YouTubeTranscriptApi]:
    with requests.Session() as session:
        session.trust_env = False
        session.mount("https://www.youtube.com", _ToSimulator(running.url))
        yield yta.YouTubeTranscriptApi(http_client=session)


def _video_with(*, generated: bool | None = None, language: str = "en") -> Video:
    """A video that has such a track."""
    for n in range(5_000):
        video = CATALOGUE.video(f"vid{n:08d}")
        for track in video.tracks:
            if track.language == language and generated in {None, track.generated}:
                return video
    raise AssertionError("none of them")


def test_captions_are_the_words_of_the_video(api: yta.YouTubeTranscriptApi) -> None:
    video = _video_with()
    fetched = api.fetch(video.video_id)
    speech = CATALOGUE.speech(video)
    assert [snippet.text for snippet in fetched] == [line.text for line in speech.lines]
    assert "'" in speech.text  # what must be escaped arrives as it was
    for snippet, line in zip(fetched, speech.lines, strict=True):
        assert snippet.start == pytest.approx(line.start_s, abs=0.01)
        assert snippet.start + snippet.duration == pytest.approx(line.end_s, abs=0.02)


def test_tracks_are_listed_as_they_are(api: yta.YouTubeTranscriptApi) -> None:
    for n in range(30):
        video = CATALOGUE.video(f"vid{n:08d}")
        found = {(t.language_code, t.is_generated) for t in api.list(video.video_id)}
        assert found == {(track.language, track.generated) for track in video.tracks}


def test_a_track_can_be_translated(api: yta.YouTubeTranscriptApi) -> None:
    video = _video_with(generated=True)
    track = api.list(video.video_id).find_generated_transcript(["en"])
    assert track.is_translatable
    translated = " ".join(snippet.text for snippet in track.translate("de").fetch())
    assert translated == CATALOGUE.speech(video, "de").text


@pytest.mark.parametrize(
    ("video_id", "error"),
    [
        ("NOCCaaaaaaa", yta.TranscriptsDisabled),
        ("LIVEaaaaaaa", yta.TranscriptsDisabled),
        ("GONEaaaaaaa", yta.VideoUnavailable),
        ("PRIVaaaaaaa", yta.VideoUnplayable),
        ("SOONaaaaaaa", yta.VideoUnplayable),
        ("AGEDaaaaaaa", yta.AgeRestricted),
    ],
)
def test_what_has_no_captions_says_why(
    api: yta.YouTubeTranscriptApi, video_id: str, error: type[Exception]
) -> None:
    with pytest.raises(error) as caught:
        api.list(video_id)
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("block", "error"),
    [("429", yta.IpBlocked), ("recaptcha", yta.IpBlocked), ("bot", yta.RequestBlocked)],
)
def test_everybody_can_be_blocked_in_each_of_youtubes_ways(
    api: yta.YouTubeTranscriptApi, faults: Faults, block: Any, error: type[Exception]
) -> None:
    faults.captions_blocked = block
    with pytest.raises(error) as caught:
        api.list("abcdefghijk")
    assert type(caught.value) is error
    faults.captions_blocked = None
    assert list(api.list("abcdefghijk"))


def test_consent_is_asked_once(
    api: yta.YouTubeTranscriptApi, faults: Faults, running: Simulator
) -> None:
    faults.consent_page = True
    before = len(running.ledger().requests)
    api.list("abcdefghijk")
    assert [r.kind for r in running.ledger().requests[before:]] == ["watch", "watch", "player"]
    api.list("abcdefghijk")
    assert len(running.ledger().requests) == before + 5


def test_consent_that_is_still_open_does_not_count() -> None:
    asker = Asker(Faults(consent_page=True))
    for cookie, asks in (("CONSENT=PENDING+987", True), ("CONSENT=YES+cb", False)):
        page = asker.get("/watch?v=abcdefghijk", headers={"cookie": cookie}).text
        assert ("consent.youtube.com" in page) == asks


def test_a_token_can_be_asked_for(api: yta.YouTubeTranscriptApi, faults: Faults) -> None:
    faults.captions_po_token = True
    with pytest.raises(yta.PoTokenRequired):
        api.fetch(_video_with().video_id)


@pytest.mark.parametrize("kind", ["watch", "player", "timedtext"])
def test_each_step_can_be_garbled_once(
    api: yta.YouTubeTranscriptApi, faults: Faults, kind: str
) -> None:
    faults.update({"captions_garbage": 1, "only": {"captions_garbage": [kind]}})
    with pytest.raises(Exception, match=r"."):  # what it is depends on the library
        api.fetch(_video_with().video_id)
    assert api.fetch(_video_with().video_id).snippets


def _track_address(asker: Asker, video_id: str) -> str:
    page = asker.get(f"/watch?v={video_id}").text
    key = page.partition('"INNERTUBE_API_KEY": "')[2].partition('"')[0]
    body = {"context": {"client": {"clientName": "ANDROID"}}, "videoId": video_id}
    player = asker.post(f"/youtubei/v1/player?key={key}", json_body=body).json
    track = player["captions"]["playerCaptionsTracklistRenderer"]["captionTracks"][0]
    return str(track["baseUrl"]).removeprefix("http://simulated")


def test_a_caption_address_is_signed_and_ends() -> None:
    asker = Asker(caption_share=1.0)
    address = _track_address(asker, "abcdefghijk")
    plain = asker.get(address.replace("&fmt=srv3", "")).text
    assert plain.count("<text ") > 5
    assert asker.get(address).text.count("<p t=") > 5
    assert asker.get(address.replace("abcdefghijk", "abcdefghijl")).status == 404
    assert asker.get("/api/timedtext?v=abcdefghijk&lang=en").status == 404
    asker.clock.advance(7 * 3_600)
    assert asker.get(address).status == 404


def test_caption_files_are_escaped_twice() -> None:
    asker = Asker(caption_share=1.0, duration_s=(900, 1_800))
    ids = (f"vid{n:08d}" for n in range(100))
    english = next(i for i in ids if asker.state.catalogue.video(i).tracks[0].language == "en")
    text = asker.get(_track_address(asker, english)).text
    assert "&amp;#x27;" in text
    assert "'" not in text.partition("<body>")[2]


@pytest.mark.parametrize(
    "body", [None, {}, {"videoId": "abcdefghijk"}, {"videoId": "abcdefghijk", "context": {}}]
)
def test_a_player_that_is_not_asked_properly_refuses(body: object) -> None:
    assert Asker().post("/youtubei/v1/player?key=wrong", json_body=body).status == 400


def test_a_player_knows_title_and_length() -> None:
    asker = Asker(durations_s={"abcdefghijk": 77})
    page = asker.get("/watch?v=abcdefghijk").text
    key = page.partition('"INNERTUBE_API_KEY": "')[2].partition('"')[0]
    body = {"context": {"client": {}}, "videoId": "abcdefghijk"}
    details = asker.post(f"/youtubei/v1/player?key={key}", json_body=body).json["videoDetails"]
    assert details["lengthSeconds"] == "77"
    assert details["title"].startswith("Simulated")
