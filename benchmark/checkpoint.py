"""Checkpoints: whether one is a run's own, and the model in it, which needs no data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from pydantic import ValidationError
from torch import nn

from benchmark.config import Config, ImageSettings, MixingSettings, differences
from benchmark.model import Observed, build_model
from benchmark.run import RunFolder
from threedident.factors import LABELS

_PUBLISHED_MASKS = (1, 64, 64)  # checkpoints of version 0.1.0 do not say their shape


class Labelled(Observed, Protocol):
    """Observations whose factors have names."""

    @property
    def labels(self) -> Sequence[str]:
        """Names of the factors."""


@dataclass(frozen=True)
class _Outline:
    """The shape and the names of observations, without the data."""

    shape: tuple[int, ...]
    labels: Sequence[str]
    codes: int
    first: nn.Module

    def preprocess(self) -> nn.Module:
        return self.first


def own_checkpoint(folder: RunFolder, config: Config, seed: int) -> dict[str, Any] | None:
    """The last checkpoint of a seed, or None where there is none.

    Arguments:
        folder: of the run.
        config: of the run.
        seed: one of its seeds.

    Raises:
        ValueError: the file is damaged, or of another run or seed.
    """
    state = folder.load_checkpoint(seed)
    if state is None:
        return None
    try:
        changed = differences(Config.model_validate(state.get("config")), config)
    except ValidationError:
        changed = ["no configuration"]
    if state.get("seed") != seed:
        changed.append(f"seed {state.get('seed')} where {seed} is asked for")
    if not isinstance(state.get("step"), int):
        changed.append("no step")
    if changed:
        raise ValueError(
            f"{folder.checkpoint(seed)}: expected a checkpoint of this run, found one with "
            f"{', '.join(changed)}; delete it to train this seed again"
        )
    return state


def restored_model(folder: RunFolder, config: Config, seed: int, state: dict[str, Any]) -> Any:
    """The model of a checkpoint, in training mode, on the CPU.

    Arguments:
        folder: of the run.
        config: of the run.
        seed: of the training.
        state: as :func:`own_checkpoint` gives it.

    Returns:
        From observations (B, ...) to codes (B, n), preprocessing included.

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
    except (AttributeError, KeyError, RuntimeError, TypeError) as error:
        raise ValueError(
            f"{folder.checkpoint(seed)}: expected the weights of {config.encoder}, found others "
            f"({type(error).__name__}); restore the file, or train this seed again"
        ) from None
    return model


def observed(config: Config, state: dict[str, Any]) -> Labelled:
    """The shape and the names of what a run encodes, without the data."""
    source = config.source
    if isinstance(source, MixingSettings):
        from benchmark.mixing_source import MixingSource

        return MixingSource(source)
    if isinstance(source, ImageSettings):
        from benchmark.image_source import Normalise

        shape = (3, source.resolution, source.resolution)
        return _Outline(shape, LABELS, len(LABELS), Normalise(np.zeros(3), np.ones(3)))
    from benchmark.kitti import LABELS as MASK_LABELS
    from benchmark.mask_source import CODES, Unit

    shape = tuple(state.get("shape", _PUBLISHED_MASKS))
    return _Outline(shape, MASK_LABELS, CODES if source.paired else len(MASK_LABELS), Unit())
