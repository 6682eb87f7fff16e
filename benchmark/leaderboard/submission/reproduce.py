"""Commands that render a data set and train on it again, made only from records."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from benchmark.config import Config
from benchmark.leaderboard.submission.data import DataRecord
from benchmark.leaderboard.submission.submission import SEEDS
from benchmark.runs.options import Options
from benchmark.runs.resume import options_of
from benchmark.settings import ImageSettings
from threedident.conditionals.law import spell_laws

_HOME = Path("data")


def reproduce_command(config: Config, data: DataRecord) -> str:
    """The command that renders a data set, and trains and scores the seeds 0, 1 and 2 on it.

    Arguments:
        config: configuration of the runs.
        data: data set of the runs.
    """
    train = shlex.join(["threedident", "benchmark", *_options(config, data).arguments()])
    rendered = render_command(data, _positives(config), _material(config))
    return f"{rendered} && {train}"


def training_command(
    config: Config, data: DataRecord, place: Path, seeds: Sequence[int], out: Path
) -> str:
    """The command that trains other seeds of a configuration.

    Arguments:
        config: configuration of the existing runs.
        data: data set of the runs.
        place: path of the data set.
        seeds: seeds to train.
        out: folder of the new run.
    """
    options = _options(config, data).replace(data=place, seeds=tuple(seeds), out=out)
    return shlex.join(["threedident", "benchmark", *options.arguments()])


def render_command(
    data: DataRecord, positives: str | None = None, material: str | None = None
) -> str:
    """The command that renders a data set.

    Arguments:
        data: record of the data set.
        positives: rule of the positives to render, such as ``normal:0.1``; None for no positives.
        material: material of the positives; None for that of the images.
    """
    usual = {"--quality": "standard", "--hue": "wrapped", "--material": "rubber", "--seed": "0"}
    given = {
        "--n": str(data.n_train),
        "--n-test": str(data.n_test),
        "--resolution": str(data.resolution),
        "--quality": data.quality,
        "--hue": data.hue_mode,
        "--material": data.material,
        "--seed": str(data.seed),
        "--device": data.device,
        "--out": str(_HOME / data.id),
    }
    words = ["threedident", "render"]
    for name, value in given.items():
        if usual.get(name) != value:
            words += [name, value]
    if data.fixed:
        words += ["--fix", ",".join(data.held)]
    if positives is not None:
        words += ["--pairs", positives]
    if material is not None:
        words += ["--positive-material", material]
    return shlex.join(words)


def _positives(config: Config) -> str | None:
    source = config.source
    assert isinstance(source, ImageSettings)
    if source.pairs != "rendered" or source.conditional is None:
        return source.rule if source.pairs == "rendered" else None
    return spell_laws((source.conditional,))


def _material(config: Config) -> str | None:
    assert isinstance(config.source, ImageSettings)
    return config.source.positive_material


def _options(config: Config, data: DataRecord) -> Options:
    """The options that resolve to a configuration, with the path of the rendered data set."""
    found = options_of(config)
    resolution = None if found.resolution == data.resolution else found.resolution
    return found.replace(data=_HOME / data.id, resolution=resolution, seeds=SEEDS)
