"""Representations of the scored split, and their scores, for both protocols.

- ``held-out``: all rows, in eval mode. R^2 is fitted on one half and scored on the other.
- ``published``: 4,096 images, 61,440 mixed latents, or 10,000 masks. BatchNorm uses the statistics
  of each batch, as in the code of the paper, which scored in training mode. Under mixing, R^2 is
  fitted and scored on the same 6,144 rows, and all scores are means over ten such batches.

References:
    Contrastive Learning Inverts the Data Generating Process, Zimmermann et al., 2021,
    https://arxiv.org/abs/2102.08850
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from warnings import catch_warnings

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from benchmark.config import Config
from benchmark.encoders.model import Model
from benchmark.metrics.readouts.linear import fit_linear
from benchmark.metrics.readouts.targets import targets
from benchmark.metrics.remarks import ScoreWarning
from benchmark.metrics.rows import paired_rows
from benchmark.metrics.scores import Scores, score
from benchmark.protocol import procedure_of
from benchmark.settings import MaskSettings, MixingSettings
from benchmark.sources.source import Machine, Source
from benchmark.training.folder import RunFolder
from threedident.runtime.files import load_npy, npy_bytes, write_bytes

_BY_BATCH = 4096  # rows scored with batch statistics


def scored_latents(config: Config, source: Source, seed: int) -> NDArray[np.float32]:
    """Latents of the rows that are scored, shape (N, n).

    Arguments:
        config: configuration of the run, with its protocol.
        source: source, opened for the same protocol.
        seed: seed of the run.

    Raises:
        ValueError: the scored split has too few rows for the protocol.
    """
    latents = source.latents(seed)
    scored = procedure_of(config).scored.get(config.source.kind)
    if scored is None:
        return latents
    if len(latents) < scored.rows and not isinstance(config.source, MaskSettings):
        raise ValueError(
            f"--protocol: expected at least {scored.rows} {config.score_on} rows for published, "
            f"found {len(latents)}; take held-out, or a larger {config.score_on} split"
        )
    return latents[: scored.rows]


def fits_scored_rows(config: Config) -> bool:
    """True if the linear readout of a run is fitted on the rows that are scored."""
    return procedure_of(config).same_rows and isinstance(config.source, MixingSettings)


def score_codes(config: Config, source: Source, seed: int, codes: NDArray[np.float32]) -> Scores:
    """The scores of codes of the rows whose latents :func:`scored_latents` returns.

    Arguments:
        config: configuration of the run, with its protocol.
        source: source, opened for the same protocol.
        seed: seed of the run.
        codes: codes returned by :func:`represent`, shape (N, n).

    Returns:
        The scores. If R^2 is fitted and scored on the same rows, R^2 and MCC are means over the
        batches. Correlations and assignments are those of all rows together.
    """
    latents, followed = scored_latents(config, source, seed), procedure_of(config)
    whole = _scores(source, latents, codes)
    if not fits_scored_rows(config):
        return whole
    size = followed.scored[config.source.kind].batch
    parts = [slice(start, start + size) for start in range(0, len(latents), size)]
    batches = [_scores(source, latents[part], codes[part]) for part in parts]
    r2, mcc, spearman = (
        np.mean(found, axis=0)
        for found in (
            [_r2_of_fitted_rows(latents[part], codes[part]) for part in parts],
            [batch.mcc_per_factor for batch in batches],
            [batch.mcc_spearman_per_factor for batch in batches],
        )
    )
    return replace(
        whole,
        r2=float(r2.mean()),
        r2_per_factor=r2,
        mcc=float(mcc.mean()),
        mcc_per_factor=mcc,
        mcc_spearman=float(spearman.mean()),
        mcc_spearman_per_factor=spearman,
        readout="least squares",
        strength_per_factor=None,
    )


def _r2_of_fitted_rows(
    latents: NDArray[np.float32], codes: NDArray[np.float32]
) -> NDArray[np.float64]:
    """R^2 of each factor by least squares on the rows that it was fitted on, shape (n,)."""
    z, c = paired_rows(latents, codes)
    wanted = targets(z, None)
    return wanted.r_squared(fit_linear(wanted, c, "least squares").predict(c))


@torch.no_grad()
def represent(
    model: nn.Module,
    config: Config,
    source: Source,
    seed: int,
    machine: Machine,
    between: Callable[[], None] = lambda: None,
) -> NDArray[np.float32]:
    """Codes of the rows whose latents :func:`scored_latents` returns.

    Arguments:
        model: model that maps observations (B, ...) to codes (B, n). It stays unchanged.
        config: configuration of the run; only its protocol matters.
        source: source with the test split.
        seed: seed of the run.
        machine: machine with the device of the model.
        between: function that is called before every batch.

    Returns:
        Codes, shape (N, n).
    """
    with _mode(model, procedure_of(config).batch_statistics):
        observations = _held_out(config, source, seed, machine, between)
        return torch.cat([model(each).float().cpu() for each in observations]).numpy()


@torch.no_grad()
def features_and_codes(
    model: Model,
    config: Config,
    source: Source,
    seed: int,
    machine: Machine,
    between: Callable[[], None] = lambda: None,
) -> tuple[NDArray[np.float32] | None, NDArray[np.float32]]:
    """Features and codes of these rows, with the arguments of :func:`represent`.

    Returns:
        Outputs of the layer before the head, shape (N, F), or None if the encoder has no such
        layer, and codes, shape (N, n).
    """
    features, codes = [], []
    with _mode(model, procedure_of(config).batch_statistics):
        for observations in _held_out(config, source, seed, machine, between):
            layer, found = model.features_and_codes(observations)
            codes.append(found.float().cpu())
            if layer is not None:
                features.append(layer.float().cpu())
    return torch.cat(features).numpy() if features else None, torch.cat(codes).numpy()


def _held_out(
    config: Config, source: Source, seed: int, machine: Machine, between: Callable[[], None]
) -> Iterator[Tensor]:
    for observations in source.held_out(seed, len(scored_latents(config, source, seed)), machine):
        between()
        yield observations


def write_features(folder: RunFolder, seed: int, features: NDArray[np.float32]) -> None:
    """Store the features of a seed after its last step, shape (N, F)."""
    write_bytes(_features(folder, seed), npy_bytes(features))


def read_features(folder: RunFolder, seed: int) -> NDArray[np.float32] | None:
    """The stored features of a seed, shape (N, F); None if there are none."""
    path = _features(folder, seed)
    return load_npy(path).astype(np.float32) if path.is_file() else None


def _features(folder: RunFolder, seed: int) -> Path:
    return folder.representations(seed).with_name(f"seed-{seed}-features.npy")


def scores_by_batch(
    model: nn.Module,
    config: Config,
    source: Source,
    seed: int,
    machine: Machine,
    between: Callable[[], None] = lambda: None,
) -> dict[str, float] | None:
    """R^2 and MCC of a model whose BatchNorm uses the statistics of each batch.

    The running statistics of an untrained BatchNorm are not those of its inputs, so scores in eval
    mode say little of it. At most the first 4096 rows are scored. With several ranks, all ranks
    must call this, since they share the statistics of a batch; the result counts on the first.
    Arguments as for :func:`represent`.

    Returns:
        None for a model without BatchNorm, for a protocol whose scores have these statistics
        already, and if codes are not finite or a batch has no statistics.
    """
    normalises = any(isinstance(module, _BatchNorm) for module in model.modules())
    if procedure_of(config).batch_statistics or not normalises:
        return None
    latents, codes = scored_latents(config, source, seed)[:_BY_BATCH], []
    with torch.no_grad(), _mode(model, True):
        for observations in source.held_out(seed, len(latents), machine):
            between()
            try:
                codes.append(model(observations).float().cpu().numpy())
            except ValueError:  # a last batch of one row has no statistics
                return None
    found = np.concatenate(codes)
    if not np.isfinite(found).all():
        return None
    scores = _scores(source, latents, found)
    return {name: getattr(scores, name) for name in ("r2", "mcc", "mcc_spearman")}


def _scores(source: Source, latents: NDArray[np.float32], codes: NDArray[np.float32]) -> Scores:
    with catch_warnings(action="ignore", category=ScoreWarning):  # printed once per run
        return score(
            latents=latents,
            representations=codes,
            labels=source.labels,
            spare_codes=True,
            missing_codes=True,
            circular=source.circular,
        )


def gpus(module: nn.Module) -> list[torch.device]:
    """The GPUs that hold a module: at most one, whose random numbers it draws."""
    return sorted({part.device for part in module.parameters() if part.is_cuda}, key=str)


@contextmanager
def _mode(model: nn.Module, batch_statistics: bool) -> Iterator[None]:
    """A context with the model in training or eval mode; its buffers are restored afterwards.

    What encoders draw in training mode, as for dropout, is the same each time.
    """
    training = model.training
    kept: dict[str, Tensor] = {name: b.clone() for name, b in model.named_buffers()}
    model.train(batch_statistics)
    try:
        with torch.random.fork_rng(gpus(model)):
            torch.manual_seed(0)
            yield
    finally:
        model.train(training)
        if batch_statistics:
            for name, buffer in model.named_buffers():
                buffer.copy_(kept[name])
