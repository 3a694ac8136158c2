"""Reading a submit or a price call: what is asked for, or what is wrong with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from bulk_transcribe.simulator.catalogue import is_video_id
from bulk_transcribe.simulator.messages import Asked, Upload
from bulk_transcribe.simulator.seeded import number

#: Hosts whose videos are taken, and theirs with any prefix (www., m., music. ...).
_HOSTS: Final = (
    "youtube.com", "youtu.be", "x.com", "twitter.com", "twitch.tv", "kick.com", "tiktok.com",
)  # fmt: skip
_YOUTUBE_PATHS: Final = ("shorts", "live", "embed", "v", "e")
_LONGEST_WEBHOOK: Final = 2048
_OWN_HTTP: Final = "http://127.0.0.1:"
#: The endpoints' own texts say 10 MB; other pages say more.
LARGEST_UPLOAD: Final = 10 * 1024 * 1024
_MEDIA: Final = ("audio/", "video/")
_TRUE: Final = frozenset({"1", "true"})
_FALSE: Final = frozenset({"0", "false"})
_ID_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

Errors = dict[str, list[str]]


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A way to hand in a video: the names of its fields and the form it wants.

    Args:
        name: As in its path.
        url_field: Field of the address, None where only files are taken.
        file_field: Field of the file, None where only addresses are taken.
        body: json, form (multipart), or either: JSON for an address, a form for a file.
        needs: Further fields without which it refuses.
        spaces_only: Takes X Spaces and nothing else.
        version: 1 or 2.
    """

    name: str
    url_field: str | None = None
    file_field: str | None = None
    body: str
    needs: tuple[str, ...] = ()
    spaces_only: bool = False
    version: int = 1


#: Path below the version's prefix -> endpoint.
V1: Final[Mapping[str, Endpoint]] = {
    each.name: each
    for each in (
        Endpoint(name="vid2txt", url_field="video_url", body="json", needs=("include_ts",)),
        Endpoint(
            name="aud2txt",
            url_field="audio_url",
            body="json",
            needs=("include_ts", "model"),
            spaces_only=True,
        ),
        Endpoint(name="videofile2txt", file_field="video", body="form", needs=("include_ts",)),
        Endpoint(name="audiofile2txt", file_field="audio", body="form", needs=("include_ts",)),
        Endpoint(
            name="transcribe", url_field="source_url", file_field="source_file", body="either"
        ),
    )
}
V2: Final = Endpoint(
    name="transcriptions",
    url_field="source_url",
    file_field="source_file",
    body="form",
    needs=("model",),
    version=2,
)


@dataclass(kw_only=True)
class Reading:
    """The fields of a body, checked one by one. `errors`: field -> what is wrong with it."""

    fields: Mapping[str, Any]
    errors: Errors = field(default_factory=dict)

    def refuse(self, name: str, message: str) -> None:
        """Note what is wrong with a field."""
        self.errors.setdefault(name, []).append(message)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A switch: true, 1, "1" or "true" and their opposites; null is the default."""
        value = self.fields.get(name)
        if value is None:
            return default
        word = str(value).lower() if isinstance(value, bool | int | str) else ""
        if word in _TRUE | _FALSE:
            return word in _TRUE
        self.refuse(name, f"The {_spaced(name)} field must be true or false.")
        return default

    def text(self, name: str) -> str | None:
        """A non-empty text; None where it is not given."""
        value = self.fields.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, str):
            return value
        self.refuse(name, f"The {_spaced(name)} field must be a string.")
        return None

    def seconds(self, name: str) -> float | None:
        """A length above zero; None where it is not given."""
        value = self.fields.get(name)
        if value is None:
            return None
        try:
            seconds = float(value)
        except (TypeError, ValueError):
            seconds = 0.0
        if seconds > 0:
            return seconds
        self.refuse(name, f"The {_spaced(name)} field must be at least 1.")
        return None

    def require(self, name: str) -> None:
        """Note it where a field is missing."""
        if self.fields.get(name) in {None, ""}:
            self.refuse(name, f"The {_spaced(name)} field is required.")


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the media comes from.

    Args:
        media_id: The video id of a YouTube address; for anything else an id derived from it.
        on_youtube: Whether the address is YouTube's.
        upload: The file, if it is one.
    """

    media_id: str
    on_youtube: bool
    upload: Upload | None = None


