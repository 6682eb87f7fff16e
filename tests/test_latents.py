from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from threedident.factors import FACTORS, NAMES
from threedident.latents import check_raw, sample_raw, to_physical


def test_small_is_the_prefix_of_large() -> None:
    assert (sample_raw(5, "train", 1000)[:10] == sample_raw(5, "train", 10)).all()


def test_splits_and_seeds_differ() -> None:
    draws = [sample_raw(s, split, 50) for s, split in [(0, "train"), (0, "test"), (1, "train")]]
    assert len({draw.tobytes() for draw in draws}) == 3


def test_marginal_is_uniform_and_independent() -> None:
    raw = sample_raw(0, "train", 20_000)
    assert raw.dtype == np.float32
    for column in raw.T:
        assert stats.kstest(column, stats.uniform(-1, 2).cdf).pvalue > 1e-4
    off_diagonal = np.corrcoef(raw.T) - np.eye(10)
    assert np.abs(off_diagonal).max() < 5 / np.sqrt(len(raw))


def test_physical_is_reach_times_raw() -> None:
    ends = to_physical(np.ones((1, 10)))[0]
    assert NAMES[:3] == ("x", "y", "z")
    assert ends[:3] == pytest.approx(3.0)
    assert ends[3:] == pytest.approx(np.pi / 2)
    assert (to_physical(-np.ones((1, 10)))[0] == -ends).all()


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (np.zeros((3, 9)), "(3, 9)"),
        (np.zeros(10), "(10,)"),
        (np.zeros((0, 10)), "(0, 10)"),
        (np.array([["a"] * 10]), "dtype"),
        (np.full((2, 10), 1.01), "1.01 in row 0, column 0 (x)"),
    ],
)
def test_bad_latents_are_named(raw: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match="given") as error:
        check_raw(raw, "given")
    assert words in str(error.value)


def test_nan_is_named_with_its_factor() -> None:
    raw = np.zeros((4, 10))
    raw[2, 7] = np.nan
    with pytest.raises(ValueError, match=r"nan in row 2, column 7 \(object_hue\)"):
        check_raw(raw, "given")


def test_factor_names_are_unique() -> None:
    assert len({factor.name for factor in FACTORS}) == len(FACTORS) == 10
