from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from benchmark.metrics.correlation.correlations import spearman
from benchmark.metrics.results import NONE
from benchmark.metrics.scores import Scores, linear_r2, score


def case(seed: int, n: int = 4, rows: int = 301) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    z = rng.uniform(-1, 1, (rows, n))
    return z, np.tanh(z @ rng.normal(size=(n, n))) + rng.normal(0, 0.3, (rows, n))


@pytest.mark.parametrize("seed", range(10))
def test_r2_is_scikit_learns(seed: int) -> None:
    z, codes = case(seed)
    half = len(z) // 2
    fit = LinearRegression().fit(codes[:half], z[:half])
    expected = r2_score(z[half:], fit.predict(codes[half:]), multioutput="raw_values")
    scores = score(z, codes)
    assert scores.r2_per_factor == pytest.approx(expected, abs=1e-9)
    assert scores.r2 == pytest.approx(expected.mean(), abs=1e-9)


def test_r2_is_scikit_learns_for_collinear_and_dead_codes() -> None:
    z, codes = case(0)
    codes[:, 1] = 2 * codes[:, 0]
    codes[:, 2] = 5.0
    half = len(z) // 2
    fit = LinearRegression().fit(codes[:half], z[:half])
    expected = r2_score(z[half:], fit.predict(codes[half:]), multioutput="raw_values")
    assert linear_r2(z, codes) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_mcc_is_the_best_of_all_assignments(seed: int) -> None:
    z, codes = case(seed, n=5)
    absolute = np.abs(np.corrcoef(z.T, codes.T)[:5, 5:])
    means = {p: absolute[np.arange(5), p].mean() for p in permutations(range(5))}
    scores = score(z, codes)
    assert scores.mcc == pytest.approx(max(means.values()), abs=1e-9)
    assert means[tuple(scores.assignment)] == pytest.approx(scores.mcc, abs=1e-12)
    assert np.abs(scores.correlation) == pytest.approx(absolute, abs=1e-9)
    assert scores.mcc_per_factor == pytest.approx(
        absolute[np.arange(5), scores.assignment], abs=1e-9
    )


@pytest.mark.parametrize("digits", [0, 1, 15])
@pytest.mark.parametrize("seed", range(5))
def test_spearman_is_scipys_with_and_without_ties(seed: int, digits: int) -> None:
    z, codes = (rows.round(digits) for rows in case(seed))
    expected = spearmanr(z, codes).statistic[:4, 4:]
    assert spearman(z, codes) == pytest.approx(expected, abs=1e-12)
    assert score(z, codes).spearman == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_mcc_spearman_is_the_best_of_all_assignments(seed: int) -> None:
    z, codes = case(seed, n=5)
    absolute = np.abs(spearmanr(z, codes).statistic[:5, 5:])
    means = {p: absolute[np.arange(5), p].mean() for p in permutations(range(5))}
    scores = score(z, codes)
    assert scores.mcc_spearman == pytest.approx(max(means.values()), abs=1e-9)
    assert means[tuple(scores.spearman_assignment)] == pytest.approx(scores.mcc_spearman)
    assert scores.mcc_spearman == pytest.approx(scores.mcc_spearman_per_factor.mean())


@pytest.mark.parametrize("seed", range(5))
def test_monotone_codes_are_perfect_by_rank_alone(seed: int) -> None:
    rng = np.random.default_rng(seed)
    z, order = rng.uniform(-1, 1, (400, 6)), rng.permutation(6)
    scores = score(z, np.exp(7 * z[:, order]) * rng.choice([-1, 1], 6))
    assert scores.mcc_spearman == pytest.approx(1)
    assert (order[scores.spearman_assignment] == np.arange(6)).all()
    assert scores.mcc < 0.8


def test_the_two_assignments_can_differ() -> None:
    z = np.random.default_rng(7).uniform(-1, 1, (500, 2))
    scores = score(z, np.stack([np.exp(20 * z[:, 0]), z[:, 0] + 0.4 * z[:, 1]], axis=1))
    assert scores.spearman_assignment.tolist() == [0, 1]
    assert scores.assignment.tolist() == [1, 0]


