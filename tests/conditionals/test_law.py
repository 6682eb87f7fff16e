"""Marginals and conditionals by name, against scipy and against the laws themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import kstest, laplace, norm, uniform

from threedident.conditionals.anisotropic import Anisotropic
from threedident.conditionals.autoregressive import Autoregressive
from threedident.conditionals.law import CONDITIONALS, Law
from threedident.conditionals.marginal import MARGINALS, Marginal
from threedident.conditionals.sphere import VonMisesFisher
from threedident.conditionals.steps import GeneralizedNormal, Laplace, Normal

ROWS, DIMENSION = 20_000, 4
LEVEL = 1e-4


def draw(space: str, name: str, seed: int = 0) -> np.ndarray:
    u = np.random.default_rng(seed).uniform(size=(ROWS, DIMENSION))
    rows: np.ndarray = Marginal(space, name, DIMENSION).transform(u)
    return rows


@pytest.mark.parametrize(
    ("space", "name", "law"),
    [
        ("box", "uniform", uniform(-1, 2)),
        ("real", "normal", norm()),
        ("real", "laplace", laplace()),
    ],
)
def test_flat_marginals_are_scipys(space: str, name: str, law: object) -> None:
    for column in draw(space, name).T:
        assert kstest(column, law.cdf).pvalue > LEVEL  # type: ignore[attr-defined]


def test_the_uniform_law_on_the_sphere_has_no_direction() -> None:
    """On S^3 a coordinate x has density proportional to sqrt(1 - x^2)."""
    rows = draw("sphere", "uniform")
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1)
    for column in rows.T:
        cdf = lambda x: 0.5 + (x * np.sqrt(1 - x**2) + np.arcsin(x)) / np.pi  # noqa: E731
        assert kstest(column, cdf).pvalue > LEVEL


@pytest.mark.parametrize("name", ["normal", "laplace"])
def test_steps_on_the_sphere_start_from_the_first_axis(name: str) -> None:
    rows = draw("sphere", name)
    steps = (norm() if name == "normal" else laplace()).rvs(
        size=(ROWS, DIMENSION), random_state=np.random.default_rng(1)
    )
    around = steps + np.eye(DIMENSION)[0]
    expected = around / np.linalg.norm(around, axis=1, keepdims=True)
    spread = 5 * expected.std(axis=0) / np.sqrt(ROWS)
    assert (np.abs(rows.mean(axis=0) - expected.mean(axis=0)) < np.sqrt(2) * spread).all()


@pytest.mark.parametrize(
    ("space", "name"), [(space, name) for space, names in MARGINALS.items() for name in names]
)
def test_tensors_give_what_arrays_do(space: str, name: str) -> None:
    u = np.random.default_rng(2).uniform(size=(50, DIMENSION))
    law = Marginal(space, name, DIMENSION)
    there = law.transform(torch.tensor(u))
    assert isinstance(there, torch.Tensor)
    assert there.numpy() == pytest.approx(law.transform(u), abs=1e-10)


def test_names_mean_the_conditionals_of_the_library() -> None:
    assert Law("normal", 0.1).conditional("box") == Normal(0.1)
    assert Law("laplace", 0.1).conditional("real") == Laplace(0.1, space="real")
    assert Law("normal", 0.1).conditional("sphere") == Normal(0.1, space="projected")
    assert Law("gennorm1.5", 0.2).conditional("box") == GeneralizedNormal(0.2, beta=1.5)
    assert Law("vmf", 0.1).conditional("sphere") == VonMisesFisher(10)
    assert Law("anisotropic", 0.1).conditional("sphere") == Anisotropic(10, 5)
    assert Law("anisotropic2.5", 0.1).conditional("sphere") == Anisotropic(10, 2.5)
    assert Law("autoregressive", 0.1).conditional("real") == Autoregressive(0.1)


@pytest.mark.parametrize("name", CONDITIONALS)
@pytest.mark.parametrize("space", MARGINALS)
def test_every_conditional_fits_every_marginal_of_its_space(space: str, name: str) -> None:
    homes = {"vmf": "sphere", "anisotropic": "sphere", "autoregressive": "real"}
    if homes.get(name, space) != space:
        with pytest.raises(ValueError, match=f"fits latents of the {space} space"):
            Law(name, 0.1).conditional(space)
        return
    law = Law(name, 0.1).conditional(space)
    for marginal in MARGINALS[space]:
        z = draw(space, marginal)[:100]
        assert law.sample(z, 0).shape == z.shape


@pytest.mark.parametrize(
    ("name", "space", "words"),
    [
        ("cauchy", "box", "normal, laplace, gennorm3, uniform, vmf"),
        ("gennorm", "box", "did you mean 'gennorm3'"),
        ("other", "box", "write the exponent after gennorm"),
        ("vmf", "box", r"fits latents of the box space \(normal, laplace, gennorm3, uniform\)"),
        ("gennorm0.5", "real", "beta"),
        ("anisotropic0.5", "sphere", "ratio: expected a finite number of at least 1"),
        ("anisotropic", "real", "which is a law on the sphere"),
        ("autoregressive", "sphere", r"which is a law on R\^n"),
    ],
)
def test_conditionals_that_do_not_fit_are_named(name: str, space: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Law(name, 0.1).conditional(space)


def test_marginals_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match=r"fits the box space \(uniform\), found 'normal'"):
        Marginal("box", "normal", 3)
    with pytest.raises(ValueError, match="space: expected one of box, sphere, real"):
        Marginal("torus", "uniform", 3)
