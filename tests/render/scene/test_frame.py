from __future__ import annotations

import math

import numpy as np
import pytest

from render.scene.constants import TintNumbers, scene_numbers
from render.scene.frame import HueMode, frame, hue_to_rgb, largest_dimension
from threedident.latents.sampling import sample_raw, to_physical

PLAIN = TintNumbers(saturation=1.0, value=1.0)


def published(hue: float, s: float, v: float) -> tuple[float, ...]:
    """The published HSV formula, written out: truncation toward zero, no wrap, clamp at 0."""
    i = math.trunc(6 * hue)
    f = 6 * hue - i
    p, q, t = v * (1 - s), v * (1 - s * f), v * (1 - s * (1 - f))
    table = [(v, t, p), (q, v, p), (p, v, t), (p, q, v), (t, p, v), (v, p, q)]
    return tuple(max(channel, 0.0) for channel in table[i % 6])


def test_wrapped_hues_go_round_the_circle() -> None:
    for sixth, color in enumerate(
        [(1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 1, 1), (0, 0, 1), (1, 0, 1)]
    ):
        for turn in (-1, 0, 1):
            angle = 2 * math.pi * (sixth / 6 + turn)
            assert hue_to_rgb(angle, PLAIN, "wrapped") == pytest.approx(color, abs=1e-9)


@pytest.mark.parametrize("name", ["object", "spotlight", "background"])
def test_published_hues_follow_the_published_formula(name: str) -> None:
    tint = getattr(scene_numbers().hue, name)
    for raw in np.linspace(-1, 1, 401):
        angle = raw * math.pi / 2
        expected = published(angle / (2 * math.pi), tint.saturation, tint.value)
        assert hue_to_rgb(angle, tint, "published") == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("object", -0.667, 0.0), ("spotlight", -0.667, -0.167), ("background", -0.667, -0.444)],
)
def test_published_hues_are_constant_where_they_are_known_to_be(
    name: str, low: float, high: float
) -> None:
    tint = getattr(scene_numbers().hue, name)

    def color(raw: float, mode: HueMode) -> np.ndarray:
        return np.array(hue_to_rgb(raw * math.pi / 2, tint, mode))

    inside = [color(raw, "published") for raw in np.linspace(low + 0.002, high - 0.002, 30)]
    assert np.ptp(inside, axis=0).max() < 1e-2 * tint.value
    assert np.abs(color(low - 0.1, "published") - inside[0]).max() > 0.02
    assert np.abs(color(high + 0.1, "published") - inside[-1]).max() > 0.02
    wrapped = [color(raw, "wrapped") for raw in np.linspace(low, high, 30)]
    assert np.abs(np.diff(wrapped, axis=0)).max(axis=1).min() > 0


def test_modes_agree_on_positive_angles() -> None:
    for raw in np.linspace(0, 1, 50):
        angle = raw * math.pi / 2
        assert hue_to_rgb(angle, PLAIN, "wrapped") == hue_to_rgb(angle, PLAIN, "published")


def test_frame_places_everything_by_the_latents() -> None:
    physical = np.array([1, 2, 3, 0.1, 0.2, 0.3, 0.5, 0, 0, 0])
    size, built = largest_dimension(), frame(physical, "wrapped")
    assert built.object_location == pytest.approx((1, 2, 3 + size / 2))
    assert built.object_rotation == pytest.approx((0.1, 0.2, 0.3))
    assert built.spot_location == pytest.approx((4 * math.sin(0.5), 4 * math.cos(0.5), 6 + size))
    assert built.object_color == pytest.approx((1, 0, 0))
    assert built.spot_color == pytest.approx((1, 0.2, 0.2))
    assert built.ground_color == pytest.approx((1, 0.4, 0.4))


def test_frames_of_different_latents_differ() -> None:
    frames = {frame(row, "wrapped") for row in to_physical(sample_raw(0, "train", 200))}
    assert len(frames) == 200
