from __future__ import annotations

import pytest

from benchmark.training.schedules import SCHEDULES, factor


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("warmup", [0, 10])
def test_rates_rise_to_the_highest_and_never_again(schedule: str, warmup: int) -> None:
    rates = [factor(schedule, step, 100, warmup) for step in range(100)]
    assert all(0 < rate <= 1 for rate in rates)
    assert rates[warmup] == 1
    assert rates[: warmup + 1] == sorted(rates[: warmup + 1])
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)
    assert rates[:warmup] == pytest.approx([(i + 1) / (warmup + 1) for i in range(warmup)])


def test_falls_end_near_nothing_and_constant_does_not_fall() -> None:
    assert factor("cosine", 50, 100, 0) == pytest.approx(0.5)
    assert factor("linear", 50, 100, 0) == pytest.approx(0.5)
    assert factor("cosine", 99, 100, 0) < 0.001
    assert factor("linear", 99, 100, 0) == pytest.approx(0.01)
    assert factor("constant", 99, 100, 0) == 1
