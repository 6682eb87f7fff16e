"""Scores of the synthetic encoders by every metric."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from warnings import catch_warnings

import click
import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmark.guard.encoders import ENCODERS
from benchmark.metrics.correlation.mcc_context import mcc_context
from benchmark.metrics.disentanglement.dci import dci
from benchmark.metrics.disentanglement.information import information
from benchmark.metrics.probes import nonlinear_r2
from benchmark.metrics.readouts.targets import Array
from benchmark.metrics.remarks import ScoreWarning
from benchmark.metrics.results import spell
from benchmark.metrics.scores import linear_r2

Verdicts = dict[str, dict[str, float | None]]
_WIDEST = 10_000


def judge(
    latents: Array, *, seed: int = 0, say: Callable[[str], None] = lambda _: None
) -> Verdicts:
    """The scores of each synthetic encoder by name; None if a score is withheld.

    Arguments:
        latents: latents that the encoders read, shape (N, n).
        seed: seed of the encoders and of the metrics.
        say: function that is called with the name of each encoder before it is scored.
    """
    found: Verdicts = {}
    with catch_warnings(action="ignore", category=ScoreWarning):
        for number, (name, encode) in enumerate(ENCODERS.items()):
            say(name)
            codes = encode(latents, np.random.default_rng((seed, number)))
            found[name] = _scores(latents, codes, seed)
    return found


def _scores(z: Array, codes: Array, seed: int) -> dict[str, float | None]:
    context = mcc_context(z, codes, seed=seed)
    lasso, trees = (dci(z, codes, seed=seed, model=model) for model in ("lasso", "trees"))
    shared = information(z, codes, seed=seed)
    return {
        "R² linear": float(linear_r2(z, codes).mean()),
        "R² nonlinear": float(nonlinear_r2(z, codes, seed=seed).mean()),
        "MCC": context.mcc,
        "null level": context.null_level,
        "MCC held out": context.held_out_mcc,
        "MCC Spearman": context.mcc + context.gap,
        "coverage": context.coverage,
        "MCC weak (CCA)": context.weak_mcc,
        "MCC after ICA": context.ica_mcc,
        "D Lasso": lasso.disentanglement,
        "C Lasso": lasso.completeness,
        "D trees": trees.disentanglement,
        "C trees": trees.completeness,
        **shared.scores(),
    }


def show(verdicts: Mapping[str, Mapping[str, float | None]]) -> None:
    """Print the table, with one line for each metric and one column for each encoder."""
    grid = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    grid.add_column("metric")
    for name in verdicts:
        grid.add_column(name, justify="right")
    for metric in next(iter(verdicts.values())):
        grid.add_row(metric, *(spell(scores[metric]) for scores in verdicts.values()))
    console = Console(markup=False, highlight=False, emoji=False)
    free = console.options.update(max_width=_WIDEST)
    if not console.is_terminal:
        console.width = max(console.width, console.measure(grid, options=free).maximum)
    console.print(grid)
    click.echo("A dash is a score that its metric withholds for these codes.")


def as_csv(verdicts: Mapping[str, Mapping[str, float | None]]) -> str:
    """The table as CSV, one line for each encoder; a withheld score is an empty cell."""
    text = io.StringIO()
    metrics = list(next(iter(verdicts.values())))
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["encoder", *metrics])
    for name, scores in verdicts.items():
        cells = ["" if value is None else f"{value:.6f}" for value in scores.values()]
        writer.writerow([name, *cells])
    return text.getvalue()
