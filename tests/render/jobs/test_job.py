"""Rendering, growing and repairing data sets, with a real Blender in real processes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import DRAFT, cli, contents, refused_at_once
from threedident.latents.sampling import sample_raw
from threedident.runtime.files import sha256

pytestmark = pytest.mark.slow


def test_layout_and_prefix(rendered: Path) -> None:
    for split, n in (("train", 12), ("test", 6)):
        folder = rendered / split
        assert sorted(path.name for path in folder.iterdir()) == [
            "SHA256SUMS",
            "dataset.json",
            "images",
            "latents.npy",
            "raw_latents.npy",
            "sizes.npy",
        ]
        names = sorted(path.name for path in (folder / "images").iterdir())
        assert names == [f"{i:06d}.png" for i in range(n)]
        raw = np.load(folder / "raw_latents.npy")
        assert raw.dtype == np.float32
        assert (raw == sample_raw(0, split, n)).all()
        assert (np.load(folder / "latents.npy")[:, 0] == 3 * raw[:, 0]).all()
    with Image.open(rendered / "train" / "images" / "000000.png") as image:
        assert (image.mode, image.size, image.info) == ("RGB", (32, 32), {})


def test_growing_renders_only_what_is_missing(rendered: Path, tmp_path: Path) -> None:
    small = shutil.copytree(rendered, tmp_path / "data")
    before = {p: p.stat().st_mtime_ns for p in (small / "train" / "images").iterdir()}
    result = cli("render", "--n", 15, "--n-test", 6, "--out", small, *DRAFT)
    assert "15 train images (3 new), 6 test images (0 new)" in result.stdout
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in before.items())
    fresh = cli("render", "--n", 15, "--n-test", 6, "--out", tmp_path / "fresh", *DRAFT)
    assert fresh.returncode == 0
    assert contents(small) == contents(tmp_path / "fresh")


def test_fewer_images_than_there_are_change_nothing(rendered: Path, tmp_path: Path) -> None:
    data = shutil.copytree(rendered, tmp_path / "data")
    result = cli("render", "--n", 3, "--out", data, *DRAFT)
    assert "12 train images (0 new)" in result.stdout
    assert contents(data) == contents(rendered)


@pytest.mark.parametrize("workers", [2, 3])
def test_worker_count_does_not_change_a_byte(rendered: Path, tmp_path: Path, workers: int) -> None:
    arguments = ("--n", 12, "--n-test", 6, "--out", tmp_path, "--workers", workers, *DRAFT)
    assert cli("render", *arguments).returncode == 0
    assert contents(tmp_path) == contents(rendered)


def test_given_rows_are_rendered_as_they_are(rendered: Path, tmp_path: Path) -> None:
    rows = sample_raw(0, "train", 12)[[7, 2]]
    np.save(tmp_path / "rows.npy", rows.astype(np.float64))
    out = tmp_path / "out"
    assert cli("render", "--latents", tmp_path / "rows.npy", "--out", out, *DRAFT).returncode == 0
    assert (np.load(out / "train" / "raw_latents.npy") == rows).all()
    for i, row in enumerate((7, 2)):
        ours = out / "train" / "images" / f"{i:06d}.png"
        theirs = rendered / "train" / "images" / f"{row:06d}.png"
        assert ours.read_bytes() == theirs.read_bytes()
    np.save(tmp_path / "rows.npy", rows[::-1])
    line = refused_at_once("render", "--latents", tmp_path / "rows.npy", "--out", out, *DRAFT)
    assert "rows" in line
    assert "is asked for" in line


def test_given_rows_can_have_a_test_split(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", sample_raw(3, "train", 2))
    out = tmp_path / "out"
    shared = ("--latents", tmp_path / "rows.npy", "--out", out, *DRAFT)
    assert cli("render", *shared).returncode == 0
    result = cli("render", *shared, "--n-test", 2, "--seed", 4)
    assert "2 train images (0 new), 2 test images (2 new)" in result.stdout
    assert (np.load(out / "test" / "raw_latents.npy") == sample_raw(4, "test", 2)).all()
    assert "--n-test" in refused_at_once("render", *shared, "--seed", 4)


def test_a_folder_in_the_way_of_an_image_is_named(rendered: Path, tmp_path: Path) -> None:
    data = shutil.copytree(rendered, tmp_path / "data")
    (data / "train" / "images" / "000002.png").unlink()
    (data / "train" / "images" / "000002.png").mkdir()
    line = refused_at_once("render", "--n", 12, "--n-test", 6, "--out", data, *DRAFT)
    assert "images/000002.png: expected a file there, found a folder; move it away" in line


def test_repair_restores_exactly_the_bad_files(rendered: Path, tmp_path: Path) -> None:
    data = shutil.copytree(rendered, tmp_path / "data")
    images = data / "train" / "images"
    (images / "000001.png").unlink()
    (images / "000004.png").write_bytes(b"\x89PNG")
    content = bytearray((images / "000009.png").read_bytes())
    content[100] ^= 255
    (images / "000009.png").write_bytes(content)
    (data / "test" / "latents.npy").unlink()
    before = {p: p.stat().st_mtime_ns for p in images.iterdir()}
    result = cli("render", "--n", 12, "--n-test", 6, "--out", data, *DRAFT)
    assert "12 train images (3 new), 6 test images (0 new)" in result.stdout
    assert contents(data) == contents(rendered)
    kept = [p for p, stamp in before.items() if p.stat().st_mtime_ns == stamp]
    assert len(kept) == 9


def test_lost_digests_are_restored_without_rendering(rendered: Path, tmp_path: Path) -> None:
    data = shutil.copytree(rendered, tmp_path / "data")
    (data / "train" / "SHA256SUMS").unlink()
    result = cli("render", "--n", 12, "--n-test", 6, "--out", data, *DRAFT)
    assert "12 train images (0 new)" in result.stdout
    assert contents(data) == contents(rendered)


def test_a_lost_digest_beside_a_lost_image_costs_that_image_alone(
    rendered: Path, tmp_path: Path
) -> None:
    data = shutil.copytree(rendered, tmp_path / "data")
    train = data / "train"
    lines = (train / "SHA256SUMS").read_text().splitlines()
    (train / "SHA256SUMS").write_text(
        "\n".join([*lines[:5], "0" * 64 + lines[6][64:], *lines[7:]])
    )
    (train / "images" / "000002.png").unlink()
    result = cli("render", "--n", 12, "--n-test", 6, "--out", data, *DRAFT)
    assert "12 train images (1 new)" in result.stdout
    assert contents(data) == contents(rendered)


def test_an_image_altered_together_with_its_digest_is_rendered_again(
    rendered: Path, tmp_path: Path
) -> None:
    data = shutil.copytree(rendered, tmp_path / "data")
    train = data / "train"
    old, new = (train / "images" / f"{i:06d}.png" for i in (3, 4))
    sums = (train / "SHA256SUMS").read_text()
    swapped = sums.replace(sha256(old.read_bytes()), sha256(new.read_bytes()))
    (train / "SHA256SUMS").write_text(swapped)
    shutil.copy(new, old)
    assert cli("render", "--n", 12, "--n-test", 6, "--out", data, *DRAFT).returncode == 0
    assert contents(data) == contents(rendered)


def test_a_growth_whose_scratch_was_lost_renders_what_it_cannot_vouch_for(
    rendered: Path, tmp_path: Path
) -> None:
    data = shutil.copytree(rendered, tmp_path / "data")
    arguments = ("render", "--n", 14, "--n-test", 6, "--out", data, *DRAFT)
    assert cli(*arguments).returncode == 0
    grown = contents(data)
    shutil.copy(rendered / "train" / "dataset.json", data / "train")
    assert "14 train images (2 new)" in cli(*arguments).stdout
    assert contents(data) == grown


def test_other_peoples_files_stay_and_leftovers_go(rendered: Path, tmp_path: Path) -> None:
    data = shutil.copytree(rendered, tmp_path / "data")
    images = data / "train" / "images"
    (images / "notes.txt").write_text("mine")
    (images / ".checkpoints").mkdir()
    for folder in (images, data / "train"):
        (folder / ".dataset.json.123.tmp").write_text("half")
    assert cli("render", "--n", 13, "--n-test", 6, "--out", data, *DRAFT).returncode == 0
    assert (images / "notes.txt").read_text() == "mine"
    assert not list(data.rglob("*.tmp"))
    assert cli("verify", data).returncode == 0


def test_a_split_made_just_before_a_kill_is_taken_up(rendered: Path, tmp_path: Path) -> None:
    (tmp_path / "train" / ".render").mkdir(parents=True)
    assert cli("render", "--n", 12, "--n-test", 6, "--out", tmp_path, *DRAFT).returncode == 0
    assert contents(tmp_path) == contents(rendered)


def test_modules_of_the_current_folder_stay_out(tmp_path: Path) -> None:
    (tmp_path / "render.py").write_text("print('not a message')")
    script = Path(sys.executable).with_name("threedident")
    line = [str(script), "render", "--n", "1", "--n-test", "0", "--out=-odd", *DRAFT]
    result = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "-odd" / "train" / "dataset.json").is_file()


def test_order_in_memory_does_not_identify_rows(tmp_path: Path) -> None:
    rows = sample_raw(0, "train", 3)
    for order in ("C", "F"):
        np.save(tmp_path / "rows.npy", np.array(rows, order=order))  # type: ignore[call-overload]
        arguments = ("--latents", tmp_path / "rows.npy", "--out", tmp_path / "out", *DRAFT)
        result = cli("render", *arguments)
        assert result.returncode == 0, result.stderr
    assert "(0 new)" in result.stdout


def test_splits_of_other_settings_do_not_mix(rendered: Path, tmp_path: Path) -> None:
    data = shutil.copytree(rendered, tmp_path / "data")
    shutil.rmtree(data / "train")
    before = contents(data)
    line = refused_at_once(
        "render", "--n", 3, "--n-test", 0, "--hue", "published", "--out", data, *DRAFT
    )
    assert "hue_mode wrapped where published is asked for" in line
    assert contents(data) == before
