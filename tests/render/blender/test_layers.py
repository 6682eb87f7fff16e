"""Frames in layers: the algebra, and Blender's layers against one render of everything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from render.blender.layers import encode, enlarge, ground_edge, over
from render.measure.fidelity import psnr
from render.scene.frame import frame
from render.scene.projection import object_box, object_points, project
from tests.conftest import cli, contents
from tests.render.blender import closed_forms
from tests.render.blender.stage import POSES
from threedident.latents.sampling import sample_raw, to_physical

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
DRAW = """
import sys
from dataclasses import replace
import numpy as np
from render.blender.stage import Stage
from render.blender.denoise import Denoiser
from render.scene.frame import frame
from render.settings import GroundSamples, Quality
from threedident.latents.sampling import sample_raw, to_physical

frames = [frame(row, "wrapped") for row in to_physical(sample_raw(4, "test", 2))]
away = replace(frames[0], object_location=(0.0, 60.0, 0.0))
many = GroundSamples(sun=64, area=16, spot=64)
plain = Quality(samples=256, denoiser=None, seed=1)
found = {}
for material in ("rubber", "metal"):
    for name, quality in {
        "layered": Quality(samples=128, denoiser="HIGH", ground=many), "plain": plain
    }.items():
        stage = Stage(96, quality, "cpu", 2, material=material)
        found[f"{name} {material}"] = np.stack([stage.draw(each) for each in [*frames, away]])
noise = np.random.default_rng(0).normal(0.5, 0.1, (64, 48, 3)).astype(np.float32)
denoise = Denoiser(2, "HIGH")
found["noise"], found["denoised"] = noise, denoise(noise)
staged = Denoiser(2, "HIGH")
staged._staged = True  # as on a GPU, whose memory images are copied to
found["staged"], found["on a GPU"] = staged(noise), Denoiser(2, "HIGH", "cuda")(noise)
found["flat"] = denoise(np.full((32, 40, 3), 0.25, np.float32))
np.savez(sys.argv[1], **found)
"""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    out = tmp_path_factory.mktemp("layers") / "drawn.npz"
    command = [sys.executable, "-c", DRAW, str(out)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    with np.load(out) as archive:
        return dict(archive)


@pytest.mark.parametrize("material", ["rubber", "metal"])
def test_layers_have_the_expectation_of_one_render(
    drawn: dict[str, np.ndarray], material: str
) -> None:
    pairs = zip(drawn[f"layered {material}"], drawn[f"plain {material}"], strict=True)
    levels = [psnr(layered, plain) for layered, plain in pairs]
    assert np.mean(levels) > 44
    differences = drawn[f"layered {material}"].astype(float) - drawn[f"plain {material}"]
    assert np.abs(differences.mean(axis=(1, 2))).max() < 0.4  # levels of 255


def test_an_object_out_of_sight_leaves_the_ground(drawn: dict[str, np.ndarray]) -> None:
    alone = drawn["layered rubber"][-1]
    assert alone.std() > 1
    assert psnr(alone, drawn["plain rubber"][-1]) > 46


def test_the_denoiser_keeps_means_and_removes_noise(drawn: dict[str, np.ndarray]) -> None:
    assert drawn["denoised"].mean() == pytest.approx(drawn["noise"].mean(), abs=0.01)
    assert drawn["denoised"].std() < drawn["noise"].std() / 4
    assert drawn["flat"].mean() == pytest.approx(0.25, abs=2e-3)


def test_standard_images_do_not_depend_on_workers_or_threads(tmp_path: Path) -> None:
    settings = ("--n", 4, "--n-test", 0, "--resolution", 48, "--device", "cpu")
    for name, crew in {"a": ("--workers", 1), "b": ("--workers", 3, "--threads", 1)}.items():
        assert cli("render", *settings, *crew, "--out", tmp_path / name).returncode == 0
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


@pytest.mark.parametrize("pose", range(len(POSES)))
def test_projection_is_the_pinhole_cameras(pose: int) -> None:
    [physical] = to_physical(np.array([POSES[pose]]))
    points = object_points(frame(physical, "wrapped"))
    expected = closed_forms.teapot(POSES[pose]).vertices
    assert points == pytest.approx(expected, abs=1e-5)
    assert project(points, 96) == pytest.approx(closed_forms.project(expected, 96), abs=1e-4)


def test_the_box_holds_the_object_and_stays_in_the_image() -> None:
    for row in to_physical(sample_raw(0, "train", 50)):
        built = frame(row, "wrapped")
        box, points = object_box(built, 224), project(object_points(built), 224)
        low, high = points.min(axis=0), points.max(axis=0)
        assert not box.is_empty
        assert 0 <= box.left <= max(low[0], 0)
        assert 0 <= box.top <= max(low[1], 0)
        assert min(high[0], 224) <= box.right <= 224
        assert min(high[1], 224) <= box.bottom <= 224


def test_ground_is_drawn_at_half_the_resolution_where_that_is_enough() -> None:
    assert [ground_edge(edge) for edge in (16, 64, 112, 128, 224, 512)] == [
        16,
        64,
        112,
        112,
        112,
        256,
    ]


def test_enlarging_keeps_what_is_smooth() -> None:
    ramp = np.linspace(0, 1, 50, dtype=np.float32)
    image = np.stack(np.broadcast_arrays(ramp[:, None], ramp, np.float32(0.3)), axis=-1)
    large = enlarge(image, 100)
    assert large.shape == (100, 100, 3)
    middles = (np.arange(100) + 0.5) / 2 - 0.5
    assert large[10:90, 50, 0] == pytest.approx(middles[10:90] / 49, abs=1e-3)
    assert large[..., 2] == pytest.approx(0.3, abs=1e-6)
    assert enlarge(image, 50) is image


def test_over_is_the_porter_duff_operator() -> None:
    layer = np.array([[[0.2, 0.1, 0.0, 0.25]]], dtype=np.float32)
    ground = np.array([[[0.4, 0.4, 0.8]]], dtype=np.float32)
    assert over(layer, ground)[0, 0] == pytest.approx([0.5, 0.4, 0.6])


def test_encoding_is_srgb() -> None:
    levels = np.arange(256)
    value = levels / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    assert (encode(linear.astype(np.float32)) == levels).all()
    assert (encode(np.array([-1.0, 2.0], dtype=np.float32)) == [0, 255]).all()


def test_images_are_denoised_in_the_memory_of_a_gpu_or_else_here(
    drawn: dict[str, np.ndarray],
) -> None:
    assert (drawn["staged"] == drawn["denoised"]).all()
    assert drawn["on a GPU"] == pytest.approx(drawn["denoised"], abs=0.01)
