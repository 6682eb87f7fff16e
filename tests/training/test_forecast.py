from __future__ import annotations

import time

from benchmark.training.log import Forecast


def said(steps: int, later: int = 0, slow: bool = False, each: float = 0.0) -> list[str]:
    forecast, lines = Forecast(steps, later, slow, "kitti"), []
    for _ in range(min(steps, 30)):
        time.sleep(each)
        forecast.step(lines.append)
    return lines


def test_it_is_said_once_after_twenty_steps() -> None:
    [line] = said(1000, each=0.002)
    assert "s a step" in line
    assert "979 steps left" in line
    assert said(20) == said(21) == []


def test_later_seeds_count() -> None:
    [line] = said(1000, later=2000)
    assert "those of the other seeds" in line


def test_paper_scale_on_a_cpu_is_told_what_to_choose() -> None:
    lines = said(10**8, slow=True, each=0.001)
    assert (
        lines[1]
        == "that is long for a CPU; choose fewer --steps, or --suite kitti at --scale small"
    )
    assert len(said(10**8, slow=False, each=0.001)) == 1
    assert len(said(100, slow=True)) == 1