def read_fields(asked: Asked, endpoint: Endpoint) -> Reading:
    """The fields of a body in the form that the endpoint wants; none of them otherwise."""
    form, body = asked.form, asked.json
    if endpoint.body != "json" and form is not None:
        return Reading(fields=form)
    if endpoint.body != "form" and isinstance(body, dict):
        return Reading(fields=body)
    reading = Reading(fields={})
    if endpoint.body == "form":
        reading.refuse("body", "The request must be multipart/form-data.")
    return reading


def read_source(reading: Reading, endpoint: Endpoint) -> Source | None:
    """The one source that is given; None, and an error, where there is none or more than one."""
    names = [each for each in (endpoint.url_field, endpoint.file_field) if each is not None]
    given = [name for name in names if reading.fields.get(name) not in {None, ""}]
    if "file" in reading.fields and "file" not in names:
        reading.refuse("file", "The file field is prohibited.")
    if len(given) != 1:
        wrong = "required" if not given else "prohibited when the other source is present"
        for name in names:
            reading.refuse(name, f"The {_spaced(name)} field is {wrong}.")
        return None
    (name,) = given
    value = reading.fields[name]
    if name == endpoint.url_field:
        return _read_url(reading, endpoint, name, value)
    return _read_upload(reading, name, value)


def _read_url(reading: Reading, endpoint: Endpoint, name: str, value: Any) -> Source | None:
    address = value if isinstance(value, str) else ""
    parts = urlsplit(address)
    host = (parts.hostname or "").lower()
    site = next((each for each in _HOSTS if host == each or host.endswith(f".{each}")), None)
    if parts.scheme not in {"http", "https"} or not host:
        reading.refuse(name, f"The {_spaced(name)} field must be a valid URL.")
        return None
    if site is None or (endpoint.spaces_only and "/spaces/" not in parts.path):
        reading.refuse(name, f"The {_spaced(name)} host is not supported.")
        return None
    if site not in {"youtube.com", "youtu.be"}:
        return Source(media_id=derived_id(address), on_youtube=False)
    video_id = youtube_id(address)
    if video_id is None:
        reading.refuse(name, f"The {_spaced(name)} does not point to a video.")
        return None
    return Source(media_id=video_id, on_youtube=True)


def _read_upload(reading: Reading, name: str, value: Any) -> Source | None:
    if not isinstance(value, Upload) or not value.content:
        reading.refuse(name, f"The {_spaced(name)} field must be a file.")
        return None
    if not value.content_type.startswith(_MEDIA):
        reading.refuse(name, f"The {_spaced(name)} field must be a file of type: audio, video.")
        return None
    media_id = derived_id(f"{value.name}:{len(value.content)}")
    return Source(media_id=media_id, on_youtube=False, upload=value)


def read_webhook(reading: Reading, endpoint: Endpoint, *, takes_http: bool) -> tuple[str, str]:
    """Address and secret of a webhook, "" for none. Notes what is wrong with them.

    `takes_http`: this machine's own addresses need no https.
    """
    address, secret = reading.text("webhook_url"), reading.text("webhook_secret")
    is_good = address is None or (
        (address.startswith("https://") or (takes_http and address.startswith(_OWN_HTTP)))
        and len(address) <= _LONGEST_WEBHOOK
    )
    if not is_good:
        reading.refuse("webhook_url", "The webhook url must start with https://.")
    if endpoint.version > 1 and (address is not None) != (secret is not None):
        missing = "webhook_secret" if address is not None else "webhook_url"
        reading.refuse(missing, f"The {_spaced(missing)} field is required.")
    return address or "", (secret or "") if endpoint.version > 1 else ""


def youtube_id(address: str) -> str | None:
    """The video id in a YouTube address; None where it leads to no single video."""
    parts = urlsplit(address)
    steps = [step for step in parts.path.split("/") if step]
    if (parts.hostname or "").endswith("youtu.be"):
        candidate = steps[0] if steps else ""
    elif len(steps) > 1 and steps[0] in _YOUTUBE_PATHS:
        candidate = steps[1]
    else:
        candidate = parse_qs(parts.query).get("v", [""])[-1]
    return candidate if is_video_id(candidate) else None


def derived_id(text: str) -> str:
    """An id for media from elsewhere: eleven characters, always the same for the same text."""
    value = number(0, "media", text)
    return "".join(_ID_ALPHABET[value >> 5 * place & 0x3F] for place in range(11))


def _spaced(name: str) -> str:
    return name.replace("_", " ")
