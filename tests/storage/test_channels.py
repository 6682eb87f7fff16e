from __future__ import annotations

import numpy as np
import pytest

from threedident.storage.statistics import Channels


def images(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (5, 4, 6, 3), np.uint8)


def test_moments_are_those_of_all_pixels() -> None:
    pixels = images(0)
    mean, std = Channels.of(pixels).moments(5 * 4 * 6)
    assert mean == pytest.approx(pixels.reshape(-1, 3).mean(axis=0) / 255, abs=1e-15)
    assert std == pytest.approx(pixels.reshape(-1, 3).std(axis=0) / 255, abs=1e-12)


def test_sums_add_up() -> None:
    a, b = images(1), images(2)
    assert Channels.of(a) + Channels.of(b) == Channels.of(np.concatenate([a, b]))
    assert Channels() + Channels.of(a) == Channels.of(a)


def test_equal_pixels_have_no_spread() -> None:
    grey = np.full((1000, 3), 77, np.uint8)
    assert Channels.of(grey).moments(1000) == ((77 / 255,) * 3, (0.0,) * 3)
