"""Packs: the same images as the files, made whole or not at all, and never of other images."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import transforms

from tests.conftest import DRAFT, can_mount, cli, contents, make_images, refused, refused_at_once
from threedident import ThreeDIdent
from threedident.dataset.pack import PackRecord, pack_states
from threedident.dataset.packing import Packing
from threedident.storage.folder import SplitFolder


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Image files alone, 20 pixels wide."""
    return make_images(tmp_path_factory.mktemp("plain"), n=60, n_test=10, edge=20)


@pytest.fixture
def packed(plain: Path, tmp_path: Path) -> Path:
    """The same images, packed."""
    root = copied(plain, tmp_path / "data")
    assert pack(root) == pack(root) == 0
    return root


def copied(root: Path, to: Path) -> Path:
    return shutil.copytree(root, to)


def pack(root: Path, *arguments: object) -> int:
    result = cli("pack", root, *arguments)
    assert result.returncode == 0, result.stderr
    return result.returncode


def packs(root: Path) -> dict[str, bytes]:
    return {name: data for name, data in contents(root).items() if "/packed/" in name}


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


def test_an_altered_image_is_not_packed(rendered: Path, tmp_path: Path) -> None:
    root = copied(rendered, tmp_path / "data")
    Image.new("RGB", (32, 32)).save(root / "train" / "images" / "000005.png")
    line = refused("pack", root)
    assert "000005.png: expected the image that was rendered, found another" in line
    assert not list(root.glob("train/packed/*.json"))


KILLED = """
import os, signal, sys
from pathlib import Path
import threedident.dataset.packing as packing
from threedident.storage.folder import SplitFolder
packing._BLOCK_BYTES = 6000  # five images
seen = []
def advance(count):
    seen.append(count)
    if len(seen) > int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
packing.Packing(SplitFolder(Path(sys.argv[1]), "train")).run(advance)
"""


@pytest.mark.parametrize("blocks", [0, 1, 4, 12])
def test_a_killed_run_goes_on_where_it_was(plain: Path, tmp_path: Path, blocks: int) -> None:
    root = copied(plain, tmp_path / "data")
    killed = subprocess.run([sys.executable, "-c", KILLED, str(root), str(blocks)])
    assert killed.returncode == -signal.SIGKILL
    assert ThreeDIdent(root).pack is None
    advanced: list[int] = []
    Packing(SplitFolder(root, "train")).run(advanced.append)
    assert advanced[0] == 5 * blocks
    assert sum(advanced) == 60
    fresh = copied(plain, tmp_path / "fresh")
    Packing(SplitFolder(fresh, "train")).run(lambda _: None)
    assert packs(root).keys() == packs(fresh).keys()
    assert packs(root)["train/packed/20.npy"] == packs(fresh)["train/packed/20.npy"]
    ours, theirs = ThreeDIdent(root), ThreeDIdent(plain)
    assert ours.channel_statistics()[1] == pytest.approx(theirs.channel_statistics()[1], abs=0)


@pytest.mark.parametrize("place", [9, 200, 1200, 11_000], ids=str)  # header, first and last rows
def test_what_was_altered_since_a_kill_is_packed_anew(
    plain: Path, tmp_path: Path, place: int
) -> None:
    root = copied(plain, tmp_path / "data")
    subprocess.run([sys.executable, "-c", KILLED, str(root), "2"])
    begun = root / "train/packed/.work/20.npy"
    content = bytearray(begun.read_bytes())
    content[place] ^= 1
    begun.write_bytes(content)
    Packing(SplitFolder(root, "train")).run(lambda _: None)
    ours, theirs = ThreeDIdent(root), ThreeDIdent(plain)
    assert ours.pack is not None
    assert ours.pack.is_intact()
    assert all(torch.equal(ours[i][0], theirs[i][0]) for i in range(len(ours)))


def test_what_was_begun_for_other_images_is_begun_anew(plain: Path, tmp_path: Path) -> None:
    root = copied(plain, tmp_path / "data")
    subprocess.run([sys.executable, "-c", KILLED, str(root), "6"])
    Image.new("RGB", (20, 20)).save(root / "train" / "images" / "03.png")
    pack(root)
    data = ThreeDIdent(root)
    assert data.pack is not None
    assert not data[3][0].any()


def test_an_intact_pack_is_not_written_again(packed: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in packed.rglob("packed/*")}
    pack(packed)
    assert {path: path.stat().st_mtime_ns for path in packed.rglob("packed/*")} == before


def changed_image(root: Path) -> None:
    image = root / "train" / "images" / "05.png"
    state = image.stat()
    picture = Image.open(image).transpose(Image.Transpose.ROTATE_180)
    picture.save(image)
    os.utime(image, ns=(state.st_atime_ns, state.st_mtime_ns + 1))


def other_images(root: Path) -> None:
    rows = [root / "train" / "images" / name for name in ("05.png", "06.png")]
    spare = rows[0].with_name("spare")
    rows[0].rename(spare)
    rows[1].rename(rows[0])
    spare.rename(rows[1])


def truncated(root: Path) -> None:
    os.truncate(root / "train/packed/20.npy", 5000)


def missing(root: Path) -> None:
    (root / "train/packed/20.npy").unlink()


def of_another_shape(root: Path) -> None:
    np.save(root / "train/packed/20.npy", np.zeros((60, 10, 40, 3), np.uint8))


def archived(root: Path) -> None:
    path = root / "train/packed/20.npy"
    pixels = np.load(path)
    with path.open("wb") as file:
        np.savez(file, pixels)


def lengthened(root: Path) -> None:
    with (root / "train/packed/20.npy").open("ab") as file:
        file.write(b"more")


