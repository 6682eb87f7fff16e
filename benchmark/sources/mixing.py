"""Pairs of mixed latents. They are exact, never end, and are computed on the encoder's device.

Latents of the box lie in [0, 1]^n, as published, and scales are in these units.

Each layer of the mixing function g is the matrix with the smallest condition number of 25,000
random matrices. By the published protocol, it is the first random matrix whose condition number
is not above the least of 25,000 others. These others are the same for all layers. More than k
draws are needed with probability 25,000 / (25,000 + k): half of all layers need more than 25,000
draws, which take half a second for ten latents, and the mean is infinite. After 2,500,000 draws,
which 1 layer in 101 reaches, the matrix with the least of the 25,000 is taken itself.

References:
    Contrastive Learning Inverts the Data Generating Process, Zimmermann et al., 2021,
    https://arxiv.org/abs/2102.08850
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmark.protocol import OURS, Procedure, Scored
from benchmark.settings import MixingSettings
from benchmark.sources.source import Batch, Machine, Source, role_groups
from threedident.conditionals.marginal import Marginal
from threedident.conditionals.rules.rule import Rule
from threedident.conditionals.rules.spelling import parse_rule
from threedident.latents.layout import numbered_layout
from threedident.latents.philox import uniforms
from threedident.pairs.loader import slices
from threedident.runtime.arrays import is_tensor, namespace

TEST_ROWS = 8192
_TRAIN_STREAM, _TEST_STREAM = 6, 7
_ROW_STREAM = 13
_LAYERS = 3
_SLOPE = 0.2
_CANDIDATES = 25_000
_MOST_DRAWS = 100 * _CANDIDATES
_ENTRIES = 2**22  # matrix entries of the candidates that are compared at once
_MIXING_STREAM = 5


class MixingSource(Source):
    """Latents and their positives, mixed by the same function g, which depends on the seed.

    Arguments:
        settings: space, marginal, and conditional or rule.
        procedure: procedure that decides the choice of g and the test rows.

    Raises:
        ValueError: the space does not have this marginal, conditional or rule.
    """

    settings: MixingSettings

    def __init__(self, settings: MixingSettings, procedure: Procedure = OURS) -> None:
        n, law = settings.factors, settings.conditional
        self.settings = settings
        self.shape = (n,)
        self._marginal = Marginal(settings.space, settings.marginal, n)
        self._stretch = 2.0 if settings.space == "box" else 1.0  # laws are defined on [-1, 1]
        self._mixings: dict[int, Mixing] = {}
        self._below = procedure.mixing_below_threshold
        self._scored = procedure.scored.get(settings.kind, Scored(TEST_ROWS, TEST_ROWS))
        self._conditional = None
        self._count = n
        if law is not None:
            stretched = replace(law, sigma=self._stretch * law.sigma)
            self._conditional = stretched.conditional(settings.space)
        elif (rule := self._rule()) is not None:
            self._conditional = rule.conditional(settings.marginal, self._stretch)
        if self._conditional is not None:
            self._count += self._conditional.count(n)

    @property
    def labels(self) -> Sequence[str]:
        """See :class:`Source`."""
        return [f"z{i + 1}" for i in range(self.settings.factors)]

    def roles(self) -> dict[str, list[int]] | None:
        """See :class:`Source`."""
        rule = self._rule()
        return None if rule is None else role_groups(rule, self.labels)

    def _rule(self) -> Rule | None:
        text, n = self.settings.rule, self.settings.factors
        return None if text is None else parse_rule(text, numbered_layout(self.settings.space, n))

    @property
    def size(self) -> None:
        """See :class:`Source`."""

    @property
    def rows(self) -> int | None:
        """See :class:`Source`."""
        return self.settings.anchor_rows

    def summary(self) -> str:
        """See :class:`Source`."""
        settings, law = self.settings, self.settings.conditional
        pairs = f", positives {law.name}({law.sigma:g})" if law is not None else ""
        pairs += f", positives by {settings.rule}" if settings.rule is not None else ""
        return (
            f"mixing: {settings.factors} latents, {settings.space}, {settings.marginal}{pairs}; "
            f"{self._scored.rows} test rows"
        )

    def batches(
        self, seed: int, steps: range, batch_size: int, machine: Machine
    ) -> Iterator[Batch]:
        """See :class:`Source`."""
        mix = copy.deepcopy(self._mixing(seed)).to(machine.device)
        ranks = machine.ranks
        for items in slices(batch_size, steps.start, steps.stop, ranks.rank, ranks.count):
            yield self._batch(seed, items, mix, machine.device)

    def _batch(self, seed: int, items: range, mix: Mixing, device: torch.device) -> Batch:
        z, z_positive = self.draw(seed, items, device)
        latents = z.float()
        if z_positive is None:
            return Batch(mix(z).float(), None, latents)
        rows = None if self.rows is None else self._rows(seed, items, device)[0]
        return Batch(mix(z).float(), mix(z_positive).float(), latents, rows)

    def draw(self, seed: int, items: range, device: torch.device) -> tuple[Tensor, Tensor | None]:
        """The latents and positives with the given numbers, shape (B, n) each, float64."""
        n = self.settings.factors
        if self.rows is None:
            u = _uniforms(seed, _TRAIN_STREAM, items, self._count, device)
        else:
            rows, others = self._rows(seed, items, device)
            anchors = uniforms(
                seed, (_TRAIN_STREAM,), rows if is_tensor(others) else rows.numpy(), n
            )
            u = namespace(others).concatenate([anchors, others], axis=1)
        z = self._marginal.transform(u[:, :n])
        positives = None
        if self._conditional is not None:
            positives = self._place(self._conditional.transform(z, u[:, n:]))
        return self._place(z), positives

    def _rows(self, seed: int, items: range, device: torch.device) -> tuple[Tensor, Any]:
        """The rows of the anchors with the given numbers, and the numbers for their positives.

        Returns:
            Rows, shape (B,), int64, and uniform numbers, shape (B, k).
        """
        assert self.rows is not None
        count = self._count - self.settings.factors
        u = _uniforms(seed, _ROW_STREAM, items, 1 + count, device)
        rows = torch.as_tensor(u[:, 0] * self.rows).long()
        return rows, u[:, 1:]

    def _place(self, z: Any) -> Tensor:
        """Latents mapped from the box of the laws, [-1, 1]^n, to the paper's box, [0, 1]^n."""
        rows = torch.as_tensor(z)
        return (rows + 1.0) / 2.0 if self.settings.space == "box" else rows

    def _test(self, seed: int) -> Tensor:
        u = _uniforms(
            seed,
            _TEST_STREAM,
            range(self._scored.rows),
            self.settings.factors,
            torch.device("cpu"),
        )
        return self._place(self._marginal.transform(u))

    def latents(self, seed: int) -> NDArray[np.float32]:
        """See :class:`Source`. They are in no batch. By default there are :data:`TEST_ROWS`."""
        rows: NDArray[np.float32] = self._test(seed).float().numpy()
        return rows

    def held_out(self, seed: int, rows: int, machine: Machine) -> Iterator[Tensor]:
        """See :class:`Source`."""
        mix, latents, size = self._mixing(seed), self._test(seed)[:rows], self._scored.batch
        for start in range(0, rows, size):
            yield mix(latents[start : start + size]).float().to(machine.device)

    def _mixing(self, seed: int) -> Mixing:
        """The mixing function g of a seed, which is drawn once."""
        if seed not in self._mixings:
            self._mixings[seed] = Mixing(self.settings.factors, seed, below=self._below)
        return self._mixings[seed]