@pytest.mark.parametrize("seed", range(5))
def test_invertible_affine_maps_are_perfectly_linear(seed: int) -> None:
    rng = np.random.default_rng(seed)
    z = rng.uniform(-1, 1, (200, 10))
    assert score(z, z @ rng.normal(size=(10, 10)) + 100 * rng.normal(size=10)).r2 == pytest.approx(
        1
    )


@pytest.mark.parametrize("seed", range(5))
def test_signed_scaled_permutations_are_perfectly_identified(seed: int) -> None:
    rng = np.random.default_rng(seed)
    z, order = rng.uniform(-1, 1, (200, 10)), rng.permutation(10)
    scale = rng.choice([-1, 1], 10) * 10 ** rng.uniform(-6, 6, 10)
    scores = score(z, z[:, order] * scale + 3)
    assert scores.mcc == pytest.approx(1)
    assert (order[scores.assignment] == np.arange(10)).all()
    assigned = scores.correlation[np.arange(10), scores.assignment]
    assert np.sign(assigned) == pytest.approx(np.sign(scale[scores.assignment]))


def test_unrelated_codes_score_nothing() -> None:
    rng = np.random.default_rng(0)
    scores = score(rng.uniform(-1, 1, (5000, 10)), rng.normal(size=(5000, 10)))
    assert abs(scores.r2) < 0.02
    assert scores.mcc < 0.1


def test_collapsed_codes_score_nothing() -> None:
    scores = score(case(1)[0], np.full((301, 4), 0.1))
    assert scores.mcc == 0
    assert (scores.correlation == 0).all()
    assert scores.mcc_spearman == 0
    assert (scores.spearman == 0).all()
    assert scores.r2 <= 0


def test_a_constant_code_leaves_the_others_their_scores() -> None:
    z, codes = case(8)
    codes[:, 2] = 0.1
    scores = score(z, codes)
    assert (scores.correlation[:, 2] == 0).all()
    assert (scores.spearman[:, 2] == 0).all()
    assert scores.correlation[:, :2] == pytest.approx(score(*case(8)).correlation[:, :2])


def test_spare_codes_are_left_out_of_the_best_assignment() -> None:
    z, codes = case(9, n=3)
    order = [5, 0, 3]
    many = np.random.default_rng(9).normal(size=(len(z), 7))
    many[:, order] = np.exp(z) * [1, -1, 1]
    scores = score(z, many, spare_codes=True)
    assert scores.assignment.tolist() == scores.spearman_assignment.tolist() == order
    assert scores.mcc_spearman == pytest.approx(1)
    assert scores.correlation.shape == scores.spearman.shape == (3, 7)
    assert score(z, codes, spare_codes=True).mcc == score(z, codes).mcc


def test_spare_codes_never_lower_the_mcc() -> None:
    z, codes = case(10, n=3)
    noise = np.random.default_rng(10).normal(size=(len(z), 4))
    scores = score(z, np.hstack([codes, noise]), spare_codes=True)
    few = score(z, codes)  # whose sums may round otherwise
    assert scores.mcc >= few.mcc - 1e-12
    assert scores.mcc_spearman >= few.mcc_spearman - 1e-12


@pytest.mark.parametrize("spare_codes", [False, True])
def test_every_factor_needs_a_code_of_its_own(spare_codes: bool) -> None:
    z, codes = case(11)
    with pytest.raises(ValueError, match=r"found \(301, 3\); give more codes"):
        score(z, codes[:, :3], spare_codes=spare_codes)


def test_factors_without_a_code_count_as_nothing() -> None:
    z = np.random.default_rng(0).uniform(-1, 1, (500, 4))
    scores = score(z, -z[:, [3, 1]], missing_codes=True)
    assert scores.mcc_per_factor == pytest.approx([0, 1, 0, 1])
    assert scores.mcc == pytest.approx(0.5)
    assert scores.assigned() == [NONE, "1", NONE, "0"]
    assert scores.correlation.shape == scores.spearman.shape == (4, 2)
    assert Scores.from_json(scores.to_json()).assigned() == scores.assigned()
    assert scores.r2_per_factor[[1, 3]] == pytest.approx([1, 1])
    assert scores.r2_per_factor[[0, 2]] == pytest.approx([0, 0], abs=0.1)
    assert scores.r2_per_factor == pytest.approx(linear_r2(z, z[:, [1, 3]]))
    assert score(z, z, missing_codes=True).to_json() == score(z, z).to_json()


