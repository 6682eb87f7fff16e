"""Execution of one run, from its options to its report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from benchmark.config import Config
from benchmark.differences import differences, short_digest
from benchmark.encoders.model import can_compile, count_codes
from benchmark.losses.match import mismatch
from benchmark.metrics.custom import find_metric
from benchmark.metrics.remarks import few_rows, recorded_few_rows
from benchmark.metrics.rows import paired_rows
from benchmark.ranks import Ranks
from benchmark.runs.opening import open_source, resolve
from benchmark.runs.options import Options
from benchmark.runs.reports.report import write_results
from benchmark.sources.custom.checked import CheckedSource
from benchmark.sources.source import Machine, Source
from benchmark.training.evaluation import scored_latents
from benchmark.training.folder import RunFolder, is_run, what_is
from benchmark.training.objective import Objective
from benchmark.training.task import Task
from benchmark.training.trainer import train
from threedident.runtime.errors import RUNS, Interrupted, advise
from threedident.runtime.files import locked
from threedident.runtime.packages import require_extra
from threedident.runtime.signals import interruptible


@interruptible()
def carry_out(
    options: Options,
    machine: Machine,
    resume: bool,
    tensorboard: bool,
    trained: Path | None = None,
) -> None:
    """Train every seed, score the encoders, and write the report.

    Arguments:
        options: options after :func:`benchmark.runs.completion.complete`.
        machine: devices and processes that compute.
        resume: True to continue an existing run.
        tensorboard: True to write logs for TensorBoard.
        trained: folder of a finished run whose weights replace the training; None to train.

    Raises:
        ValueError: an option cannot be fulfilled.
        Interrupted: a signal stopped the run.
    """
    ranks = machine.ranks
    with ranks.together():  # all checks come before any file is written
        source, config = _prepare(options, machine, tensorboard)
        donor = None if trained is None else _same_training(trained, config)
        folder = RunFolder(options.out or _usual_folder(config, resume))
        if ranks.leads:
            folder.check(config, resume)
            if resume and options.out is None and not folder.config.is_file():
                click.echo(
                    f"note: no run of these settings in {folder.path.parent} yet; a new one "
                    f"begins in {folder.path}",
                    err=True,
                )
    if not ranks.leads:
        ranks.wait()
        for seed in config.seeds:
            train(Task(config, seed, source, folder, machine, trained=donor))
        return
    with locked(folder.path):
        folder.open(config, resume)
        ranks.wait()
        _announce(source, config, folder)
        try:
            results = [
                train(Task(config, seed, source, folder, machine, tensorboard, donor))
                for seed in config.seeds
            ]
            scores = write_results(folder, config, results, source, options.command())
        except KeyboardInterrupt:
            raise Interrupted(
                "interrupted; the same command with --resume goes on from there"
            ) from None
    _conclude(scores, folder)


def _prepare(options: Options, machine: Machine, tensorboard: bool) -> tuple[Source, Config]:
    """The source and the configuration of a run, after all checks.

    Raises:
        ValueError: an option cannot be fulfilled.
    """
    if tensorboard:
        require_extra("--tensorboard", "tensorboard", "tensorboard")
    if machine.compiled and not can_compile(machine.device):
        raise ValueError(
            "--compile: expected a C++ compiler such as g++ for the CPU, found none; install one, "
            "or leave it out"
        )
    source = open_source(options)
    config = resolve(options, source)
    if config.batch_size % machine.ranks.count:
        raise ValueError(
            f"--batch-size: expected a multiple of the {machine.ranks.count} ranks, found "
            f"{config.batch_size}; change it"
        )
    for name in config.metric:
        find_metric(name)
    for seed in config.seeds:
        latents = scored_latents(config, source, seed)
        try:
            paired_rows(latents, latents, source.labels, source.circular)
        except ValueError as error:
            raise ValueError(f"{options.data or 'latents drawn'}: {error}") from None
    Objective(config, source, config.seeds[0], Ranks())
    if isinstance(source, CheckedSource):
        source.try_batches(config.seeds[0], config.batch_size, machine)
    return source, config


def _same_training(path: Path, config: Config) -> RunFolder:
    """The folder of a finished run, whose configuration differs in the scored split at most.

    Raises:
        ValueError: it holds no finished run, or one of another training.
    """
    folder = RunFolder(path)
    if not folder.scores.is_file():
        found = "one that has not ended" if is_run(path) else what_is(path)
        advice = advise(path, is_run, "name one", RUNS)
        raise ValueError(f"--trained: expected a finished run, found {found} in {path}; {advice}")
    there = folder.read_config().model_copy(update={"score_on": config.score_on})
    if changed := differences(there, config):
        raise ValueError(
            f"--trained: expected a run that differs in --score-on at most, found {path} with "
            f"{', '.join(changed)}; leave it out to train"
        )
    return folder


def _announce(source: Source, config: Config, folder: RunFolder) -> None:
    click.echo(f"{source.summary()}; run in {folder.path}")
    reason = mismatch(config)
    if reason is not None:
        click.echo(f"note: {reason}, so the theory guarantees less than for a match", err=True)
    rows = len(scored_latents(config, source, config.seeds[0]))
    remark = few_rows(rows, count_codes(config, source))
    if remark is not None:
        click.echo(f"note: {remark}", err=True)


def _conclude(scores: dict[str, Any], folder: RunFolder) -> None:
    remark = recorded_few_rows(scores)
    click.echo(
        f"R2 {scores['r2']:.3f} (untrained {scores['untrained']['r2']:.3f}), "
        f"MCC {scores['mcc']:.3f} (untrained {scores['untrained']['mcc']:.3f}) on the "
        f"{scores['split']} split" + ("" if remark is None else f"; note: {remark}")
    )
    for record in scores["seeds"]:
        for outcome in record.get("own", {}).values():
            for line in outcome["remarks"]:
                click.echo(f"note: seed {record['seed']}: {line}", err=True)
    click.echo(f"report: {folder.report}")


def _usual_folder(config: Config, resume: bool) -> Path:
    """The default folder of a run. Its name depends on the settings."""
    place = Path("runs") / f"{_run_name(config)}-{short_digest(config)}"
    early = RunFolder(Path("runs") / _run_name(config))  # early versions added no digest
    return early.path if resume and not place.exists() and early.holds(config) else place


def _run_name(config: Config) -> str:
    law = getattr(config.source, "conditional", None)
    pairs = getattr(config.source, "pairs", None)
    kind = pairs or getattr(config.source, "name", config.source.kind).replace(":", ".")
    encoder = config.encoder.replace(":", ".")
    loss = "-".join(filter(None, (config.loss.replace(":", "."), config.estimator)))
    parts = [kind, encoder, loss, config.output_space, law.name if law else None]
    return "-".join(part for part in parts if part)
