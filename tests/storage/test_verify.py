from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import DRAFT, cli, contents, done_at_once, refused_at_once
from threedident import ThreeDIdent
from threedident.runtime.files import sha256
from threedident.storage.folder import SplitFolder
from threedident.storage.manifest import require_manifest
from threedident.storage.verify import Problem, quick_check, trusted_digests, verify_split


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


DAMAGES: list[tuple[Callable[[Path], None], str]] = [
    (Path.unlink, "missing"),
    (truncate, "truncated"),
    (empty, "truncated"),
    (flip, "altered"),
]


@pytest.fixture
def folder(rendered: Path, tmp_path: Path) -> SplitFolder:
    return SplitFolder(shutil.copytree(rendered, tmp_path / "data"), "train")


@pytest.mark.slow
def test_a_finished_data_set_is_clean(rendered: Path) -> None:
    for split in ("train", "test"):
        for deep in (False, True):
            assert verify_split(SplitFolder(rendered, split), deep) == []
    fast, deep = cli("verify", rendered), cli("verify", "--deep", rendered)
    assert fast.returncode == deep.returncode == 0
    assert "12 images, all there and whole; --deep reads every byte" in fast.stdout
    assert "12 images, all intact" in deep.stdout


@pytest.mark.parametrize(("damage", "what"), DAMAGES)
def test_every_bad_image_is_named(
    folder: SplitFolder, damage: Callable[[Path], None], what: str
) -> None:
    bad = [folder.image(i) for i in (0, 5, 11)]
    for path in bad:
        damage(path)
    assert verify_split(folder, deep=True) == [Problem(path, what) for path in bad]
    seen = [] if damage is flip else [Problem(path, what) for path in bad]
    assert verify_split(folder) == seen


def test_the_fast_check_sees_another_size_and_another_resolution(folder: SplitFolder) -> None:
    content = folder.image(3).read_bytes()
    other = next(i for i in range(12) if len(folder.image(i).read_bytes()) > len(content))
    folder.image(3).write_bytes(folder.image(other).read_bytes())
    assert verify_split(folder) == [Problem(folder.image(3), "altered")]
    folder.sizes.unlink()
    Image.new("RGB", (16, 16)).save(folder.image(5))
    assert verify_split(folder) == [
        Problem(folder.sizes, "missing"),
        Problem(folder.image(5), "altered"),
    ]


@pytest.mark.parametrize("name", ["raw_latents.npy", "latents.npy"])
@pytest.mark.parametrize(("damage", "what"), [(Path.unlink, "missing"), (flip, "altered")])
def test_every_bad_file_beside_the_images_is_named(
    folder: SplitFolder, name: str, damage: Callable[[Path], None], what: str
) -> None:
    damage(folder.path / name)
    assert verify_split(folder) == [Problem(folder.path / name, what)]


@pytest.mark.parametrize(("damage", "what"), [(Path.unlink, "missing"), (truncate, "altered")])
def test_lost_digests_blame_no_image(
    folder: SplitFolder, damage: Callable[[Path], None], what: str
) -> None:
    damage(folder.sums)
    assert verify_split(folder) == [Problem(folder.sums, what)]


def test_an_image_altered_together_with_its_digest_is_not_trusted(folder: SplitFolder) -> None:
    replaced = folder.image(4).read_bytes()
    genuine = sha256(folder.image(3).read_bytes())
    folder.image(3).write_bytes(replaced)
    folder.sums.write_text(folder.sums.read_text().replace(genuine, sha256(replaced)))
    assert Problem(folder.sums, "altered") in verify_split(folder)
    manifest = require_manifest(folder)
    assert trusted_digests(folder, manifest) is None


def test_a_folder_in_place_of_an_image_is_named(folder: SplitFolder) -> None:
    folder.image(3).unlink()
    folder.image(3).mkdir()
    assert verify_split(folder) == [Problem(folder.image(3), "altered")]


def test_a_manifest_that_claims_another_seed_is_found(folder: SplitFolder) -> None:
    folder.manifest.write_text(folder.manifest.read_text().replace('"seed": 0', '"seed": 1'))
    assert verify_split(folder) == [Problem(folder.manifest, "altered")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("was", "damaged", "words"),
    [
        ('"seed": 0', '"seed": null', "a seed is missing"),
        ('"seed": 0', '"seed": -1', "origin.seed"),
        ('"fixed": {}', '"fixed": {"size": 0}', "expected one of x, y, z"),
        ('"conditional": null', '"conditional": "cauchy:1"', "--pairs: expected"),
        ('"high": 3.0', '"high": 4.0', "factors are not those of the box space"),
    ],
)
def test_an_impossible_manifest_is_refused_in_one_line(
    folder: SplitFolder, was: str, damaged: str, words: str
) -> None:
    folder.manifest.write_text(folder.manifest.read_text().replace(was, damaged, 1))
    line = refused_at_once("verify", folder.root)
    assert str(folder.manifest) in line
    assert words in line


