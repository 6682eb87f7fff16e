"""The training loop for every source and loss, with Adam, checkpoints and regular scores."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark.encoders.networks import is_custom
from benchmark.losses import catalogue
from benchmark.protocol import procedure_of
from benchmark.ranks import lost_another
from benchmark.sources.source import Batch, SourceFailed
from benchmark.training.checkpoint import take_over
from benchmark.training.evaluation import (
    features_and_codes,
    gpus,
    score_codes,
    scores_by_batch,
    write_features,
)
from benchmark.training.log import Forecast, Tracker, Unread
from benchmark.training.objective import Objective
from benchmark.training.schedules import factor
from benchmark.training.seals import digest_of
from benchmark.training.task import Task
from threedident.pairs.loader import WorkerDied, is_death, named_deaths
from threedident.runtime.errors import Interrupted
from threedident.runtime.files import npy_bytes, sha256, write_bytes
from threedident.runtime.progress import Advance, progress
from threedident.runtime.signals import Stop, deferred_stop

CHECKPOINT_PERIOD_S = 60.0
_READ, _READS = 20, {"cpu": 1}  # steps between two readings of the loss, for which a GPU waits
UNTRAINED_BY_BATCH = "untrained_batch_statistics"


@dataclass
class Loop:
    """The training loop of one seed.

    Arguments:
        task: task of this training.
        objective: model and loss, on the device of the machine.
        optimizer: optimizer of the parameters of the objective.
        tracker: log of losses and scores.
        step: number of steps taken before.
    """

    task: Task
    objective: Objective
    optimizer: torch.optim.Optimizer
    tracker: Tracker
    step: int

    def __post_init__(self) -> None:
        self._stop = Stop()
        self._settled = True  # False in the middle of a step, and of reading its loss
        self._unread = Unread()
        self._reads = _READS.get(self.task.machine.device.type, _READ)
        self._saved, self._saved_step = time.monotonic(), self.step
        scored = self._scored = self.task.folder.scored_until(self.task.seed, self.step)
        self._scored_step = scored[-1]["step"] if scored else -1
        ended = self.step == self.task.config.steps
        if ended and not self.task.folder.has_scored_codes(self.task.seed):
            self._scored_step = -1  # the codes are lost or altered, so they are computed again
        self._scores = scored[-1] if scored else {}
        self.task.machine.ranks.wait()  # every rank must read the log before one writes to it
        custom = bool(self._custom())
        self._forward = self.task.machine.ranks.share(
            self.objective, self.task.machine.device, custom
        )
        if self.task.machine.compiled:
            self.objective.model.compile()

    def run(self) -> None:
        """Take the remaining steps, and compute the scores that are due."""
        with deferred_stop() as self._stop:
            try:
                with named_deaths(), torch.random.fork_rng(gpus(self.objective)):
                    self._score_if_due()
                    self._save()
                    self._take_over()
                    self._take_steps()
            except KeyboardInterrupt:
                self._save_settled()
                name = self._stop.name or "interrupted"
                raise Interrupted(f"{name}: {self._way_on()}") from None
            except SourceFailed as error:
                self._save_settled()
                raise ValueError(f"{error}; {self._way_on()}") from None
            except WorkerDied as error:
                raise ValueError(f"{error}; {self._way_on()}") from None
            self._save()

    def _save_settled(self) -> None:
        """Save after an interruption, unless it came in the middle of a step."""
        alone = self.task.machine.ranks.count == 1
        if self._unread and self._settled and alone:
            with suppress(KeyboardInterrupt):  # which brought us here
                self._read_losses()
        if self._settled and not self._unread:
            self._save()

    def _way_on(self) -> str:
        return (
            f"seed {self.task.seed} is saved at step {self._saved_step} of "
            f"{self.task.config.steps}; the same command with --resume goes on from there"
        )

    def _heed_stop(self) -> None:
        if self._stop and self.task.machine.ranks.count == 1:
            raise KeyboardInterrupt

    def _take_over(self) -> None:
        """Take losses and weights of a finished run, if one is given, in place of the steps."""
        trained, seed = self.task.trained, self.task.seed
        if trained is None or self.step == self.task.config.steps:
            return
        for line in trained.records():
            if line["seed"] == seed and line["step"] > self.step and "loss" in line:
                self.tracker.record(line["step"], line)
        self.step = take_over(trained, seed, self.objective, self.optimizer)
        self._score_if_due()

    def _take_steps(self) -> None:
        config, machine = self.task.config, self.task.machine
        left = config.steps - self.step
        if not left:
            return
        self.objective.train()
        steps = range(self.step, config.steps)
        batches = self.task.source.batches(self.task.seed, steps, config.batch_size, machine)
        later = config.steps * (len(config.seeds) - 1 - config.seeds.index(self.task.seed))
        forecast = Forecast(left, later, machine.device.type == "cpu", config.source.kind)
        quiet = not machine.ranks.leads
        seen, began = 0, time.perf_counter()
        title = f"train seed {self.task.seed}"
        with progress(title, config.steps, "steps", quiet=quiet) as advance:
            advance.skip(self.step)
            for batch in batches:
                self._take_step(batch)
                seen += machine.ranks.count * sum(map(len, batch.observations))
                stopped = bool(self._stop) and machine.ranks.count == 1
                if stopped or self.step % self._reads == 0 or self._due():
                    taken = len(self._unread)
                    loss = self._read_losses()
                    self._score_if_due()
                    if time.monotonic() - self._saved > CHECKPOINT_PERIOD_S:
                        self._save()
                    rate = seen / (time.perf_counter() - began)
                    self._advance(advance, taken, loss, rate)
                    forecast.step(advance.say, taken)

    def _advance(self, advance: Advance, steps: int, loss: float, rate: float) -> None:
        scores = self._scores
        known = f", R2 {scores['r2']:.3f}, MCC {scores['mcc']:.3f}" if scores else ""
        advance(steps, f"loss {loss:.3f}{known}, {rate:.0f} images/s")

    def _take_step(self, batch: Batch) -> None:
        self._settled = False
        config = self.task.config
        _seed_step(self.task.seed, self.step, self.task.machine.ranks.rank)
        rate = factor(config.schedule, self.step, config.steps, config.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * config.learning_rate
        self.optimizer.zero_grad(set_to_none=True)
        with self._named_failures():
            terms = self._forward(batch)
            terms["loss"].backward()
        self.optimizer.step()
        with self._named_failures():
            self.objective.after_step()
        self.step += 1
        self._unread.add(self.step, terms)
        self._settled = True

    @contextmanager
    def _named_failures(self) -> Iterator[None]:
        """Add the number of the saved step to the messages of errors in a step.

        RuntimeErrors of custom encoders and losses become one-line messages. Those of built-in
        ones keep their traceback.
        """
        try:
            yield
        except ValueError as error:
            raise ValueError(f"{error}; {self._way_on()}") from None
        except RuntimeError as error:
            own = self._custom()
            if not own or is_death(error) or lost_another(error):
                raise
            raise ValueError(
                f"{own} to be trained, found {type(error).__name__}: {error}; {self._way_on()}"
            ) from None

    def _custom(self) -> str:
        """The custom encoder and loss, as the beginning of a message; empty if there are none."""
        config = self.task.config
        custom = {
            "encoder": is_custom(config.encoder) and config.encoder,
            "loss": catalogue.is_custom(config.loss) and config.loss,
        }
        own = {kind: name for kind, name in custom.items() if name}
        return f"{' or '.join(own)}: expected {' or '.join(own.values())}" if own else ""

    def _read_losses(self) -> float:
        """Log the losses of the steps since the last reading, and return the last one."""
        ranks = self.task.machine.ranks
        self._settled = False
        stopped, read = self._unread.read(bool(self._stop), ranks)
        for step, terms in read.items():
            if not math.isfinite(terms["loss"]):
                ranks.refuse(
                    f"loss: expected a finite number, found {terms['loss']} "
                    f"{self._advice(step - 1)}"
                )
            self.tracker.record(step, terms)
        self._settled = True
        if stopped:
            raise KeyboardInterrupt
        return terms["loss"]

    def _advice(self, step: int | None = None) -> str:
        step = self.step if step is None else step
        if step == 0:
            return (
                f"before the first step of seed {self.task.seed}; look at the data and the "
                "encoder, and at --temperature and --extent where they were given"
            )
        checkpoint = self.task.folder.checkpoint(self.task.seed)
        return (
            f"after step {step} of seed {self.task.seed}; train again with a lower "
            f"--learning-rate in another --out ({checkpoint}, step "
            f"{self._saved_step}, is the last good state)"
        )

    def _score_if_due(self) -> None:
        """Score the encoder and store the representations, if scores are due at this step."""
        if not self._due() or self._scored_step == self.step:
            return
        leads = self.task.machine.ranks.leads
        beside = self._untrained_by_batch()
        # all ranks share the statistics of a batch
        if leads or procedure_of(self.task.config).batch_statistics:
            features, codes = features_and_codes(
                self.objective.model,
                self.task.config,
                self.task.source,
                self.task.seed,
                self.task.machine,
                self._heed_stop,
            )
            if leads:
                if features is not None and self.step == self.task.config.steps:
                    write_features(self.task.folder, self.task.seed, features)
                self._score(codes, beside)
        self._scored_step = self.step
        self.task.machine.ranks.wait()

    def _due(self) -> bool:
        return self.step % self.task.config.eval_every == 0 or self.step == self.task.config.steps

    def _untrained_by_batch(self) -> dict[str, Any]:
        """Scores of the untrained encoder with batch statistics, at step 0. All ranks call it."""
        task = self.task
        if self.step:
            return {}
        model, heed = self.objective.model, self._heed_stop
        found = scores_by_batch(model, task.config, task.source, task.seed, task.machine, heed)
        return {} if found is None else {UNTRAINED_BY_BATCH: found}

    def _score(self, codes: NDArray[np.float32], beside: dict[str, Any]) -> None:
        config, source = self.task.config, self.task.source
        if not np.isfinite(codes).all():
            raise ValueError(f"codes: expected finite numbers, found others {self._advice()}")
        content = npy_bytes(codes)
        write_bytes(self.task.folder.representations(self.task.seed), content)
        scores = {**score_codes(config, source, self.task.seed, codes).to_json(), **beside}
        scores["codes"] = sha256(content)
        self.tracker.record(self.step, scores)
        self._scored.append({"seed": self.task.seed, "step": self.step, **scores})
        self._scores = scores

    def _save(self) -> None:
        """Write a checkpoint, and the log up to it.

        Raises:
            ValueError: the weights are not finite. The previous checkpoint is kept.
        """
        if not self.task.machine.ranks.leads:
            self._saved, self._saved_step = time.monotonic(), self.step
            return
        if not all(bool(p.isfinite().all()) for p in self.objective.parameters()):
            raise ValueError(f"weights: expected finite numbers, found others {self._advice()}")
        self.tracker.flush()
        state: dict[str, Any] = {
            "config": self.task.config.model_dump(mode="json"),
            "seed": self.task.seed,
            "step": self.step,
            "shape": list(self.task.source.shape),
            "scores": digest_of(self._scored),
            "objective": self.objective.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        self.task.folder.save_checkpoint(self.task.seed, state)
        self._saved, self._saved_step = time.monotonic(), self.step


def _seed_step(seed: int, step: int, rank: int) -> None:
    """Seed torch for a step, from (seed, step, rank), for encoders that draw, as in dropout."""
    [word] = np.random.SeedSequence((seed, step, rank)).generate_state(1, np.uint64)
    torch.manual_seed(int(word))