def damaged_record(root: Path) -> None:
    (root / "train/packed/20.json").write_text('{"resolution": 20}')


def record_of_another(root: Path) -> None:
    path = root / "train/packed/20.json"
    record = PackRecord.model_validate_json(path.read_bytes())
    path.write_bytes(record.model_copy(update={"resolution": 7}).to_bytes())


def changed_record(root: Path) -> None:
    path = root / "train/packed/20.json"
    path.write_text(path.read_text().replace('"resolution": 20', '"resolution": 7'))


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (changed_image, "older than they are or was made from others; give threedident pack"),
        (other_images, "older than they are or was made from others; give threedident pack"),
        (truncated, r"20\.npy: expected 60 packed images of 20 x 20 pixels, found ValueError"),
        (missing, r"20\.npy: expected 60 packed images of 20 x 20 pixels, found FileNotFound"),
        (of_another_shape, r"found uint8 of shape \(60, 10, 40, 3\); threedident pack makes"),
        (archived, r"20\.npy: expected 60 packed images of 20 x 20 pixels, found ValueError"),
        (
            lengthened,
            r"20\.npy: expected 60 packed images .*, found bytes after them; threedident",
        ),
        (damaged_record, r"20\.json: expected the record of a pack, but at n: Field required"),
        (changed_record, "expected the record that was written, found it altered; give threed"),
        (record_of_another, r"expected the record of a pack of 20 pixels, found one of 7"),
    ],
)
def test_a_bad_pack_is_refused_and_made_anew(packed: Path, harm: object, words: str) -> None:
    assert callable(harm)
    harm(packed)
    with pytest.raises(ValueError, match=words):
        ThreeDIdent(packed)
    pack(packed)
    data = ThreeDIdent(packed)
    assert data.pack is not None
    assert (data[5][0].permute(1, 2, 0).numpy() == np.asarray(data._files.read(5))).all()


def test_an_altered_record_is_refused_and_made_anew(packed: Path) -> None:
    path = packed / "train/packed/20.json"
    whole = path.read_bytes()
    record = json.loads(whole)
    record["channels"]["total"][0] += 1
    path.write_text(json.dumps(record))
    with pytest.raises(ValueError, match=r"20\.json: expected the record that was written, found"):
        ThreeDIdent(packed)
    del record["seal"]  # as earlier versions wrote it
    record["channels"]["total"][0] -= 1
    path.write_text(json.dumps(record))
    assert ThreeDIdent(packed).pack is not None
    path.write_text("{}")
    Packing(SplitFolder(packed, "train")).run(lambda _: None)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("name", ["20.json", "20.npy"])
def test_a_folder_in_place_of_a_pack_is_named(packed: Path, name: str) -> None:
    path = packed / "train/packed" / name
    path.unlink()
    path.mkdir()
    with pytest.raises(ValueError, match=rf"{name}: expected|found IsADirectory"):
        ThreeDIdent(packed)
    folder = SplitFolder(packed, "train")
    assert [what for _, what in pack_states(folder, None, False)] == [
        "damaged, or of other images"
    ]
    assert f"{name}: expected a file there, found a folder" in refused_at_once("pack", packed)


def test_a_file_cut_short_under_its_reader_is_an_error(packed: Path) -> None:
    data = ThreeDIdent(packed)
    assert data[50][0].any()
    truncated(packed)
    with pytest.raises(ValueError, match="found a file cut short; threedident pack"):
        data[50]


def test_a_pack_of_a_smaller_set_is_older(rendered: Path, tmp_path: Path) -> None:
    root = copied(rendered, tmp_path / "data")
    pack(root)
    grown = cli("render", "--n", 13, "--n-test", 6, "--out", root, *DRAFT)
    assert grown.returncode == 0, grown.stderr
    with pytest.raises(ValueError, match="older than they are"):
        ThreeDIdent(root)
    assert "packed/32.npy: damaged, or of other images" in cli("verify", root).stdout
    pack(root)
    assert len(ThreeDIdent(root)) == 13
    assert cli("verify", "--deep", root).returncode == 0


def test_verify_names_an_altered_pack_and_pack_mends_it(rendered: Path, tmp_path: Path) -> None:
    root = copied(rendered, tmp_path / "data")
    pack(root)
    before = packs(root)
    path = root / "train/packed/32.npy"
    content = bytearray(path.read_bytes())
    content[-7] ^= 1
    path.write_bytes(content)
    assert cli("verify", root).returncode == 0
    result = cli("verify", "--deep", root)
    assert result.returncode == 2
    assert f"{path}: altered" in result.stdout
    assert "threedident pack makes them anew" in result.stderr
    pack(root)
    assert packs(root) == before


def test_images_do_not_grow(plain: Path) -> None:
    line = refused("pack", plain, "--resolution", 21)
    assert "resolution: expected 1 to 20, the pixels of the images in" in line
    with pytest.raises(ValueError, match="expected 1 to 20"):
        ThreeDIdent(plain, resolution=21)
    assert not list(plain.rglob("packed"))


def test_nothing_to_pack(tmp_path: Path) -> None:
    assert "found no folder" in refused("pack", tmp_path / "nothing")


def test_more_images_than_latents(plain: Path, tmp_path: Path) -> None:
    root = copied(plain, tmp_path / "data")
    np.save(root / "train/raw_latents.npy", np.load(root / "train/raw_latents.npy")[:50])
    expected = "expected one row of latents for each of the 60 images, found 50"
    assert expected in refused("pack", root)
    with pytest.raises(ValueError, match=expected):
        ThreeDIdent(root)


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
