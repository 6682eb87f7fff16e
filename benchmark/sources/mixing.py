"""Pairs of mixed latents. They are exact, never end, and are computed on the encoder's device.

Latents of the box lie in [0, 1]^n, as published, and scales are in these units.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmark.config import MixingSettings
from benchmark.sources.source import Batch, Machine, Source
from threedident.conditionals.law import Law
from threedident.conditionals.steps import Normal
from threedident.latents.philox import uniforms
from threedident.pairs.loader import slices
from threedident.runtime.arrays import is_tensor, namespace
from threedident.runtime.errors import nearest, unknown

TEST_ROWS = 8192
_TRAIN_STREAM, _TEST_STREAM = 6, 7
_ROW_STREAM = 13
_LAYERS = 3
_SLOPE = 0.2
_CANDIDATES = 25_000
_ENTRIES = 2**22  # matrix entries of the candidates that are compared at once
_MIXING_STREAM = 5
MARGINALS = {
    "box": ("uniform",),
    "sphere": ("uniform", "normal", "laplace"),
    "real": ("normal", "laplace"),
}


class MixingSource(Source):
    """Latents and their positives, mixed by the same function g, which depends on the seed.

    Arguments:
        settings: space, marginal and conditional.

    Raises:
        ValueError: the space does not have this marginal or conditional.
    """

    settings: MixingSettings

    def __init__(self, settings: MixingSettings) -> None:
        n, law = settings.factors, settings.conditional
        self.settings = settings
        self.shape = (n,)
        self._marginal = Marginal(settings.space, settings.marginal, n)
        self._stretch = 2.0 if settings.space == "box" else 1.0  # laws are defined on [-1, 1]
        self._mixings: dict[int, Mixing] = {}
        self._conditional = None
        self._count = n
        if law is not None:
            stretched = replace(law, sigma=self._stretch * law.sigma)
            self._conditional = stretched.conditional(settings.space)
            self._count += self._conditional.count(n)

    @property
    def labels(self) -> Sequence[str]:
        """See :class:`Source`."""
        return [f"z{i + 1}" for i in range(self.settings.factors)]

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
        return (
            f"mixing: {settings.factors} latents, {settings.space}, {settings.marginal}{pairs}; "
            f"{TEST_ROWS} test rows"
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
            seed, _TEST_STREAM, range(TEST_ROWS), self.settings.factors, torch.device("cpu")
        )
        return self._place(self._marginal.transform(u))

    def latents(self, seed: int) -> NDArray[np.float32]:
        """See :class:`Source`. There are :data:`TEST_ROWS` latents, which are in no batch."""
        rows: NDArray[np.float32] = self._test(seed).float().numpy()
        return rows

    def held_out(self, seed: int, rows: int, machine: Machine) -> Iterator[Tensor]:
        """See :class:`Source`."""
        yield self._mixing(seed)(self._test(seed)[:rows]).float().to(machine.device)

    def _mixing(self, seed: int) -> Mixing:
        """The mixing function g of a seed, which is drawn once."""
        if seed not in self._mixings:
            self._mixings[seed] = Mixing(self.settings.factors, seed)
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
    """

    def __init__(self, n: int, seed: int) -> None:
        super().__init__()
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_MIXING_STREAM,)))
        for layer in range(_LAYERS):
            weight = torch.from_numpy(_well_conditioned(n, rng))
            self.register_buffer(f"weight_{layer}", weight)

    def forward(self, latents: Tensor) -> Tensor:
        """Observations, shape (B, n), with the dtype of the latents."""
        first, *others = self.buffers()
        values = latents @ first.to(latents.dtype).T
        for weight in others:
            values = nn.functional.leaky_relu(values, _SLOPE) @ weight.to(latents.dtype).T
        return values


def _well_conditioned(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """The random matrix with the smallest condition number of many, shape (n, n)."""
    best, least = np.empty((n, n)), np.inf
    for start in range(0, _CANDIDATES, height := max(1, _ENTRIES // n**2)):
        matrices = rng.uniform(-1.0, 1.0, (min(height, _CANDIDATES - start), n, n))
        matrices /= np.linalg.norm(matrices, axis=1, keepdims=True)
        conditions = np.linalg.cond(matrices)
        if conditions.min() < least:
            best, least = matrices[conditions.argmin()], conditions.min()
    return best


@dataclass(frozen=True)
class Marginal:
    """The marginal p(z) over n coordinates, as a function of n uniform numbers for each row.

    In the box it is the uniform law on [-1, 1]^n. On the sphere it is the uniform law, or steps of
    scale 1 from the first axis that are projected to the sphere. In R^n it is steps of scale 1
    from 0.

    Arguments:
        space: ``box``, ``sphere`` or ``real``.
        name: name of a marginal of this space, see :data:`MARGINALS`.
        dimension: number n of coordinates.

    Raises:
        ValueError: the space does not have this marginal.
    """

    space: str
    name: str
    dimension: int

    def __post_init__(self) -> None:
        if self.space not in MARGINALS:
            raise ValueError(unknown("space", self.space, MARGINALS))
        known = MARGINALS[self.space]
        if self.name not in known:
            near = nearest(self.name, known)
            advice = "take one of these" if near is None else f"did you mean {near!r}?"
            raise ValueError(
                f"marginal: expected one that fits the {self.space} space ({', '.join(known)}), "
                f"found {self.name!r}; {advice}"
            )

    def transform(self, uniforms: Any) -> Any:
        """Latents, shape (B, n), float64, from uniform numbers in (0, 1) of the same shape."""
        if self.space == "box":
            return 2.0 * uniforms - 1.0
        if self.name == "uniform":
            steps = Normal(1.0, space="real").transform(0.0 * uniforms, uniforms)
            return steps / namespace(steps).sqrt((steps * steps).sum(1))[:, None]
        steps = Law(self.name, 1.0).conditional(self.space)
        return steps.transform(self._centre(uniforms), uniforms)

    def _centre(self, like: Any) -> Any:
        """The centre of the steps for each row: 0, or on the sphere the first unit vector."""
        centre = like.clone() if is_tensor(like) else np.array(like)
        centre[:] = 0.0
        if self.space == "sphere":
            centre[:, 0] = 1.0
        return centre
