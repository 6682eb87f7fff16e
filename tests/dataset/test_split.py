from __future__ import annotations

import pickle
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import transforms

from tests.conftest import make_images, pixels
from threedident import RenderedPairs, ThreeDIdent
from threedident.dataset.packing import Packing
from threedident.runtime.files import sha256
from threedident.storage.folder import SplitFolder


@pytest.mark.slow
def test_item_is_the_file_and_its_row(rendered: Path) -> None:
    data = ThreeDIdent(rendered)
    assert len(data) == 12
    for i in (0, 7, -1):
        image, latents = data[i]
        row = range(12)[i]
        file = pixels(rendered / "train" / "images" / f"{row:06d}.png")
        assert image.dtype == torch.uint8
        assert (image.permute(1, 2, 0).numpy() == file).all()
        assert (latents.numpy() == np.load(rendered / "train" / "raw_latents.npy")[row]).all()
    with pytest.raises(IndexError):
        data[12]


@pytest.mark.slow
def test_splits(rendered: Path) -> None:
    assert len(ThreeDIdent(rendered, "test")) == len(ThreeDIdent(rendered, split="test")) == 6


@pytest.mark.slow
def test_iterates_once_over_everything(rendered: Path) -> None:
    data = ThreeDIdent(rendered)
    assert len([data[i] for i in range(len(data))]) == len(list(data)) == 12  # type: ignore[call-overload]


@pytest.mark.slow
def test_transform_gets_the_pil_image(rendered: Path) -> None:
    chain = transforms.Compose([transforms.ToTensor(), transforms.Normalize([0.5] * 3, [0.5] * 3)])
    image, _ = ThreeDIdent(rendered, transform=chain)[0]
    plain, _ = ThreeDIdent(rendered)[0]
    assert image == pytest.approx(plain / 255 * 2 - 1, abs=1e-6)


@pytest.mark.slow
def test_loads_in_batches_and_in_workers(rendered: Path) -> None:
    data = ThreeDIdent(rendered)
    alone, beside = (list(DataLoader(data, batch_size=5, num_workers=w)) for w in (0, 2))
    assert [tuple(images.shape) for images, _ in alone] == [(5, 3, 32, 32)] * 2 + [(2, 3, 32, 32)]
    for (a, z), (b, w) in zip(alone, beside, strict=True):
        assert (a == b).all()
        assert (z == w).all()


@pytest.mark.slow
def test_latents_cannot_be_changed(rendered: Path) -> None:
    data = ThreeDIdent(rendered)
    with pytest.raises(ValueError, match="read-only"):
        data.latents[0, 0] = 0
    data[0][1].zero_()
    assert data.latents[0].any()


@pytest.mark.slow
def test_statistics_are_those_of_all_pixels(rendered: Path, tmp_path: Path) -> None:
    data = ThreeDIdent(rendered)
    pixels = torch.stack([data[i][0] for i in range(len(data))]).double().numpy() / 255
    mean, std = data.channel_statistics()
    assert mean == pytest.approx(pixels.mean((0, 2, 3)), abs=1e-12)
    assert std == pytest.approx(pixels.std((0, 2, 3)), abs=1e-12)
    published = shutil.copytree(rendered, tmp_path / "published")
    for name in ("dataset.json", "SHA256SUMS"):
        (published / "train" / name).unlink()
    measured = ThreeDIdent(published).channel_statistics()
    assert measured[0] == pytest.approx(mean, abs=1e-12)
    assert measured[1] == pytest.approx(std, abs=1e-12)


@pytest.mark.parametrize("digits", [1, 2, 5, 6])
def test_published_layout_opens_with_any_padding(tmp_path: Path, digits: int) -> None:
    data = ThreeDIdent(make_images(tmp_path, n=24, digits=digits))
    assert data.manifest is None
    assert len(data) == 24
    assert data[23][0].shape == (3, 16, 16)


@pytest.mark.slow
def test_survives_pickling(rendered: Path) -> None:
    copy = pickle.loads(pickle.dumps(ThreeDIdent(rendered)))
    assert (copy[3][0] == ThreeDIdent(rendered)[3][0]).all()


def broken(rendered: Path, tmp_path: Path) -> Path:
    return shutil.copytree(rendered, tmp_path / "data") / "train"


@pytest.mark.slow
def test_unknown_split(rendered: Path) -> None:
    with pytest.raises(
        ValueError,
        match="expected one of train, test, train/positives, test/positives, found 'valid'",
    ):
        ThreeDIdent(rendered, "valid")


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no folder"):
        ThreeDIdent(tmp_path / "nothing")


