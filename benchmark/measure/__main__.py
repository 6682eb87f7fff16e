"""The command ``python -m benchmark.measure engine|losses|steps|gpu|board|gap``."""

from __future__ import annotations

import click

from benchmark.measure.board import board_coverage
from benchmark.measure.engine import throughput
from benchmark.measure.gap import false_alarms
from benchmark.measure.gpu import gpu_report
from benchmark.measure.losses import loss_speed
from benchmark.measure.steps import step_speed
from threedident.cli import run


@click.group()
def measure() -> None:
    """Measure the data engine, losses, training steps, a GPU, or the board's statistics."""


measure.add_command(throughput, "engine")
measure.add_command(loss_speed, "losses")
measure.add_command(step_speed, "steps")
measure.add_command(gpu_report, "gpu")
measure.add_command(board_coverage, "board")
measure.add_command(false_alarms, "gap")

if __name__ == "__main__":
    run(measure, "python -m benchmark.measure")