def test_spare_codes_are_refused_unless_asked_for() -> None:
    z, codes = case(12)
    with pytest.raises(ValueError, match="pass spare_codes=True"):
        score(z[:, :3], codes)


@pytest.mark.parametrize("rows", [slice(None), slice(150), slice(150, None)])
def test_constant_factors_are_named(rows: slice) -> None:
    z, codes = case(13)
    z[rows, 2] = 0.1
    labels = ["x", "y", "object hue", "z"]
    with pytest.raises(ValueError, match="found object hue constant"):
        score(z, codes, labels=labels)
    with pytest.raises(ValueError, match="found column 2 constant"):
        linear_r2(z, codes)
    with pytest.raises(ValueError, match="labels: expected 4"):
        score(z, codes, labels=labels[:3])


def test_scale_of_codes_does_not_matter() -> None:
    z, codes = case(2)
    reference, scaled = score(z, codes), score(z, (codes * 1e-7 + 3).astype(np.float64))
    assert scaled.r2 == pytest.approx(reference.r2, abs=1e-6)
    assert scaled.mcc == pytest.approx(reference.mcc, abs=1e-6)


def test_tensors_of_any_kind_are_taken() -> None:
    z, codes = case(5)
    expected = score(z, codes).r2
    held = torch.tensor(codes, requires_grad=True)
    assert score(torch.tensor(z), held).r2 == pytest.approx(expected, abs=1e-12)
    assert score(z, held.bfloat16()).r2 == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("factor", [1e-200, 1e200])
def test_extreme_units_do_not_matter(factor: float) -> None:
    z, codes = case(6)
    expected, scaled = score(z, codes), score(z * factor, codes * factor)
    assert scaled.r2 == pytest.approx(expected.r2, abs=1e-9)
    assert scaled.mcc == pytest.approx(expected.mcc, abs=1e-9)


def test_more_codes_than_factors_have_an_r2() -> None:
    z, codes = case(3)
    assert (linear_r2(z, np.hstack([codes, z])) > 0.999).all()


def test_json_round_trip() -> None:
    scores = score(*case(4))
    again = Scores.from_json(scores.to_json())
    assert again.r2 == scores.r2
    assert (again.correlation == scores.correlation).all()
    assert (again.assignment == scores.assignment).all()
    assert again.mcc_spearman == scores.mcc_spearman
    assert (again.spearman == scores.spearman).all()
    assert (again.spearman_assignment == scores.spearman_assignment).all()
    assert (again.mcc_per_factor == scores.mcc_per_factor).all()


@pytest.mark.parametrize(
    ("z", "codes", "words"),
    [
        (np.zeros((10, 3)), np.zeros((10, 4)), "expected shape (10, 3)"),
        (np.zeros((10, 3)), np.zeros((9, 3)), "expected shape (10, 3)"),
        (np.zeros(10), np.zeros(10), "(N, n)"),
        (np.zeros((10, 0)), np.zeros((10, 0)), "(N, n)"),
        (np.eye(6), 1j * np.eye(6), "real numbers"),
        (np.zeros((3, 2)), np.zeros((3, 2)), "N >= 4"),
        (np.eye(6), np.full((6, 6), np.nan), "NaN or infinity in row 0"),
        (np.hstack([case(0)[0][:, :3], np.ones((301, 1))]), case(0)[1], "column 3 constant"),
        (np.where(np.arange(301)[:, None] > 99, 0.1, case(0)[0]), case(0)[1], "column 0 constant"),
    ],
)
def test_bad_input_is_named(z: np.ndarray, codes: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match="expected") as error:
        score(z, codes)
    assert words in str(error.value)


def test_numbers_that_signal_are_refused_as_all_others_that_are_none() -> None:
    """A NaN that signals makes numpy warn where it is converted."""
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(20, 3)).astype(np.float32)
    codes.view(np.uint32)[4, 1] = 0x7F800001
    with pytest.raises(
        ValueError, match="expected finite numbers, found NaN or infinity in row 4"
    ):
        score(latents=rng.normal(size=(20, 3)), representations=codes)
