"""Settings: frozen, checked on creation, each read from one of four places.

Flags come first, then environment variables, then `.env` in the current folder, then a TOML file
(`bulk-transcribe.toml` in the current folder, else `config.toml` in the data folder). `load` is
the one function that reads them; nothing below `cli` looks at the environment.
"""

import difflib
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import parse_qs, urlsplit

import platformdirs
from dotenv import dotenv_values

from bulk_transcribe.core.order import Order
from bulk_transcribe.errors import ConfigError

FORMATS: Final = ("md", "srt", "vtt", "txt", "json")
SOURCES: Final = ("captions", "deapi")
RATE_LIMIT_MODES: Final = ("auto", "conservative", "aggressive")
#: More threads than this only wait for each other on one machine.
MAX_SLOTS: Final = 512
#: The brief's slider ends here; beyond it is for those who ask for it by number.
UI_MAX_SLOTS: Final = 10
TOML_NAME: Final = "bulk-transcribe.toml"

#: A timeout, speed or rate of this much is a slip, and so is a cost limit beyond it.
_ENDLESS: Final = 1_000_000
#: A language tag (RFC 5646), as far as YouTube has them: en, pt-BR, zh-Hant, es-419; or "any".
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
#: Of a value that cannot be used, this many characters are shown.
_MOST_SHOWN: Final = 100

#: deAPI takes addresses of 2,048 characters; the nonce needs some of them.
_LONGEST_WEBHOOK: Final = 2_000
_SHORTEST_SECRET: Final = 16
_LAST_PORT: Final = 65_535
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})

Slots = int | Literal["auto"]


@dataclass(frozen=True, kw_only=True)
class ParallelConfig:
    """The design brief's parallel section: off by default, and sequential is simply one slot.

    Args:
        max_concurrent: Videos in flight at once: 1 to 512, or "auto".
        enable_parallel: False means one slot, whatever `max_concurrent` says.
        rate_limit_rpm: Requests a minute that the account allows (deAPI Premium: 300).
        rate_limit_mode: "conservative" (one pool), "aggressive" (a pool per endpoint) or "auto"
            (begin conservative, widen on evidence).
        ui_preserve_mode: Keep status table, overall progress and current video in every mode;
            they are never switched off, so False is refused.
    """

    max_concurrent: Slots = 1
    enable_parallel: bool = False
    rate_limit_rpm: int = 300
    rate_limit_mode: str = "auto"
    ui_preserve_mode: bool = True

    @property
    def slots(self) -> Slots:
        """Videos in flight at once."""
        return self.max_concurrent if self.enable_parallel else 1

    def problems(self) -> tuple[str, ...]:
        """What is wrong with the section and how to mend it; empty when it can be used."""
        found = []
        slots = self.max_concurrent
        if slots != "auto" and not 1 <= slots <= MAX_SLOTS:
            found.append(
                f"{slots} videos at once is outside 1 to {MAX_SLOTS}: "
                "choose a number there, or auto."
            )
        if self.rate_limit_rpm < 1:
            found.append(
                f"A limit of {self.rate_limit_rpm} requests a minute lets nothing through: "
                "give what your account allows (300 on Premium)."
            )
        if self.rate_limit_mode not in RATE_LIMIT_MODES:
            found.append(
                f"{self.rate_limit_mode!r} is not a limit mode: use {', '.join(RATE_LIMIT_MODES)}."
            )
        if not self.ui_preserve_mode:
            found.append("The monitor is always on: leave ui_preserve_mode at true.")
        return tuple(found)

    def validate_config(self) -> bool:
        """Whether the section can be used as it is."""
        return not self.problems()

    def is_ui_compatible(self) -> bool:
        """Whether the page's slider can show this (up to 10, or auto)."""
        slots = self.slots
        return self.validate_config() and (slots == "auto" or slots <= UI_MAX_SLOTS)

    def can_fallback_to_sequential(self) -> bool:
        """Always: one slot is the same engine with one thread."""
        return True


