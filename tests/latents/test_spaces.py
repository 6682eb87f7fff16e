"""The latent spaces' marginals against closed forms, their geometry, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from threedident.latents.factors import FACTORS, NAMES
from threedident.latents.spaces import (
    SPACES,
    find_space,
    parse_fixed,
    sphere_angles,
    sphere_points,
)

LEVEL = 1e-5
N = 20_000
TURN = 2 * np.pi
ANGLES = NAMES[3:]
BOX, PERIODIC = SPACES["box"], SPACES["periodic"]


def draw(
    space: str, fixed: dict[str, float] | None = None, seed: int = 0, n: int = N
) -> np.ndarray:
    u = np.random.default_rng(seed).uniform(1e-9, 1, (n, SPACES[space].count))
    return SPACES[space].sample(u, fixed or {})


def gap(first: np.ndarray, second: object) -> float:
    return float(np.abs(first - second).max())


def points(seed: int = 1, n: int = N) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(n, 8))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def coordinate_cdf(x: np.ndarray) -> np.ndarray:
    """Law of one coordinate of a uniform point on S^7: its square is Beta(1/2, 7/2)."""
    return (1 + np.sign(x) * stats.beta(0.5, 3.5).cdf(np.asarray(x) ** 2)) / 2


def polar_cdf(power: int) -> object:
    """Distribution of density ~ sin^power on [0, pi], by quadrature."""
    grid = np.linspace(0, np.pi, 20_001)
    mass = integrate.cumulative_trapezoid(np.sin(grid) ** power, grid, initial=0)
    return lambda phi: np.interp(phi, grid, mass / mass[-1])


def test_spaces_go_by_their_names() -> None:
    assert {name: space.name for name, space in SPACES.items()} == {
        "box": "box",
        "periodic": "periodic",
    }
    assert BOX.columns == NAMES
    assert PERIODIC.columns == ("x", "y", "z", *(f"sphere_{i}" for i in range(1, 9)))
    with pytest.raises(ValueError, match=r"space: expected one of box, periodic, found 'torus'"):
        find_space("torus")


@pytest.mark.parametrize("space", SPACES)
def test_draws_pass_the_space_s_own_check(space: str) -> None:
    raw = draw(space)
    assert raw.dtype == np.float32
    assert raw.shape == (N, len(SPACES[space].columns))
    assert (SPACES[space].check(raw, "raw") == raw).all()
    assert SPACES[space].physical(raw).shape == (N, 10)
    assert SPACES[space].physical(raw).dtype == np.float32


def test_box_is_an_affine_map_of_its_uniforms() -> None:
    u = np.random.default_rng(3).random((50, 10))
    assert (BOX.sample(u, {}) == (2.0 * u - 1.0).astype(np.float32)).all()


def test_positions_are_uniform_in_both_spaces() -> None:
    for raw in (draw("box"), draw("periodic")):
        for column in raw[:, :3].T:
            assert stats.kstest(column, stats.uniform(-1, 2).cdf).pvalue > LEVEL


def test_points_are_uniform_on_the_sphere() -> None:
    raw = draw("periodic").astype(np.float64)
    sphere = raw[:, 3:]
    assert gap(np.linalg.norm(sphere, axis=1), 1) < 1e-6
    turned = sphere @ np.linalg.qr(np.random.default_rng(5).normal(size=(8, 8)))[0]
    for column in np.hstack([sphere, turned]).T:
        assert stats.kstest(column, coordinate_cdf).pvalue > LEVEL
    assert np.abs(np.corrcoef(raw.T) - np.eye(11)).max() < 5 / np.sqrt(N)


def test_angles_of_uniform_points_follow_their_laws_independently() -> None:
    phi = sphere_angles(draw("periodic")[:, 3:])
    for k in range(1, 7):
        assert stats.kstest(phi[:, k - 1], polar_cdf(7 - k)).pvalue > LEVEL
    assert stats.kstest(phi[:, 6], stats.uniform(0, TURN).cdf).pvalue > LEVEL
    for angles in (phi, np.abs(phi - phi.mean(axis=0))):
        assert np.abs(np.corrcoef(angles.T) - np.eye(7)).max() < 5 / np.sqrt(N)


def test_physical_ranges_of_the_periodic_space() -> None:
    physical = PERIODIC.physical(draw("periodic"))
    reach = [factor.reach for factor in FACTORS]
    assert np.abs(physical[:, :2]).max(axis=0) == pytest.approx(reach[:2], rel=1e-3)
    assert physical[:, 2].min() >= 0
    assert physical[:, 2].max() <= reach[2]
    assert np.ptp(physical[:, 2]) == pytest.approx(reach[2], rel=1e-3)
    angles = physical[:, 3:]
    assert angles.min() >= 0
    assert angles.max() <= np.float32(TURN)
    assert angles[:, 6].min() < 0.01 < TURN - 0.01 < angles[:, 6].max()


def test_polar_angles_are_doubled_and_the_last_is_not() -> None:
    phi = np.random.default_rng(2).uniform(0.1, np.pi - 0.1, (100, 7))
    raw = np.hstack([np.zeros((100, 3)), sphere_points(phi)])
    assert PERIODIC.physical(raw)[:, :3] == pytest.approx(np.tile([0, 0, 1.5], (100, 1)))
    assert PERIODIC.physical(raw)[:, 3:9] == pytest.approx(2 * phi[:, :6], abs=1e-6)
    assert PERIODIC.physical(raw)[:, 9] == pytest.approx(phi[:, 6], abs=1e-6)


def test_axes_have_the_angles_of_the_convention() -> None:
    quarter = np.pi / 2
    for k in range(7):
        expected = [quarter] * k + [0.0]
        assert sphere_angles(np.eye(8)[[k]])[0, : k + 1] == pytest.approx(expected)
        expected[-1] = np.pi
        assert sphere_angles(-np.eye(8)[[k]])[0, : k + 1] == pytest.approx(expected)
    assert sphere_angles(np.eye(8)[[7]])[0] == pytest.approx([quarter] * 7)
    assert sphere_angles(-np.eye(8)[[7]])[0, 6] == pytest.approx(3 * quarter)


def test_angles_to_points_and_back() -> None:
    rng = np.random.default_rng(4)
    phi = rng.uniform(0.2, np.pi - 0.2, (1000, 7))
    phi[:, 6] *= 2
    assert gap(sphere_angles(sphere_points(phi)), phi) < 1e-12
    assert gap(np.linalg.norm(sphere_points(phi), axis=1), 1) < 1e-14
    x = points()
    assert gap(sphere_points(sphere_angles(x)), x) < 1e-14
    assert gap(sphere_angles(1e-6 * x), sphere_angles(x)) < 1e-12


@pytest.mark.parametrize("tiny", [1e-3, 1e-9, 1e-15])
def test_angles_keep_their_digits_near_the_poles(tiny: float) -> None:
    phi = np.array([[tiny, 1.0, tiny, 2.0, 0.5, 1.5, 4.0]])
    assert sphere_angles(sphere_points(phi)) == pytest.approx(phi, rel=1e-12, abs=0)
    single = sphere_points(phi).astype(np.float32)
    assert sphere_angles(single) == pytest.approx(phi, rel=1e-6, abs=0)


def test_antipodes_mirror_the_polar_angles_and_turn_the_last_by_half() -> None:
    here, there = sphere_angles(points()), sphere_angles(-points())
    assert gap(there[:, :6], np.pi - here[:, :6]) < 1e-12
    assert gap(np.cos(there[:, 6] - here[:, 6]), -1) < 1e-12


@pytest.mark.parametrize("k", range(7))
def test_turning_one_angle_moves_along_a_circle_of_the_earlier_sines(k: int) -> None:
    phi = sphere_angles(points(n=1000))
    turned = phi.copy()
    turned[:, k] += 0.3
    dots = (sphere_points(phi) * sphere_points(turned)).sum(axis=1)
    radius = np.sin(phi[:, :k]).prod(axis=1)
    assert gap(dots, 1 - radius**2 * (1 - np.cos(0.3))) < 1e-12


@pytest.mark.parametrize("fixed", [{"x": -1.0}, {"object_hue": 0.25}, {"z": 0.5, "theta": 1.0}])
def test_fixing_in_the_box_changes_nothing_else(fixed: dict[str, float]) -> None:
    free, held = draw("box"), draw("box", fixed)
    for name, before, after in zip(NAMES, free.T, held.T, strict=True):
        assert (after == np.float32(fixed[name]) if name in fixed else after == before).all()


@pytest.mark.parametrize("names", [[name] for name in NAMES] + [["y", "beta", "gamma"]])
@pytest.mark.parametrize("value", [-0.9, 0.0, 0.3])
def test_fixing_in_the_periodic_space_changes_no_other_factor(
    names: list[str], value: float
) -> None:
    raw = draw("periodic", dict.fromkeys(names, value), n=2000)
    free, held = PERIODIC.physical(draw("periodic", n=2000)), PERIODIC.physical(raw)
    height = 3 * (value + 1) / 2
    for column, name in enumerate(NAMES):
        angle = np.pi * (value + 1) if column > 2 else height if name == "z" else 3 * value
        assert gap(held[:, column], angle if name in names else free[:, column]) < 3e-6
    assert (PERIODIC.check(raw, "raw") == raw).all()


@pytest.mark.parametrize("name", ["alpha", "theta", "background_hue"])
def test_fixing_an_angle_is_the_law_given_that_angle(name: str) -> None:
    free = draw("periodic", seed=10)
    angle = PERIODIC.physical(free)[:, NAMES.index(name)]
    near = sphere_angles(free[np.abs(angle - np.pi) < 0.15][:, 3:])
    held = sphere_angles(draw("periodic", {name: 0.0}, seed=11)[:, 3:])
    for k, other in enumerate(ANGLES):
        if other != name:
            assert stats.ks_2samp(near[:, k], held[:, k]).pvalue > LEVEL


@pytest.mark.parametrize("value", [-1.0, 1.0])
def test_the_last_angle_can_stand_at_either_end_of_its_turn(value: float) -> None:
    physical = PERIODIC.physical(draw("periodic", {"background_hue": value}))
    assert gap(np.cos(physical[:, 9]), 1) < 1e-12
    assert np.ptp(physical[:, 3:9], axis=0).min() > 1


@pytest.mark.parametrize("name", ANGLES[:-1])
@pytest.mark.parametrize("value", [np.nextafter(-1, 0), np.nextafter(1, 0)])
def test_polar_angles_can_be_fixed_next_to_their_poles(name: str, value: float) -> None:
    free = PERIODIC.physical(draw("periodic", n=2000))
    held = PERIODIC.physical(draw("periodic", {name: value}, n=2000))
    others = [column for column in range(10) if column != NAMES.index(name)]
    assert gap(held[:, others], free[:, others]) < 3e-6


@pytest.mark.parametrize("space", SPACES)
def test_negative_zero_is_zero(space: str) -> None:
    zeros = [draw(space, {"x": zero}).tobytes() for zero in (0.0, -0.0)]
    assert zeros[0] == zeros[1]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (np.zeros((3, 10)), ["(N, 11)", "(3, 10)", "sphere_8"]),
        (np.zeros(11), ["(11,)"]),
        (np.zeros((0, 11)), ["(0, 11)"]),
        (np.full((2, 11), "a"), ["dtype"]),
        (np.zeros((2, 11), complex), ["dtype"]),
        (np.zeros((2, 11)), ["norm 0.0 in row 0", "sphere_1 to sphere_8", "1 more"]),
        (np.eye(11)[[3, 0]], ["norm 0.0 in row 1"]),
        (1.01 * np.eye(11)[3:4], ["norm 1.01 in row 0"]),
        (np.eye(11)[[3]] + 2 * np.eye(11)[[2]], ["2.0 in row 0, column 2 (z)"]),
        (np.where(np.arange(11) == 4, np.nan, 0.1)[None], ["norm nan in row 0"]),
        (np.where(np.arange(11) == 9, np.inf, 0.1)[None], ["norm inf in row 0"]),
        (np.where(np.arange(11) == 1, np.nan, 0.1)[None], ["nan in row 0, column 1 (y)"]),
    ],
)
def test_bad_periodic_rows_are_named(raw: np.ndarray, words: list[str]) -> None:
    with pytest.raises(ValueError, match=r"^rows\.npy: expected") as error:
        PERIODIC.check(raw, "rows.npy")
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_norms_may_be_off_by_rounding() -> None:
    raw = np.hstack([np.zeros((N, 3)), points().astype(np.float16)])
    assert PERIODIC.check(raw, "rows").dtype == np.float32


def test_fixed_factors_come_in_the_factors_order() -> None:
    fixed = parse_fixed(["object_hue=0", "y=-0.5, x=1", "theta = 1e-1"], "box")
    assert list(fixed.items()) == [("x", 1.0), ("y", -0.5), ("theta", 0.1), ("object_hue", 0.0)]
    assert parse_fixed([], "periodic") == {}


ALL_TEN = ",".join(f"{name}=0" for name in NAMES)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["hue=0"], [*NAMES, "'hue'"]),
        (["sphere_1=0"], ["'sphere_1'"]),
        (["=0"], ["''"]),
        (["x=red"], ["number in [-1, 1]", "'x=red'"]),
        (["x="], ["number in [-1, 1]", "'x='"]),
        (["x=0=0"], ["'x=0=0'"]),
        (["x=nan"], ["x in [-1, 1]", "nan"]),
        (["x=inf"], ["x in [-1, 1]", "inf"]),
        (["z=1.0001"], ["z in [-1, 1]", "1.0001"]),
        (["z=-2"], ["z in [-1, 1]", "-2.0"]),
        (["x=0", "y=0,x=0.5"], ["x once", "twice"]),
        ([ALL_TEN], ["varies", "leave one out"]),
        (["x"], ["FACTOR=VALUE", "'x'"]),
        ([""], ["FACTOR=VALUE", "''"]),
        (["x=0,"], ["FACTOR=VALUE", "''"]),
        (["x\n=0,y\n"], ["FACTOR=VALUE", r"'y\n'"]),
    ],
)
def test_bad_fixes_cost_one_line(texts: list[str], words: list[str], space: str) -> None:
    with pytest.raises(ValueError, match=r"^--fix: expected [^\n]*$") as error:
        parse_fixed(texts, space)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize("name", ANGLES[:-1])
@pytest.mark.parametrize("end", ["-1", "1"])
def test_polar_angles_cannot_be_fixed_at_their_poles(name: str, end: str) -> None:
    with pytest.raises(ValueError, match=rf"^--fix: expected {name} strictly between -1 and 1"):
        parse_fixed([f"{name}={end}"], "periodic")
    assert parse_fixed([f"{name}={end}"], "box") == {name: float(end)}


@pytest.mark.parametrize("fixed", [{"hue": 0.0}, {"x": 2.0}, dict.fromkeys(NAMES, 0.0)])
def test_sampling_refuses_what_cannot_be_fixed(fixed: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"^fixed: expected"):
        BOX.sample(np.full((1, 10), 0.5), fixed)
