"""Latent spaces, fixed factors, materials, positives and annotations, by the command line."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import binary_erosion, distance_transform_edt

from tests.conftest import (
    DRAFT,
    cli,
    contents,
    pixels,
    refused_at_once,
    succeeded,
)
from tests.render.blender.closed_forms import AXES, CAMERA, plane_points, polygon_coverage, teapot
from threedident import ThreeDIdent
from threedident.conditionals.rules.spelling import parse_conditional
from threedident.dataset.annotations import DEPTH_STEP, GROUND, OBJECT
from threedident.latents.factors import NAMES
from threedident.latents.philox import uniforms
from threedident.latents.sampling import sample_raw

pytestmark = pytest.mark.slow

EDGE = 64
SETTINGS = ("--resolution", EDGE, "--quality", "draft", "--device", "cpu")
PAIRED = ("--n-test", 2, "--pairs", "laplace:0.1", "--annotate", "depth,mask", "--fix", "x=0.25")


@pytest.fixture(scope="module")
def paired(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images, positives, masks and depths; tests must not change them."""
    out = tmp_path_factory.mktemp("paired") / "data"
    result = cli("render", "--n", 5, *PAIRED, "--out", out, *SETTINGS)
    assert result.returncode == 0, result.stderr
    assert "5 train/positives images (5 new), 2 test images (2 new)" in result.stdout
    return out


def test_fixed_factors_stay_and_the_others_are_those_of_the_free_draw(paired: Path) -> None:
    raw = np.load(paired / "train" / "raw_latents.npy")
    assert (raw[:, 0] == np.float32(0.25)).all()
    assert (raw[:, 1:] == sample_raw(0, "train", 5)[:, 1:]).all()


@pytest.mark.parametrize("split", ["train", "test"])
def test_positives_are_drawn_from_the_exact_conditional(paired: Path, split: str) -> None:
    anchors, positives = (
        ThreeDIdent(paired, name).latents.astype(np.float64)
        for name in (split, f"{split}/positives")
    )
    conditional = parse_conditional("laplace:0.1", "box", {"x": 0.25})
    u = uniforms(0, (2, ["train", "test"].index(split)), np.arange(len(anchors)), 9)
    assert positives == pytest.approx(conditional.transform(anchors, u), abs=1e-6)
    assert (positives[:, 0] == 0.25).all()
    steps = np.abs(positives - anchors)[:, 1:]
    assert 0.02 < steps.mean() < 0.3


def test_positives_are_rendered_as_any_other_row(paired: Path, tmp_path: Path) -> None:
    beside = paired / "train" / "positives"
    rows = ("--latents", beside / "raw_latents.npy", "--annotate", "mask,depth")
    assert cli("render", *rows, "--out", tmp_path, *SETTINGS).returncode == 0
    for folder in ("images", "masks", "depths"):
        assert contents(tmp_path / "train" / folder) == contents(beside / folder)


def test_pairs_grow_and_heal_with_their_anchors(paired: Path, tmp_path: Path) -> None:
    data = shutil.copytree(paired, tmp_path / "data")
    (data / "train" / "positives" / "images" / "000001.png").unlink()
    (data / "train" / "masks" / "000003.png").write_bytes(b"")
    for out in (data, tmp_path / "fresh"):
        result = cli("render", "--n", 7, *PAIRED, "--out", out, *SETTINGS)
        assert result.returncode == 0, result.stderr
        if out == data:
            assert "7 train images (3 new), 7 train/positives images (3 new)" in result.stdout
    assert contents(data) == contents(tmp_path / "fresh")
    assert cli("verify", "--deep", data).returncode == 0


def test_every_bad_annotation_and_positive_is_named(paired: Path, tmp_path: Path) -> None:
    data = shutil.copytree(paired, tmp_path / "data")
    bad = [data / "train" / "depths" / "000004.png", data / "test/positives/masks/000001.png"]
    for path in bad:
        path.unlink()
    result = cli("verify", data)
    assert result.returncode == 2
    assert result.stdout.splitlines()[0] == f"{bad[0]}: missing"
    assert result.stdout.splitlines()[-1] == f"{bad[1]}: missing"