def _uniforms(seed: int, stream: int, items: range, count: int, device: torch.device) -> Any:
    """Uniform numbers by address, shape (B, count). For a GPU they are computed on the GPU."""
    if device.type == "cpu":
        return uniforms(seed, (stream,), np.arange(items.start, items.stop), count)
    rows = torch.arange(items.start, items.stop, device=device)
    return uniforms(seed, (stream,), rows, count)


class Mixing(nn.Module):
    """The mixing function g from latents (B, n) to observations (B, n). It is not trained.

    Arguments:
        n: number of latents.
        seed: seed of the weights of g.
        below: True to choose the matrices by the published protocol, see the module.
    """

    def __init__(self, n: int, seed: int, *, below: bool = False) -> None:
        super().__init__()
        rng = _generator(seed)
        weights = [_well_conditioned(n, rng) for _ in range(1 if below else _LAYERS)]
        if below:
            least = weights[0]
            weights = [_not_above(least, _generator(seed, layer)) for layer in range(_LAYERS)]
        for layer, weight in enumerate(weights):
            self.register_buffer(f"weight_{layer}", torch.from_numpy(weight))

    def forward(self, latents: Tensor) -> Tensor:
        """Observations, shape (B, n), with the dtype of the latents."""
        first, *others = self.buffers()
        values = latents @ first.to(latents.dtype).T
        for weight in others:
            values = nn.functional.leaky_relu(values, _SLOPE) @ weight.to(latents.dtype).T
        return values


def _generator(seed: int, *place: int) -> np.random.Generator:
    key = (_MIXING_STREAM, *place)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def _well_conditioned(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """The random matrix with the smallest condition number of many, shape (n, n)."""
    best, least = np.empty((n, n)), np.inf
    for matrices, conditions in _candidates(n, rng, _CANDIDATES):
        if conditions.min() < least:
            best, least = matrices[conditions.argmin()], conditions.min()
    return best


def _not_above(least: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """The first random matrix with a condition number not above that of ``least``, shape (n, n).

    After :data:`_MOST_DRAWS` it is ``least`` itself.
    """
    threshold = np.linalg.cond(least)
    for matrices, conditions in _candidates(len(least), rng, _MOST_DRAWS):
        if (conditions <= threshold).any():
            found: NDArray[np.float64] = matrices[(conditions <= threshold).argmax()]
            return found
    return least


def _candidates(
    n: int, rng: np.random.Generator, count: int
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Random matrices with columns of length 1, in blocks (B, n, n), and their conditions (B,)."""
    for start in range(0, count, height := min(_CANDIDATES, max(1, _ENTRIES // n**2))):
        matrices = rng.uniform(-1.0, 1.0, (min(height, count - start), n, n))
        matrices /= np.linalg.norm(matrices, axis=1, keepdims=True)
        yield matrices, np.linalg.cond(matrices)