def _setting(default: Any, env: str, about: str, *, secret: bool = False) -> Any:
    return field(
        default=default, repr=not secret, metadata={"env": env, "about": about, "secret": secret}
    )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every setting, once. Each field's metadata holds its variable and one line of help."""

    home: Path = field(
        default_factory=lambda: platformdirs.user_data_path("bulk-transcribe", appauthor=False),
        metadata={
            "env": "BULK_TRANSCRIBE_HOME",
            "about": "folder of the database and the log",
            "secret": False,
        },
    )
    database_url: str = _setting(
        "",
        "DATABASE_URL",
        "PostgreSQL to use instead of the file, postgresql://user:password@host:port/name",
        secret=True,
    )
    out: Path = _setting(Path("transcripts"), "BULK_TRANSCRIBE_OUT", "folder for transcript files")
    formats: tuple[str, ...] = _setting(
        ("md", "srt", "json"), "BULK_TRANSCRIBE_FORMATS", "files per video: md, srt, vtt, txt, json"
    )
    sources: tuple[str, ...] = _setting(
        SOURCES, "BULK_TRANSCRIBE_SOURCES", "where to look for a transcript, in this order"
    )
    languages: tuple[str, ...] = _setting(
        ("any",),
        "BULK_TRANSCRIBE_LANGUAGES",
        'wanted caption languages in order; "any" is whatever there is, the spoken one first',
    )
    order: Order = _setting(
        Order.SHORTEST_FIRST, "BULK_TRANSCRIBE_ORDER", "shortest-first, longest-first or input"
    )
    max_concurrent: Slots = _setting(
        1, "BULK_TRANSCRIBE_MAX_CONCURRENT", f"videos in flight at once: 1 to {MAX_SLOTS}, or auto"
    )
    rate_limit_rpm: int = _setting(
        300, "BULK_TRANSCRIBE_RATE_LIMIT_RPM", "deAPI requests a minute that the account allows"
    )
    rate_limit_mode: str = _setting(
        "auto", "BULK_TRANSCRIBE_RATE_LIMIT_MODE", "auto, conservative or aggressive"
    )
    captions_rpm: int = _setting(
        120, "BULK_TRANSCRIBE_CAPTIONS_RPM", "requests a minute to youtube.com (a video takes 3)"
    )
    when_blocked: str = _setting(
        "wait",
        "BULK_TRANSCRIBE_WHEN_BLOCKED",
        "when YouTube refuses captions to this address: wait, pay (go on to deAPI) or fail",
    )
    max_cost_usd: Decimal | None = _setting(
        None,
        "BULK_TRANSCRIBE_MAX_COST",
        "most that a session may cost, US dollars, all its runs together; none: no limit",
    )
    model: str = _setting("WhisperLargeV3", "BULK_TRANSCRIBE_MODEL", "deAPI speech model")
    deapi_version: str = _setting("v2", "BULK_TRANSCRIBE_DEAPI_VERSION", "deAPI version: v1 or v2")
    deapi_base_url: str = _setting(
        "https://api.deapi.ai", "DEAPI_BASE_URL", "address of the paid service"
    )
    deapi_api_key: str = _setting("", "DEAPI_API_KEY", "key of the paid service", secret=True)
    webhook_url: str = _setting(
        "",
        "BULK_TRANSCRIBE_WEBHOOK_URL",
        "public https address that leads to the webhook receiver; none: no webhooks",
    )
    webhook_secret: str = _setting(
        "",
        "BULK_TRANSCRIBE_WEBHOOK_SECRET",
        "what deAPI signs webhooks with, 16 characters or more; with v1 the account's own",
        secret=True,
    )
    webhook_bind: str = _setting(
        "127.0.0.1:8765",
        "BULK_TRANSCRIBE_WEBHOOK_BIND",
        "host:port on which the webhook receiver listens",
    )
    youtube_data_api_key: str = _setting(
        "", "YOUTUBE_DATA_API_KEY", "key of the YouTube Data API", secret=True
    )
    youtube_api_base_url: str = _setting(
        "https://www.googleapis.com/youtube/v3",
        "YOUTUBE_API_BASE_URL",
        "address of the YouTube Data API",
    )
    youtube_base_url: str = _setting(
        "https://www.youtube.com", "YOUTUBE_BASE_URL", "address that captions are read from"
    )
    proxy: str = _setting(
        "",
        "BULK_TRANSCRIBE_PROXY",
        "proxy for YouTube, http://user:password@host:port",
        secret=True,
    )
    webshare_username: str = _setting(
        "", "WEBSHARE_USERNAME", "Webshare rotating proxy for captions: user", secret=True
    )
    webshare_password: str = _setting(
        "", "WEBSHARE_PASSWORD", "Webshare rotating proxy for captions: password", secret=True
    )
    allow_private_addresses: bool = _setting(
        False,  # noqa: FBT003 -- a default, not a switch
        "BULK_TRANSCRIBE_ALLOW_PRIVATE_ADDRESSES",
        "let answers of services lead to addresses in private networks: yes or no",
    )
    request_timeout_s: float = _setting(
        30.0, "BULK_TRANSCRIBE_REQUEST_TIMEOUT_S", "seconds after which a request counts as lost"
    )
    log_level: str = _setting(
        "info", "BULK_TRANSCRIBE_LOG_LEVEL", "debug, info, warning or error, for the log file"
    )
    clock_speed: float = _setting(
        1.0, "BULK_TRANSCRIBE_CLOCK_SPEED", "clock seconds per real second, for demos and tests"
    )

    def __post_init__(self) -> None:
        problems = [*self.parallel.problems()]
        problems += _bad_database(self.database_url)
        problems += _unknown("formats", self.formats, FORMATS)
        problems += _unknown("sources", self.sources, SOURCES)
        problems += _unknown("when_blocked", (self.when_blocked,), ("wait", "pay", "fail"))
        problems += _unknown("deapi_version", (self.deapi_version,), ("v1", "v2"))
        problems += _unknown("log_level", (self.log_level,), ("debug", "info", "warning", "error"))
        if not self.languages:
            problems.append('languages is empty: name one, or "any".')
        problems += [
            f"languages: {word[:_MOST_SHOWN]!r} is neither a language code (en, pt-BR) nor any."
            for word in self.languages
            if not _LANGUAGE.fullmatch(word)
        ]
        for name in ("deapi_base_url", "youtube_api_base_url", "youtube_base_url"):
            problems += _bad_address(name, getattr(self, name))
        problems += _bad_webhooks(self.webhook_url, self.webhook_secret, self.webhook_bind)
        for name in ("captions_rpm", "request_timeout_s", "clock_speed"):
            if not 0 < getattr(self, name) < _ENDLESS:
                problems.append(
                    f"{name} must be above 0 and below a million, not {getattr(self, name)}."
                )
        if self.max_cost_usd is not None and not 0 <= self.max_cost_usd <= _ENDLESS:
            problems.append(
                f"max_cost_usd must be none, or from 0 to {_ENDLESS:,}, not {self.max_cost_usd}."
            )
        for each in fields(self):
            value = getattr(self, each.name)
            if each.metadata["secret"] and not (value.isascii() and value.isprintable()):
                problems.append(f"{each.name} holds characters that no key has: copy it again.")
        if problems:
            raise ConfigError(" ".join(problems))

    @property
    def parallel(self) -> ParallelConfig:
        """The parallel section; more than one slot switches it on."""
        return ParallelConfig(
            max_concurrent=self.max_concurrent,
            enable_parallel=self.max_concurrent != 1,
            rate_limit_rpm=self.rate_limit_rpm,
            rate_limit_mode=self.rate_limit_mode,
        )

    @property
    def database(self) -> Path | str:
        """Where the store is, as `open_database` wants it: an address, else the path of a file."""
        return self.database_url or self.database_path

    @property
    def database_path(self) -> Path:
        """The file, where no server is set."""
        return self.home / "bulk-transcribe.sqlite3"

    @property
    def log_path(self) -> Path:
        return self.home / "bulk-transcribe.log"

    @property
    def webhook_address(self) -> tuple[str, int]:
        """Host and port on which the webhook receiver listens."""
        host, _, port = self.webhook_bind.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that must never be written anywhere."""
        return tuple(
            value
            for each in fields(self)
            if each.metadata["secret"] and (value := getattr(self, each.name))
        )

    def public(self) -> dict[str, Any]:
        """Name -> plain value, for the store and for `config`; a secret is only "set" or ""."""
        return {
            each.name: ("set" if value else "") if each.metadata["secret"] else _plain(value)
            for each in fields(self)
            for value in (getattr(self, each.name),)
        }


@dataclass(frozen=True, kw_only=True)
class LoadedSettings:
    """The settings, and for each of them where its value came from."""

    settings: Settings
    origins: Mapping[str, str] = field(default_factory=dict)


def load(flags: Mapping[str, Any], environ: Mapping[str, str], folder: Path) -> LoadedSettings:
    """Read all settings.

    Args:
        flags: Field name -> value from the command line; None means not given.
        environ: The environment.
        folder: The current folder, where `.env` and `bulk-transcribe.toml` are looked for.

    Raises:
        ConfigError: a value cannot be used, or a file has an unknown name or cannot be read.
    """
    dotenv = _read_dotenv(folder / ".env")
    home = flags.get("home") or environ.get("BULK_TRANSCRIBE_HOME")
    home = home or dotenv.get("BULK_TRANSCRIBE_HOME") or Settings().home
    toml_path = folder / TOML_NAME
    if not toml_path.is_file():
        toml_path = _parse("home", home, "--home or BULK_TRANSCRIBE_HOME") / "config.toml"
    toml = _read_toml(toml_path)

    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for each in fields(Settings):
        env = each.metadata["env"]
        places = (
            (flags.get(each.name), "flag"),
            (environ.get(env) or None, f"environment variable {env}"),
            (dotenv.get(env) or None, f"{env} in .env"),
            (toml.get(each.name), str(toml_path)),
        )
        origins[each.name] = "default"
        for raw, origin in places:
            if raw is not None:
                values[each.name] = _parse(each.name, raw, origin)
                origins[each.name] = origin
                break
    return LoadedSettings(settings=Settings(**values), origins=origins)


def _read_dotenv(path: Path) -> dict[str, str]:
    try:
        return {name: text for name, text in dotenv_values(path).items() if text is not None}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {type(error).__name__}.") from error


def _read_toml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # bad TOML is a ValueError
        raise ConfigError(f"{path} cannot be read: {error}.") from error
    known = [each.name for each in fields(Settings)]
    for name in found:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise ConfigError(f"{path}: there is no setting {name!r}.{hint}")
    return found


def _parse(name: str, raw: Any, origin: str) -> Any:
    parse = _PARSERS.get(name, str)
    try:
        return parse(raw.strip() if isinstance(raw, str) else raw)
    except (ValueError, TypeError, OverflowError) as error:
        shown = "its value" if name in _SECRET_NAMES else repr(raw)[:_MOST_SHOWN]
        raise ConfigError(f"{name} from {origin}: {shown} cannot be used: {error}.") from error


def _words(raw: Any) -> tuple[str, ...]:
    parts = raw.split(",") if isinstance(raw, str) else list(raw)
    return tuple(dict.fromkeys(word.strip() for part in parts if (word := str(part)).strip()))


def _slots(raw: Any) -> Slots:
    if str(raw).lower() == "auto":
        return "auto"
    return _whole(raw)


def _whole(raw: Any) -> int:
    if isinstance(raw, bool) or (isinstance(raw, float) and not raw.is_integer()):
        raise ValueError("a whole number is needed")
    try:
        return int(raw)
    except ValueError as error:
        raise ValueError("a whole number is needed") from error


def _yes_or_no(raw: Any) -> bool:
    word = str(raw).lower()
    if word in {"yes", "true", "1", "on"}:
        return True
    if word in {"no", "false", "0", "off"}:
        return False
    raise ValueError("say yes or no")


def _path(raw: Any) -> Path:
    if "\0" in str(raw):
        raise ValueError("no name of a folder has a NUL in it")
    try:
        return Path(raw).expanduser()
    except RuntimeError as error:  # "~somebody" who is not there
        raise ValueError("there is no such user") from error


def _order(raw: Any) -> Order:
    try:
        return Order(raw)
    except ValueError as error:
        raise ValueError(f"choose one of {', '.join(Order)}") from error


def _dollars(raw: Any) -> Decimal | None:
    text = str(raw).strip().removeprefix("$")
    if text.lower() == "none":
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation as error:
        raise ValueError("an amount such as 2.50 is needed, or none") from error
    if isinstance(raw, bool) or not amount.is_finite() or amount < 0:
        raise ValueError("an amount such as 2.50 is needed, or none")
    return amount


_PARSERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "home": _path,
    "out": _path,
    "formats": _words,
    "sources": _words,
    "languages": _words,
    "order": _order,
    "max_concurrent": _slots,
    "rate_limit_rpm": _whole,
    "captions_rpm": _whole,
    "allow_private_addresses": _yes_or_no,
    "max_cost_usd": _dollars,
    "request_timeout_s": float,
    "clock_speed": float,
    "log_level": lambda raw: str(raw).lower(),
    "webhook_url": lambda raw: "" if str(raw).lower() == "none" else str(raw).rstrip("/"),
}
_SECRET_NAMES: Final = frozenset(each.name for each in fields(Settings) if each.metadata["secret"])


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, Path | Order | Decimal) else value


def _unknown(name: str, values: tuple[str, ...], known: tuple[str, ...]) -> list[str]:
    wrong = [value for value in values if value not in known]
    if wrong or not values:
        shown = ", ".join(map(repr, wrong)) or "nothing"
        return [f"{name}: {shown} is not known; choose from {', '.join(known)}."]
    return []


def _bad_database(url: str) -> list[str]:
    """A password may be in it: it is not shown."""
    try:
        parts = urlsplit(url or "postgresql:///name")
        is_usable = parts.scheme in {"postgresql", "postgres"} and parts.port != 0
        fields = parse_qs(parts.query)
    except ValueError:
        is_usable, fields = False, {}
    else:
        is_usable = is_usable and bool(parts.path.strip("/"))
    if not is_usable:
        how = "postgresql://user:password@host:port/name"
        return [f"database_url is not the address of a PostgreSQL database, {how}."]
    if any(name.endswith("password") for name in fields):
        return ["database_url: put the password before the @, where it is kept out of every log."]
    return []


def _bad_address(name: str, url: str) -> list[str]:
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        is_usable = False
    return [] if is_usable else [f"{name}: {url[:_MOST_SHOWN]!r} is not an http or https address."]


def _bad_webhooks(url: str, secret: str, bind: str) -> list[str]:
    """What is wrong with the settings of webhooks."""
    problems = []
    host, _, port = bind.rpartition(":")
    if not host or not (port.isascii() and port.isdecimal() and 0 < int(port) <= _LAST_PORT):
        problems.append(f"webhook_bind: {bind[:_MOST_SHOWN]!r} is not host:port.")
    if not url:
        return problems
    bad = _bad_address("webhook_url", url)
    problems += bad
    parts = urlsplit("" if bad else url)
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        problems.append("webhook_url must begin with https://: deAPI sends to nothing else.")
    if parts.query or parts.fragment or parts.username is not None:
        problems.append("webhook_url must end with its path: no user, no ? and no #.")
    if len(url) > _LONGEST_WEBHOOK:
        problems.append(f"webhook_url is longer than {_LONGEST_WEBHOOK} characters.")
    if len(secret) < _SHORTEST_SECRET:
        problems.append(
            f"webhook_secret needs {_SHORTEST_SECRET} characters or more: without it anybody could "
            "pretend to be deAPI."
        )
    return problems
