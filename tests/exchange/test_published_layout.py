"""Exports to the published layout."""

from __future__ import annotations

import errno
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import DRAFT, can_mount, cli, command, contents, make_images, refused_at_once
from tests.exchange.exported import samples
from threedident import ThreeDIdent
from threedident.exchange.published import export_published, image_digits
from threedident.exchange.webdataset import export_shards


def assert_same_items(a: Path, b: Path, split: str) -> None:
    ours, theirs = ThreeDIdent(a, split), ThreeDIdent(b, split)
    assert len(ours) == len(theirs)
    for i in range(len(ours)):
        assert (ours[i][0] == theirs[i][0]).all()
        assert (ours[i][1] == theirs[i][1]).all()


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def on_another_disk(folder: Path, size: str, line: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command that writes to a small disk at ``folder``; what is there goes to copy/."""
    script = f"""
mount -t tmpfs -o size={size} tmpfs {folder} || exit 9
{" ".join(line)}
status=$?
cp -r {folder}/. {folder}/../copy
exit $status
"""
    return subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True)


@pytest.fixture(scope="session")
def periodic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set of the periodic space; tests must not change it."""
    root = tmp_path_factory.mktemp("periodic") / "data"
    result = cli("render", "--n", 3, "--n-test", 0, "--out", root, "--space", "periodic", *DRAFT)
    assert result.returncode == 0, result.stderr
    return root


def test_image_names_have_the_digits_of_the_last_row() -> None:
    for n in (1, 2, 9, 10, 11, 100, 101, 25_000, 250_000):
        assert image_digits(n) == max(1, int(np.ceil(np.log10(n))))


@pytest.mark.slow
def test_published_layout_of_a_rendered_set(rendered: Path, tmp_path: Path) -> None:
    lines = export_published(rendered, tmp_path / "out")
    assert lines[0] == f"{tmp_path}/out/train: 12 images, hard links, which take no space"
    names = {f"train/images/{i:02d}.png" for i in range(12)}
    names |= {f"test/images/{i}.png" for i in range(6)}
    names |= {f"{s}/{f}.npy" for s in ("train", "test") for f in ("latents", "raw_latents")}
    assert set(contents(tmp_path / "out")) == names
    for split in ("train", "test"):
        assert ThreeDIdent(tmp_path / "out", split).manifest is None
        assert_same_items(rendered, tmp_path / "out", split)


@pytest.mark.parametrize("digits", [1, 2, 5, 6])
def test_published_layout_of_any_padding(tmp_path: Path, digits: int) -> None:
    data = make_images(tmp_path / "data", n=12, n_test=2, digits=digits)
    export_published(data, tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out/test/images").iterdir()) == ["0.png", "1.png"]
    for split in ("train", "test"):
        assert_same_items(data, tmp_path / "out", split)


def test_links_share_the_disk_and_linked_images_too(tmp_path: Path) -> None:
    data = make_images(tmp_path / "data", n=3, n_test=1)
    image = data / "train/images/1.png"
    image.rename(tmp_path / "elsewhere.png")
    image.symlink_to(tmp_path / "elsewhere.png")
    export_published(data, tmp_path / "out")
    placed = tmp_path / "out/train/images/1.png"
    assert not placed.is_symlink()
    assert placed.samefile(tmp_path / "elsewhere.png")


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["published", "webdataset"])
def test_exported_again_nothing_changes(rendered: Path, tmp_path: Path, layout: str) -> None:
    export = export_published if layout == "published" else export_shards
    lines = export(rendered, tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.suffix in (".tar", ".npy", ".png")]
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in files}
    assert export(rendered, tmp_path) == lines
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in files} == before


@pytest.mark.slow
def test_a_stopped_export_does_not_open_and_goes_on(
    rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from threedident.exchange import published as export

    whole, placed, place = tmp_path / "whole", [], export._link

    def stop_late(origin: Path, target: Path) -> None:
        if len(placed) == 15:
            raise KeyboardInterrupt
        placed.append(target)
        place(origin, target)

    export_published(rendered, whole)
    with monkeypatch.context() as patch:
        patch.setattr(export, "_link", stop_late)
        with pytest.raises(KeyboardInterrupt):
            export_published(rendered, tmp_path / "out")
    opened = [split for split in ("train", "test") if (tmp_path / "out" / split).is_dir()]
    assert opened == ["train", "test"]
    with pytest.raises(ValueError, match="expected"):
        ThreeDIdent(tmp_path / "out", "test")
    (tmp_path / "out/test/images/.3.png.0123456789ab.tmp").write_bytes(b"half")
    export_published(rendered, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(whole)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["train/images/03.png", "train/images/12.png", "test/latents.npy", "test/dataset.json"]
)
def test_other_files_are_not_overwritten(rendered: Path, tmp_path: Path, name: str) -> None:
    other = tmp_path / name
    other.parent.mkdir(parents=True)
    other.write_bytes(b"mine")
    with pytest.raises(ValueError, match=f"{name}: expected nothing there or the file of this"):
        export_published(rendered, tmp_path)
    assert contents(tmp_path) == {name: b"mine"}


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["published", "webdataset"])
@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_damaged_splits_are_not_exported(
    rendered: Path, tmp_path: Path, layout: str, damage: str
) -> None:
    data = shutil.copytree(rendered, tmp_path / "data")
    image = data / "test" / "images" / "000003.png"
    image.write_bytes(image.read_bytes()[:-20])
    if damage == "missing":
        image.unlink()
    export = export_published if layout == "published" else export_shards
    with pytest.raises(ValueError, match=rf"{damage}.*000003\.png|000003\.png.*{damage}"):
        export(data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["images", "masks", "positives/images", "positives/depths"])
