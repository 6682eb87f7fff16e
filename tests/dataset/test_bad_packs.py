"""Packs that are damaged, or made from other images."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import DRAFT, cli, refused_at_once
from tests.dataset.packed import copied, missing, pack, packs, truncated
from threedident import ThreeDIdent
from threedident.dataset.pack import PackRecord, pack_states
from threedident.dataset.packing import Packing
from threedident.storage.folder import SplitFolder


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
        (of_another_shape, r"found uint8 of shape \(60, 10, 40, 3\); threedident pack writes"),
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
        "damaged, or made from other images"
    ]
    assert f"{name}: expected a file there, found a folder" in refused_at_once("pack", packed)


@pytest.mark.slow
def test_a_pack_of_a_smaller_set_is_older(rendered: Path, tmp_path: Path) -> None:
    root = copied(rendered, tmp_path / "data")
    pack(root)
    grown = cli("render", "--n", 13, "--n-test", 6, "--out", root, *DRAFT)
    assert grown.returncode == 0, grown.stderr
    with pytest.raises(ValueError, match="older than they are"):
        ThreeDIdent(root)
    assert "packed/32.npy: damaged, or made from other images" in cli("verify", root).stdout
    pack(root)
    assert len(ThreeDIdent(root)) == 13
    assert cli("verify", "--deep", root).returncode == 0


@pytest.mark.slow
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
    assert "threedident pack writes them again" in result.stderr
    pack(root)
    assert packs(root) == before
