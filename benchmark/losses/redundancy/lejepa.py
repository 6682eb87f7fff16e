r"""LeJEPA: codes of both views agree, and their law is the standard normal one.

    L = (1 - w) mean |u - v|^2 / 4 + w mean_views SIGReg

The mean of the first term is over pairs and coordinates: it is the variance within a pair. SIGReg
compares characteristic functions of the codes along random unit vectors a, as the test of Epps
and Pulley does:

    SIGReg = B mean_a int |1/B sum_i exp(i t a'u_i) - exp(-t^2 / 2)|^2 exp(-t^2 / 2) dt

over the whole batch of B codes. The factor B couples w to the batch size. The integral is a
trapezoidal sum over 17 points of [0, 3], doubled. Every step draws new vectors.

References:
    LeJEPA: Provable and Scalable Self-Supervised Learning Without the Heuristics, Balestriero,
    LeCun, 2025, https://arxiv.org/abs/2511.08544
    When Does LeJEPA Learn a World Model?, Klindt, LeCun, Balestriero, 2026,
    https://arxiv.org/abs/2605.26379
    A test for normality based on the empirical characteristic function, Epps, Pulley, 1983,
    https://doi.org/10.1093/biomet/70.3.723
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmark.config import Config
from benchmark.losses.redundancy.statistics import not_gaussian
from benchmark.losses.redundancy.whitening import require_share
from benchmark.losses.views import Views
from threedident.runtime.errors import printable

_REACH, _POINTS = 3.0, 17


class LeJEPA(nn.Module):
    """LeJEPA with SIGReg.

    Let latents be standard normal and z~ = rho z + sqrt(1 - rho^2) e. Every map h of the latents
    to standard normal codes has E |h(z~) - h(z)|^2 >= 2 (1 - rho) n, with equality for orthogonal
    maps alone. Among stationary processes with additive noise, normal ones alone have this
    property (Klindt et al.). So codes are rotated latents: R^2 is 1, but MCC is not.

    Arguments:
        n: number of codes.
        weight: weight w of SIGReg, from 0 to 1.
        slices: number of random vectors.

    Raises:
        ValueError: the weight is not from 0 to 1, or there is no vector.
    """

    output_space = "unbounded"

    def __init__(self, n: int, weight: float = 0.05, slices: int = 256) -> None:
        super().__init__()
        require_share(weight)
        if slices < 1:
            raise ValueError(
                f"slices: expected at least 1, found {printable(str(slices))}; raise it"
            )
        self.n, self._weight, self._slices = n, weight, slices

    def forward(self, views: Views) -> dict[str, Tensor]:
        """The loss, and its two terms without their weights."""
        u, v = views.pair()
        drawn = torch.randn(self._slices, self.n, dtype=u.dtype, device=u.device)
        drawn = views.gather(drawn)[: self._slices]  # every rank takes the vectors of the first
        vectors = nn.functional.normalize(drawn, dim=1)
        invariance = (u - v).square().mean() / 4.0
        normality = torch.stack([sigreg(views.gather(codes), vectors) for codes in (u, v)]).mean()
        loss = (1.0 - self._weight) * invariance + self._weight * normality
        return {"loss": loss, "invariance": invariance, "sigreg": normality}

    @staticmethod
    def matches(config: Config) -> str | None:
        """The assumption that a run violates, in words; None if it violates none."""
        return not_gaussian(config)


def sigreg(codes: Tensor, vectors: Tensor) -> Tensor:
    """The distance of the law of codes from the standard normal law.

    Arguments:
        codes: shape (B, n).
        vectors: unit vectors, shape (K, n).

    Returns:
        A scalar, at least 0.
    """
    points = torch.linspace(0.0, _REACH, _POINTS, dtype=codes.dtype, device=codes.device)
    normal = (-points.square() / 2.0).exp()
    phases = (codes @ vectors.T)[..., None] * points  # (B, K, points)
    real, imaginary = phases.cos().mean(dim=0), phases.sin().mean(dim=0)
    apart = ((real - normal).square() + imaginary.square()) * normal
    return len(codes) * 2.0 * torch.trapezoid(apart, points, dim=1).mean()
