from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import hadamard
from sklearn.linear_model import Lasso

from benchmark.metrics.disentanglement.dci import Dci, dci, disentanglement, least_informativeness
from benchmark.metrics.disentanglement.lasso import lasso, lasso_path
from benchmark.metrics.scores import linear_r2

few_rows = pytest.mark.filterwarnings("ignore::benchmark.metrics.remarks.FewRowsWarning")


def uniform(seed: int, rows: int = 2000, n: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (rows, n))


def standard(rows: np.ndarray) -> np.ndarray:
    return (rows - rows.mean(axis=0)) / rows.std(axis=0)


def balanced(n: int, copies: int) -> np.ndarray:
    """Every corner of the cube equally often, so that factors are uncorrelated to the last bit."""
    corners = np.stack(np.meshgrid(*[[-1.0, 1.0]] * n), axis=-1).reshape(-1, n)
    return np.tile(corners, (copies, 1))


@pytest.mark.parametrize("fraction", [0.003, 0.03, 0.3])
@pytest.mark.parametrize("seed", range(3))
def test_weights_are_scikit_learns(seed: int, fraction: float) -> None:
    rng = np.random.default_rng(seed)
    z = uniform(seed)
    x = standard(z @ rng.normal(size=(5, 7)) + rng.normal(0, 0.3, (2000, 7)))
    y = standard(z)
    moments = x.T @ y / len(x)
    penalties = fraction * np.abs(moments).max(axis=0)
    expected = [
        Lasso(alpha=penalty, fit_intercept=False, tol=1e-12, max_iter=100_000).fit(x, target).coef_
        for penalty, target in zip(penalties, y.T, strict=True)
    ]
    weights = lasso(x.T @ x / len(x), moments, penalties)
    assert weights == pytest.approx(np.stack(expected, axis=1), abs=1e-6)


@pytest.mark.parametrize("spread", [0, 2, 5])
def test_weights_satisfy_the_optimality_conditions(spread: float) -> None:
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(8, 8)) * 10.0 ** rng.uniform(-spread, 0, 8)
    z = uniform(0, n=8)
    x, y = standard(z @ mixing @ rng.normal(size=(8, 8))), standard(z)
    gram, moments = x.T @ x / len(x), x.T @ y / len(x)
    penalties = 1e-3 * np.abs(moments).max(axis=0)
    weights = lasso(gram, moments, penalties)
    slope = moments - gram @ weights
    assert (np.abs(slope) <= penalties + 1e-8).all()
    assert np.where(weights != 0, slope - penalties * np.sign(weights), 0) == pytest.approx(
        0, abs=1e-8
    )


@pytest.mark.parametrize("kind", ["noise", "curved", "copies", "dead", "rank"])
def test_many_codes_are_solved_as_few_are(kind: str) -> None:
    """The minimum is one, whichever way leads there; with copies its weights are not."""
    rng = np.random.default_rng(3)
    z = uniform(3, rows=300, n=3)
    x = {
        "noise": rng.normal(size=(300, 40)),
        "curved": np.maximum(z @ rng.normal(size=(3, 40)), 0),
        "copies": np.repeat(z, 14, axis=1),
        "dead": np.hstack([z, np.zeros((300, 40))]),
        "rank": rng.normal(size=(20, 60)),
    }[kind]
    z = z[: len(x)]
    x = (x - x.mean(axis=0)) / np.where(x.std(axis=0) > 0, x.std(axis=0), 1)
    gram, moments = x.T @ x / len(x), x.T @ standard(z) / len(x)
    penalties = np.logspace(-4, 0, 7)[:, None] * np.abs(moments).max(axis=0)
    found = lasso_path(gram, moments, penalties)
    slope = moments - gram @ found
    assert (np.abs(slope) <= penalties[:, None] + 1e-9).all()
    along = np.where(found != 0, slope - penalties[:, None] * np.sign(found), 0)
    assert along == pytest.approx(0, abs=1e-9)
    if kind in ("noise", "curved"):
        few = np.argsort(-np.abs(found).sum(axis=(0, 2)))[:30]
        part = gram[np.ix_(few, few)], moments[few], penalties[3]
        padded = np.zeros((40, 40)), np.zeros((40, 3))
        padded[0][:30, :30], padded[1][:30] = part[0], part[1]
        alone, among = lasso(*part), lasso(*padded, penalties[3])
        assert among[:30] == pytest.approx(alone, abs=1e-9)
        assert (among[30:] == 0).all()


