from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from threedident.counter import philox, uniforms


@pytest.mark.parametrize("trial", range(8))
def test_philox_is_numpys(trial: int) -> None:
    rng = np.random.default_rng(trial)
    key = rng.integers(0, 2**64, 2, dtype=np.uint64)
    counter = rng.integers(1, 2**64, 4, dtype=np.uint64)
    before = counter.copy()
    before[0] -= np.uint64(1)  # numpy advances its counter before it draws
    expected = np.random.Philox(key=key, counter=before).random_raw(4)
    assert (philox((int(key[0]), int(key[1])), counter[None])[0] == expected).all()


def test_rows_do_not_depend_on_their_company() -> None:
    whole = uniforms(3, (0, 1), np.arange(100), 10)
    some = np.array([99, 4, 4, 50])
    assert (uniforms(3, (0, 1), some, 10) == whole[some]).all()
    assert (uniforms(3, (0, 1), some, 3) == whole[some, :3]).all()


def test_seeds_and_streams_are_unrelated() -> None:
    rows = np.arange(5000)
    draws = [
        uniforms(seed, stream, rows, 1)[:, 0]
        for seed, stream in [(0, (0,)), (1, (0,)), (0, (1,)), (0, (0, 0)), (2**70, (0,))]
    ]
    correlation = np.corrcoef(draws) - np.eye(len(draws))
    assert np.abs(correlation).max() < 5 / np.sqrt(len(rows))


def test_uniform_and_open() -> None:
    u = uniforms(0, (9,), np.arange(50_000), 4)
    assert u.min() > 0
    assert u.max() < 1
    for column in u.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-4
