"""Trained encoders, loaded from the folders of their runs without the data set."""

from __future__ import annotations

import warnings
from itertools import chain
from pathlib import Path
from textwrap import shorten
from typing import Any, Self

import torch
from torch import Tensor, nn

from benchmark.config import Config
from benchmark.encoders.model import build_model, count_codes
from benchmark.metrics.scores import Scores
from benchmark.settings import CustomSettings, MixingSettings
from benchmark.training.checkpoint import (
    Labelled,
    logged_scores,
    observed,
    own_checkpoint,
    require_own_scores,
    restored_model,
)
from benchmark.training.folder import RunFolder, is_run, what_is
from benchmark.zoo.cards import PREFIX, cards, read_card
from threedident.runtime.cards import Card
from threedident.runtime.errors import RUNS, advise


class LoadedEncoder(Card, nn.Module):
    """A trained and frozen encoder, including its normalisation.

    It stays in eval mode, even inside modules in training mode. To train it further, use
    :attr:`model`.

    Attributes:
        origin: folder of the run, or name in the zoo.
        config: configuration of the run.
        seed: seed of the training.
        step: number of steps of the training.
        labels: names of the n factors, in the order of the latents. Codes have another order:
            ``scores.assignment[i]`` is the code of factor i.
        resolution: edge of its images in pixels; None for mixed latents.
        scores: scores on the scored split at this step; None if the log of the run is missing.
        model: the network, which maps observations to codes.
    """

    def __init__(
        self,
        origin: str,
        config: Config,
        seed: int,
        step: int,
        source: Labelled,
        model: nn.Module,
        scores: Scores | None,
    ) -> None:
        super().__init__()
        self.origin, self.config = origin, config
        self.seed, self.step = seed, step
        self.labels, self.shape = tuple(source.labels), source.shape
        self.codes = count_codes(config, source)
        self.resolution = self.shape[-1] if len(self.shape) == 3 else None
        self.scores = scores
        real = isinstance(config.source, MixingSettings | CustomSettings)
        self._dtype = torch.float32 if real else torch.uint8
        self.model = model
        self.requires_grad_(False).eval()

    def forward(self, observations: Tensor) -> Tensor:
        """The codes of a batch.

        Arguments:
            observations: batch on the device of the encoder, shape (B, ...). For a run on images:
                uint8 (B, 3, H, W), RGB, channels first, with H = W = :attr:`resolution`, such as
                stacked items of ``ThreeDIdent``. For KITTI Masks: uint8 (B, 1, H, W), 0 or 255.
                For mixed latents: float32 (B, n). For a source of users: float32 (B, ...).

        Returns:
            Codes, shape (B, n), float32.

        Raises:
            ValueError: observations have another type, shape or device.
        """
        self._check(observations)
        codes: Tensor = self.model(observations)
        return codes.float()

    def train(self, mode: bool = True) -> Self:  # noqa: ARG002
        """Stay in eval mode."""
        return super().train(False)

    def card(self) -> dict[str, str]:
        """See :class:`threedident.runtime.cards.Card`."""
        config, scores = self.config, self.scores
        facts = {
            "origin": self.origin,
            "encoder": f"{config.encoder}, trained with {config.loss}",
            "seed": f"{self.seed}, step {self.step} of {config.steps}",
            "from": f"{_name(self._dtype)} {self._spell_shape('B')}",
            "to": f"float32 (B, {self.codes}), {config.output_space}",
        }
        if scores is not None:
            facts[f"{config.score_on} split"] = f"R2 {scores.r2:.3f}, MCC {scores.mcc:.3f}"
        return facts

    def _check(self, given: Tensor) -> None:
        if not isinstance(given, Tensor):
            raise ValueError(
                f"observations: expected a torch.Tensor, found {type(given).__name__}; give "
                "torch.from_numpy of an array, torch.stack of a list"
            )
        if tuple(given.shape[1:]) != self.shape or given.ndim != len(self.shape) + 1:
            raise ValueError(
                f"observations: expected shape {self._spell_shape('B')}, found "
                f"{tuple(given.shape)}; {self._advice(tuple(given.shape))}"
            )
        if given.dtype != self._dtype:
            numbers = "as they are, 0 to 255" if self._dtype == torch.uint8 else "as float32"
            raise ValueError(
                f"observations: expected {_name(self._dtype)}, found {_name(given.dtype)}; give "
                f"them {numbers}"
            )
        home = next(chain(self.parameters(), self.buffers()), given).device
        if given.device != home:
            raise ValueError(
                f"observations: expected them on {home}, where the encoder is, found them on "
                f"{given.device}; move them there"
            )

    def _advice(self, found: tuple[int, ...]) -> str:
        """Advice for observations with a wrong shape."""
        if found == self.shape:
            return "add the axis of the batch, as in x[None]"
        if len(self.shape) == 3 and found[1:] == (*self.shape[1:], self.shape[0]):
            return "put channels first, as in x.permute(0, 3, 1, 2)"
        if self.resolution is not None and len(found) == 4 and found[1] == self.shape[0]:
            return f"open the data set with resolution={self.resolution}"
        return "give those of the data set"

    def _spell_shape(self, batch: str) -> str:
        return f"({batch}, {', '.join(map(str, self.shape))})"


