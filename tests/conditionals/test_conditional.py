"""What all conditionals share: two libraries, sources of randomness, shapes."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from tests.conditionals.laws import KINDS, LIBRARIES, draw, ends_and_inner, unit
from threedident.conditionals.conditional import Conditional
from threedident.conditionals.product import Part, Product
from threedident.conditionals.sphere import VonMisesFisher
from threedident.conditionals.steps import (
    GeneralizedNormal,
    Laplace,
    Normal,
    Space,
    Steps,
    Uniform,
)

EVERY: tuple[Conditional, ...] = (
    *(
        kind(0.2, space=space)
        for kind in KINDS
        for space in ("box", "real", "sphere", "projected")
    ),
    VonMisesFisher(10.0),
    Product(2, (Part((1,), Laplace(0.2)), Part((0,), Uniform(0.1, space="real")))),
)
ANCHORS = np.tile([0.6, 0.8], (40, 1))


def both(conditional: Conditional, z: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positives by numpy, and by torch."""
    tensor = conditional.transform(torch.tensor(z), torch.tensor(u))
    assert isinstance(tensor, torch.Tensor)
    assert tensor.dtype == torch.float64
    return conditional.transform(z, u), tensor.numpy()


def laws(scale: float, space: Space) -> list[Steps]:
    general = [GeneralizedNormal(scale, beta, space=space) for beta in (1, 1.5, 2, 40, 1e4)]
    return [*(kind(scale, space=space) for kind in KINDS), *general]


@pytest.mark.parametrize("scale", [5e-324, 1e-300, 1e-9, 0.01, 2.0, 1e9, 1e200, 1.7e308])
def test_torch_agrees_with_numpy_in_the_box(scale: float) -> None:
    for conditional in laws(scale, "box"):
        ours, theirs = both(conditional, *ends_and_inner())
        assert np.abs(ours - theirs).max() < 1e-12, conditional


@pytest.mark.parametrize("scale", [0.03, 0.05, 0.1, 0.2, 0.5])
def test_torch_agrees_with_numpy_up_to_the_last_bits_of_uniform_numbers(scale: float) -> None:
    """Near a wall that few steps reach, the last digit of a distribution function decides."""
    z, u = ends_and_inner()
    z = z + 0.2 * (z == 0)
    for conditional in laws(scale, "box"):
        ours, theirs = both(conditional, z, u)
        inward = np.clip(u, 2.0**-49, 1 - 2.0**-49)
        slack = np.abs(conditional.transform(z, inward) - ours)
        assert (np.abs(ours - theirs) <= 1e-12 + slack).all(), conditional
        assert np.abs(ours - theirs)[2:-1].max() < 1e-12, conditional


@pytest.mark.parametrize("scale", [5e-324, 1e-9, 0.1, 2.0, 1e100])
def test_torch_agrees_with_numpy_in_the_real_space(scale: float) -> None:
    for conditional in laws(scale, "real"):
        ours, theirs = both(conditional, *ends_and_inner())
        assert np.abs(ours - theirs).max() < 1e-12 * max(scale, 1), conditional


@pytest.mark.parametrize("dimension", [2, 3, 10])
@pytest.mark.parametrize("scale", [1e-50, 0.1, 2.0, 1e100])
def test_torch_agrees_with_numpy_on_the_sphere(scale: float, dimension: int) -> None:
    rng = np.random.default_rng(1)
    z = unit(rng, 200, dimension)
    for conditional in (
        *laws(scale, "sphere"),
        *laws(scale, "projected"),
        VonMisesFisher(1 / scale),
    ):
        u = rng.random((200, conditional.count(dimension)))
        u[:4] = np.array([1e-300, 2.0**-53, 0.5, 1 - 2.0**-53])[:, None]
        u[4:40] = rng.choice([2.0**-53, 1 - 2.0**-53], (36, u.shape[1]))
        ours, theirs = both(conditional, z, u)
        assert np.abs(ours - theirs).max() < 1e-12, conditional


@pytest.mark.parametrize("conditional", EVERY)
def test_uniform_numbers_choose_the_library(conditional: Conditional) -> None:
    u = np.random.default_rng(2).random((40, conditional.count(2)))
    expected = conditional.transform(ANCHORS, u)
    assert expected.dtype == np.float64
    for z in (ANCHORS, ANCHORS.tolist(), torch.tensor(ANCHORS, requires_grad=True)):
        for numbers in (u, u.tolist()):
            assert (conditional.transform(z, numbers) == expected).all()
        tensor = conditional.transform(z, torch.tensor(u))
        assert isinstance(tensor, torch.Tensor)
        assert not tensor.requires_grad
        assert tensor.numpy() == pytest.approx(expected, abs=1e-13)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("conditional", EVERY)
def test_float32_anchors_are_computed_with_in_float64(
    conditional: Conditional, library: str
) -> None:
    rounded = ANCHORS.astype(np.float32)
    expected = draw(conditional, rounded.astype(np.float64), 3, library)
    assert (draw(conditional, rounded, 3, library) == expected).all()
    assert (draw(conditional, torch.tensor(rounded), 3, library) == expected).all()