def test_masks_are_the_projected_mesh(paired: Path) -> None:
    dataset = ThreeDIdent(paired, "train")
    for row in range(len(dataset)):
        mask = dataset.mask(row)
        assert set(np.unique(mask)) <= {GROUND, OBJECT}
        expected = polygon_coverage(teapot(tuple(dataset.latents[row])), EDGE) > 0.5
        inside, outside = (distance_transform_edt(side) for side in (expected, ~expected))
        wrong = (mask == OBJECT) != expected
        assert np.maximum(inside, outside)[wrong].max(initial=0) <= 2
        assert wrong.sum() <= 0.05 * expected.sum()


def test_depths_are_distances_along_the_cameras_axis(paired: Path) -> None:
    dataset = ThreeDIdent(paired, "train")
    ground = -((plane_points(EDGE) - CAMERA) @ AXES[2]).reshape(EDGE, EDGE)
    for row in range(len(dataset)):
        mask, depth = dataset.mask(row), dataset.depth(row)
        on_ground = mask == GROUND
        # a ray is within 0.01 pixels of its pixel's centre, which at the horizon is 0.6 %
        assert depth[on_ground] == pytest.approx(ground[on_ground], rel=6e-3)
        vertices = teapot(tuple(dataset.latents[row])).vertices
        along = -((vertices - CAMERA) @ AXES[2])
        assert depth[~on_ground].min() >= along.min() - DEPTH_STEP
        assert depth[~on_ground].max() <= along.max() + DEPTH_STEP


def test_annotations_are_plain_pictures(paired: Path, rendered: Path) -> None:
    with Image.open(paired / "train" / "masks" / "000000.png") as mask:
        assert (mask.mode, mask.size) == ("P", (EDGE, EDGE))
    with Image.open(paired / "train" / "depths" / "000000.png") as depth:
        assert (depth.mode, depth.size) == ("I;16", (EDGE, EDGE))
    with pytest.raises(ValueError, match="rendered with --annotate mask, found no annotations"):
        ThreeDIdent(rendered).mask(0)


def test_annotations_change_no_image(paired: Path, tmp_path: Path) -> None:
    arguments = ("render", "--n", 5, "--n-test", 0, "--fix", "x=0.25", "--out", tmp_path)
    assert cli(*arguments, *SETTINGS).returncode == 0
    assert contents(tmp_path / "train" / "images") == contents(paired / "train" / "images")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (("--pairs", "normal:0.1"), "conditional laplace:0.1 where normal:0.1 is asked for"),
        (("--pairs", "laplace:0.2"), "conditional laplace:0.1 where laplace:0.2 is asked for"),
        (("--fix", "y=0"), "fixed x=0.25 where x=0.25,y=0 is asked for"),
        (("--annotate", "mask"), "annotations mask,depth where mask is asked for"),
        (("--material", "metal"), "material rubber where metal is asked for"),
        (("--space", "periodic"), "space box where periodic is asked for"),
    ],
)
def test_other_variants_do_not_mix(paired: Path, changed: tuple[str, str], words: str) -> None:
    before = contents(paired)
    line = refused_at_once("render", "--n", 9, *PAIRED, *changed, "--out", paired, *SETTINGS)
    assert words in line
    assert contents(paired) == before


def test_a_growth_cannot_leave_its_positives_behind(paired: Path) -> None:
    beside = ("--annotate", "mask,depth", "--fix", "x=0.25")
    line = refused_at_once("render", "--n", 9, *beside, "--out", paired, *SETTINGS)
    assert "expected --pairs for a data set that holds positives" in line


def test_periodic_sets_open_verify_and_grow(tmp_path: Path) -> None:
    arguments = ("--n-test", 1, "--space", "periodic", "--pairs", "normal:0.1", *DRAFT)
    for n, out in ((4, "grown"), (6, "grown"), (6, "fresh")):
        result = cli("render", "--n", n, "--out", tmp_path / out, *arguments)
        assert result.returncode == 0, result.stderr
    assert contents(tmp_path / "grown") == contents(tmp_path / "fresh")
    assert cli("verify", "--deep", tmp_path / "grown").returncode == 0
    dataset = ThreeDIdent(tmp_path / "grown")
    assert dataset.latents.shape == (6, 11)
    assert np.linalg.norm(dataset.latents[:, 3:], axis=1) == pytest.approx(1, abs=1e-6)
    physical = np.load(tmp_path / "grown" / "train" / "latents.npy")
    assert physical.shape == (6, 10)
    assert physical[:, 3:].min() >= 0
    assert physical[:, 3:].max() > math.pi
    beside = ThreeDIdent(tmp_path / "grown", "train/positives").latents
    assert (beside[:, 3:] * dataset.latents[:, 3:]).sum(axis=1).mean() > 0.3
    assert "periodic" in cli("info", tmp_path / "grown").stdout


