"""Scipy's special functions are the oracle of torch's."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
import torch

from threedident.conditionals import special

SMALL = np.logspace(-300, -1, 600)
TAIL = 1 - 2.0 ** -np.arange(1, 54)
SIGNED = np.concatenate([np.linspace(-0.99, 0.99, 2001), SMALL, -SMALL, TAIL, -TAIL])


def gap(ours: torch.Tensor, theirs: np.ndarray) -> float:
    """Greatest relative difference."""
    return float(np.max(np.abs(ours.numpy() - theirs) / np.maximum(np.abs(theirs), 1e-300)))


@pytest.mark.parametrize("name", ["erf", "erfinv"])
def test_odd_functions_are_scipys(name: str) -> None:
    ours, theirs = getattr(special, name), getattr(scipy.special, name)
    assert gap(ours(torch.tensor(SIGNED)), theirs(SIGNED)) < 4e-15
    assert (ours(SIGNED) == theirs(SIGNED)).all()


def test_erfinv_needs_no_good_tails_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = torch.special.erfinv
    coarse = lambda y: exact(y) * torch.where(abs(y) < 0.7, 1.0, 1.0 + 1e-4)  # noqa: E731
    monkeypatch.setattr(torch.special, "erfinv", coarse)
    assert gap(special.erfinv(torch.tensor(SIGNED)), scipy.special.erfinv(SIGNED)) < 4e-15


def test_normal_quantiles_are_scipys() -> None:
    p = np.concatenate([SMALL, np.linspace(0.01, 0.99, 999), TAIL])
    assert special.ndtri(torch.tensor(p)).numpy() == pytest.approx(
        scipy.special.ndtri(p), rel=1e-14, abs=1e-15
    )
