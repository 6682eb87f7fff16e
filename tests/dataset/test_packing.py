"""Packing that was killed goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.dataset.packed import copied, pack, packs
from threedident import ThreeDIdent
from threedident.dataset.packing import Packing
from threedident.storage.folder import SplitFolder

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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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
