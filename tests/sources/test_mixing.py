"""The mixing function, and the latents that go through it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import kstest, laplace, uniform

from benchmark.settings import MixingSettings
from benchmark.sources import mixing
from benchmark.sources.mixing import TEST_ROWS, Mixing, MixingSource
from benchmark.sources.source import Machine
from threedident.conditionals.law import Law

CPU = Machine(torch.device("cpu"))


@pytest.fixture(scope="module")
def g() -> Mixing:
    return Mixing(4, seed=0)


def inverse(g: Mixing, values: torch.Tensor) -> torch.Tensor:
    """The latents behind observations, layer by layer."""
    last, *others = reversed(list(g.buffers()))
    values = torch.linalg.solve(last, values.T).T
    for weight in others:
        values = torch.where(values < 0, values / 0.2, values)
        values = torch.linalg.solve(weight, values.T).T
    return values


def test_mixing_can_be_undone(g: Mixing) -> None:
    z = torch.rand(200, 4, dtype=torch.float64)
    assert torch.allclose(inverse(g, g(z)), z, atol=1e-10)


def test_mixing_is_not_linear(g: Mixing) -> None:
    z = torch.randn(200, 4, dtype=torch.float64)
    assert not torch.allclose(g(z) + g(-z), torch.zeros_like(z), atol=0.1)


@pytest.mark.parametrize("below", [False, True])
def test_candidates_are_the_same_however_many_are_compared_at_once(
    below: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Mixing(3, seed=0, below=below)
    monkeypatch.setattr(mixing, "_ENTRIES", 9 * 999)
    for ours, theirs in zip(before.buffers(), Mixing(3, 0, below=below).buffers(), strict=True):
        assert torch.equal(ours, theirs)


def test_matrices_are_well_conditioned_and_of_unit_columns() -> None:
    for n, most in ((2, 1.01), (4, 1.5), (10, 6)):
        matrices = [weight.numpy() for weight in Mixing(n, seed=1).buffers()]
        assert len(matrices) == 3
        for matrix in matrices:
            assert np.linalg.norm(matrix, axis=0) == pytest.approx(1)
            assert np.linalg.cond(matrix) < most


def test_the_seed_alone_decides_the_mixing(g: Mixing) -> None:
    torch.manual_seed(5)
    z = torch.rand(5, 4)
    assert torch.equal(g(z), Mixing(4, seed=0)(z))
    assert not torch.equal(g(z), Mixing(4, seed=1)(z))


def cosines(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Random 2 x 2 matrices with columns of length 1, and the cosines c between the columns.

    The condition number is the square root of (1 + c) / (1 - c).
    """
    matrices = rng.uniform(-1, 1, (count, 2, 2))
    matrices /= np.hypot(matrices[:, 0], matrices[:, 1])[:, None]
    return matrices, np.abs((matrices[:, :, 0] * matrices[:, :, 1]).sum(axis=1))


def test_published_matrices_are_the_first_not_above_the_least_of_25000() -> None:
    published = Mixing(2, seed=3, below=True)
    others = np.random.default_rng(np.random.SeedSequence(3, spawn_key=(5,)))
    least = cosines(others, 25_000)[1].min()
    for layer, weight in enumerate(published.buffers()):
        own = np.random.default_rng(np.random.SeedSequence(3, spawn_key=(5, layer)))
        matrices, found = cosines(own, 1_000_000)
        assert weight.numpy() == pytest.approx(matrices[(found <= least).argmax()], abs=1e-12)
    assert not torch.equal(published.weight_0, Mixing(2, seed=3).weight_0)


def test_published_draws_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixing, "_MOST_DRAWS", 1)
    best = Mixing(2, seed=3)
    for weight in Mixing(2, seed=3, below=True).buffers():
        assert torch.equal(weight, best.weight_0)


def source(**changes: object) -> MixingSource:
    law = Law(name="laplace", sigma=0.05)
    settings = {"factors": 4, "space": "box", "marginal": "uniform", "conditional": law}
    return MixingSource(MixingSettings(**{**settings, **changes}))  # type: ignore[arg-type]


