"""Settings come from four places, in order, and a bad one says what is wrong."""

from decimal import Decimal
from pathlib import Path

import pytest

from bulk_transcribe.config import ParallelConfig, Settings, load
from bulk_transcribe.core.order import Order
from bulk_transcribe.errors import ConfigError


def test_flags_beat_environment_beats_dotenv_beats_toml(tmp_path: Path) -> None:
    (tmp_path / "bulk-transcribe.toml").write_text(
        'rate_limit_rpm = 10\ncaptions_rpm = 11\nmodel = "toml"\norder = "input"\n'
    )
    (tmp_path / ".env").write_text(
        "BULK_TRANSCRIBE_RATE_LIMIT_RPM=20\nBULK_TRANSCRIBE_CAPTIONS_RPM=21\n"
        "BULK_TRANSCRIBE_MODEL=dotenv\n"
    )
    environ = {"BULK_TRANSCRIBE_RATE_LIMIT_RPM": "30", "BULK_TRANSCRIBE_CAPTIONS_RPM": "31"}

    loaded = load({"rate_limit_rpm": 40, "model": None}, environ, tmp_path)

    assert loaded.settings.rate_limit_rpm == 40
    assert loaded.settings.captions_rpm == 31
    assert loaded.settings.model == "dotenv"
    assert loaded.settings.order is Order.INPUT
    assert loaded.origins["rate_limit_rpm"] == "flag"
    assert loaded.origins["captions_rpm"] == "environment variable BULK_TRANSCRIBE_CAPTIONS_RPM"
    assert loaded.origins["model"] == "BULK_TRANSCRIBE_MODEL in .env"
    assert loaded.origins["order"].endswith("bulk-transcribe.toml")
    assert loaded.origins["out"] == "default"


