"""Samples against closed forms: Kolmogorov-Smirnov at a level no healthy sampler trips over."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from tests.conditionals.laws import (
    ANCHORS,
    KINDS,
    LEVEL,
    LIBRARIES,
    N,
    draw,
    ends_and_inner,
    truncated,
    whole,
)
from threedident.conditionals.conditional import Conditional
from threedident.conditionals.sphere import VonMisesFisher
from threedident.conditionals.steps import (
    GeneralizedNormal,
    Laplace,
    Normal,
    Space,
    Steps,
    Uniform,
)

SCALES = (0.01, 0.1, 2.0)


def real(conditional: Steps) -> Steps:
    return replace(conditional, space="real")


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("anchor", ANCHORS)
@pytest.mark.parametrize("kind", KINDS)
def test_box_conditionals_follow_scipy(kind: type[Steps], anchor: float, library: str) -> None:
    samples = draw(kind(SCALES), np.full((N, len(SCALES)), anchor), 7, library)
    assert np.abs(samples).max() <= 1
    for scale, column in zip(SCALES, samples.T, strict=True):
        assert stats.kstest(column, truncated(kind(scale), anchor)).pvalue > LEVEL


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("kind", KINDS)
def test_real_conditionals_follow_scipy(kind: type[Steps], library: str) -> None:
    scales, anchors = (0.05, 1.0, 30.0), (-2.0, 0.3, 100.0)
    samples = draw(kind(scales, space="real"), np.tile(anchors, (N, 1)), 8, library)
    for scale, anchor, column in zip(scales, anchors, samples.T, strict=True):
        assert stats.kstest(column, whole(kind(scale), anchor).cdf).pvalue > LEVEL
    assert np.abs(np.corrcoef(samples.T) - np.eye(3)).max() < 5 / np.sqrt(N)


@pytest.mark.parametrize("conditional", [*(kind(0.7) for kind in KINDS), GeneralizedNormal(2, 9)])
def test_real_conditionals_invert_scipys_cdf(conditional: Steps) -> None:
    u = np.linspace(0.001, 0.999, 500)[:, None]
    drawn = real(conditional).transform(np.full((500, 1), 0.3), u)
    assert whole(conditional, 0.3).cdf(drawn) == pytest.approx(u, abs=1e-14)


@pytest.mark.parametrize("anchor", ANCHORS)
@pytest.mark.parametrize("scale", [1e-4, 0.3])
@pytest.mark.parametrize("beta", [1.0, 1.5, 3.0, 40.0])
def test_generalized_normals_invert_scipys_cdf(beta: float, scale: float, anchor: float) -> None:
    conditional = GeneralizedNormal(scale, beta)
    u = np.linspace(0.001, 0.999, 500)
    drawn = conditional.transform(np.full((500, 1), anchor), u[:, None])[:, 0]
    assert truncated(conditional, anchor)(drawn) == pytest.approx(u, abs=1e-11)


@pytest.mark.parametrize("anchor", [-0.97, 0.4, 1.0])
@pytest.mark.parametrize("conditional", [kind(0.5) for kind in KINDS])
def test_truncation_is_rejection(conditional: Conditional, anchor: float) -> None:
    drawn = whole(conditional, anchor).rvs(3 * N, random_state=9)
    kept = drawn[np.abs(drawn) <= 1]
    samples = conditional.sample(np.full((N, 1), anchor), 10)[:, 0]
    assert len(kept) > N
    assert stats.ks_2samp(samples, kept).pvalue > LEVEL


@pytest.mark.parametrize("scale", [1e-9, 0.01, 0.1, 2.0, 1e9])
def test_exponents_one_and_two_are_laplace_and_normal(scale: float) -> None:
    z, u = ends_and_inner()
    for special, beta in [(Laplace(scale), 1), (Normal(scale / np.sqrt(2)), 2)]:
        gaps = np.abs(GeneralizedNormal(scale, beta).transform(z, u) - special.transform(z, u))
        assert gaps[2:-1].max() < 1e-13  # in the last tails, the digits of u end


@pytest.mark.parametrize("scale", [1e-3, 0.1, 2.0, 1e9])
@pytest.mark.parametrize("beta", [1e4, 1e300])
def test_great_exponents_are_uniform(beta: float, scale: float) -> None:
    z, u = ends_and_inner()
    inner = slice(2, -1)  # a finite exponent has tails, however short
    ours = GeneralizedNormal(scale, beta).transform(z, u)[inner]
    assert ours == pytest.approx(Uniform(scale).transform(z, u)[inner], abs=1e-3 * min(scale, 1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [1e6, 1e20, 1e200, 1.7e308])
def test_great_scales_fill_the_box_evenly(kind: type, scale: float) -> None:
    z, u = ends_and_inner()
    assert kind(scale).transform(z, u) == pytest.approx(2 * u - 1, abs=3e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [5e-324, 1e-300, 1e-12])
def test_small_scales_stay_near_their_anchors(kind: type, scale: float) -> None:
    z, u = ends_and_inner()
    assert np.abs(kind(scale).transform(z, u) - z).max() <= 40 * scale + 3e-16


def test_uniform_keeps_its_distance_and_fills_it() -> None:
    z, u = ends_and_inner()
    expected = np.maximum(z - 0.25, -1) * (1 - u) + np.minimum(z + 0.25, 1) * u
    assert Uniform(0.25).transform(z, u) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("anchor", [-0.95, 0.0, 1.0])
def test_normal_is_scipys_truncated_normal(anchor: float) -> None:
    u = np.linspace(0.001, 0.999, 500)[:, None]
    law = stats.truncnorm((-1 - anchor) / 0.1, (1 - anchor) / 0.1, loc=anchor, scale=0.1)
    ours = Normal(0.1).transform(np.full((500, 1), anchor), u)
    assert ours == pytest.approx(law.ppf(u), abs=1e-9)


def test_coordinates_are_independent_and_centred_on_their_anchors() -> None:
    anchors = np.tile(np.linspace(-0.6, 0.6, 10), (N, 1))
    steps = Normal(0.05).sample(anchors, 3) - anchors
    assert np.abs(steps.mean(axis=0)).max() < 5 * 0.05 / np.sqrt(N)
    assert np.abs(np.corrcoef(steps.T) - np.eye(10)).max() < 5 / np.sqrt(N)


@pytest.mark.parametrize("kind", KINDS)
def test_the_box_without_walls_is_the_real_space(kind: type[Steps]) -> None:
    z, u = np.full((333, 2), 0.1), np.tile(np.linspace(0.001, 0.999, 333)[:, None], (1, 2))
    gaps = kind(0.01).transform(z, u) - kind(0.01, space="real").transform(z, u)
    assert np.abs(gaps).max() < 1e-14


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [5e-324, 1e-300, 1e-9, 0.1, 1e9, 1e100])
def test_real_steps_are_proportional_to_their_scale(kind: type[Steps], scale: float) -> None:
    _, u = ends_and_inner()
    steps = kind(scale, space="real").transform(np.zeros_like(u), u)
    assert steps == pytest.approx(scale * kind(1, space="real").transform(0 * u, u), rel=1e-15)
    assert np.abs(steps).max() <= 40 * scale


@pytest.mark.parametrize("space", ["box", "real"])
@pytest.mark.parametrize("kind", KINDS)
def test_columns_with_scales_of_their_own_are_columns_alone(
    kind: type[Steps], space: Space
) -> None:
    z, u = ends_and_inner()
    scales = (0.01, 0.1, 0.5, 2.0, 1e9, 1e-9)
    together = kind(scales, space=space).transform(z, u)
    for k, scale in enumerate(scales):
        alone = kind(scale, space=space).transform(z[:, [k]], u[:, [k]])
        assert (together[:, [k]] == alone).all()


def test_conditionals_are_values() -> None:
    assert Normal(0.1) == Normal(0.1, space="box")
    assert Normal(0.1) != Normal(0.1, space="real")
    several = [Laplace(given) for given in ([1, 2.0], (1.0, 2.0), np.array([1.0, 2.0]))]
    assert len({*several, Laplace(torch.tensor([1.0, 2.0]))}) == 1  # type: ignore[arg-type]
    assert {GeneralizedNormal(0.1, 3): 1}[GeneralizedNormal(np.float64(0.1))] == 1
    assert repr(several[0]) == "Laplace(\n    scale=(1.0, 2.0),\n    space='box',\n)"
    for conditional in (several[0], GeneralizedNormal(0.1, 2, space="sphere")):
        assert eval(repr(conditional)) == conditional
    with pytest.raises(AttributeError):
        Normal(0.1).scale = 1.0  # type: ignore[misc]


BAD_SCALES: list[tuple[object, str]] = [
    *((value, repr(value)) for value in (0.0, -1.0, np.nan, np.inf, "0.1", None, True, 1j)),
    ([0.1, -2.0], "-2.0"),
    ((0.1, np.nan), "nan"),
    (["0.1"], "'0.1'"),
    ([], r"shape \(0,\)"),
    (np.ones((2, 2)), r"shape \(2, 2\)"),
    ([[0.1], [0.1, 0.2]], r"\[\[0.1\], \[0.1, 0.2\]\]"),
]


@pytest.mark.parametrize(("value", "found"), BAD_SCALES)
@pytest.mark.parametrize("kind", KINDS)
def test_scales_must_be_positive(kind: type[Steps], value: object, found: str) -> None:
    words = rf"^scale: expected a positive finite number[^\n]*, found {found}; give [^\n]*$"
    with pytest.raises(ValueError, match=words):
        kind(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf, "10", (1.0, 2.0), None])
def test_concentrations_must_be_positive(value: object) -> None:
    with pytest.raises(ValueError, match=r"^kappa: expected a positive finite number, found "):
        VonMisesFisher(value)  # type: ignore[arg-type]


def test_concentrations_end_where_their_inversion_does() -> None:
    with pytest.raises(ValueError, match=r"kappa: expected at most 1e\+100, found 1e\+101"):
        VonMisesFisher(1e101)


@pytest.mark.parametrize("beta", [0.99, 0.0, -3.0, np.nan, np.inf, "3", None])
def test_exponents_start_at_one(beta: object) -> None:
    with pytest.raises(ValueError, match="beta: expected a finite number of at least 1, found "):
        GeneralizedNormal(0.1, beta)  # type: ignore[arg-type]


@pytest.mark.parametrize("space", ["ball", "Box", None, ["box"]])
def test_spaces_have_names(space: object) -> None:
    with pytest.raises(ValueError, match="space: expected one of box, real, sphere, projected, "):
        Normal(0.1, space=space)  # type: ignore[arg-type]


@pytest.mark.parametrize("space", ["real", "projected"])
def test_steps_stay_where_norms_do_not_overflow(space: Space) -> None:
    with pytest.raises(ValueError, match=rf"at most 1e\+100 in the {space} space, found 1e\+101"):
        Laplace((1.0, 1e101), space=space)


@pytest.mark.slow
@pytest.mark.parametrize("space", ["box", "real", "projected"])
@pytest.mark.parametrize("library", LIBRARIES)
def test_scales_are_as_many_as_columns(space: Space, library: str) -> None:
    words = "scale: expected one number for each of the 2 columns, found 3; give one for each"
    conditional = Normal((0.1, 0.2, 0.3), space=space)
    for refused in (conditional.check, lambda z: draw(conditional, z, 0, library)):
        with pytest.raises(ValueError, match=words):
            refused(np.array([[0.6, 0.8]]))


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("bad", [1.5, np.nan, -np.inf])
@pytest.mark.parametrize("kind", KINDS)
def test_anchors_must_lie_in_the_box(kind: type[Steps], bad: float, library: str) -> None:
    words = rf"latents: expected anchors in the box \[-1, 1\] for \w+, found {bad} in row 1; "
    with pytest.raises(ValueError, match=words):
        draw(kind(0.1), np.array([[0.0, 0.0], [0.0, bad]]), 0, library)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("kind", KINDS)
def test_real_anchors_must_be_finite(kind: type[Steps], bad: float, library: str) -> None:
    with pytest.raises(ValueError, match=rf"latents: expected finite anchors .* {bad} in row 0"):
        draw(kind(0.1, space="real"), np.array([[5.0, bad]]), 0, library)


def test_one_anchor_needs_its_row() -> None:
    with pytest.raises(ValueError, match=r"z\[None\]"):
        Normal(0.1).sample(np.zeros(10), 0)
