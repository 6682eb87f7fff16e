"""Whatever a picture's file holds, it is a picture or refused in words."""

from __future__ import annotations

import io
import shutil
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import done_at_once, make_images, refused_at_once
from threedident import ThreeDIdent
from threedident.dataset.annotations import annotation_picture, read_depth, read_mask
from threedident.storage.pictures import check_chunks, decode_picture
from threedident.storage.verify import verify_split

SMOOTH = np.add.outer(np.arange(32), np.arange(0, 64, 2))[..., None] + np.array([0, 50, 150])


def png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


WHOLE = png(Image.fromarray(SMOOTH.astype(np.uint8)))


def claiming(content: bytes, width: int, height: int) -> bytes:
    """The same file with another size in its header, whose checksum is right."""
    head = b"IHDR" + struct.pack(">II", width, height) + content[24:29]
    return content[:12] + head + struct.pack(">I", zlib.crc32(head)) + content[33:]


BOMB = claiming(WHOLE, 60_000, 60_000)


def test_a_whole_picture_is_decoded() -> None:
    assert (np.asarray(decode_picture(WHOLE)) == SMOOTH).all()
    check_chunks(WHOLE)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "an empty file"),
        (b"\x89PNG", "a file that is no PNG"),
        (b"GIF89a" + bytes(99), "a file that is no PNG"),
        (WHOLE[:40], "a damaged file"),
        (BOMB, "a header that claims 60000 x 60000 pixels, more than 4096 a side"),
        (claiming(WHOLE, 2**32 - 1, 1), "a header that claims 4294967295 x 1 pixels"),
        (claiming(WHOLE, 0, 0), "a damaged file"),
    ],
    ids=["empty", "begun", "gif", "cut", "bomb", "wide", "none"],
)
def test_what_is_no_picture_is_named(content: bytes, words: str) -> None:
    for read in (decode_picture, check_chunks):
        with pytest.raises(ValueError, match=words):
            read(content)


def test_what_passes_its_checksums_is_the_picture_that_was_written() -> None:
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        content = bytearray(WHOLE)
        content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
        if rng.random() < 0.3:
            del content[rng.integers(len(content)) :]
        for read in (decode_picture, check_chunks):  # neither ever raises anything else
            with suppress(ValueError):
                read(bytes(content))
        try:
            check_chunks(bytes(content))
        except ValueError:
            refused += 1
        else:
            assert (np.asarray(decode_picture(bytes(content))) == SMOOTH).all()
    assert refused > 280


def test_a_picture_that_claims_too_much_is_refused_by_every_reader(tmp_path: Path) -> None:
    root = make_images(tmp_path / "data", n=6, n_test=2)
    (root / "train/images/3.png").write_bytes(BOMB)
    words = r"3\.png: expected an image, found a header that claims 60000 x 60000 pixels"
    with pytest.raises(ValueError, match=words):
        ThreeDIdent(root)[3]
    claim = "found a header that claims 60000 x 60000"
    assert claim in refused_at_once("preview", root, "--count", 6)
    assert claim in refused_at_once("pack", root)
    for layout in ("published", "webdataset"):
        line = refused_at_once("export", root, tmp_path / layout, "--layout", layout)
        assert "3.png: expected a whole image, found it damaged" in line
        assert not (tmp_path / layout).exists()
    (root / "train/images/0.png").write_bytes(BOMB)
    with pytest.raises(ValueError, match=r"0\.png: expected an image, found a header that"):
        ThreeDIdent(root)


@pytest.mark.slow
def test_verify_names_a_picture_that_claims_too_much(rendered: Path, tmp_path: Path) -> None:
    root = shutil.copytree(rendered, tmp_path / "data")
    split = ThreeDIdent(root).folder
    split.image(2).write_bytes(BOMB)
    for deep in (False, True):
        [problem] = verify_split(split, deep)
        assert problem.path == split.image(2)


LABELS = (SMOOTH[..., 0] % 3).astype(np.uint8)
DEPTHS = SMOOTH[..., 0].astype(np.float32) / 2


@pytest.mark.parametrize("name", ["mask", "depth"])
def test_annotations_come_back(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(annotation_picture(name, LABELS, DEPTHS)))
    if name == "mask":
        assert (read_mask(path, 32) == LABELS).all()
    else:
        assert read_depth(path, 32) == pytest.approx(DEPTHS, abs=1e-3)


@pytest.mark.parametrize("read", [read_mask, read_depth])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "nothing"),
        (b"", "an empty file"),
        (b"text", "a file that is no PNG"),
        (WHOLE[:60], "a damaged file"),
        (BOMB, "a header that claims"),
        (WHOLE, "one of .* and mode RGB"),
        (png(Image.new("1", (32, 32))), "one of .* and mode 1"),
        (png(annotation_picture("mask", LABELS[:9], DEPTHS)), r"one of \(32, 9\)"),
    ],
    ids=["missing", "empty", "text", "cut", "bomb", "colours", "bits", "flat"],
)
def test_annotations_of_another_kind_are_refused(
    tmp_path: Path, read: Callable[[Path, int], Any], content: bytes | None, words: str
) -> None:
    path = tmp_path / "a.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"a\.png: expected an annotation of .* found {words}"):
        read(path, 32)


def test_labels_that_there_are_not_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(annotation_picture("mask", LABELS + 1, DEPTHS)))
    with pytest.raises(ValueError, match="found the label 3"):
        read_mask(path, 32)


def test_the_preview_of_whole_pictures_is_drawn(tmp_path: Path) -> None:
    root = make_images(tmp_path / "data", n=3, n_test=1)
    assert "3 samples" in done_at_once("preview", root)