def test_metal_reflects_in_its_own_colour_alone(tmp_path: Path) -> None:
    row = np.zeros((1, 10), dtype=np.float32)  # a red object under a red lamp
    np.save(tmp_path / "row.npy", row)
    seen = {}
    for material in ("rubber", "metal"):
        out = tmp_path / material
        arguments = ("--latents", tmp_path / "row.npy", "--material", material, "--out", out)
        settings = ("--annotate", "mask", "--quality", "standard", "--resolution", EDGE)
        assert cli("render", *arguments, *settings, "--device", "cpu").returncode == 0
        inside = binary_erosion(ThreeDIdent(out).mask(0) == OBJECT, iterations=3)
        seen[material] = pixels(out / "train" / "images" / "000000.png")[inside]
    assert seen["metal"][:, 1:].max() <= 2
    assert seen["metal"][:, 0].max() > 100
    assert seen["rubber"][:, 1:].max() > 20


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--fix", "size=0"), "--fix: expected one of x, y, z, alpha"),
        (("--fix", "x=2"), "--fix: expected x in [-1, 1], found 2.0"),
        (("--fix", "x=nan"), "--fix: expected x in [-1, 1], found nan"),
        (("--fix", "x=red"), "--fix: expected a number in [-1, 1], found 'x=red'"),
        (("--fix", "x"), "--fix: expected FACTOR=VALUE such as x=0, found 'x'"),
        (("--fix", "x=0", "--fix", "x=1"), "--fix: expected x once"),
        (("--space", "periodic", "--fix", "alpha=1"), "strictly between -1 and 1"),
        (("--space", "periodic", "--fix", "alpha=0", "--pairs", "normal:1"), "--pairs"),
        (("--space", "torus"), "expected one of box, periodic"),
        (("--pairs", "cauchy:0.1"), "--pairs: expected normal:S"),
        (("--pairs", "normal:-0.1"), "--pairs"),
        (("--pairs", "normal:0"), "--pairs"),
        (("--pairs", "normal"), "--pairs"),
        (("--pairs", "gennorm0.5:0.1"), "--pairs"),
        (("--annotate", "normals"), "--annotate: expected one of mask, depth, found 'normals'"),
        (("--material", "glass"), "expected one of rubber, metal"),
    ],
)
def test_bad_variants_are_refused(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    assert words in refused_at_once("render", "--n", 3, "--out", tmp_path / "data", *arguments)
    assert not (tmp_path / "data").exists()


def test_rows_of_ones_own_take_pairs_but_no_fixed_factors(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", sample_raw(5, "train", 2))
    arguments = ("--latents", tmp_path / "rows.npy", "--out", tmp_path / "out", *DRAFT)
    for beside in ((), ("--n-test", 0), ("--n-test", 2, "--pairs", "normal:0.1")):
        line = refused_at_once("render", *arguments, "--fix", "x=0", *beside)
        assert "--fix: expected beside --latents only with --n-test" in line
        assert "and no --pairs, found x=0; set those columns in the file" in line
    assert cli("render", *arguments, "--pairs", "uniform:0.2", "--seed", 3).returncode == 0
    beside = ThreeDIdent(tmp_path / "out", "train/positives").latents
    assert np.abs(beside - sample_raw(5, "train", 2)).max() <= 0.2 + 1e-6
    assert cli("verify", tmp_path / "out").returncode == 0


def test_a_fixed_factor_beside_given_rows_holds_in_drawn_rows_alone(tmp_path: Path) -> None:
    given = sample_raw(5, "train", 2)
    np.save(tmp_path / "rows.npy", given)
    arguments = ("--latents", tmp_path / "rows.npy", "--out", tmp_path / "out", *DRAFT)
    succeeded(cli("render", *arguments, "--n-test", 2, "--seed", 3, "--fix", "x=0.25,theta=-1"))
    assert np.array_equal(ThreeDIdent(tmp_path / "out", "train").latents, given)
    expected = sample_raw(3, "test", 2)
    expected[:, [NAMES.index("x"), NAMES.index("theta")]] = 0.25, -1.0
    assert np.array_equal(ThreeDIdent(tmp_path / "out", "test").latents, expected)
