"""Data sets: manifests, arrays, pictures, digests, packs, and what is exported of them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from tests.conftest import contents
from tests.fuzz.damage.arrays import array_damage
from tests.fuzz.damage.edits import Damage, text_damage
from tests.fuzz.damage.json_texts import json_damage
from tests.fuzz.damage.pictures import picture_damage
from tests.fuzz.damage.specimens import EDGE
from tests.fuzz.hunting import Refused, anything, hunt, same
from threedident import ThreeDIdent
from threedident.dataset.pack import pack_states
from threedident.dataset.packing import Packing
from threedident.exchange.published import export_published
from threedident.exchange.webdataset import export_shards
from threedident.preview import contact_sheet
from threedident.runtime.files import load_npy
from threedident.storage.folder import SplitFolder
from threedident.storage.manifest import Manifest, read_manifest
from threedident.storage.verify import verify_split

Damages = st.SearchStrategy[Damage]


def train(root: Path) -> SplitFolder:
    return SplitFolder(root, "train")


def whole_item(root: Path, split: str = "train") -> list[Any]:
    """All that a data set gives of its first row."""
    found = ThreeDIdent(root, split)
    annotated = found.manifest is not None and "mask" in found.manifest.rendering.annotations
    image, latents = found[0]
    return [image, latents, found.latents, *([found.mask(0), found.depth(0)] if annotated else [])]


def test_manifests(rendered: Path) -> None:
    def judge(found: Manifest, _sound: object) -> None:
        assert Manifest.model_validate_json(found.to_bytes()) == found

    folder = train(rendered)
    hunt("manifest", folder.manifest, json_damage, lambda: _needed(read_manifest(folder)), judge)


def test_data_sets_whose_manifest_is_damaged(rendered: Path) -> None:
    def judge(found: list[Any], sound: list[Any]) -> None:
        same(found[:3], sound[:3])

    hunt(
        "data set by manifest",
        train(rendered).manifest,
        json_damage,
        lambda: whole_item(rendered),
        judge,
    )


def _needed(found: Any) -> Any:
    if found is None:
        raise Refused("nothing there")
    return found


@pytest.mark.parametrize("name", ["raw_latents.npy", "images/000000.png", "masks/000000.png"])
def test_items_of_positives(rendered: Path, name: str) -> None:
    damages = array_damage if name.endswith("npy") else picture_damage
    kind = _legitimate if "png" in name else same
    folder = train(rendered).positives
    hunt(
        f"item of positives, {Path(name).parts[0]}",
        folder.path / name,
        damages,
        lambda: whole_item(rendered, "train/positives"),
        kind,
    )


def _legitimate(found: list[Any], sound: list[Any]) -> None:
    """Single pictures are not digested when they are read: they are pictures of the right size."""
    for mine, theirs in zip(found, sound, strict=True):
        assert mine.shape == theirs.shape
        assert mine.dtype == theirs.dtype
    same(found[1:3], sound[1:3])


@pytest.mark.parametrize("name", ["raw_latents.npy", "images/0.png"])
def test_items_of_the_published_layout(published: Path, name: str) -> None:
    def judge(found: list[Any], sound: list[Any]) -> None:
        image, latents, rows = found
        edge = image.shape[-1]  # of the first image, which says that of all
        assert (image.shape, image.dtype) == ((3, edge, edge), sound[0].dtype)
        assert (rows.shape, rows.dtype) == (sound[2].shape, sound[2].dtype)
        assert np.isfinite(rows).all()
        assert (np.abs(rows) <= 1).all()
        assert latents.tolist() == rows[0].tolist()

    damages = array_damage if name.endswith("npy") else picture_damage
    hunt(
        f"item of the published layout, {Path(name).parts[0]}",
        train(published).path / name,
        damages,
        lambda: whole_item(published),
        judge,
    )


def test_arrays(tmp_path: Path) -> None:
    def judge(found: np.ndarray, _sound: object) -> None:
        assert not found.dtype.hasobject

    path = tmp_path / "latents.npy"
    np.save(path, np.linspace(-1, 1, 40, dtype=np.float32).reshape(4, 10))
    hunt("npy", path, array_damage, lambda: load_npy(path), judge, examples=300)


def _verified(folder: SplitFolder, deep: bool) -> object:
    found = verify_split(folder, deep=deep)
    found += [p for p in pack_states(folder, read_manifest(folder), deep) if p[1] is not None]
    if found:
        raise Refused("; ".join(map(str, found))[:300])
    return None


_FILES: list[tuple[str, Damages]] = [
    ("raw_latents.npy", array_damage),
    ("latents.npy", array_damage),
    ("sizes.npy", array_damage),
    ("SHA256SUMS", text_damage),
    ("images/000003.png", picture_damage),
    ("masks/000003.png", picture_damage),
    ("depths/000003.png", picture_damage),
    (f"packed/{EDGE}.npy", array_damage),
]


@pytest.mark.parametrize(("name", "damages"), _FILES, ids=[name for name, _ in _FILES])
def test_deep_verification_finds_all_damage(rendered: Path, name: str, damages: Damages) -> None:
    folder = train(rendered)
    hunt(f"verify --deep, {name}", folder.path / name, damages, lambda: _verified(folder, True))


def _exported(export: Callable[[Path, Path], list[str]], root: Path) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as out:
        export(root, Path(out) / "out")
        return contents(Path(out) / "out")


_EXPORTED = [pair for pair in _FILES if not pair[0].startswith(("packed", "masks"))]


@pytest.mark.parametrize(("name", "damages"), _EXPORTED, ids=[name for name, _ in _EXPORTED])
@pytest.mark.parametrize("layout", [export_published, export_shards])
def test_exports_are_of_what_was_rendered(
    rendered: Path, name: str, damages: Damages, layout: Callable[[Path, Path], list[str]]
) -> None:
    hunt(
        f"{layout.__name__.replace('_', ' ')}, {name}",
        train(rendered).path / name,
        damages,
        lambda: _exported(layout, rendered),
        examples=20,
    )


def test_exports_of_the_published_layout(published: Path) -> None:
    def judge(found: dict[str, bytes], _sound: object) -> None:
        assert found["train/images/3.png"] == (published / "train/images/3.png").read_bytes()

    file = train(published).path / "images/3.png"
    read = lambda: _exported(export_published, published)  # noqa: E731
    hunt("export published of published", file, picture_damage, read, anything, examples=20)


@pytest.mark.parametrize("name", ["SHA256SUMS", "images/000002.png", "dataset.json"])
def test_packs_are_made_of_what_was_rendered(rendered: Path, name: str) -> None:
    folder = train(rendered)
    pack = folder.packed / "8.npy"

    def packed() -> bytes:
        try:
            Packing(folder, 8).run(lambda _: None)
            return pack.read_bytes()
        finally:
            for path in (pack, pack.with_suffix(".json")):
                path.unlink(missing_ok=True)
            shutil.rmtree(folder.packed / ".work", ignore_errors=True)

    kinds = {"SHA256SUMS": text_damage, "dataset.json": json_damage}
    damages = kinds.get(name, picture_damage)
    hunt(f"pack, {name}", folder.path / name, damages, packed, examples=30)


def test_packs_are_made_of_pictures_alone(published: Path) -> None:
    folder = train(published)
    pack = folder.packed / f"{EDGE}.npy"

    def packed() -> np.ndarray:
        try:
            Packing(folder).run(lambda _: None)
            return np.load(pack)
        finally:
            shutil.rmtree(folder.packed, ignore_errors=True)

    def judge(found: np.ndarray, sound: np.ndarray) -> None:
        assert (found.shape, found.dtype) == (sound.shape, sound.dtype)
        assert (found[1:] == sound[1:]).all()

    file = folder.path / "images/0.png"
    hunt("pack of published", file, picture_damage, packed, judge, examples=30)


@pytest.mark.parametrize("suffix", [".npy", ".json"])
def test_data_sets_whose_pack_is_damaged(rendered: Path, suffix: str) -> None:
    """A pack's bytes are digested by deep verification alone; its shape always holds."""
    file = train(rendered).packed / f"{EDGE}{suffix}"
    damages = array_damage if suffix == ".npy" else json_damage
    hunt(f"pack's {suffix}", file, damages, lambda: whole_item(rendered), _legitimate)


def test_previews(published: Path, tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"

    def preview() -> None:
        contact_sheet(published, "train", 6, 0, out)
        out.unlink()

    file = train(published).path / "images/2.png"
    hunt("preview", file, picture_damage, preview, anything, examples=4)