def test_a_flipped_bit_is_not_exported(paired: Path, tmp_path: Path, name: str) -> None:
    data, out = shutil.copytree(paired, tmp_path / "data"), tmp_path / "out"
    flip_a_bit(data / "train" / name / "000002.png")
    with pytest.raises(ValueError, match=r"000002\.png: expected a whole file, found it altered"):
        export_shards(data, out)
    assert not out.exists()
    if "positives" not in name:
        with pytest.raises(ValueError, match="found it altered"):
            export_published(data, out)
        assert not out.exists()


@pytest.mark.parametrize("export", [export_published, export_shards])
def test_a_flipped_bit_of_the_published_layout_is_not_exported(
    tmp_path: Path, export: Callable[[Path, Path], object]
) -> None:
    data, out = make_images(tmp_path / "data", n=12), tmp_path / "out"
    flip_a_bit(data / "train/images/07.png")
    with pytest.raises(ValueError, match=r"07\.png: expected a whole image, found it damaged"):
        export(data, out)
    assert not out.exists()


def test_truncated_images_of_the_published_layout_are_found(tmp_path: Path) -> None:
    data = make_images(tmp_path / "data", n=12)
    image = data / "train/images/07.png"
    image.write_bytes(image.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"07\.png: expected a whole image, found it truncated"):
        export_published(data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_altered_latents_are_not_exported(rendered: Path, tmp_path: Path) -> None:
    data = shutil.copytree(rendered, tmp_path / "data")
    np.save(data / "train/latents.npy", np.zeros((12, 10), np.float32))
    with pytest.raises(ValueError, match=r"latents\.npy: expected a whole file, found it altered"):
        export_published(data, tmp_path / "out")


def test_physical_latents_of_another_shape(tmp_path: Path) -> None:
    data = make_images(tmp_path / "data", n=4)
    np.save(data / "train/latents.npy", np.zeros((4, 11), np.float32))
    with pytest.raises(ValueError, match=r"of shape \(4, 10\), found float32 of shape \(4, 11\)"):
        export_shards(data, tmp_path / "out")


@pytest.mark.slow
def test_nothing_is_exported_into_itself(rendered: Path, tmp_path: Path) -> None:
    before = contents(rendered)
    for out in (
        rendered,
        rendered / "out",
        rendered.parent / ".." / rendered.parent.name / rendered.name,
    ):
        with pytest.raises(ValueError, match="expected a folder outside the data set"):
            export_published(rendered, tmp_path / out)
    assert contents(rendered) == before


@pytest.mark.slow
def test_mistakes_of_the_command_line(rendered: Path, tmp_path: Path) -> None:
    assert "no folder" in refused_at_once(
        "export", tmp_path / "no", tmp_path, "--layout", "published"
    )
    line = refused_at_once(
        "export", rendered, tmp_path, "--layout", "published", "--shard-size", 5
    )
    assert "--shard-size: expected with --layout webdataset, found with published" in line
    assert "--layout" in refused_at_once("export", rendered, tmp_path)


@pytest.mark.slow
def test_the_periodic_space_has_no_published_layout(periodic: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="found 11 as in the periodic space; give --layout webd"):
        export_published(periodic, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    export_shards(periodic, tmp_path / "out")
    rows = np.stack(
        [sample["raw_latents.npy"] for sample in samples(tmp_path / "out", "train", "pil")]
    )
    assert (rows == np.load(periodic / "train/raw_latents.npy")).all()


@pytest.mark.slow
def test_what_the_published_layout_leaves_out_is_said(paired: Path, tmp_path: Path) -> None:
    lines = export_published(paired, tmp_path)
    assert "mask and depth and positives left out" in lines[1]
    assert_same_items(paired, tmp_path, "train")


@pytest.mark.slow
@pytest.mark.skipif(not can_mount(), reason="this machine lets no test mount a small disk")
def test_on_another_disk_files_are_copied(tmp_path: Path) -> None:
    data, disk = make_images(tmp_path / "data", n=12), tmp_path / "disk"
    disk.mkdir()
    result = on_another_disk(disk, "8m", command("export", data, disk, "--layout", "published"))
    assert result.returncode == 0, result.stderr
    assert "12 images, copies" in result.stdout
    assert contents(tmp_path / "copy") == contents(data)
    again = export_published(data, tmp_path / "copy")
    assert "copies" in again[0]


@pytest.mark.slow
def test_copies_that_the_disk_cannot_hold_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    data = make_images(tmp_path / "data", n=12)
    monkeypatch.setattr("os.link", link)
    export_published(data, tmp_path / "copied")
    monkeypatch.setattr("threedident.runtime.files.free_bytes", lambda _: 10_000)
    with pytest.raises(ValueError, match=r"expected room for about 98\.3 kB .* found 10 kB"):
        export_published(data, tmp_path / "out")
    assert contents(tmp_path / "out") == {}
    assert "copies" in export_published(data, tmp_path / "copied")[0]
