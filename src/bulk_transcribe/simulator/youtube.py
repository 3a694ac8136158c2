"""youtube.com as a caption reader sees it: the watch page, the player and the caption files."""

import html
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any, Final
from urllib.parse import urlencode

from bulk_transcribe.simulator.catalogue import Track, Video, is_video_id
from bulk_transcribe.simulator.messages import (
    Answer,
    Asked,
    html_answer,
    json_answer,
    page,
    xml_answer,
)
from bulk_transcribe.simulator.speech import LANGUAGES, Speech
from bulk_transcribe.simulator.state import State

_INNERTUBE_KEY: Final = "AIzaSimulated_0123456789-abcdefghijklmnop"
_NAMES: Final[Mapping[str, str]] = {
    "en": "English",
    "en-GB": "English (United Kingdom)",
    "de": "German",
    "es": "Spanish",
}
#: Where the reason has an apostrophe, it is the typographic one.
_BOT_REASON: Final = "Sign in to confirm you’re not a bot"
_AGE_REASON: Final = "This video may be inappropriate for some users."
#: Kind of video -> status, reason and further words of a player that does not play.
_UNPLAYABLE: Final[Mapping[str, tuple[str, str, str | None]]] = {
    "gone": ("ERROR", "This video is unavailable", None),
    "private": (
        "LOGIN_REQUIRED",
        "This video is private",
        "If the owner of this video has granted you access, please sign in.",
    ),
    "age": ("LOGIN_REQUIRED", _AGE_REASON, None),
    "upcoming": ("LIVE_STREAM_OFFLINE", "This live event will begin in 5 hours.", None),
}
_URL_LIFE_S: Final = 21_600


class YouTube:
    """The handlers of youtube.com. Called with the state's lock held."""

    def __init__(self, state: State) -> None:
        self._state = state

    def watch(self, asked: Asked) -> Answer:
        """The watch page, the consent page before it, or a refusal."""
        if self._state.faults.captions_blocked == "429":
            return _too_many()
        if self._state.faults.consent_page and "CONSENT=YES+" not in asked.headers.get(
            "cookie", ""
        ):
            return html_answer(_CONSENT_PAGE)
        if self._state.faults.captions_blocked == "recaptcha":
            form = '<form action="/das_captcha"><div class="g-recaptcha"></div></form>'
            return html_answer(page("YouTube", form))
        video_id = asked.query.get("v", "")
        if self._is_garbled("watch", video_id):
            return html_answer(page("YouTube", "Something else altogether."))
        known = is_video_id(video_id)
        title = self._state.catalogue.video(video_id).title if known else ""
        return html_answer(_watch_page(title))

    def player(self, asked: Asked) -> Answer:
        """Whether a video plays, and its caption tracks."""
        if self._state.faults.captions_blocked == "429":
            return _too_many()
        body = asked.json
        video_id = body.get("videoId") if isinstance(body, dict) else None
        has_client = isinstance(body, dict) and "client" in (body.get("context") or {})
        if asked.query.get("key") != _INNERTUBE_KEY or not has_client:
            problem = {"code": 400, "message": "Request contains an invalid argument."}
            return json_answer({"error": problem}, 400)
        if self._is_garbled("player", str(video_id)):
            return Answer(status=200, body=b"<!doctype html><p>not JSON", content_type="text/html")
        if self._state.faults.captions_blocked == "bot":
            return json_answer(
                _unplayable("LOGIN_REQUIRED", _BOT_REASON, "This helps protect our community.")
            )
        if not isinstance(video_id, str) or not is_video_id(video_id):
            return json_answer(_unplayable("ERROR", "This video is unavailable", None))
        return json_answer(self._player(self._state.catalogue.video(video_id)))

    def timedtext(self, asked: Asked) -> Answer:
        """A caption file in YouTube's plain XML, or in "srv3"."""
        if self._state.faults.captions_blocked == "429":
            return _too_many()
        query = asked.query
        video_id, language = query.get("v", ""), query.get("lang", "")
        signed = {name: query.get(name, "") for name in ("v", "caps", "expire", "lang", "kind")}
        is_ours = is_video_id(video_id) and query.get("signature") == self._signature(signed)
        if not is_ours or int(signed["expire"]) < self._state.clock.now().timestamp():
            return Answer(status=404, content_type="text/html; charset=utf-8")
        # an empty file is what a reader gets where a token was wanted, or something broke
        if query.get("exp") or self._is_garbled("timedtext", video_id):
            return Answer(status=200, content_type="text/html; charset=utf-8")
        wanted = query.get("tlang") or language
        if wanted.partition("-")[0] not in LANGUAGES:
            return Answer(status=404, content_type="text/html; charset=utf-8")
        video = self._state.catalogue.video(video_id)
        speech = self._state.catalogue.speech(video, wanted)
        return xml_answer(_srv3(speech) if query.get("fmt") == "srv3" else _transcript(speech))

    def _player(self, video: Video) -> dict[str, Any]:
        details = {
            "videoId": video.video_id,
            "title": video.title,
            "lengthSeconds": "0" if video.kind in {"live", "upcoming"} else str(video.duration_s),
            "channelId": video.channel.channel_id,
            "author": video.channel.title,
            "isLiveContent": video.kind in {"live", "upcoming"},
        }
        if video.kind in _UNPLAYABLE:
            answer = _unplayable(*_UNPLAYABLE[video.kind])
            return (
                answer if video.kind in {"gone", "private"} else answer | {"videoDetails": details}
            )
        answer = {"playabilityStatus": {"status": "OK"}, "videoDetails": details}
        if video.tracks and video.kind != "live":
            answer["captions"] = {"playerCaptionsTracklistRenderer": self._tracks(video)}
        return answer

    def _tracks(self, video: Video) -> dict[str, Any]:
        names = ({"languageCode": code, "languageName": _runs(_NAMES[code])} for code in LANGUAGES)
        return {
            "captionTracks": [self._track(video, track) for track in video.tracks],
            "translationLanguages": list(names),
        }

    def _track(self, video: Video, track: Track) -> dict[str, Any]:
        name = _NAMES[track.language] + (" (auto-generated)" if track.generated else "")
        kind = {"kind": "asr"} if track.generated else {}
        address = self._address(video.video_id, track)
        return {
            "baseUrl": address,
            "name": _runs(name),
            "vssId": f"{'a' if track.generated else ''}.{track.language}",
            "languageCode": track.language,
            "isTranslatable": True,
            **kind,
        }

    def _address(self, video_id: str, track: Track) -> str:
        fields = {
            "v": video_id,
            "caps": "asr",
            "expire": str(int(self._state.clock.now().timestamp()) + _URL_LIFE_S),
            "lang": track.language,
            "kind": "asr" if track.generated else "",
        }
        signature = self._signature(fields)
        more = {"sparams": "v,caps,expire", "signature": signature, "key": "yt8", "fmt": "srv3"}
        seed = self._state.config.seed
        faults = self._state.faults
        wants_token = faults.happens("captions_po_token", "player", seed, video_id, track.language)
        tail = "&exp=xpe" if wants_token else ""
        return f"{self._state.base_url}/api/timedtext?{urlencode(fields | more)}{tail}"

    def _signature(self, fields: Mapping[str, str]) -> str:
        text = "\n".join(fields.values())
        key = str(self._state.config.seed).encode()
        return blake2b(text.encode(), key=key, digest_size=16).hexdigest().upper()

    def _is_garbled(self, kind: str, video_id: str) -> bool:
        state = self._state
        visit = state.visit(kind, video_id)
        return state.faults.happens("captions_garbage", kind, state.config.seed, video_id, visit)