def test_many_codes_keep_their_own_importances() -> None:
    """No rotation stands between codes and importances: spare codes leave the factors' own."""
    z = uniform(20, rows=1500)
    codes = np.hstack([z[:, ::-1] ** 3, np.random.default_rng(21).normal(size=(1500, 70))])
    found = dci(z, codes)
    assert found.importance.shape == (75, 5)
    assert found.importance.argmax(axis=0).tolist() == [4, 3, 2, 1, 0]
    assert found.completeness is not None
    assert found.completeness > 0.9


def test_orthonormal_inputs_shrink_softly() -> None:
    moments = np.array([[0.9, -0.2], [-0.5, 0.05]])
    weights = lasso(np.eye(2), moments, np.array([0.1, 0.1]))
    assert weights == pytest.approx(np.array([[0.8, -0.1], [-0.4, 0.0]]), abs=1e-9)


def test_copies_of_a_code_share_its_weight() -> None:
    z = uniform(1)
    once, twice = dci(z, z), dci(z, np.hstack([z, z]))
    assert twice.importance[:5] + twice.importance[5:] == pytest.approx(once.importance, abs=1e-3)
    assert twice.informativeness == pytest.approx(once.informativeness, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_signed_scaled_permutations_are_perfect(seed: int) -> None:
    rng = np.random.default_rng(seed)
    z, order = uniform(seed), rng.permutation(5)
    scale = rng.choice([-1, 1], 5) * 10 ** rng.uniform(-6, 6, 5)
    found = dci(z, z[:, order] * scale + 3)
    assert found.disentanglement == pytest.approx(1)
    assert found.completeness == pytest.approx(1)
    assert found.informativeness > 0.9999
    assert (found.importance.argmax(axis=1) == order).all()


@few_rows
def test_equal_importances_score_exactly_nothing() -> None:
    z = balanced(4, copies=4)
    found = dci(z, z @ hadamard(4))
    assert found.importance == pytest.approx(found.importance[0, 0], abs=1e-9)
    assert found.disentanglement == pytest.approx(0, abs=1e-9)
    assert found.completeness == pytest.approx(0, abs=1e-9)
    assert found.informativeness > 0.9999


def test_a_rotation_is_informative_but_not_disentangled() -> None:
    z = uniform(2, n=8)
    found = dci(z, z @ hadamard(8))
    assert found.disentanglement < 0.02
    assert found.completeness < 0.02
    assert found.informativeness > 0.999


@few_rows
def test_two_factors_in_one_code_lower_disentanglement_alone() -> None:
    z = balanced(3, copies=20)
    found = dci(z, np.stack([z[:, 0] + z[:, 1], z[:, 2]], axis=1))
    assert found.disentanglement_per_code == pytest.approx(
        [1 - np.log(2) / np.log(3), 1], abs=1e-6
    )
    assert found.completeness_per_factor == pytest.approx(1, abs=1e-6)
    assert found.informativeness_per_factor == pytest.approx([0.5, 0.5, 1], abs=2e-3)


@few_rows
def test_dead_codes_count_for_nothing() -> None:
    z = balanced(3, copies=4)
    found = dci(z, np.hstack([z, np.full((len(z), 2), 0.1)]))
    assert (found.importance[3:] == 0).all()
    assert (found.disentanglement_per_code[3:] == 0).all()
    assert found.disentanglement == pytest.approx(1)
    assert found.completeness == pytest.approx(1)


def test_collapsed_codes_score_nothing() -> None:
    found = dci(uniform(3), np.full((2000, 5), 7.0))
    assert found.disentanglement is found.completeness is None
    assert (found.importance == 0).all()
    assert found.informativeness <= 0


@pytest.mark.parametrize("rows", [1000, 2048, 8192])
@pytest.mark.parametrize("seed", range(4))
def test_noise_is_neither_disentangled_nor_complete(seed: int, rows: int) -> None:
    z = uniform(seed, rows, 10)
    found = dci(z, np.random.default_rng(100 + seed).normal(size=(rows, 10)))
    assert found.informativeness < least_informativeness(rows) == 0.05
    assert found.disentanglement is found.completeness is None
    assert found.disentanglement_per_code is found.completeness_per_factor is None
    assert found.importance.shape == (10, 10)


@few_rows
@pytest.mark.parametrize("rows", [8, 20, 40, 100, 200])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 2), (1, 10), (2, 1), (2, 2)])
def test_noise_of_few_factors_and_rows_shows_nothing(n: int, m: int, rows: int) -> None:
    for seed in range(200):
        codes = np.random.default_rng(1000 + seed).normal(size=(rows, m))
        assert dci(uniform(seed, rows, n), codes).disentanglement is None