@pytest.mark.slow
def test_missing_manifest_of_our_own(rendered: Path, tmp_path: Path) -> None:
    train = broken(rendered, tmp_path)
    (train / "dataset.json").unlink()
    with pytest.raises(ValueError, match=r"dataset\.json: expected the manifest"):
        ThreeDIdent(train.parent)


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"", b"{", b"{}", b'{"schema_version": 99}', b"\xff"])
def test_damaged_manifest(rendered: Path, tmp_path: Path, content: bytes) -> None:
    train = broken(rendered, tmp_path)
    (train / "dataset.json").write_bytes(content)
    with pytest.raises(ValueError, match="expected a manifest of schema version 2"):
        ThreeDIdent(train.parent)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("field", "value"), [("resolution", "0"), ("n", "9" * 400), ("n", "-1"), ("seed", '"x"')]
)
def test_impossible_numbers_in_a_manifest(
    rendered: Path, tmp_path: Path, field: str, value: str
) -> None:
    manifest = broken(rendered, tmp_path) / "dataset.json"
    text, count = re.subn(rf'"{field}": \d+', f'"{field}": {value}', manifest.read_text(), count=1)
    assert count == 1
    manifest.write_text(text)
    with pytest.raises(ValueError, match="expected a manifest of schema version 2"):
        ThreeDIdent(tmp_path / "data")


@pytest.mark.slow
def test_missing_images_are_counted(rendered: Path, tmp_path: Path) -> None:
    train = broken(rendered, tmp_path)
    for i in (3, 4):
        (train / "images" / f"{i:06d}.png").unlink()
    with pytest.raises(ValueError, match=r"found 2 missing, first 000003\.png"):
        ThreeDIdent(train.parent)


@pytest.mark.slow
def test_an_image_of_another_size_is_named(rendered: Path, tmp_path: Path) -> None:
    train = broken(rendered, tmp_path)
    Image.new("RGB", (20, 32)).save(train / "images" / "000005.png")
    with pytest.raises(ValueError, match=r"expected an image of 32 x 32 pixels, found \(20, 32\)"):
        ThreeDIdent(train.parent)[5]


def test_a_published_set_without_its_first_image_is_counted_right(tmp_path: Path) -> None:
    (make_images(tmp_path, n=24) / "train" / "images" / "00.png").unlink()
    with pytest.raises(ValueError, match=r"1 missing, first 00\.png; unpack the archive again"):
        ThreeDIdent(tmp_path)


@pytest.mark.slow
def test_truncated_image_is_named_when_read(rendered: Path, tmp_path: Path) -> None:
    train = broken(rendered, tmp_path)
    image = train / "images" / "000005.png"
    image.write_bytes(image.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"000005\.png: expected an image, found a damaged file"):
        ThreeDIdent(train.parent)[5]


@pytest.mark.slow
def test_latents_of_another_length(rendered: Path, tmp_path: Path) -> None:
    train = broken(rendered, tmp_path)
    path, manifest = train / "raw_latents.npy", train / "dataset.json"
    before = sha256(path.read_bytes())
    np.save(path, np.zeros((5, 10), dtype=np.float32))
    manifest.write_text(manifest.read_text().replace(before, sha256(path.read_bytes())))
    with pytest.raises(ValueError, match="expected 12 rows as the manifest says, found 5"):
        ThreeDIdent(train.parent)


@pytest.mark.slow
@pytest.mark.parametrize("split", ["train", "test", "train/positives", "test/positives"])
def test_latents_are_those_that_the_manifest_records(
    paired: Path, tmp_path: Path, split: str
) -> None:
    root = shutil.copytree(paired, tmp_path / "data")
    path = root / split / "raw_latents.npy"
    np.save(path, np.load(path)[::-1])  # of the same shape, type and range
    words = r"raw_latents\.npy: expected the file that was written, .* found it altered"
    with pytest.raises(ValueError, match=words):
        ThreeDIdent(root, split)
    anchors, _, positives = split.partition("/")
    with pytest.raises(ValueError, match=words):
        RenderedPairs(ThreeDIdent(root, anchors))
    folder = SplitFolder(root, anchors)
    with pytest.raises(ValueError, match=words):
        Packing(folder.positives if positives else folder)


def test_pickled_latents_are_refused(tmp_path: Path) -> None:
    root = make_images(tmp_path / "data", n=3, n_test=1)
    np.save(root / "train/raw_latents.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="expected a plain npy array"):
        ThreeDIdent(root)


@pytest.mark.parametrize(
    "array",
    [np.float32(0.5), np.zeros(10, np.float32), np.zeros((0, 10)), np.zeros((3, 10), "M8[s]")],
    ids=["0-d", "1-d", "empty", "times"],
)
def test_latents_of_the_published_layout_that_are_no_rows(tmp_path: Path, array: Any) -> None:
    root = make_images(tmp_path / "data", n=3, n_test=1)
    np.save(root / "train/raw_latents.npy", array)
    for opened in (ThreeDIdent, lambda root: Packing(SplitFolder(root, "train"))):
        with pytest.raises(ValueError, match=r"raw_latents\.npy: expected (shape|a real dtype)"):
            opened(root)


def test_deviations_are_means_over_the_images(tmp_path: Path) -> None:
    data = ThreeDIdent(make_images(tmp_path, n=70))
    images = data.images(range(70)).numpy() / 255.0
    expected = images.reshape(70, 3, -1).std(axis=2, ddof=1).mean(axis=0)
    assert data.image_deviations() == pytest.approx(expected, abs=1e-12)
    assert data.take([3]).image_deviations() == pytest.approx(images[3].std((1, 2), ddof=1))
