"""Upper bounds of the scores that the hue mode of a data set allows.

In mode ``published`` the HSV formula was applied to negative hues h = angle / 2 pi without
wrapping them. In its first sector, -1 < 6 h < 0, only the channel v (1 - s (1 - 6 h)) changes.
The renderer shows 0 where it is negative. So for saturation s > 1/2 the colour is constant for

    6 h in (-1, -(1 - s) / s)

All other hues in the range of the factors have different colours. The best possible code is the
mean E[z | colour]. Let z be uniform on [-1, 1], with a constant colour over an interval of width
w. The unexplained variance is then the variance w^2 / 12 of that interval times its probability
w / 2. The variance of z is 1/3, so

    R^2 <= 1 - w^3 / 8,    |correlation of one code| <= sqrt(1 - w^3 / 8)

The first bound holds for readouts of any kind, the second for Pearson and Spearman correlation.
The codes E[z | colour] reach both. Scores of a finite split scatter around these values. Other
reasons that hide a factor, such as an object outside the frame, are not included.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmark.metrics.readouts.targets import Array
from benchmark.metrics.results import JsonRecord
from threedident.latents.factors import FACTORS
from threedident.runtime.errors import unknown
from threedident.runtime.packages import asset_path

HUE_MODES = ("wrapped", "published")


@dataclass(frozen=True, kw_only=True)
class Ceiling(JsonRecord):
    """The best possible scores on the box.

    Arguments:
        r2: mean of ``r2_per_factor``.
        mcc: mean of ``mcc_per_factor``.
        r2_per_factor: bound of R^2 for linear and nonlinear readouts, in the order of the
            factors, shape (10,).
        mcc_per_factor: bound of the Pearson and the Spearman correlation, in the order of the
            factors, shape (10,).
    """

    r2: float
    mcc: float
    r2_per_factor: Array
    mcc_per_factor: Array


def ceiling(hue_mode: Literal["wrapped", "published"]) -> Ceiling:
    """The best possible scores of a data set with the given hue mode.

    Arguments:
        hue_mode: conversion of hue angles into colours; ``wrapped`` loses no information.

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
    """For each hue factor, the ends of the raw values that have one colour in ``published``."""
    tints = json.loads(asset_path("scene.json").read_text(encoding="utf-8"))["hue"]
    return {
        factor.name: _constant_hue(
            tints[factor.name.removesuffix("_hue")]["saturation"], factor.reach
        )
        for factor in FACTORS
        if factor.group == "hue"
    }


def _constant_hue(saturation: float, reach: float) -> tuple[float, float]:
    """Ends of the interval of raw values with one colour; equal if there is no such interval."""
    sector = math.pi / 3 / reach
    return -sector, max(saturation - 1.0, -saturation) / saturation * sector
