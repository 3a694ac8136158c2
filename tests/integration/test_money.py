"""Random sessions under a limit, and forecasts that are put to the test: a few of the benchmark's.

The whole of it is `python -m benchmarks.money`.
"""

from pathlib import Path

import pytest

from benchmarks.money import forecasted, limited


@pytest.mark.parametrize("seed", range(1, 11))
def test_no_run_passes_its_cost_limit_whatever_goes_wrong(seed: int, tmp_path: Path) -> None:
    ran = limited(seed, tmp_path)
    for limit, charged in zip(ran.limits_usd, ran.charged_usd, strict=True):
        assert charged <= limit, ran
    assert ran.paid_twice == 0
    assert ran.books_agree, ran


@pytest.mark.parametrize("seed", range(1, 4))
def test_what_a_batch_costs_lies_inside_its_forecast(seed: int, tmp_path: Path) -> None:
    ran = forecasted(seed, tmp_path, videos=14)
    assert ran.asked == 8
    assert ran.is_inside, ran
    assert ran.done > 0