def test_the_data_folder_holds_a_toml_file_too(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.toml").write_text('languages = ["de", "en"]\n')

    loaded = load({}, {"BULK_TRANSCRIBE_HOME": str(home)}, tmp_path)

    assert loaded.settings.languages == ("de", "en")
    assert loaded.settings.database_path.parent == home


def test_an_empty_variable_counts_as_not_set(tmp_path: Path) -> None:
    assert load({}, {"BULK_TRANSCRIBE_MODEL": ""}, tmp_path).settings.model == "WhisperLargeV3"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("BULK_TRANSCRIBE_MAX_CONCURRENT", "auto", "auto"),
        ("BULK_TRANSCRIBE_MAX_CONCURRENT", "7", 7),
        ("BULK_TRANSCRIBE_FORMATS", "md, vtt,md", ("md", "vtt")),
        ("BULK_TRANSCRIBE_CLOCK_SPEED", "20", 20.0),
    ],
)
def test_values_are_read_with_their_types(
    tmp_path: Path, name: str, text: str, expected: object
) -> None:
    settings = load({}, {name: text}, tmp_path).settings

    assert expected in {getattr(settings, f) for f in ("max_concurrent", "formats", "clock_speed")}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("2.50", Decimal("2.50")),
        ("$3", Decimal(3)),
        ("0", Decimal(0)),
        ("none", None),
        (1.1, "1.1"),
    ],
)
def test_a_cost_limit_is_exact_and_none_lifts_it(
    tmp_path: Path, raw: object, expected: object
) -> None:
    environ = {"BULK_TRANSCRIBE_MAX_COST": "9"}
    settings = load({"max_cost_usd": raw}, environ, tmp_path).settings
    wanted = Decimal(expected) if isinstance(expected, str) else expected
    assert settings.max_cost_usd == wanted
    assert settings.public()["max_cost_usd"] == (None if wanted is None else str(wanted))
    assert load({}, environ, tmp_path).settings.max_cost_usd == 9


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"BULK_TRANSCRIBE_MAX_CONCURRENT": "0"}, "outside 1 to 512"),
        ({"BULK_TRANSCRIBE_MAX_CONCURRENT": "many"}, "a whole number is needed"),
        ({"BULK_TRANSCRIBE_RATE_LIMIT_RPM": "0"}, "lets nothing through"),
        ({"BULK_TRANSCRIBE_RATE_LIMIT_RPM": "3.5"}, "a whole number is needed"),
        ({"BULK_TRANSCRIBE_RATE_LIMIT_MODE": "fast"}, "'fast' is not a limit mode"),
        ({"BULK_TRANSCRIBE_FORMATS": "pdf"}, "choose from md, srt, vtt, txt, json"),
        ({"BULK_TRANSCRIBE_SOURCES": ","}, "choose from captions, deapi"),
        ({"BULK_TRANSCRIBE_ORDER": "random"}, "choose one of shortest-first"),
        ({"DEAPI_BASE_URL": "ftp://x"}, "not an http or https address"),
        ({"BULK_TRANSCRIBE_CLOCK_SPEED": "0"}, "must be above 0"),
        ({"BULK_TRANSCRIBE_MAX_COST": "-0.01"}, "an amount such as 2.50"),
        ({"BULK_TRANSCRIBE_MAX_COST": "inf"}, "an amount such as 2.50"),
        ({"BULK_TRANSCRIBE_MAX_COST": "2,50"}, "an amount such as 2.50"),
        ({"BULK_TRANSCRIBE_CLOCK_SPEED": "nan"}, "must be above 0"),
    ],
)
def test_a_bad_value_is_named_and_refused(
    tmp_path: Path, environ: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load({}, environ, tmp_path)
    assert message in str(caught.value)


def test_a_misspelt_name_in_the_file_gets_the_nearest_right_one(tmp_path: Path) -> None:
    (tmp_path / "bulk-transcribe.toml").write_text("rate_limit_rmp = 5\n")
    with pytest.raises(ConfigError, match="Did you mean rate_limit_rpm"):
        load({}, {}, tmp_path)


def test_a_key_never_shows_in_repr_public_or_errors(tmp_path: Path) -> None:
    settings = load({}, {"DEAPI_API_KEY": "12|planted-secret"}, tmp_path).settings

    assert "planted" not in repr(settings)
    assert settings.public()["deapi_api_key"] == "set"
    assert settings.secrets == ("12|planted-secret",)
    with pytest.raises(ConfigError) as caught:
        load({}, {"DEAPI_API_KEY": "12|planted\x00secret"}, tmp_path)
    assert "planted" not in str(caught.value)


def test_the_parallel_section_is_off_by_default_and_sequential_is_one_slot() -> None:
    assert ParallelConfig().slots == 1
    assert ParallelConfig(max_concurrent=5).slots == 1
    assert ParallelConfig(max_concurrent=5, enable_parallel=True).slots == 5
    assert Settings().parallel.slots == 1
    assert Settings(max_concurrent="auto").parallel.slots == "auto"


def test_the_parallel_section_says_what_is_wrong() -> None:
    section = ParallelConfig(max_concurrent=900, enable_parallel=True, ui_preserve_mode=False)

    assert not section.validate_config()
    assert not section.is_ui_compatible()
    assert section.can_fallback_to_sequential()
    assert len(section.problems()) == 2
    assert not ParallelConfig(max_concurrent=50, enable_parallel=True).is_ui_compatible()
    assert ParallelConfig(max_concurrent=10, enable_parallel=True).is_ui_compatible()


@pytest.mark.parametrize(
    "line",
    [
        'out = "~nobody-is-called-so/x"',
        'out = "a\\u0000b"',
        "request_timeout_s = inf",
        "clock_speed = nan",
        'deapi_base_url = "http://[::1"',
        'deapi_base_url = "http://x:99999999"',
        "formats = " + "[" * 3_000 + "]" * 3_000,
        "max_concurrent = 1e400",
        "rate_limit_rpm = " + "9" * 5_000,
    ],
)
def test_no_value_in_the_file_ends_in_a_traceback(line: str, tmp_path: Path) -> None:
    """Found by the fuzzer: each of these was an exception that nobody explained."""
    (tmp_path / "bulk-transcribe.toml").write_text(line)
    with pytest.raises(ConfigError) as caught:
        load({"home": tmp_path}, {}, tmp_path)
    assert len(str(caught.value)) < 500


def test_a_data_folder_of_nobody_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such user"):
        load({}, {"BULK_TRANSCRIBE_HOME": "~nobody-is-called-so"}, tmp_path)


HOOKS = {
    "webhook_url": "https://example.org/deapi/",
    "webhook_secret": "sixteen letters!",
    "webhook_bind": "127.0.0.1:9000",
}


def test_webhooks_are_off_unless_they_are_set_up(tmp_path: Path) -> None:
    assert load({}, {}, tmp_path).settings.webhook_url == ""
    found = load(HOOKS, {}, tmp_path).settings
    assert found.webhook_url == "https://example.org/deapi"
    assert found.webhook_address == ("127.0.0.1", 9000)
    assert found.webhook_secret in found.secrets
    assert found.webhook_secret not in repr(found)
    assert load(HOOKS | {"webhook_bind": "[::1]:9"}, {}, tmp_path).settings.webhook_address == (
        "::1",
        9,
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"webhook_url": "http://example.org"}, "https"),
        ({"webhook_url": "ftp://example.org"}, "webhook_url"),
        ({"webhook_url": "https://me@example.org/x"}, "no user"),
        ({"webhook_url": "https://example.org/?a=1"}, "no user"),
        ({"webhook_url": "https://example.org/" + "x" * 2_000}, "longer"),
        ({"webhook_secret": ""}, "webhook_secret"),
        ({"webhook_secret": "fifteen letters"}, "webhook_secret"),
        ({"webhook_bind": "127.0.0.1"}, "webhook_bind"),
        ({"webhook_bind": "127.0.0.1:0"}, "webhook_bind"),
        ({"webhook_bind": "127.0.0.1:70000"}, "webhook_bind"),
        ({"webhook_bind": ":80"}, "webhook_bind"),
    ],
)
def test_what_is_wrong_with_webhooks_is_said(
    tmp_path: Path, change: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        load(HOOKS | change, {}, tmp_path)


def test_only_this_machine_needs_no_https(tmp_path: Path) -> None:
    local = load(HOOKS | {"webhook_url": "http://127.0.0.1:9000/x"}, {}, tmp_path)
    assert local.settings.webhook_url == "http://127.0.0.1:9000/x"


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://me:pass-word@db.example.org:5432/name?sslmode=verify-full",
        "postgres://me@localhost/name",
        "postgresql:///name",
    ],
)
def test_a_database_address_takes_the_place_of_the_file(tmp_path: Path, address: str) -> None:
    loaded = load({}, {"DATABASE_URL": address}, tmp_path)
    assert loaded.settings.database == address
    assert loaded.settings.public()["database_url"] == "set"
    assert "pass-word" not in repr(loaded.settings)
    assert address in loaded.settings.secrets
    flag = load({"database_url": "postgresql:///other"}, {"DATABASE_URL": address}, tmp_path)
    assert flag.settings.database == "postgresql:///other"
    assert Settings(home=tmp_path).database == tmp_path / "bulk-transcribe.sqlite3"


@pytest.mark.parametrize(
    "address",
    [
        "mysql://me:pass-word@host/name",
        "postgresql://me:pass-word@host",
        "postgresql://me:pass-word@host:port/name",
        "postgresql://me@host/name?password=pass-word",
        "pass-word",
    ],
)
def test_a_bad_database_address_is_refused_without_showing_it(tmp_path: Path, address: str) -> None:
    with pytest.raises(ConfigError, match="database_url") as caught:
        load({}, {"DATABASE_URL": address}, tmp_path)
    assert "pass-word" not in str(caught.value)
