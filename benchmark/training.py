"""One training loop for every loss: Adam, checkpoints, scores on the test split on the way.

On a CPU a run that was stopped and resumed ends with the same weights, bit for bit, as one
that was not: batches are addressed by step, and nothing else is random after initialisation.
"""

from __future__ import annotations

import json
import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TextIO

import torch
from torch import Tensor, nn

from benchmark.config import SIMILARITIES, Config
from benchmark.encoders import build_encoder
from benchmark.evaluation import evaluate
from benchmark.losses import info_nce
from benchmark.metrics import Scores
from benchmark.run import RunFolder
from benchmark.sources import Batch, Normalise, Source
from threedident.dataset import ThreeDIdent
from threedident.errors import Interrupted
from threedident.progress import progress
from threedident.storage import npy_bytes, write_bytes

CHECKPOINT_PERIOD_S = 60.0


@dataclass(frozen=True)
class Machine:
    """Where a run computes: none of its numbers should depend on it.

    Arguments:
        device: of the model.
        workers: loader processes.
    """

    device: torch.device
    workers: int


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
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    state = folder.load_checkpoint(seed)
    step = 0
    if state is not None:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step = state["step"]
    with folder.rewind(seed, -1 if state is None else step) as log:
        loop = _Loop(config, seed, splits[1], folder, machine, model, optimizer, log, step)
        if state is None:
            loop.score()
            loop.save()
        loop.run(Source(splits[0], config.positives(), seed, config.batch_size, machine.workers))
    return _result(folder, seed)


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

    def run(self, source: Source) -> None:
        """Take the steps that are left."""
        config, saved = self.config, time.monotonic()
        self.model.train()
        with (
            progress(f"train seed {self.seed}", config.steps - self.step, "steps") as advance,
            _deferred_interrupt() as interrupted,
        ):
            for batch in source.batches(self.step, config.steps):
                loss = self._take_step(batch)
                if self.step % config.eval_every == 0 or self.step == config.steps:
                    self.score()
                if interrupted.is_set() or time.monotonic() - saved > CHECKPOINT_PERIOD_S:
                    self.save()
                    saved = time.monotonic()
                if interrupted.is_set():
                    raise Interrupted(
                        f"interrupted: step {self.step} of {config.steps} of seed {self.seed} is "
                        "saved; the same command with --resume goes on from there"
                    )
                advance(note=f"loss {loss:.3f}")
        self.save()

    def _take_step(self, batch: Batch) -> float:
        loss = batch_loss(self.model, batch.to(self.machine.device), self.config)
        value = loss.item()
        if not math.isfinite(value):
            raise ValueError(
                f"loss: expected a finite number, found {value} at step {self.step + 1} of seed "
                f"{self.seed}; lower --learning-rate ({self.folder.checkpoint(self.seed)} is the "
                "last good state)"
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.step += 1
        self._record(loss=value)
        return value

    def score(self) -> None:
        """Score the model on the test split and keep the representations."""
        machine = self.machine
        scores, codes = evaluate(self.model, self.test_split, machine.device, machine.workers)
        write_bytes(self.folder.representations(self.seed), npy_bytes(codes))
        self._record(**scores.to_json())

    def _record(self, **values: object) -> None:
        self.log.write(json.dumps({"seed": self.seed, "step": self.step, **values}) + "\n")

    def save(self) -> None:
        """Write a checkpoint, and the log up to it."""
        self.log.flush()
        state: dict[str, Any] = {
            "step": self.step,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        self.folder.save_checkpoint(self.seed, state)


@contextmanager
def _deferred_interrupt() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C into an event, to be answered between two steps.

    In the middle of a step the weights and the statistics of BatchNorm belong to no step, so a
    checkpoint of them could not be resumed exactly. A second Ctrl-C stops at once.
    """
    event = threading.Event()
    before = signal.getsignal(signal.SIGINT)

    def note(*_: object) -> None:
        event.set()
        signal.signal(signal.SIGINT, before)

    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)


def _result(folder: RunFolder, seed: int) -> Result:
    """First and last scores in the log."""
    scored = [r for r in folder.records() if r["seed"] == seed and "r2" in r]
    return Result(seed, Scores.from_json(scored[0]), Scores.from_json(scored[-1]))
