from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from threedident.conditionals.rules.spelling import parse_conditional
from threedident.conditionals.steps import Normal, Uniform
from threedident.latents.factors import FACTORS, NAMES
from threedident.latents.sampling import check_raw, sample_raw, to_physical
from threedident.latents.spaces import SPACES
from threedident.storage.origin import sample_positives


def test_small_is_the_prefix_of_large() -> None:
    assert (sample_raw(5, "train", 1000)[:10] == sample_raw(5, "train", 10)).all()


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 63])
@pytest.mark.parametrize("fixed", [None, {"z": 0.25, "gamma": -0.7}, {"background_hue": 1.0}])
@pytest.mark.parametrize("space", SPACES)
def test_prefixes_hold_in_every_space(space: str, fixed: dict[str, float] | None, n: int) -> None:
    large = sample_raw(5, "test", 500, space, fixed)
    assert (large[:n] == sample_raw(5, "test", n, space, fixed)).all()


def test_each_space_goes_by_its_name() -> None:
    assert (sample_raw(1, "train", 20) == sample_raw(1, "train", 20, "box", {})).all()
    raw = sample_raw(1, "train", 20, "periodic")
    assert (check_raw(raw, "raw", "periodic") == raw).all()
    assert (to_physical(raw, "periodic") == SPACES["periodic"].physical(raw)).all()
    assert (raw[:, :3] == sample_raw(1, "train", 20)[:, :3]).all()


def test_fixed_factors_leave_the_other_draws() -> None:
    free = sample_raw(1, "train", 50)
    fixed = sample_raw(1, "train", 50, fixed={"theta": -0.5})
    assert (fixed[:, 6] == -0.5).all()
    assert (np.delete(fixed, 6, axis=1) == np.delete(free, 6, axis=1)).all()


PAIRS = {"box": {"y": 0.1, "object_hue": -0.3}, "periodic": {"y": 0.1}}


@pytest.mark.parametrize("space", SPACES)
def test_positives_follow_from_seed_split_row_and_anchor(space: str) -> None:
    fixed = PAIRS[space]
    conditional = parse_conditional("gennorm3:0.2", space, fixed)
    anchors = sample_raw(3, "train", 200, space, fixed)
    positives = sample_positives(anchors, conditional, 3, "train")
    assert positives.dtype == np.float32
    assert (check_raw(positives, "positives", space) == positives).all()
    for n in (1, 2, 7, 60):
        assert (sample_positives(anchors[:n], conditional, 3, "train") == positives[:n]).all()
    moved = anchors.copy()
    moved[5] = anchors[6]
    again = sample_positives(moved, conditional, 3, "train") == positives
    assert np.flatnonzero(~again.all(axis=1)).tolist() == [5]
    for column, name in enumerate(SPACES[space].columns):
        same = positives[:, column] == anchors[:, column]
        assert same.all() if name in fixed else not same.any()


def test_positives_have_draws_of_their_own() -> None:
    anchors = np.zeros((5000, 10))
    draws = [sample_raw(0, "train", 5000), sample_raw(0, "test", 5000)]
    for seed, split in [(0, "train"), (0, "test"), (1, "train")]:
        draws.append(sample_positives(anchors, Uniform(1.0), seed, split))
    steps = np.stack([draw.ravel() for draw in draws])
    assert np.abs(np.corrcoef(steps) - np.eye(5)).max() < 5 / np.sqrt(steps.shape[1])


def test_positives_follow_their_law_around_each_anchor() -> None:
    anchors = sample_raw(2, "test", 5000).astype(np.float64)
    positives = sample_positives(anchors, Normal(0.3), 2, "test")
    law = stats.truncnorm((-1 - anchors) / 0.3, (1 - anchors) / 0.3, anchors, 0.3)
    for ranks in law.cdf(positives).T:
        assert stats.kstest(ranks, stats.uniform.cdf).pvalue > 1e-5


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="space: expected one of box, periodic, found 'cube'"):
        sample_raw(0, "train", 1, "cube")
    with pytest.raises(ValueError, match="split: expected one of train, test, found 'val'"):
        sample_raw(0, "val", 1)
    with pytest.raises(ValueError, match="split: expected one of train, test, found 'val'"):
        sample_positives(np.zeros((1, 10)), Normal(0.1), 0, "val")
    with pytest.raises(ValueError, match="fixed: expected one of x, y"):
        sample_raw(0, "train", 1, fixed={"hue": 0.0})


@pytest.mark.parametrize("anchors", [np.zeros((2, 11)), np.zeros(10)])
def test_positives_refuse_anchors_of_another_space(anchors: np.ndarray) -> None:
    with pytest.raises(ValueError, match="latents: expected"):
        sample_positives(anchors, parse_conditional("normal:0.1", "box", {}), 0, "train")


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


_WIDE = [np.longdouble] if np.dtype(np.longdouble).itemsize > 8 else []


@pytest.mark.parametrize("kind", [*_WIDE, "m8[s]", bool, complex])
def test_latents_are_real_numbers_of_64_bits_at_most(kind: object) -> None:
    with pytest.raises(ValueError, match=r"it: expected a real dtype, found .*; use float32"):
        check_raw(np.zeros((2, 10)).astype(kind), "it")
