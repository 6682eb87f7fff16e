"""One training loop for every loss: Adam, checkpoints, scores on the test split on the way.

On one CPU thread a run that was stopped and resumed ends with the same weights, bit for bit, as
one that was not: batches are addressed by step, and nothing else is random after initialisation.
"""

from __future__ import annotations

import json
import math
import threading
import time
from dataclasses import dataclass
from typing import Any, TextIO

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.config import SIMILARITIES, Config
from benchmark.encoders import build_encoder
from benchmark.evaluation import represent
from benchmark.interrupts import deferred_interrupt
from benchmark.losses import info_nce
from benchmark.metrics import Scores, score
from benchmark.run import RunFolder
from benchmark.sources import Batch, Machine, Normalise, Source, build_pairs
from threedident.dataset import ThreeDIdent
from threedident.errors import Interrupted
from threedident.loading import WorkerDied, named_deaths
from threedident.progress import progress
from threedident.storage import npy_bytes, write_bytes

CHECKPOINT_PERIOD_S = 60.0


@dataclass(frozen=True)
class Result:
    """Scores of one seed on the test split, before and after training."""

    seed: int
    untrained: Scores
    trained: Scores


def build_model(config: Config, train_split: ThreeDIdent, seed: int) -> nn.Sequential:
    """From uint8 images (B, 3, H, W) to codes (B, n), normalisation included."""
    codes = train_split.latents.shape[1]
    encoder = build_encoder(config.encoder, codes, config.output_space, seed)
    return nn.Sequential(Normalise(train_split), encoder.to(memory_format=torch.channels_last))


def batch_loss(model: nn.Module, batch: Batch, config: Config) -> Tensor:
    """The loss of one batch; anchors and positives share one forward pass."""
    if batch.positives is None:
        return nn.functional.mse_loss(model(batch.images), batch.latents)
    codes = model(torch.cat([batch.images, batch.positives]))
    anchors, positives = codes.chunk(2)
    assert config.temperature is not None
    return info_nce(anchors, positives, SIMILARITIES[config.loss], config.temperature)


def train(
    config: Config,
    seed: int,
    splits: tuple[ThreeDIdent, ThreeDIdent],
    folder: RunFolder,
    machine: Machine,
) -> Result:
    """Train one seed to the end, from its last checkpoint where there is one.

    Arguments:
        config: what to train.
        seed: of the initial weights and of the batches.
        splits: train and test.
        folder: opened for ``config``.
        machine: where to compute.

    Raises:
        ValueError: the loss is no longer finite; the last checkpoint is kept.
        Interrupted: the user stopped the run; a checkpoint was written.
    """
    model = build_model(config, splits[0], seed).to(machine.device)
    pairs = build_pairs(config, splits[0], seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    step = _restore(folder, seed, model, optimizer)
    with folder.rewind(seed, step) as log:
        loop = _Loop(config, seed, splits[1], folder, machine, model, optimizer, log, step)
        loop.run(Source(splits[0], pairs, seed, config.batch_size, machine))
    return _result(folder, seed, config.steps)


def _restore(
    folder: RunFolder, seed: int, model: nn.Module, optimizer: torch.optim.Optimizer
) -> int:
    """Load the last checkpoint where there is one; returns the steps taken until it."""
    state = folder.load_checkpoint(seed)
    if state is None:
        return 0
    try:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        return int(state["step"])
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"{folder.checkpoint(seed)}: expected a checkpoint of this run, found another "
            f"({type(error).__name__}); delete it to train this seed again"
        ) from None


@dataclass
class _Loop:
    config: Config
    seed: int
    test_split: ThreeDIdent
    folder: RunFolder
    machine: Machine
    model: nn.Module
    optimizer: torch.optim.Optimizer
    log: TextIO
    step: int

    def __post_init__(self) -> None:
        self._interrupted = threading.Event()
        self._settled = True  # whether weights and statistics belong to a whole step
        self._saved, self._saved_step = time.monotonic(), self.step
        scored = [r["step"] for r in self.folder.scored(self.seed)]
        self._scored_step = max(scored, default=-1)

    def run(self, source: Source) -> None:
        """Take the steps that are left, and the scores that are due on the way."""
        with deferred_interrupt() as self._interrupted:
            try:
                with named_deaths():
                    self._score_if_due()
                    self._save()
                    self._take_steps(source)
            except KeyboardInterrupt:
                if self._settled:
                    self._save()
                raise Interrupted(f"interrupted: {self._way_on()}") from None
            except WorkerDied as error:
                raise ValueError(f"{error}; {self._way_on()}") from None
            self._save()

    def _way_on(self) -> str:
        return (
            f"seed {self.seed} is saved at step {self._saved_step} of {self.config.steps}; the "
            "same command with --resume goes on from there"
        )

    def _heed_interrupt(self) -> None:
        if self._interrupted.is_set():
            raise KeyboardInterrupt

    def _take_steps(self, source: Source) -> None:
        self.model.train()
        left = self.config.steps - self.step
        with progress(f"train seed {self.seed}", left, "steps") as advance:
            for batch in source.batches(self.step, self.config.steps) if left else ():
                loss = self._take_step(batch)
                self._heed_interrupt()
                self._score_if_due()
                if time.monotonic() - self._saved > CHECKPOINT_PERIOD_S:
                    self._save()
                advance(note=f"loss {loss:.3f}")

    def _take_step(self, batch: Batch) -> float:
        self._settled = False
        loss = batch_loss(self.model, batch, self.config)
        value = loss.item()
        if not math.isfinite(value):
            raise ValueError(f"loss: expected a finite number, found {value} {self._advice()}")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.step += 1
        self._record(loss=value)
        self._settled = True
        return value

    def _advice(self) -> str:
        return (
            f"after step {self.step} of seed {self.seed}; lower --learning-rate "
            f"({self.folder.checkpoint(self.seed)} is the last state saved)"
        )

    def _score_if_due(self) -> None:
        """Score on the test split and keep the representations, once for each step that asks."""
        due = self.step % self.config.eval_every == 0 or self.step == self.config.steps
        if not due or self._scored_step == self.step:
            return
        machine = self.machine
        codes = represent(
            self.model, self.test_split, machine.device, machine.workers, self._heed_interrupt
        )
        if not np.isfinite(codes).all():
            raise ValueError(f"codes: expected finite numbers, found others {self._advice()}")
        write_bytes(self.folder.representations(self.seed), npy_bytes(codes))
        self._record(**score(self.test_split.latents, codes).to_json())
        self._scored_step = self.step

    def _record(self, **values: object) -> None:
        self.log.write(json.dumps({"seed": self.seed, "step": self.step, **values}) + "\n")

    def _save(self) -> None:
        """Write a checkpoint, and the log up to it."""
        self.log.flush()
        state: dict[str, Any] = {
            "step": self.step,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        self.folder.save_checkpoint(self.seed, state)
        self._saved, self._saved_step = time.monotonic(), self.step


def _result(folder: RunFolder, seed: int, steps: int) -> Result:
    """First and last scores in the log."""
    scored = folder.scored(seed)
    if [r["step"] for r in scored[:1] + scored[-1:]] != [0, steps]:
        raise ValueError(
            f"{folder.metrics}: expected the scores of seed {seed} at steps 0 to {steps}, "
            f"found others; delete {folder.checkpoint(seed)} to train this seed again"
        )
    return Result(seed, Scores.from_json(scored[0]), Scores.from_json(scored[-1]))
