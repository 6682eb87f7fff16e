from __future__ import annotations

import numpy as np
import pytest
import torch
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
    words = int(key[0]), int(key[1])
    assert (philox(words, counter[None])[0] == expected).all()
    tensor = philox(words, torch.tensor(counter.view(np.int64))[None])
    assert (tensor.numpy().view(np.uint64)[0] == expected).all()


def test_rows_do_not_depend_on_their_company() -> None:
    whole = uniforms(3, (0, 1), np.arange(100), 10)
    some = np.array([99, 4, 4, 50])
    assert (uniforms(3, (0, 1), some, 10) == whole[some]).all()
    assert (uniforms(3, (0, 1), some, 3) == whole[some, :3]).all()


@pytest.mark.parametrize("kind", [torch.int64, torch.int32, torch.uint8])
@pytest.mark.parametrize("count", [1, 4, 11])
def test_tensors_of_rows_have_the_bits_of_arrays(count: int, kind: torch.dtype) -> None:
    rows = torch.arange(200).flip(0).to(kind)
    tensor = uniforms(2**70, (3, 1), rows, count)
    assert tensor.dtype == torch.float64
    assert tensor.numpy().tobytes() == uniforms(2**70, (3, 1), rows.numpy(), count).tobytes()


def test_tensors_of_rows_keep_their_device() -> None:
    counters = torch.empty((5, 4), dtype=torch.int64, device="meta")
    assert philox((1, 2), counters).device.type == "meta"


def test_great_rows_have_their_own_numbers() -> None:
    rows = torch.tensor([0, 1, 2**31, 2**32, 2**40 + 5, 2**63 - 1])
    tensor = uniforms(5, (0,), rows, 4)
    assert tensor.numpy().tobytes() == uniforms(5, (0,), rows.numpy(), 4).tobytes()
    assert len(np.unique(tensor.numpy())) == 24


def test_no_rows_or_numbers_are_none() -> None:
    for rows in ([], np.arange(0), torch.arange(0)):
        assert uniforms(0, (0,), rows, 3).shape == (0, 3)
    assert uniforms(0, (0,), np.arange(5), 0).shape == (5, 0)
    assert uniforms(0, (0,), torch.arange(5), 0).shape == (5, 0)


@pytest.mark.parametrize("make", [np.asarray, torch.tensor])
@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([3, -1], "expected non-negative integers, found -1; "),
        ([0.5], "expected integers, found .*float"),
        ([True], "expected integers, found .*bool"),
        ([[1, 2]], r"expected shape \(N,\), found \(1, 2\); "),
        (7, r"expected shape \(N,\), found \(\); for one row use \[row\]"),
    ],
)
def test_rows_are_a_list_of_integers(make: type, rows: object, words: str) -> None:
    with pytest.raises(ValueError, match=f"^rows: {words}"):
        uniforms(0, (0,), make(rows), 2)


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
