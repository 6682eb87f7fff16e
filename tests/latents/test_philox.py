from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from tests.conftest import make_images, refused_at_once
from threedident import AugmentedPairs, PositivePairs, ThreeDIdent
from threedident.conditionals.steps import Normal
from threedident.latents.philox import philox, uniforms
from threedident.latents.sampling import sample_raw
from threedident.storage.origin import Origin, sample_positives


@pytest.mark.parametrize("trial", range(8))
def test_philox_is_numpys(trial: int) -> None:
    rng = np.random.default_rng(trial)
    key = rng.integers(0, 2**64, 2, dtype=np.uint64)
    counter = rng.integers(1, 2**64, 4, dtype=np.uint64)
    before = counter.copy()
    before[0] -= np.uint64(1)  # numpy advances its counter before it draws
    expected = np.random.Philox(key=key, counter=before).random_raw(4)
    words = int(key[0]), int(key[1])
    found = philox(words, *counter[:, None])
    assert np.concatenate(found).tolist() == expected.tolist()
    tensors = philox(words, *torch.tensor(counter.view(np.int64))[:, None])
    assert torch.cat(tensors).numpy().view(np.uint64).tolist() == expected.tolist()


def test_rows_do_not_depend_on_their_company() -> None:
    whole = uniforms(3, (0, 1), np.arange(100), 10)
    some = np.array([99, 4, 4, 50])
    assert (uniforms(3, (0, 1), some, 10) == whole[some]).all()
    assert (uniforms(3, (0, 1), some, 3) == whole[some, :3]).all()


@pytest.mark.parametrize("kind", [torch.int64, torch.int32, torch.uint8])
@pytest.mark.parametrize("count", [1, 4, 11])
def test_tensors_of_rows_have_the_bits_of_arrays(count: int, kind: torch.dtype) -> None:
    rows = torch.arange(200).flip(0).to(kind)
    tensor = uniforms(2**63 - 1, (3, 1), rows, count)
    assert tensor.dtype == torch.float64
    assert tensor.numpy().tobytes() == uniforms(2**63 - 1, (3, 1), rows.numpy(), count).tobytes()


def test_tensors_of_rows_keep_their_device() -> None:
    counters = torch.empty((4, 5), dtype=torch.int64, device="meta")
    assert {words.device.type for words in philox((1, 2), *counters)} == {"meta"}


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
        for seed, stream in [(0, (0,)), (1, (0,)), (0, (1,)), (0, (0, 0)), (2**63 - 1, (0,))]
    ]
    correlation = np.corrcoef(draws) - np.eye(len(draws))
    assert np.abs(correlation).max() < 5 / np.sqrt(len(rows))


def test_uniform_and_open() -> None:
    u = uniforms(0, (9,), np.arange(50_000), 4)
    assert u.min() > 0
    assert u.max() < 1
    for column in u.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-4


@pytest.mark.parametrize("seed", [-1, 2**63, 2**64, 10**400, 0.5, None], ids=repr)
def test_seeds_have_one_bound(seed: Any, tmp_path: Path) -> None:
    data = make_images(tmp_path, n=3, n_test=1)
    uses: list[Callable[[], object]] = [
        lambda: uniforms(seed, (0,), [0], 1),
        lambda: sample_raw(seed, "train", 1),
        lambda: sample_positives(np.zeros((1, 10)), Normal(0.1), seed, "train"),
        lambda: PositivePairs(ThreeDIdent(data), Normal(0.1), seed=seed),
        lambda: AugmentedPairs(ThreeDIdent(data), seed=seed),
    ]
    for use in uses:
        with pytest.raises(ValueError, match=r"seed: expected an integer from 0 to 2\^63 - 1"):
            use()
    with pytest.raises(ValueError, match="seed"):
        Origin(split="train", seed=2**63)
    for line in (("render", "--n", 1), ("benchmark",), ("preview", data)):
        option = "--seeds" if line[0] == "benchmark" else "--seed"
        refused = refused_at_once(*line, f"{option}={seed}")
        assert f"{option}: expected an integer from 0 to 2^63 - 1, found" in refused
        assert len(refused) < 300


def test_the_largest_seed_is_taken() -> None:
    assert uniforms(2**63 - 1, (0,), [0], 1) != uniforms(2**63 - 2, (0,), [0], 1)
    assert Origin(split="train", seed=2**63 - 1).draw(1).shape == (1, 10)