def load_encoder(
    run: str | Path, seed: int | None = None, device: str | torch.device = "cpu"
) -> LoadedEncoder:
    """The trained encoder of a run, or one of the zoo, which comes with this package.

    The data set is not needed: the checkpoint contains everything that the encoder needs. A
    custom encoder is imported again from the same import path. Codes are computed in eval mode,
    even if the run was scored with ``--protocol published``.

    Arguments:
        run: folder of a run of ``threedident benchmark``, or the name of an encoder of the zoo.
            A folder with the same name is written ``./NAME``.
        seed: seed of the training; None for the first seed of the run, or the one of the zoo.
        device: device of the encoder.

    Returns:
        A module that maps uint8 images (B, 3, H, W) to codes (B, n), frozen and in eval mode; see
        :class:`LoadedEncoder`.

    Raises:
        ValueError: the run, seed, checkpoint or device does not exist, or a file is damaged.

    Warns:
        UserWarning: the training is not finished; the encoder is that of its last checkpoint.

    Example::

        test = threedident.ThreeDIdent("data/demo", "test")
        images = torch.stack([test[row][0] for row in range(64)])
        codes = threedident.load_encoder("runs/demo")(images)
    """
    place = _device(device)
    if isinstance(run, str) and run in cards():
        return _of_zoo(run, seed).to(place)
    folder = RunFolder(Path(run))
    if not folder.config.is_file():
        otherwise = f"name one that threedident benchmark wrote, or one of {', '.join(cards())}"
        advice = advise(folder.path, is_run, otherwise, RUNS)
        raise ValueError(
            f"{folder.path}: expected the folder of a run, found {what_is(folder.path)}; {advice}"
        )
    config = folder.read_config()
    chosen = config.seeds[0] if seed is None else seed
    if chosen not in config.seeds:
        raise ValueError(
            f"seed: expected one of {', '.join(map(str, config.seeds))}, which {folder.path} "
            f"has, found {chosen}; name one of these"
        )
    state = own_checkpoint(folder, config, chosen)
    if state is None:
        raise ValueError(
            f"{folder.checkpoint(chosen)}: expected a checkpoint, found none; threedident "
            f"benchmark --resume {folder.path} trains this seed"
        )
    model = restored_model(folder, config, chosen, state)
    step = int(state["step"])
    if step < config.steps:
        warnings.warn(
            f"{folder.path}: seed {chosen} was trained for {step} of {config.steps} steps; "
            f"threedident benchmark --resume {folder.path} goes on",
            stacklevel=2,
        )
    if folder.scored(chosen):
        require_own_scores(folder, chosen, state)
    origin, scores = str(folder.path), _scores(folder, chosen, step)
    source = observed(config, state)
    return LoadedEncoder(origin, config, chosen, step, source, model, scores).to(place)


def _of_zoo(name: str, seed: int | None) -> LoadedEncoder:
    """The encoder of the zoo with this name.

    Raises:
        ValueError: it was trained with another seed, or its file was altered.
    """
    origin = f"{PREFIX}{name}"
    card = read_card(origin)
    if seed not in (None, card.seed):
        raise ValueError(
            f"seed: expected {card.seed}, with which {origin} was trained, found {seed}; leave it "
            "out"
        )
    config, source = card.config, observed(card.config, {})
    model = build_model(config.model_copy(update={"encoder": origin}), source, card.seed)
    scores = Scores.from_json(card.scores)
    return LoadedEncoder(origin, config, card.seed, config.steps, source, model, scores)


def _device(name: str | torch.device) -> torch.device:
    """The torch device of a name.

    Raises:
        ValueError: torch does not know the device, or does not find it on this machine.
    """
    try:
        return torch.empty(0, device=name).device
    except (AssertionError, RuntimeError) as error:
        words = shorten(str(error).partition(".")[0], 80)
        raise ValueError(
            f"device: expected one that torch finds here, such as cpu, found {name} ({words}); "
            "name another"
        ) from None


def _scores(folder: RunFolder, seed: int, step: int) -> Scores | None:
    records: list[dict[str, Any]] = [r for r in folder.scored(seed) if r["step"] == step]
    return logged_scores(folder, records[-1]) if records else None


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
