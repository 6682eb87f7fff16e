from __future__ import annotations

import numpy as np
import pytest
import scipy.special
import torch

from threedident import GeneralizedNormal, Normal
from threedident.conditionals import sphere, steps
from threedident.conditionals.sphere import Cap, Cosine, Fall, Power
from threedident.conditionals.tables import Table, tabulated

MASSES = np.concatenate(
    [10.0 ** np.arange(-300, -1, 7), np.linspace(0.01, 0.99, 999), 1 - 2.0 ** -np.arange(7, 54)]
)
BETAS = [1.0, 1.01, 1.5, 2.0, 3.0, 7.3, 30.0]


def gap(found: object, wanted: object) -> float:
    return float(abs(np.asarray(found) / np.asarray(wanted) - 1).max())


def test_a_table_is_its_function() -> None:
    table = Table(np.sqrt, 2.0**-20, 2.0**10)
    x = np.exp(np.random.default_rng(0).uniform(np.log(2.0**-20), np.log(2.0**10), (50, 40)))
    assert gap(table(x), np.sqrt(x)) < 1e-14
    assert (table(torch.tensor(x)).numpy() == table(x)).all()
    assert gap(table(np.array([0.0, 1e-30])), 2.0**-10) < 1e-14
    assert gap(table(np.array([2.0**10, 1e30, np.inf])), 2.0**5) < 1e-14


def test_what_no_table_holds_is_computed() -> None:
    with pytest.raises(ArithmeticError, match="expected a table to 1e-12"):
        Table(lambda x: 2 + np.sin(1000 * x), 1.0, 8.0)
    slow = tabulated(lambda x: 2 + np.sin(1000 * x), 1.0, 8.0)
    x = torch.linspace(1, 8, 50, dtype=torch.float64)
    assert gap(slow(x), 2 + torch.sin(1000 * x)) < 1e-12


@pytest.mark.parametrize("beta", BETAS)
def test_quantiles_are_inverse_incomplete_gammas(beta: float) -> None:
    law = GeneralizedNormal(1.0, beta=beta, space="real")
    assert isinstance(steps._ratio_by_log_tail(beta), Table)
    wanted = scipy.special.gammaincinv(1 / beta, MASSES) ** (1 / beta)
    near = MASSES * scipy.special.gamma(1 + 1 / beta)  # where powers underflow
    wanted = np.where(near**beta < 2.0**-53, near, wanted)
    for sign in (1, -1):
        assert gap(law.quantile(sign * MASSES), sign * wanted) < 1e-12
        assert gap(law.quantile(torch.tensor(sign * MASSES)), sign * wanted) < 1e-12


@pytest.mark.parametrize("beta", BETAS)
def test_masses_are_incomplete_gammas(beta: float) -> None:
    law = GeneralizedNormal(1.0, beta=beta, space="real")
    assert isinstance(steps._mass_by_ratio(beta), Table) == (beta < 30)  # it falls too steeply
    x = np.concatenate([np.linspace(1e-3, 40, 2000), [63.99, 64.0, 1e3, 1e100]])
    wanted = scipy.special.gammainc(1 / beta, np.minimum(x, 1e9) ** beta)
    assert gap(law.cdf(x), wanted) < 1e-12
    assert gap(-law.cdf(-torch.tensor(x)), wanted) < 1e-12
    small = 10.0 ** np.arange(-300, -3, 7)
    assert gap(law.cdf(small) * scipy.special.gamma(1 + 1 / beta), small) < 1e-3
    assert law.cdf(np.zeros(1)) == 0
    assert gap(law.cdf(law.quantile(MASSES)), MASSES) < 1e-13 * (10 + beta)


def test_beta_2_is_normal() -> None:
    ours, normal = GeneralizedNormal(1.0, beta=2, space="real"), Normal(1.0, space="real")
    assert gap(ours.quantile(MASSES) * np.sqrt(2), normal.quantile(MASSES)) < 1e-12


@pytest.mark.parametrize("beta", [300.0, 1e4])
def test_steps_without_a_table_are_uniform(beta: float) -> None:
    law = GeneralizedNormal(1.0, beta=beta, space="real")
    masses = np.linspace(-0.99, 0.99, 200)
    assert abs(law.quantile(masses) - masses).max() < 3 / beta
    assert abs(law.cdf(masses) - masses).max() < 3 / beta
    assert law.quantile(np.zeros(1)) == 0


@pytest.mark.parametrize(
    "fall", [Cosine(1.0), Cosine(1e4), Power(0.1, 1.0), Power(0.3, 2.0), Cap(0.5)]
)
@pytest.mark.parametrize("dimension", [2, 3, 10])
def test_angles_of_a_gpu_have_the_law_to_the_ends(fall: Fall, dimension: int) -> None:
    near = 2.0 ** -np.arange(1.0, 39.0)
    u = np.concatenate([np.linspace(0.001, 0.999, 999), near, 1 - near])
    found = sphere._tabulated_angle(fall, dimension)(torch.from_numpy(u)).numpy()
    assert abs(sphere._polar_angle(fall, dimension).cdf(found) - u).max() < 1.5e-12