@pytest.mark.parametrize("conditional", [c for c in EVERY if "Generalized" not in str(c)])
def test_tensors_visit_the_host_for_angles_alone(
    conditional: Conditional, monkeypatch: pytest.MonkeyPatch
) -> None:
    z, u = torch.tensor(ANCHORS), torch.full((40, conditional.count(2)), 0.3, dtype=torch.float64)
    moved: list[torch.Size] = []
    host = torch.Tensor.cpu
    monkeypatch.setattr(
        torch.Tensor, "cpu", lambda tensor: (moved.append(tensor.shape), host(tensor))[1]
    )
    conditional.transform(z, u)
    angles_alone = [(40, 1)] if "sphere" in str(conditional) or "kappa" in str(conditional) else []
    assert moved == angles_alone


@pytest.mark.parametrize(
    "conditional",
    [
        kind(scale, space=space)
        for kind in (Normal, Laplace, Uniform)
        for space in ("box", "real", "projected")
        for scale in (0.1, (0.1, 0.2))
    ],
)
def test_formulas_run_on_the_device_of_their_tensors(conditional: Conditional) -> None:
    # a device without numbers, so the anchors' place is taken on trust
    z, u = (torch.empty((40, 2), dtype=torch.float64, device="meta") for _ in range(2))
    assert conditional.draw(z, u).device.type == "meta"


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("conditional", EVERY)
def test_same_generator_state_same_samples(conditional: Conditional, library: str) -> None:
    first, second, other = (draw(conditional, ANCHORS, seed, library) for seed in (4, 4, 5))
    assert (first == second).all()
    assert (first != other).any(axis=1).all()


def test_seeds_are_generators() -> None:
    for seed in (7, np.int64(7)):
        expected = Normal(0.1).sample(ANCHORS, np.random.default_rng(7))
        assert (Normal(0.1).sample(ANCHORS, seed) == expected).all()  # type: ignore[arg-type]


@pytest.mark.parametrize("conditional", EVERY)
def test_global_random_state_is_neither_read_nor_written(conditional: Conditional) -> None:
    drawn = []
    for seed in (0, 1):
        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)
        before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
        drawn.append([draw(conditional, ANCHORS, 6, library) for library in LIBRARIES])
        after = np.random.get_state()[1], torch.get_rng_state()  # noqa: NPY002
        assert all((one == other).all() for one, other in zip(before, after, strict=True))
    assert (np.array(drawn[0]) == np.array(drawn[1])).all()


@pytest.mark.parametrize("conditional", EVERY)
def test_the_ends_of_the_interval_are_never_drawn(
    conditional: Conditional, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "rand", lambda shape, **_: torch.zeros(shape, dtype=torch.float64))
    assert np.isfinite(draw(conditional, ANCHORS, 0, "torch")).all()


@pytest.mark.parametrize("rng", [None, 0.5, "seed", torch.zeros(1)])
def test_randomness_has_a_source(rng: object) -> None:
    with pytest.raises(ValueError, match="rng: expected a numpy or torch Generator, or a seed"):
        Normal(0.1).sample(ANCHORS, rng)  # type: ignore[call-overload]


@pytest.mark.parametrize("conditional", EVERY)
def test_uniform_numbers_are_as_many_as_the_conditional_counts(conditional: Conditional) -> None:
    count = conditional.count(2)
    for shape in [(40, count + 1), (40, count - 1), (1, count), (40,)]:
        for u in (np.full(shape, 0.5), torch.full(shape, 0.5)):
            words = rf"uniforms: expected shape \(40, {count}\), found \({shape[0]},"
            with pytest.raises(ValueError, match=words):
                conditional.transform(ANCHORS, u)


@pytest.mark.parametrize("make", [np.asarray, torch.tensor])
def test_latents_are_rows_of_real_numbers(make: type) -> None:
    with pytest.raises(ValueError, match=r"latents: expected shape \(N, d\), found \(2,\)"):
        Normal(0.1).check(make([0.0, 0.0]))
    with pytest.raises(ValueError, match="expected real numbers, found complex ones"):
        Normal(0.1).sample(make([[0.0, 1j]]), 0)


def test_no_rows_are_rows_too() -> None:
    for conditional in EVERY:
        for library in LIBRARIES:
            assert draw(conditional, np.zeros((0, 2)), 0, library).shape == (0, 2)


@pytest.mark.slow
def test_numpy_draws_need_no_torch() -> None:
    script = """
import sys
import numpy as np
from threedident.conditionals import GeneralizedNormal, Normal, VonMisesFisher
from threedident.latents.sampling import sample_raw
from threedident.storage.origin import sample_positives
from threedident.conditionals.rules.spelling import parse_conditional
sample_positives(sample_raw(0, "train", 5), parse_conditional("normal:0.1", "box", {}), 0, "train")
for law in (GeneralizedNormal(0.1), Normal(0.1, space="sphere"), VonMisesFisher(1.0)):
    law.sample(np.array([[0.6, 0.8]]), 0)
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True)
