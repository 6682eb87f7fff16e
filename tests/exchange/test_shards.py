"""Exports to shards of samples."""

from __future__ import annotations

import hashlib
import io
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import (
    cli,
    contents,
    followed,
    make_images,
    wait_for,
)
from tests.exchange.exported import samples
from threedident import ThreeDIdent
from threedident.exchange.published import export_published
from threedident.exchange.webdataset import export_shards


def halted(data: Path, out: Path) -> subprocess.Popen[str]:
    """The command line, exporting shards of five images, that has come to image 17 and stays."""
    script = f"""
import time
from threedident.exchange import webdataset as shards
from threedident.cli import main
member = shards._member
def halting(name, content):
    if name == "000017.png":
        time.sleep(600)
    return member(name, content)
shards._member = halting
main(["export", {str(data)!r}, {str(out)!r}, "--layout", "webdataset", "--shard-size", "5"])
"""
    process = followed(
        subprocess.Popen(
            [sys.executable, "-c", script],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    )
    wait_for(lambda: bool(list(out.glob(".train-000003.tar.*"))))
    return process


@pytest.mark.slow
def test_a_killed_export_of_shards_goes_on(tmp_path: Path) -> None:
    data, out, whole = make_images(tmp_path / "data"), tmp_path / "out", tmp_path / "whole"
    export_shards(data, whole, 5)
    process = halted(data, out)
    process.kill()
    process.communicate()
    assert not (out / "SHA256SUMS").exists()
    kept = {path: path.stat().st_ino for path in out.glob("train-*.tar")}
    assert len(kept) == 3
    export_shards(data, out, 5)
    assert contents(out) == contents(whole)
    assert {path: path.stat().st_ino for path in kept} == kept


@pytest.mark.slow
def test_an_interrupted_export_says_how_to_go_on(tmp_path: Path) -> None:
    process = halted(make_images(tmp_path / "data"), tmp_path / "out")
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate()
    assert process.returncode == 2
    assert stderr.endswith("interrupted; the same command again goes on from there\n")
    assert sorted(contents(tmp_path / "out")) == [f"train-{i:06d}.tar" for i in range(3)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["train-000000.tar", "train-000007.tar", "test.json", "SHA256SUMS"]
)
def test_other_shards_are_not_overwritten(rendered: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"0123  mine.tar\n")
    with pytest.raises(ValueError, match=f"{name}: expected nothing there or the file of this"):
        export_shards(rendered, tmp_path)
    assert contents(tmp_path) == {name: b"0123  mine.tar\n"}


def test_a_shard_of_another_data_set_is_found_by_its_bytes(tmp_path: Path) -> None:
    data = make_images(tmp_path / "data", n=4)
    export_shards(data, tmp_path / "out")
    shard = tmp_path / "out/train-000000.tar"
    changed = bytearray(shard.read_bytes())
    changed[5000] ^= 1
    shard.write_bytes(changed)
    with pytest.raises(ValueError, match=r"train-000000\.tar: expected nothing there or the file"):
        export_shards(data, tmp_path / "out")
    assert shard.read_bytes() == changed


@pytest.mark.slow
def test_shards_are_read_by_webdataset(rendered: Path, tmp_path: Path) -> None:
    result = cli("export", rendered, tmp_path, "--layout", "webdataset", "--shard-size", 5)
    assert result.returncode == 0, result.stderr
    assert "12 train images in 3 shards" in result.stdout
    for split, n in (("train", 12), ("test", 6)):
        data, read = ThreeDIdent(rendered, split), samples(tmp_path, split, "pil")
        physical = np.load(rendered / split / "latents.npy")
        assert [sample["__key__"] for sample in read] == [f"{i:06d}" for i in range(n)]
        for i, sample in enumerate(read):
            image, raw = data[i]
            assert (torch.from_numpy(np.array(sample["png"])) == image.permute(1, 2, 0)).all()
            assert (sample["raw_latents.npy"] == raw.numpy()).all()
            assert sample["raw_latents.npy"].dtype == np.float32
            assert (sample["latents.npy"] == physical[i]).all()
        copied = tmp_path / f"{split}.json"
        assert copied.read_bytes() == (rendered / split / "dataset.json").read_bytes()


@pytest.mark.slow
def test_positives_and_annotations_come_along(paired: Path, tmp_path: Path) -> None:
    [line] = export_shards(paired, tmp_path)
    assert "5 train images and their positives in 1 shard" in line
    anchors, positives = ThreeDIdent(paired), ThreeDIdent(paired, "train/positives")
    physical = np.load(paired / "train/positives/latents.npy")
    plain = samples(tmp_path, "train")
    for i, sample in enumerate(samples(tmp_path, "train", "pil")):
        for name, data in (("png", anchors), ("positive.png", positives)):
            assert (np.array(sample[name]) == data[i][0].permute(1, 2, 0).numpy()).all()
        assert (sample["positive_raw_latents.npy"] == positives.latents[i]).all()
        assert (sample["positive_latents.npy"] == physical[i]).all()
        for name, data in (("mask", anchors), ("positive_mask", positives)):
            with Image.open(io.BytesIO(plain[i][f"{name}.png"])) as picture:
                assert (np.asarray(picture) == data.mask(i)).all()
        with Image.open(io.BytesIO(plain[i]["depth.png"])) as picture:
            assert np.asarray(picture) / 1000 == pytest.approx(anchors.depth(i))
    assert (tmp_path / "train.positives.json").exists()


def test_shards_are_the_same_bytes_wherever_they_are_made(tmp_path: Path) -> None:
    data = make_images(tmp_path / "data", n=12)
    moved = shutil.copytree(data, tmp_path / "moved", copy_function=shutil.copyfile)
    for source in (data, moved):
        export_shards(source, tmp_path / f"{source.name}.out", 5)
    assert contents(tmp_path / "data.out") == contents(tmp_path / "moved.out")
    with tarfile.open(tmp_path / "data.out/train-000000.tar") as tar:
        members = tar.getmembers()
    facts = {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode, m.type) for m in members}
    assert facts == {(0, 0, 0, "", "", 0o644, tarfile.REGTYPE)}