def test_observations_are_mixed_latents_of_the_unit_box(g: Mixing) -> None:
    batch = next(source().batches(0, range(1), 64, CPU))
    assert 0 <= batch.latents.min() <= batch.latents.max() <= 1
    assert torch.allclose(batch.anchors, g(batch.latents.double()).float(), atol=1e-6)
    assert batch.positives is not None


def test_scales_are_in_units_of_the_unit_box() -> None:
    z, positives = source().draw(0, range(20_000), torch.device("cpu"))
    assert positives is not None
    inside = ((z > 0.4) & (z < 0.6)).flatten()
    step = (positives - z).abs().flatten()[inside]
    assert step.mean().item() == pytest.approx(0.05, rel=0.03)


@pytest.mark.parametrize(
    ("space", "marginal", "law"),
    [("sphere", "uniform", "vmf"), ("sphere", "normal", "laplace"), ("real", "laplace", "normal")],
)
def test_positives_stay_in_the_space(space: str, marginal: str, law: str) -> None:
    mixed = source(space=space, marginal=marginal, conditional=Law(name=law, sigma=0.1))
    z, positives = mixed.draw(3, range(100), torch.device("cpu"))
    assert positives is not None
    if space == "sphere":
        for rows in (z, positives):
            assert torch.allclose(rows.norm(dim=1), torch.ones(100, dtype=torch.float64))
    assert not torch.equal(z, positives)


def test_test_rows_are_no_training_rows() -> None:
    mixed = source()
    train = mixed.draw(0, range(TEST_ROWS), torch.device("cpu"))[0].float().numpy()
    both = np.concatenate([mixed.latents(0), train])
    assert len(np.unique(both, axis=0)) == len(both)
    assert not np.array_equal(mixed.latents(0), mixed.latents(1))


def test_a_law_of_another_space_is_refused() -> None:
    with pytest.raises(ValueError, match="fits latents of the box space"):
        source(conditional=Law(name="vmf", sigma=1))


def by_rule(rule: str, **changes: object) -> MixingSource:
    return source(conditional=None, rule=rule, **changes)


def test_positives_by_a_rule_keep_move_and_redraw() -> None:
    mixed = by_rule("z1=keep;z2=marginal;rest=laplace:0.05")
    z, positives = mixed.draw(0, range(20_000), torch.device("cpu"))
    assert positives is not None
    assert torch.equal(z[:, 0], positives[:, 0])
    assert kstest(positives[:, 1], uniform.cdf).pvalue > 1e-4
    assert abs(np.corrcoef(z[:, 1], positives[:, 1])[0, 1]) < 0.04
    inside = (z[:, 2:] > 0.4) & (z[:, 2:] < 0.6)
    steps = (positives - z)[:, 2:][inside]
    assert kstest(steps, laplace(0, 0.05).cdf).pvalue > 1e-4
    _, late_positives = mixed.draw(0, range(500, 520), torch.device("cpu"))
    assert late_positives is not None
    assert torch.equal(late_positives, positives[500:520])
    batch = next(mixed.batches(0, range(1), 8, CPU))
    assert batch.positives is not None
    assert "by z1=keep" in mixed.summary()


@pytest.mark.parametrize(
    ("space", "marginal", "rule", "changed"),
    [
        ("box", "uniform", "rest=marginal/1", [1]),
        ("real", "laplace", "z1..z3=marginal/2;z4=keep", [2]),
        ("sphere", "normal", "sphere=vmf:0.1@0.5", [0, 4]),
    ],
)
def test_rules_hold_in_every_space(
    space: str, marginal: str, rule: str, changed: list[int]
) -> None:
    mixed = by_rule(rule, space=space, marginal=marginal)
    z, positives = mixed.draw(3, range(400), torch.device("cpu"))
    assert positives is not None
    counts = (z != positives).sum(dim=1).unique().tolist()
    assert counts == changed


def test_redrawn_latents_follow_the_marginal_of_the_source() -> None:
    mixed = by_rule("z1=keep;rest=marginal", space="real", marginal="laplace")
    _, positives = mixed.draw(1, range(20_000), torch.device("cpu"))
    assert positives is not None
    assert kstest(positives[:, 1], laplace.cdf).pvalue > 1e-4


def test_a_rule_of_other_latents_is_refused() -> None:
    with pytest.raises(ValueError, match="expected factors among z1, z2, z3, z4, rest, found 'x'"):
        by_rule("x=keep;rest=marginal")
