"""Boosted trees against scikit-learn's, and DCI by trees on codes of known structure."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.linalg import hadamard
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingRegressor

from benchmark.metrics.disentanglement.dci import Dci, dci, least_informativeness
from benchmark.metrics.disentanglement.trees import binned, boost


def uniform(seed: int, rows: int = 2000, n: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (rows, n))


def test_predictions_and_importances_are_near_scikit_learns() -> None:
    x = uniform(0, 4000, 4)
    y = np.sin(3 * x[:, 0]) + x[:, 1] * x[:, 2] + 0.2 * np.random.default_rng(1).normal(size=4000)
    fitted, held, new = slice(1500), slice(1500, 2000), slice(2000, None)
    bins = binned(x[fitted], x)
    found = boost(bins[fitted], y[fitted], bins[held], y[held], bins[new])
    ours = 1 - ((y[new] - found.prediction) ** 2).mean() / y[new].var()
    theirs = HistGradientBoostingRegressor(max_iter=80, learning_rate=0.2, max_depth=4)
    assert ours == pytest.approx(theirs.fit(x[:1500], y[:1500]).score(x[new], y[new]), abs=0.02)
    exact = GradientBoostingRegressor(
        n_estimators=found.trees, learning_rate=0.2, max_depth=4, min_samples_leaf=10
    ).fit(x[:1500], y[:1500])
    assert found.gains / found.gains.sum() == pytest.approx(exact.feature_importances_, abs=0.05)


def test_the_first_split_is_that_of_the_closed_form() -> None:
    x = np.linspace(-1, 1, 640)[:, None]
    y = np.where(x[:, 0] > 0, 1.0, -1.0)
    bins = binned(x, x)
    found = boost(bins, y, bins, y, bins)
    assert found.prediction == pytest.approx(y, abs=1e-6)
    assert found.gains.sum() == pytest.approx(640 / (1 - 0.8**2), rel=1e-3)  # 640 (1 + .64 + ...)


@pytest.mark.parametrize("bend", [np.exp, np.tanh, lambda z: z**3])
def test_bent_permutations_are_disentangled(bend: object) -> None:
    z = uniform(2)
    found = dci(z, bend(4 * z)[:, ::-1], model="trees")  # type: ignore[operator]
    assert found.disentanglement is not None
    assert found.disentanglement > 0.95
    assert found.completeness is not None
    assert found.completeness > 0.95
    assert found.informativeness > 0.97
    assert (found.importance.argmax(axis=0) == [4, 3, 2, 1, 0]).all()


def test_rotations_are_not() -> None:
    z = uniform(3, n=4)
    found = dci(z, z @ hadamard(4), model="trees")
    assert found.disentanglement is not None
    assert found.disentanglement < 0.1
    assert found.informativeness > 0.9


@pytest.mark.parametrize("model", ["lasso", "trees"])
@pytest.mark.parametrize("rows", [500, 2000])
def test_noise_shows_neither(model: str, rows: int) -> None:
    for seed in range(3):
        z = uniform(seed, rows)
        codes = np.random.default_rng(10 + seed).normal(size=z.shape)
        found = dci(z, codes, model=model)  # type: ignore[arg-type]
        assert found.disentanglement is found.completeness is None
        assert found.informativeness < least_informativeness(rows)


@pytest.mark.parametrize("model", ["lasso", "trees"])
def test_noise_beside_good_codes_counts_for_nothing(model: str) -> None:
    z = uniform(5)
    noise = np.random.default_rng(6).normal(size=z.shape)
    found = dci(z, np.hstack([z[:, :2], noise]), model=model)  # type: ignore[arg-type]
    assert found.disentanglement_per_code is not None
    assert found.completeness_per_factor is not None
    assert found.disentanglement_per_code[:2] == pytest.approx(1, abs=0.05)
    assert (found.disentanglement_per_code[2:] == 0).all()
    assert (found.completeness_per_factor[2:] == 0).all()
    assert found.disentanglement == pytest.approx(1, abs=0.05)
    assert [row.split()[2] for row in str(found).splitlines()[4:7]] == ["–"] * 3  # noqa: RUF001


def test_angles_are_read_by_trees() -> None:
    z = np.random.default_rng(7).uniform(-np.pi, np.pi, (3000, 2))
    found = dci(z, np.hstack([np.cos(z), np.sin(z)]), circular=[True, True], model="trees")
    assert found.disentanglement == pytest.approx(1, abs=0.05)
    assert found.completeness == pytest.approx(0.5, abs=0.05)


def test_records_say_which_model_it_was() -> None:
    z = uniform(8, 300)
    found = dci(z, z, model="trees")
    again = Dci.from_json(json.loads(json.dumps(found.to_json())))
    assert str(again) == str(found)
    assert str(found).startswith("DCI by trees")
    earlier = {k: v for k, v in found.to_json().items() if k != "model"}
    assert Dci.from_json(earlier).model == "lasso"


def test_another_model_is_refused() -> None:
    z = uniform(9, 100)
    with pytest.raises(ValueError, match="model: expected"):
        dci(z, z, model="forest")  # type: ignore[arg-type]
