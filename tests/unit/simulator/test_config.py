from decimal import Decimal
from typing import Any

import pytest

from bulk_transcribe.simulator import SimulatorConfig


def test_the_defaults_hold() -> None:
    assert SimulatorConfig().balance_usd == 50


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("plan", "gold"),
        ("window", "leaky"),
        ("envelopes", ""),
        ("rate_limit_rpm", 0),
        ("daily_limit", 0),
        ("clock_speed", 0),
        ("caption_share", 1.1),
        ("silent_share", -0.1),
        ("balance_usd", "-1"),
        ("url_expiry_s", 0),
        ("jitter_s", (2.0, 1.0)),
        ("duration_s", (-1.0, 5.0)),
    ],
)
def test_a_bad_value_is_named(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=field):
        SimulatorConfig(**{field: value})


def test_an_unknown_kind_of_video_is_named() -> None:
    with pytest.raises(ValueError, match="abcdefghijk"):
        SimulatorConfig(special={"abcdefghijk": "sunken"})  # type: ignore[dict-item] # that is it


def test_an_amount_may_be_text() -> None:
    config = SimulatorConfig(balance_usd="12.50")  # type: ignore[arg-type] # as JSON gives it
    assert config.balance_usd == Decimal("12.50")


def test_keys_are_not_shown() -> None:
    shown = repr(SimulatorConfig(api_key="7|planted", youtube_api_key="planted-too"))
    assert "planted" not in shown
