"""Items of packed data sets are those of the files."""

from __future__ import annotations

import gc
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import transforms

from tests.conftest import can_mount, refused_at_once
from tests.dataset.packed import copied, pack, truncated
from threedident import ThreeDIdent


@pytest.mark.parametrize("resolution", [None, 20, 16, 7, 1])
def test_items_are_those_of_the_files(plain: Path, tmp_path: Path, resolution: int | None) -> None:
    root = copied(plain, tmp_path / "data")
    pack(root, *(() if resolution is None else ("--resolution", resolution)))
    for split in ("train", "test"):
        ours, theirs = (ThreeDIdent(r, split, resolution=resolution) for r in (root, plain))
        assert ours.pack is not None
        assert theirs.pack is None
        assert ours.resolution == theirs.resolution == (resolution or 20)
        for i in range(len(ours)):
            (a, z), (b, w) = ours[i], theirs[i]
            assert a.shape == (3, ours.resolution, ours.resolution)
            assert torch.equal(a, b)
            assert torch.equal(z, w)
            assert ours.picture(i).tobytes() == theirs.picture(i).tobytes()
        for a, b in zip(ours.channel_statistics(), theirs.channel_statistics(), strict=True):
            assert (a == b).all()


def test_a_pack_of_another_resolution_is_left_alone(packed: Path) -> None:
    assert ThreeDIdent(packed, resolution=8).pack is None


def test_smaller_images_are_those_of_torchvision(plain: Path) -> None:
    chain = transforms.Compose([transforms.Resize(9), transforms.PILToTensor()])
    theirs, ours = ThreeDIdent(plain, transform=chain), ThreeDIdent(plain, resolution=9)
    assert all(torch.equal(theirs[i][0], ours[i][0]) for i in range(len(ours)))


def test_transforms_get_the_same_picture(plain: Path, packed: Path) -> None:
    chain = transforms.Compose([transforms.CenterCrop(8), transforms.PILToTensor()])
    ours, theirs = (ThreeDIdent(root, transform=chain) for root in (packed, plain))
    assert ours.pack is not None
    assert all(torch.equal(ours[i][0], theirs[i][0]) for i in range(len(ours)))


def test_many_rows_at_once(packed: Path, plain: Path) -> None:
    rows = [5, 0, 59, 5]
    for root in (packed, plain):
        data = ThreeDIdent(root)
        images = data.images(rows)
        assert images.dtype == torch.uint8
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(images, torch.stack([data[row][0] for row in rows]))
        assert data.images([]).shape == (0, 3, 20, 20)
        for beyond in (60, -1):
            with pytest.raises(IndexError, match="rows: expected 0 to 59"):
                data.images([beyond])


def test_the_file_is_a_plain_array_of_the_images(packed: Path) -> None:
    pixels = np.load(packed / "train/packed/20.npy", mmap_mode="r")
    assert pixels.shape == (60, 20, 20, 3)
    assert (pixels[7] == np.asarray(ThreeDIdent(packed).picture(7))).all()


@pytest.mark.slow
@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_loads_in_workers(packed: Path, context: str) -> None:
    data = ThreeDIdent(packed)
    alone = list(DataLoader(data, batch_size=25))
    beside = DataLoader(data, batch_size=25, num_workers=2, multiprocessing_context=context)
    for (a, z), (b, w) in zip(alone, beside, strict=True):
        assert torch.equal(a, b)
        assert torch.equal(z, w)


def test_survives_pickling_after_use(packed: Path) -> None:
    data = ThreeDIdent(packed)
    before = data[3][0]
    assert torch.equal(pickle.loads(pickle.dumps(data))[3][0], before)


def test_an_item_is_the_readers_own(packed: Path) -> None:
    data = ThreeDIdent(packed)
    before = data[3][0].clone()
    data[3][0].zero_()
    data.images([3]).zero_()
    assert torch.equal(data[3][0], before)


@pytest.mark.slow
def test_rendered_images_are_checked_and_then_not_needed(rendered: Path, tmp_path: Path) -> None:
    root = copied(rendered, tmp_path / "data")
    pack(root)
    shutil.rmtree(root / "train" / "images")
    ours, theirs = ThreeDIdent(root), ThreeDIdent(rendered)
    assert all(torch.equal(ours[i][0], theirs[i][0]) for i in range(len(ours)))
    with pytest.raises(ValueError, match="found 12 missing"):
        ThreeDIdent(root, resolution=8)
    shutil.rmtree(root / "train" / "packed")
    with pytest.raises(ValueError, match="found 12 missing"):
        ThreeDIdent(root)


@pytest.mark.slow
def test_an_altered_image_is_not_packed(rendered: Path, tmp_path: Path) -> None:
    root = copied(rendered, tmp_path / "data")
    Image.new("RGB", (32, 32)).save(root / "train" / "images" / "000005.png")
    line = refused_at_once("pack", root)
    assert "000005.png: expected the image that was rendered, found another" in line
    assert not list(root.glob("train/packed/*.json"))


def test_a_file_cut_short_under_its_reader_is_an_error(packed: Path) -> None:
    data = ThreeDIdent(packed)
    assert data[50][0].any()
    truncated(packed)
    with pytest.raises(ValueError, match="found a file cut short; threedident pack"):
        data[50]


@pytest.mark.slow
def test_images_do_not_grow(plain: Path) -> None:
    line = refused_at_once("pack", plain, "--resolution", 21)
    assert "resolution: expected 1 to 20, the pixels of the images in" in line
    with pytest.raises(ValueError, match="expected 1 to 20"):
        ThreeDIdent(plain, resolution=21)
    assert not list(plain.rglob("packed"))


@pytest.mark.slow
def test_nothing_to_pack(tmp_path: Path) -> None:
    assert "found no folder" in refused_at_once("pack", tmp_path / "nothing")


@pytest.mark.slow
def test_more_images_than_latents(plain: Path, tmp_path: Path) -> None:
    root = copied(plain, tmp_path / "data")
    np.save(root / "train/raw_latents.npy", np.load(root / "train/raw_latents.npy")[:50])
    expected = "expected one row of latents for each of the 60 images, found 50"
    assert expected in refused_at_once("pack", root)
    with pytest.raises(ValueError, match=expected):
        ThreeDIdent(root)


@pytest.mark.slow
@pytest.mark.skipif(not can_mount(), reason="may not mount a small disk")
def test_too_little_disk_is_said_before_anything_is_written(plain: Path, tmp_path: Path) -> None:
    script = f"""
        mount -t tmpfs -o size=800k tmpfs {tmp_path} && cp -r {plain} {tmp_path}/data
        dd if=/dev/zero of={tmp_path}/filler bs=4k 2> /dev/null; truncate -s -8k {tmp_path}/filler
        {sys.executable} -m threedident pack {tmp_path}/data
        echo status $?; ls {tmp_path}/data/train
    """
    result = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True)
    assert "status 2" in result.stdout, result
    assert "room for about 84 kB on the disk for the packs, found 8.19 kB" in result.stderr
    assert "packed" not in result.stdout


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux")
def test_packs_that_nobody_reads_any_more_are_closed(packed: Path) -> None:
    gc.collect()  # files of earlier tests
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        ThreeDIdent(packed)[0]
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
