"""Statistics of codes over a batch, which all losses of this folder share."""

from __future__ import annotations

from torch import Tensor

from benchmark.config import Config
from benchmark.settings import MixingSettings


def covariance(codes: Tensor) -> Tensor:
    """The covariance matrix of codes (B, n), shape (n, n), divided by B - 1."""
    centred = codes - codes.mean(dim=0)
    return centred.T @ centred / (len(codes) - 1)


def squares_off_diagonal(matrix: Tensor) -> Tensor:
    """The sum of the squares of the entries off the diagonal of a matrix (n, n)."""
    return matrix.square().sum() - matrix.diagonal().square().sum()


def not_gaussian(config: Config) -> str | None:
    """The assumption of a stationary Gaussian process that a run violates, in words.

    None if it violates none: latents are standard normal, and the correlation of a pair is the
    same for all factors.
    """
    source = config.source
    if not isinstance(source, MixingSettings) or source.marginal != "normal":
        return "latents are not normal"
    if source.space != "real":
        return "latents do not lie in R^n"
    if source.conditional is None or source.conditional.name != "autoregressive":
        return "positives do not have the law of their anchors; take autoregressive"
    if config.codes not in (None, source.factors):
        return "there are more codes than factors"
    return None
