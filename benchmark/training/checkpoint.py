"""Checkpoints: checks that one belongs to a run, and loading of its model without the data."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from benchmark.config import Config
from benchmark.differences import differences
from benchmark.encoders.model import Observed, build_model
from benchmark.metrics.scores import Scores
from benchmark.settings import CustomSettings, ImageSettings, MixingSettings
from benchmark.training.folder import RunFolder
from benchmark.training.seals import digest_of
from threedident.runtime.errors import printable
from threedident.storage.manifest import MOST_PIXELS

_PUBLISHED_MASKS = (1, 64, 64)  # for checkpoints of version 0.1.0, which do not store the shape


class Labelled(Observed, Protocol):
    """Properties of observations, with the names of their factors."""

    @property
    def labels(self) -> Sequence[str]:
        """Names of the factors."""


@dataclass(frozen=True)
class _Outline:
    """Shape and names of observations, for use without the data."""

    shape: tuple[int, ...]
    labels: Sequence[str]
    codes: int
    first: nn.Module
    sphere: int = 0

    def preprocess(self) -> nn.Module:
        return self.first


def own_checkpoint(folder: RunFolder, config: Config, seed: int) -> dict[str, Any] | None:
    """The last checkpoint of a seed; None if there is none.

    Arguments:
        folder: folder of the run.
        config: configuration of the run.
        seed: one of the seeds of the run.

    Raises:
        ValueError: the file is damaged, or belongs to another run or seed.
    """
    state = folder.load_checkpoint(seed)
    if state is None:
        return None
    changed = _differences(state, config, seed)
    if changed:
        raise ValueError(
            f"{folder.checkpoint(seed)}: expected a checkpoint of this run, found one with "
            f"{', '.join(changed)}; delete it to train this seed again"
        )
    return state


def _differences(state: dict[str, Any], config: Config, seed: int) -> list[str]:
    """The differences between a checkpoint and this run, in words."""
    try:
        changed = differences(Config.model_validate(state.get("config")), config)
    except ValidationError:
        changed = ["no configuration"]
    found, step = state.get("seed"), state.get("step")
    if type(found) is not int:
        changed.append("no seed")
    elif found != seed:
        changed.append(f"seed {printable(str(found))} where {seed} is asked for")
    if type(step) is not int:
        changed.append("no step")
    elif not 0 <= step <= config.steps:
        changed.append(f"a step beyond the {config.steps} of the run")
    return changed


def require_own_scores(folder: RunFolder, seed: int, state: dict[str, Any]) -> None:
    """Check that the scores in the log are those whose digest a checkpoint contains.

    Checkpoints of earlier versions contain no digest and are not compared.

    Arguments:
        folder: folder of the run.
        seed: seed of the training.
        state: checkpoint returned by :func:`own_checkpoint`.

    Raises:
        ValueError: the log contains other scores, or damaged ones.
    """
    step, known = state["step"], state.get("scores")
    scored = folder.scored_until(seed, step)
    for record in scored:
        logged_scores(folder, record)
    if known is not None and known != digest_of(scored):
        raise ValueError(
            f"{folder.metrics}: expected the scores of seed {seed} up to step {step} as they were "
            f"logged, found others; restore the file, or delete {folder.checkpoint(seed)} to "
            "train this seed again"
        )


def logged_scores(folder: RunFolder, record: dict[str, Any]) -> Scores:
    """The scores in a line of the log.

    Arguments:
        folder: folder of the run.
        record: line returned by :meth:`benchmark.training.folder.RunFolder.scored`.

    Raises:
        ValueError: the line is damaged.
    """
    try:
        return Scores.from_json(record)
    except ValueError as error:
        seed = record["seed"]
        raise ValueError(
            f"{folder.metrics}: expected the scores of seed {seed}, but {error}; restore the "
            f"file, or delete {folder.checkpoint(seed)} to train this seed again"
        ) from None


def restore(objective: nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load weights and Adam's moments from a checkpoint. The optimizer keeps its settings.

    Arguments:
        objective: model and loss of the run.
        optimizer: optimizer of the parameters of the objective.
        state: checkpoint returned by :func:`own_checkpoint`.

    Raises:
        Exception: an exception of any kind if the state does not fit; ``ValueError`` if it fits,
            but is not finite.
    """
    settings = [{k: v for k, v in g.items() if k != "params"} for g in optimizer.param_groups]
    objective.load_state_dict(state["objective"])
    optimizer.load_state_dict(state["optimizer"])
    for group, kept in zip(optimizer.param_groups, settings, strict=True):
        group.update(kept)
    _require_finite(objective.parameters())
    for parameter, moments in optimizer.state.items():
        shapes = {"step": (), "exp_avg": parameter.shape, "exp_avg_sq": parameter.shape}
        if {name: tuple(value.shape) for name, value in moments.items()} != shapes:
            raise ValueError("moments of other shapes")
        if any(bool(value.isnan().any()) for value in moments.values()):
            raise ValueError("moments that are no numbers")