@few_rows
@pytest.mark.parametrize("rows", [30, 40, 100])
def test_perfect_codes_of_few_rows_have_their_scores(rows: int) -> None:
    z = uniform(0, rows, 2)
    found = dci(z, z)
    assert found.disentanglement == pytest.approx(1, abs=0.1)
    assert found.completeness == pytest.approx(1, abs=0.1)


def test_a_low_mean_is_not_said_to_be_chance() -> None:
    """One factor of ten is held well, and the note says nothing false of it."""
    z = uniform(0, 2000, 10)
    noise = np.random.default_rng(1).normal(size=(2000, 10))
    noise[:, 0] += z[:, 0] * 1.4
    found = dci(z, noise)
    assert found.informativeness_per_factor[0] > 0.3
    [note] = found.notes()
    assert "withheld, since mean informativeness is below 0.050" in note
    assert "needed informativeness 0.050" in str(found)


@pytest.mark.parametrize("rows", [1000, 8192])
@pytest.mark.parametrize("seed", range(3))
def test_weak_codes_have_their_scores(seed: int, rows: int) -> None:
    """An informativeness of 0.1, from every code or from one of ten, is above the level."""
    z = uniform(seed, rows, 10)
    noise = np.random.default_rng(100 + seed).normal(size=(rows, 10))
    one = np.hstack([z[:, :1], noise[:, 1:]])
    for codes in (0.37 * z / z.std() + noise, one):
        found = dci(z, codes)
        assert 0.07 < found.informativeness < 0.13
        assert found.disentanglement is not None
        assert found.completeness is not None
        assert found.disentanglement > 0.5


def test_rows_of_importances_in_closed_form() -> None:
    rows = [[0, 3, 0, 0], [2, 2, 2, 2], [1, 1, 0, 0], [0, 0, 0, 0], [3, 1, 0, 0]]
    fourth = (0.75 * np.log(0.75) + 0.25 * np.log(0.25)) / np.log(4)
    assert disentanglement(rows) == pytest.approx([1, 0, 0.5, 0, 1 + fourth])
    assert disentanglement([[2.0], [0.0]]) == pytest.approx([1, 0])


def test_informativeness_is_near_least_squares_for_noisy_codes() -> None:
    z = uniform(4)
    codes = z + np.random.default_rng(5).normal(0, 0.5, z.shape)
    found = dci(z, codes).informativeness_per_factor
    assert found == pytest.approx(linear_r2(z, codes), abs=0.02)


def test_means_are_weighted_by_importance() -> None:
    z = uniform(6)
    found = dci(z, np.tanh(z @ np.random.default_rng(7).normal(size=(5, 5))))
    by_code, by_factor = found.importance.sum(axis=1), found.importance.sum(axis=0)
    assert found.disentanglement == pytest.approx(
        np.average(found.disentanglement_per_code, weights=by_code)
    )
    assert found.completeness == pytest.approx(
        np.average(found.completeness_per_factor, weights=by_factor)
    )


def test_units_do_not_matter_and_seeds_repeat() -> None:
    z = uniform(8)
    codes = np.tanh(z @ np.random.default_rng(9).normal(size=(5, 5)))
    one, other = dci(z, codes), dci(z * 1e150, codes * 10.0 ** np.arange(-100, 0, 20) - 1e-90)
    assert other.importance == pytest.approx(one.importance, abs=1e-6)
    assert (dci(z, codes).importance == one.importance).all()


@few_rows
@pytest.mark.parametrize("rows", [4, 5, 9])
def test_a_few_rows_are_enough(rows: int) -> None:
    assert np.isfinite(dci(uniform(10, rows=rows), uniform(11, rows=rows)).informativeness)


def test_json_round_trip() -> None:
    found = dci(uniform(12), uniform(13))
    again = Dci.from_json(found.to_json())
    assert again.completeness == found.completeness
    assert (again.importance == found.importance).all()


def test_constant_factors_are_named() -> None:
    z = uniform(14, n=2)
    z[:, 1] = 3
    with pytest.raises(ValueError, match="found hue constant"):
        dci(z, z, labels=["x", "hue"])
