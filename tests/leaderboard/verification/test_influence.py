"""Influences of images against changes of the scores, and against the spread over splits."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.leaderboard.verification.influence import SCORES, influences, standardised
from benchmark.metrics.correlation.correlations import assign_codes, pearson
from benchmark.metrics.readouts.linear import fit_linear
from benchmark.metrics.readouts.targets import targets
from benchmark.metrics.scores import score

N = 400


def split(seed: int, noise: float = 0.4, rows: int = N) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    z = rng.uniform(-1, 1, (rows, 10))
    return z, z[:, ::-1] * np.linspace(-2, 3, 10) + noise * rng.normal(size=z.shape)


def test_influence_on_mcc_is_the_change_when_an_image_is_left_out() -> None:
    z, codes = split(0)
    whole = assign_codes(pearson(z, codes))[1].mean()
    found = influences(z, codes)["mcc"]
    for i in range(20):
        others = np.delete(np.arange(N), i)
        without = assign_codes(pearson(z[others], codes[others]))[1].mean()
        assert (N - 1) * (whole - without) == pytest.approx(found[i], abs=0.02)


def test_influence_on_r2_is_the_change_when_scored_images_are_left_out() -> None:
    """The readout is fitted on the first half, which stays as it is."""
    z, codes = split(1)
    half = N // 2
    found = influences(z, codes)["r2"]
    assert not found[:half].any()
    readout = fit_linear(targets(z[:half], None), codes[:half], "least squares")
    predicted = readout.predict(codes)
    whole = targets(z[half:], None).r_squared(predicted[half:]).mean()
    for i in range(half, half + 20):
        others = np.delete(np.arange(half, N), i - half)
        without = targets(z[others], None).r_squared(predicted[others]).mean()
        assert 2 * (half - 1) * (whole - without) == pytest.approx(found[i], abs=0.02)


@pytest.mark.parametrize("noise", [0.2, 1.0])
def test_influences_give_the_spread_of_scores_over_splits(noise: float) -> None:
    found: dict[str, list[float]] = {name: [] for name in SCORES}
    expected: dict[str, list[float]] = {name: [] for name in SCORES}
    for seed in range(150):
        z, codes = split(seed, noise)
        scores = score(latents=z, representations=codes)
        for name, each in influences(z, codes).items():
            found[name].append(getattr(scores, name))
            expected[name].append(float((each**2).sum() / N**2))
    for name in SCORES:
        assert np.std(found[name]) == pytest.approx(np.sqrt(np.mean(expected[name])), rel=0.2)


def test_influences_have_mean_zero_and_ignore_the_scale_of_codes() -> None:
    z, codes = split(3)
    plain, scaled = influences(z, codes), influences(z, 1e4 * codes - 7.0)
    for name in SCORES:
        assert plain[name].mean() == pytest.approx(0.0, abs=1e-12)
        assert np.allclose(plain[name], scaled[name], atol=1e-6)


def test_constant_codes_have_no_influence_of_their_own() -> None:
    z, codes = split(4)
    codes[:, 3] = 5.0
    assert np.array_equal(standardised(codes)[:, 3], np.zeros(N))
    assert np.isfinite(influences(z, codes)["mcc"]).all()
    assert np.isfinite(influences(z, codes)["r2"]).all()
