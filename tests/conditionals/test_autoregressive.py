"""Steps that keep the standard normal law."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tests.conditionals.laws import LEVEL, LIBRARIES, N, draw
from threedident.conditionals.autoregressive import Autoregressive


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("scale", [0.1, 0.8])
def test_the_marginal_stays_and_the_correlation_is_rho(scale: float, library: str) -> None:
    z = np.random.default_rng(0).normal(size=(N, 2))
    law = Autoregressive(scale)
    positives = draw(law, z, 1, library)
    assert law.correlation**2 + scale**2 == pytest.approx(1)
    for k in range(2):
        assert stats.kstest(positives[:, k], "norm").pvalue > LEVEL
        steps = positives[:, k] - law.correlation * z[:, k]
        assert stats.kstest(steps / scale, "norm").pvalue > LEVEL
    assert abs(np.corrcoef(positives[:, 0], z[:, 1])[0, 1]) < 4 / np.sqrt(N)


@pytest.mark.parametrize("scale", [1.0, 2.0, 0.0, -1.0])
def test_scales_without_a_correlation_are_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="scale: expected a"):
        Autoregressive(scale)