def test_an_image_that_leads_nowhere_does_not_hide_the_others(folder: SplitFolder) -> None:
    folder.image(2).unlink()
    folder.image(2).symlink_to(folder.image(2))
    folder.image(7).unlink()
    found = [Problem(folder.image(2), "altered"), Problem(folder.image(7), "missing")]
    assert verify_split(folder) == verify_split(folder, deep=True) == found


@pytest.mark.slow
def test_a_manifest_of_the_other_split_is_refused(folder: SplitFolder) -> None:
    shutil.rmtree(folder.root / "test")
    shutil.copytree(folder.path, folder.root / "test")
    assert "expected the manifest of the test split" in refused_at_once("verify", folder.root)


def test_statistics_must_follow_from_their_sums(folder: SplitFolder) -> None:
    text = folder.manifest.read_text()
    value = str(require_manifest(folder).channel_mean[0])
    folder.manifest.write_text(text.replace(value, "0.5", 1))
    with pytest.raises(ValueError, match="do not follow from channels"):
        require_manifest(folder)


@pytest.mark.slow
def test_a_split_folder_is_told_from_a_data_set(folder: SplitFolder) -> None:
    assert f"give {folder.root}" in refused_at_once("verify", folder.path)
    assert "the file" in refused_at_once("info", folder.manifest)


@pytest.mark.slow
def test_command_names_each_file_and_ends_with_2(folder: SplitFolder) -> None:
    test = SplitFolder(folder.root, "test")
    folder.image(2).unlink()
    truncate(folder.image(3))
    flip(test.image(1))
    result = cli("verify", "--deep", folder.root)
    assert result.returncode == 2
    assert result.stdout.splitlines() == [
        f"{folder.image(2)}: missing",
        f"{folder.image(3)}: truncated",
        f"{test.image(1)}: altered",
    ]
    assert "found 3 bad" in result.stderr
    assert "the same render command again repairs them" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", ["verify", "info"])
def test_commands_refuse_what_is_no_data_set(
    folder: SplitFolder, tmp_path: Path, command: str
) -> None:
    assert "no folder" in refused_at_once(command, tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    assert "found none" in refused_at_once(command, tmp_path / "empty")
    folder.manifest.unlink()
    assert "dataset.json" in refused_at_once(command, folder.root)
    folder.manifest.write_text("{}")
    assert "expected a manifest of schema version 2" in refused_at_once(command, folder.root)


@pytest.mark.slow
def test_info_shows_the_manifest(rendered: Path) -> None:
    result = cli("info", rendered)
    assert result.returncode == 0
    for word in ("12", "32 x 32", "wrapped", "draft", "seed 0", "Blender"):
        assert word in result.stdout


@pytest.mark.parametrize(("damage", "what"), DAMAGES[:3])
def test_quick_check_sees_incomplete_images(
    folder: SplitFolder, damage: Callable[[Path], None], what: str
) -> None:
    quick_check(folder, 12)
    damage(folder.image(7))
    with pytest.raises(ValueError, match=rf"000007\.png: expected a whole image, found it {what}"):
        quick_check(folder, 12)


FILES = ("raw_latents.npy", "latents.npy", "SHA256SUMS", "sizes.npy", "images/000003.png")


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_a_pipe_in_place_of_a_file_is_named_and_repaired(
    rendered: Path, tmp_path: Path, name: str
) -> None:
    data = shutil.copytree(rendered, tmp_path / "data")
    path = data / "train" / name
    path.unlink()
    os.mkfifo(path)
    for deep in ((), ("--deep",)):
        with redirect_stdout(io.StringIO()) as said:
            assert f"{data}: expected every file intact" in refused_at_once("verify", data, *deep)
        assert str(path) in said.getvalue()
    done_at_once("render", "--n", 12, "--n-test", 6, "--out", data, *DRAFT)
    assert contents(data) == contents(rendered)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_manifest_that_is_no_plain_file(rendered: Path, tmp_path: Path, kind: str) -> None:
    data = shutil.copytree(rendered, tmp_path / "data")
    path = data / "train" / "dataset.json"
    path.unlink()
    os.mkfifo(path) if kind == "pipe" else path.symlink_to("/dev/zero")
    for command in ("verify", "info", "pack"):
        assert f"{path}: expected a manifest" in refused_at_once(command, data)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["packed/32.npy", "packed/32.json", "images/000000.png"])
def test_pipes_among_packs_and_pictures_block_nobody(
    rendered: Path, tmp_path: Path, name: str
) -> None:
    data = shutil.copytree(rendered, tmp_path / "data")
    if name.startswith("packed"):
        done_at_once("pack", data)
    (data / "train" / name).unlink()
    os.mkfifo(data / "train" / name)
    with pytest.raises(ValueError, match="expected "):
        ThreeDIdent(data).images(range(3))
