"""Layouts: units of the spaces, their names, and masks over them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from threedident.latents.factors import NAMES
from threedident.latents.layout import layout_of, numbered_layout


def test_units_are_the_columns_that_change_apart() -> None:
    box = layout_of("box")
    assert box.names == box.factors == NAMES
    assert [unit.columns for unit in box.units] == [(number,) for number in range(10)]
    periodic = layout_of("periodic", {"y": 0.5})
    assert periodic.names == ("x", "z", "sphere")
    assert periodic.unit("sphere").factors == tuple(range(3, 10))
    assert periodic.unit("sphere").columns == tuple(range(3, 11))
    assert (box.dimension, periodic.dimension) == (10, 11)
    assert numbered_layout("sphere", 3).names == ("sphere",)
    assert numbered_layout("real", 3).names == ("z1", "z2", "z3")


def test_masks_over_units_spread_over_factors_and_columns() -> None:
    layout = layout_of("periodic", {"y": 0.5})
    mask = np.array([[True, False, True], [False, True, False]])
    factors, columns = layout.over_factors(mask), layout.over_columns(mask)
    assert factors.tolist() == [
        [True, False, False] + [True] * 7,
        [False, False, True] + [False] * 7,
    ]
    assert columns.tolist() == [[*row, row[-1]] for row in factors.tolist()]
    assert torch.equal(layout.over_columns(torch.tensor(mask)), torch.tensor(columns))


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (("z", "y", "x"), "position"),
        (("x", "y"), "x,y"),
        (("theta",), "theta"),
        (("x", "y", "z", "theta", "gamma"), "position,gamma,theta"),
        (NAMES, "position,rotation,theta,hue"),
    ],
)
def test_groups_are_spelled_as_such(names: tuple[str, ...], text: str) -> None:
    box = layout_of("box")
    assert box.spell(names) == text
    assert box.sort(name for word in text.split(",") for name in box.read(word)) == box.sort(names)


def test_ranges_of_numbered_latents() -> None:
    layout = numbered_layout("box", 12)
    assert layout.read("z9..z11") == ("z9", "z10", "z11")
    assert layout.spell(["z1", "z2", "z4", "z5", "z6", "z12"]) == "z1,z2,z4..z6,z12"


def test_groups_name_their_free_factors() -> None:
    layout = layout_of("box", {"x": 0.0, "theta": 0.0})
    assert layout.read("positions") == ("y", "z")
    assert layout.read("x..beta") == ("y", "z", "alpha", "beta")
    assert layout.read("spotlight") == layout.read("theta") == ()