def take_over(
    trained: RunFolder, seed: int, objective: nn.Module, optimizer: torch.optim.Optimizer
) -> int:
    """Load the weights and moments of another, finished run, and return its number of steps.

    Arguments:
        trained: folder of the other run, of the same training.
        seed: seed of the training.
        objective: model and loss of this run.
        optimizer: optimizer of the parameters of the objective.

    Raises:
        ValueError: the other run has no checkpoint of this seed at its last step.
    """
    config = trained.read_config()
    state = own_checkpoint(trained, config, seed)
    if state is None or state["step"] != config.steps:
        raise ValueError(
            f"{trained.checkpoint(seed)}: expected the checkpoint of step {config.steps}, found "
            f"{'none' if state is None else state['step']}; finish that run first"
        )
    restore(objective, optimizer, state)
    return config.steps


def _require_finite(tensors: Iterable[Tensor]) -> None:
    if not all(bool(tensor.isfinite().all()) for tensor in tensors):
        raise ValueError("weights that are not finite")


def restored_model(folder: RunFolder, config: Config, seed: int, state: dict[str, Any]) -> Any:
    """The model of a checkpoint, in training mode, on the CPU.

    Arguments:
        folder: folder of the run.
        config: configuration of the run.
        seed: seed of the training.
        state: checkpoint returned by :func:`own_checkpoint`.

    Returns:
        The model, which maps raw observations (B, ...) to codes (B, n).

    Raises:
        ValueError: the state does not fit the model, or the encoder cannot be made.
    """
    model = build_model(config, observed(config, state), seed)
    try:
        weights = {
            name.removeprefix("model."): value
            for name, value in state["objective"].items()
            if name.startswith("model.")
        }
        model.load_state_dict(weights)
        _require_finite(model.parameters())
    except Exception as error:  # untrusted files raise many kinds of errors
        raise ValueError(
            f"{folder.checkpoint(seed)}: expected the weights of {config.encoder}, found others "
            f"({type(error).__name__}); restore the file, or train this seed again"
        ) from None
    return model


def observed(config: Config, state: dict[str, Any]) -> Labelled:
    """Shape and names of the observations of a run, without opening the data."""
    source = config.source
    if isinstance(source, MixingSettings):
        from benchmark.sources.mixing import MixingSource

        return MixingSource(source)
    if isinstance(source, ImageSettings):
        from benchmark.sources.images import count_codes, count_on_sphere
        from benchmark.sources.normalise import Normalise

        edge, first = source.resolution, Normalise(np.zeros(3), np.ones(3))
        labels, on_sphere = source.factor_set.labels, count_on_sphere(source)
        return _Outline((3, edge, edge), labels, count_codes(source), first, on_sphere)
    if isinstance(source, CustomSettings):
        return _Outline(**dict(source.observed), first=nn.Identity())
    from benchmark.sources.kitti_masks.masks import CODES, Unit
    from benchmark.sources.kitti_masks.tracks import LABELS as MASK_LABELS

    masks = _mask_shape(state.get("shape", _PUBLISHED_MASKS))
    return _Outline(masks, MASK_LABELS, CODES if source.paired else len(MASK_LABELS), Unit())


def _mask_shape(shape: object) -> tuple[int, ...]:
    """The shape of masks that is stored in a checkpoint.

    Raises:
        ValueError: the value is not a valid shape of masks.
    """
    edges = list(shape) if isinstance(shape, list | tuple) else []
    if len(edges) != 3 or not all(type(e) is int and 0 < e <= MOST_PIXELS for e in edges):
        raise ValueError(
            f"shape: expected that of masks in the checkpoint, such as 1, 64, 64, found "
            f"{reprlib.repr(shape)}; restore the checkpoint, or train again"
        )
    return tuple(edges)
