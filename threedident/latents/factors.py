"""The ten factors of variation, in one table of their order, names, ranges and units.

A raw latent lies in [-1, 1]. The physical latent, which the renderer uses, is ``reach * raw``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Factor:
    """One factor of variation.

    Arguments:
        name: short name, as used on the command line.
        label: readable name, as used in figures.
        group: ``position``, ``rotation``, ``spotlight`` or ``hue``.
        reach: physical value at raw value 1.
        unit: unit of the physical value.
    """

    name: str
    label: str
    group: str
    reach: float
    unit: str


def _position(axis: str) -> Factor:
    return Factor(name=axis, label=f"object {axis}", group="position", reach=3.0, unit="length")


def _angle(name: str, label: str, group: str) -> Factor:
    return Factor(name=name, label=label, group=group, reach=math.pi / 2, unit="rad")


FACTORS: tuple[Factor, ...] = (
    _position("x"),
    _position("y"),
    _position("z"),
    _angle("alpha", "rotation alpha", "rotation"),
    _angle("beta", "rotation beta", "rotation"),
    _angle("gamma", "rotation gamma", "rotation"),
    _angle("theta", "spotlight theta", "spotlight"),
    _angle("object_hue", "object hue", "hue"),
    _angle("spotlight_hue", "spotlight hue", "hue"),
    _angle("background_hue", "background hue", "hue"),
)

NAMES: tuple[str, ...] = tuple(factor.name for factor in FACTORS)
LABELS: tuple[str, ...] = tuple(factor.label for factor in FACTORS)