def _too_many() -> Answer:
    return html_answer(page("Sorry...", "Our systems have detected unusual traffic."), 429)


def _runs(text: str) -> dict[str, Any]:
    return {"runs": [{"text": text}]}


def _unplayable(status: str, reason: str, more: str | None) -> dict[str, Any]:
    renderer: dict[str, Any] = {"reason": _runs(reason)}
    if more is not None:
        renderer["subreason"] = _runs(more)
    screen = {"playerErrorMessageRenderer": renderer}
    return {"playabilityStatus": {"status": status, "reason": reason, "errorScreen": screen}}


def _watch_page(title: str) -> str:
    return (
        f"<!DOCTYPE html><html><head><title>{html.escape(title)} - YouTube</title>"
        f'<script>ytcfg.set({{"INNERTUBE_API_KEY": "{_INNERTUBE_KEY}", "HL": "en"}});</script>'
        "</head><body></body></html>"
    )


_CONSENT_PAGE: Final = (
    "<!DOCTYPE html><html><head><title>Before you continue to YouTube</title></head><body>"
    '<form action="https://consent.youtube.com/s" method="POST">'
    '<input type="hidden" name="gl" value="DE">'
    '<input type="hidden" name="v" value="cb.20260101-00-p0.en+FX+000">'
    '<input type="submit" value="Accept all"></form></body></html>'
)


def _transcript(speech: Speech) -> str:
    lines = _lines(
        speech, lambda start, length: f'<text start="{start:.2f}" dur="{length:.2f}">', "text"
    )
    return f'<?xml version="1.0" encoding="utf-8" ?><transcript>{lines}</transcript>'


def _srv3(speech: Speech) -> str:
    lines = _lines(
        speech, lambda start, length: f'<p t="{start * 1000:.0f}" d="{length * 1000:.0f}">', "p"
    )
    head = '<?xml version="1.0" encoding="utf-8" ?><timedtext format="3"><body>'
    return f"{head}{lines}</body></timedtext>"


def _lines(speech: Speech, opening: Callable[[float, float], str], tag: str) -> str:
    # what a viewer reads is escaped as HTML, and that once more as XML
    return "".join(
        f"{opening(line.start_s, line.end_s - line.start_s)}"
        f"{html.escape(html.escape(line.text), quote=False)}</{tag}>"
        for line in speech.lines
    )
