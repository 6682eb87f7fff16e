"""The best scores that the hue mode of a data set leaves possible.

In mode ``published`` the HSV formula was applied to negative hues h = angle / 2 pi as they are.
In its first sector, -1 < 6 h < 0, the only channel that changes is v (1 - s (1 - 6 h)), and where
that is negative the renderer shows 0. So for saturation s > 1/2 the colour is constant for

    6 h in (-1, -(1 - s) / s)

and nowhere else do two hues within the factors' reach share a colour. No code can do better than
the mean E[z | colour]. For z uniform on [-1, 1] and constant over a width w, what is left is the
variance w^2 / 12 of that interval, with probability w / 2, out of 1/3:

    R^2 <= 1 - w^3 / 8,    |correlation of one code| <= sqrt(1 - w^3 / 8)

The first holds for readouts of any kind, the second for Pearson and for Spearman, and both are
reached by codes E[z | colour]. Scores of a finite split scatter around these values. Whatever
else hides a factor, such as an object out of the frame, is not counted.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmark.metrics.linear import Array
from benchmark.metrics.results import JsonRecord
from threedident.latents.factors import FACTORS
from threedident.runtime.errors import unknown
from threedident.runtime.packages import asset_path

HUE_MODES = ("wrapped", "published")


@dataclass(frozen=True, kw_only=True)
class Ceiling(JsonRecord):
    """The best possible scores on the box, factors in their order, shape (10,) each.

    Arguments:
        r2: mean of ``r2_per_factor``.
        mcc: mean of ``mcc_per_factor``.
        r2_per_factor: of linear and of nonlinear readouts.
        mcc_per_factor: of Pearson's and of Spearman's correlation.
    """

    r2: float
    mcc: float
    r2_per_factor: Array
    mcc_per_factor: Array


def ceiling(hue_mode: Literal["wrapped", "published"]) -> Ceiling:
    """The best possible scores of a data set with that hue mode.

    Arguments:
        hue_mode: how hue angles became colours; ``wrapped`` loses nothing.

    Raises:
        ValueError: there is no such hue mode.
    """
    if hue_mode not in HUE_MODES:
        raise ValueError(unknown("hue_mode", hue_mode, HUE_MODES))
    lost = constant_hues() if hue_mode == "published" else {}
    ends = np.array([lost.get(factor.name, (0.0, 0.0)) for factor in FACTORS])
    r2 = 1.0 - (ends[:, 1] - ends[:, 0]) ** 3 / 8.0
    mcc = np.sqrt(r2)
    return Ceiling(
        r2=float(r2.mean()), mcc=float(mcc.mean()), r2_per_factor=r2, mcc_per_factor=mcc
    )


def constant_hues() -> dict[str, tuple[float, float]]:
    """Raw values between which mode ``published`` shows one colour, by name of the hue factor."""
    tints = json.loads(asset_path("scene.json").read_text(encoding="utf-8"))["hue"]
    return {
        factor.name: _constant_hue(
            tints[factor.name.removesuffix("_hue")]["saturation"], factor.reach
        )
        for factor in FACTORS
        if factor.group == "hue"
    }


def _constant_hue(saturation: float, reach: float) -> tuple[float, float]:
    """Ends of the interval of raw values; equal where no colour is lost."""
    sector = math.pi / 3 / reach
    return -sector, max(saturation - 1.0, -saturation) / saturation * sector