def test_shards_keep_the_bytes_of_the_images_and_sum_up(tmp_path: Path) -> None:
    data = make_images(tmp_path / "data", n=12)
    export_shards(data, tmp_path / "out", 7)
    with tarfile.open(tmp_path / "out/train-000001.tar") as tar:
        member = tar.extractfile("000007.png")
        assert member is not None
        with member:
            assert member.read() == (data / "train/images/07.png").read_bytes()
    lines = (tmp_path / "out/SHA256SUMS").read_text().splitlines()
    files = sorted(path for path in (tmp_path / "out").iterdir() if path.name != "SHA256SUMS")
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    assert lines == [f"{d}  {path.name}" for d, path in zip(digests, files, strict=True)]


def test_shards_take_as_many_bytes_as_tarfile_would(tmp_path: Path) -> None:
    data = make_images(tmp_path / "data", n=9)
    export_shards(data, tmp_path / "out", 3)
    for shard in (tmp_path / "out").glob("*.tar"):
        again = io.BytesIO()
        with (
            tarfile.open(shard) as tar,
            tarfile.open(fileobj=again, mode="w", format=tarfile.USTAR_FORMAT) as copy,
        ):
            for member in tar:
                copy.addfile(member, tar.extractfile(member))
        assert again.getvalue() == shard.read_bytes()


def test_too_little_room_is_said_before_the_first_shard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_images(tmp_path / "data")
    monkeypatch.setattr("threedident.runtime.files.free_bytes", lambda _: 10_000)
    with pytest.raises(ValueError, match=r"expected room for .* for the shards, found 10 kB"):
        export_shards(data, tmp_path / "out")
    assert contents(tmp_path / "out") == {}
    export_published(data, tmp_path / "linked")
