"""Chosen factors: their columns, values and targets in both latent spaces."""

from __future__ import annotations

import math

import numpy as np
import pytest

from threedident.latents.factor_set import FactorSet, parse_factors
from threedident.latents.factors import NAMES
from threedident.latents.sampling import sample_raw, to_physical
from threedident.latents.spaces import sphere_points

BOX, PERIODIC = (sample_raw(3, "train", 200, space) for space in ("box", "periodic"))
ANGLES = NAMES[3:]


def test_in_the_box_factors_are_columns() -> None:
    whole = FactorSet()
    assert whole.columns == tuple(range(10))
    assert whole.circular == (False,) * 10
    assert np.array_equal(whole.values(BOX), BOX)
    some = FactorSet("box", ("y", "theta"))
    assert np.array_equal(some.values(BOX), BOX[:, [1, 6]])
    assert np.array_equal(some.targets(BOX), BOX[:, [1, 6]])
    assert some.labels == ("object y", "spotlight theta")


def test_angles_without_ends_are_in_rad_and_targets_are_cosine_and_sine() -> None:
    some = FactorSet("periodic", ("y", "alpha", "background_hue"))
    assert some.circular == (False, True, True)
    assert some.columns == (1, *range(3, 11))
    assert some.flat == 1
    physical = to_physical(PERIODIC, "periodic")
    values, targets = some.values(PERIODIC), some.targets(PERIODIC)
    assert np.array_equal(values, np.stack([PERIODIC[:, 1], *physical[:, [3, 9]].T], axis=1))
    assert np.allclose(np.arctan2(targets[:, 2], targets[:, 1]) % (2 * math.pi), physical[:, 3])
    assert targets.shape == (200, 5)


def test_positions_of_the_periodic_space_need_no_sphere() -> None:
    assert FactorSet("periodic", ("x", "z")).columns == (0, 2)


@pytest.mark.parametrize("space", ["box", "periodic"])
def test_fixed_factors_do_not_vary(space: str) -> None:
    fixed = {"x": 0.25, "beta": -0.5, "object_hue": 0.0}
    raw = sample_raw(0, "train", 100, space, fixed)
    found = FactorSet(space).varying(raw)
    assert found.names == tuple(name for name in NAMES if name not in fixed)
    with pytest.raises(ValueError, match=r"expected a factor that varies among x, beta, found"):
        FactorSet(space, ("x", "beta")).varying(raw)


def test_an_angle_near_its_seam_is_constant_on_both_sides() -> None:
    angle = np.array([1e-7, 2 * math.pi - 1e-7] * 50)
    phi = np.stack([*np.random.default_rng(0).uniform(0.5, 2.5, (6, 100)), angle], axis=1)
    raw = np.hstack([PERIODIC[:100, :3], sphere_points(phi)])
    assert "background_hue" not in FactorSet("periodic").varying(raw).names


def test_names_and_groups_are_parsed_in_the_order_of_the_table() -> None:
    assert parse_factors("hue,x") == ("x", "object_hue", "spotlight_hue", "background_hue")
    assert parse_factors("rotations, position") == NAMES[:6]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x,w", "--factors: expected one of"),
        ("", "--factors: expected one of"),
        ("x,hue,object_hue", "expected object_hue once, found it twice"),
        ("objct_hue", "did you mean 'object_hue'"),
    ],
)
def test_other_texts_are_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_factors(text)


@pytest.mark.parametrize("names", [(), ("y", "x"), ("x", "x"), ("w",)])
def test_a_set_is_of_different_names_in_order(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="factors: expected"):
        FactorSet("box", names)
