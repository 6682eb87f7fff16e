from __future__ import annotations

import math

import numpy as np
import pytest

from benchmark.metrics.hue_ceiling import Ceiling, ceiling, constant_hues
from benchmark.metrics.scores import score
from render.scene.constants import scene_numbers
from render.scene.frame import HueMode, hue_to_rgb
from threedident.latents.factors import FACTORS, NAMES

HUES = tuple(factor.name for factor in FACTORS if factor.group == "hue")
FINE = (np.arange(6000) + 0.5) / 3000 - 1  # never at the end of a sector


def colors(name: str, raw: np.ndarray, mode: HueMode) -> np.ndarray:
    tint = getattr(scene_numbers().hue, name.removesuffix("_hue"))
    reach = FACTORS[NAMES.index(name)].reach
    return np.array([hue_to_rgb(value * reach, tint, mode) for value in raw])


def best_guess(raw: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """E[z | colour], taking as one colour what agrees to eight digits."""
    _, group = np.unique(shown.round(8), axis=0, return_inverse=True)
    group = group.ravel()
    return (np.bincount(group, weights=raw) / np.bincount(group))[group]


def test_wrapped_hues_lose_nothing() -> None:
    best = ceiling("wrapped")
    assert best.r2 == best.mcc == 1
    assert (best.r2_per_factor == 1).all()
    assert (best.mcc_per_factor == 1).all()


def test_published_ceilings_are_the_known_ones() -> None:
    best = dict(zip(NAMES, ceiling("published").r2_per_factor, strict=True))
    assert best.pop("object_hue") == pytest.approx(1 - (2 / 3) ** 3 / 8)
    assert best.pop("spotlight_hue") == pytest.approx(1 - (1 / 2) ** 3 / 8)
    assert best.pop("background_hue") == pytest.approx(1 - (2 / 9) ** 3 / 8)
    assert set(best.values()) == {1.0}


@pytest.mark.parametrize("name", HUES)
def test_published_colours_are_constant_there_and_injective_elsewhere(name: str) -> None:
    low, high = constant_hues()[name]
    shown = colors(name, FINE, "published")
    inside = (low < FINE) & (high > FINE)
    assert np.ptp(shown[inside], axis=0).max() == 0
    outside = shown[~inside]
    assert len(np.unique(outside.round(8), axis=0)) == len(outside)
    assert np.abs(outside - shown[inside][0]).max(axis=1).min() > 1e-5


@pytest.mark.parametrize("name", HUES)
def test_wrapped_colours_are_injective(name: str) -> None:
    shown = colors(name, FINE, "wrapped")
    assert len(np.unique(shown.round(8), axis=0)) == len(shown)


@pytest.mark.parametrize("name", HUES)
def test_the_ceiling_is_what_the_mean_given_the_colour_scores(name: str) -> None:
    guess = best_guess(FINE, colors(name, FINE, "published"))
    column, best = NAMES.index(name), ceiling("published")
    r2 = 1 - ((FINE - guess) ** 2).mean() / FINE.var()
    assert r2 == pytest.approx(best.r2_per_factor[column], abs=1e-3)
    correlation = np.corrcoef(FINE, guess)[0, 1]
    assert correlation == pytest.approx(best.mcc_per_factor[column], abs=1e-3)
    other = np.corrcoef(FINE, np.sign(guess) * np.abs(guess) ** 1.3)[0, 1]
    assert other < best.mcc_per_factor[column]


def test_scores_of_the_best_codes_reach_the_ceiling_and_no_more() -> None:
    z = np.random.default_rng(0).uniform(-1, 1, (40_000, len(NAMES)))
    codes = z.copy()
    for name, (low, high) in constant_hues().items():
        column = codes[:, NAMES.index(name)]
        column[(low < column) & (column < high)] = (low + high) / 2
    scores, best = score(z, codes), ceiling("published")
    assert scores.r2_per_factor == pytest.approx(best.r2_per_factor, abs=2e-3)
    assert scores.mcc_per_factor == pytest.approx(best.mcc_per_factor, abs=1e-3)
    assert scores.mcc_spearman_per_factor == pytest.approx(best.mcc_per_factor, abs=1e-3)


def test_means_and_json() -> None:
    best = ceiling("published")
    assert best.r2 == pytest.approx(best.r2_per_factor.mean())
    assert best.mcc_per_factor == pytest.approx(np.sqrt(best.r2_per_factor))
    again = Ceiling.from_json(best.to_json())
    assert (again.r2_per_factor == best.r2_per_factor).all()
    assert math.isclose(again.mcc, best.mcc)


def test_unknown_hue_modes_are_refused() -> None:
    with pytest.raises(ValueError, match="expected one of wrapped, published, found 'hsv'"):
        ceiling("hsv")  # type: ignore[arg-type]
