"""The manifest ``dataset.json``: origin of a split's latents, render settings, statistics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from threedident.latents.factors import FACTORS
from threedident.latents.sampling import SPLITS, check_raw
from threedident.latents.spaces import SPACES
from threedident.runtime.cards import Card
from threedident.runtime.errors import DATA, advise, printable
from threedident.runtime.files import load_npy
from threedident.runtime.records import Frozen, read_model
from threedident.storage.folder import MOST_ROWS, SplitFolder
from threedident.storage.origin import Origin
from threedident.storage.statistics import Channels, Moments

MOST_PIXELS = 4096

Annotation = Literal["mask", "depth"]
Material = Literal["rubber", "metal"]
Word = Annotated[str, Field(pattern=r"^[ -~]{0,60}$")]  # safe to print unchanged


class FactorRecord(Frozen):
    """One column of the physical latents, from its lowest to its highest value."""

    name: str
    unit: str
    low: float
    high: float


class Rendering(Frozen):
    """The settings that determine the pixels, together with the latents.

    Arguments:
        resolution: edge of the square image in pixels.
        quality: name of the quality preset.
        hue_mode: mapping from hue angles to colours.
        material: material of object and ground.
        annotations: extra pictures rendered for every image, ``mask`` or ``depth``.
        device: device on which Cycles rendered.
        blender: version of Blender.
        fingerprint: digest of scene, teapot, preset, device and version of Blender.
    """

    resolution: Annotated[int, Field(gt=0, le=MOST_PIXELS)]
    quality: Word
    hue_mode: Literal["wrapped", "published"]
    material: Material = "rubber"
    annotations: tuple[Annotation, ...] = ()
    device: Word
    blender: Word
    fingerprint: Word


class Digests(Frozen):
    """SHA-256 of the files beside the images."""

    raw_latents: str
    latents: str
    sums: str
    sizes: str


class Manifest(Card, Frozen):
    """``dataset.json`` of one split.

    Arguments:
        channel_mean: mean of each channel over all pixels, in [0, 1].
        channel_std: standard deviation of each channel over all pixels, in [0, 1].
    """

    schema_version: Literal[2] = 2
    split: str
    n: Annotated[int, Field(gt=0, le=MOST_ROWS)]
    factors: tuple[FactorRecord, ...]
    origin: Origin
    rendering: Rendering
    channel_mean: Moments
    channel_std: Moments
    channels: Channels
    digests: Digests

    @model_validator(mode="after")
    def _check_statistics(self) -> Manifest:
        mean, std = self.channels.moments(self.n * self.rendering.resolution**2)
        pairs = zip(mean + std, self.channel_mean + self.channel_std, strict=True)
        if not all(math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12) for a, b in pairs):
            raise ValueError("channel_mean and channel_std do not follow from channels")
        if self.factors != factor_records(self.origin.space):
            raise ValueError(f"factors are not those of the {self.origin.space} space")
        return self

    def card(self) -> dict[str, str]:
        """See :class:`threedident.runtime.cards.Card`."""
        rendering, origin = self.rendering, self.origin
        held = ", ".join(f"{name} fixed at {value:g}" for name, value in origin.fixed.items())
        drawn = f"seed {origin.seed}" if origin.rows is None else f"given rows {origin.rows[:12]}"
        law = "" if origin.conditional is None else f", positives from {origin.conditional}"
        return {
            "images": f"{self.n}, {rendering.resolution} x {rendering.resolution} pixels",
            "latents": f"{origin.space} space, {drawn}{law}{held and ', '}{held}",
            "rendering": f"{rendering.quality}, {rendering.material}, {rendering.hue_mode} hues",
            "renderer": f"Blender {rendering.blender} on {rendering.device}, fingerprint "
            f"{rendering.fingerprint}",
            "channels": f"mean {_spell_channels(self.channel_mean)}, standard deviation "
            f"{_spell_channels(self.channel_std)}",
        }

    def card_title(self) -> str:
        """See :class:`threedident.runtime.cards.Card`."""
        return f"Manifest of the {self.split} split"

    def to_bytes(self) -> bytes:
        """Content of the file."""
        return (self.model_dump_json(indent=2) + "\n").encode()


def _spell_channels(values: Moments) -> str:
    return " ".join(f"{value:.4f}" for value in values)


def factor_records(space: str) -> tuple[FactorRecord, ...]:
    """The table of factors in the form that manifests of a latent space record."""
    ranges = SPACES[space].ranges.tolist()
    return tuple(
        FactorRecord(name=factor.name, unit=factor.unit, low=low, high=high)
        for factor, (low, high) in zip(FACTORS, ranges, strict=True)
    )


def read_manifest(folder: SplitFolder) -> Manifest | None:
    """The manifest of a split, or None if there is none.

    Raises:
        ValueError: the file exists but is not a valid manifest of this split.
    """
    advice = "restore the file from a copy, or render into another folder"
    expected = "a manifest of schema version 2"
    manifest = read_model(Manifest, folder.manifest, expected, advice)
    if manifest is not None and manifest.split != folder.split:
        raise ValueError(
            f"{folder.manifest}: expected the manifest of the {folder.split} split, found that of "
            f"{printable(manifest.split)}; restore the file from a copy"
        )
    return manifest


def require_manifest(folder: SplitFolder) -> Manifest:
    """The manifest of a finished split.

    Raises:
        ValueError: there is no manifest. The message says what was found instead.
    """
    manifest = read_manifest(folder)
    if manifest is not None:
        return manifest
    raise ValueError(missing_manifest(folder))


def open_manifest(folder: SplitFolder) -> Manifest | None:
    """The manifest of a finished split, or None for the published archive, which has none.

    Raises:
        ValueError: the split is neither. The message says what was found instead.
    """
    manifest = read_manifest(folder)
    ours = folder.scratch.is_dir() or folder.sums.exists()
    if manifest is None and (ours or not folder.raw_latents.is_file()):
        raise ValueError(missing_manifest(folder))
    return manifest


def open_latents(folder: SplitFolder, manifest: Manifest | None) -> NDArray[np.float32]:
    """The raw latents of a split, checked against its manifest.

    Arguments:
        folder: the split.
        manifest: manifest of the split; None for the published archive, which has no digests.

    Returns:
        Shape (N, columns of the space), float32.

    Raises:
        ValueError: the latents are missing, damaged, altered, or not in the space.
    """
    path = folder.raw_latents
    if manifest is None:
        return check_raw(load_npy(path), str(path))
    found = load_npy(path, manifest.digests.raw_latents)
    raw = check_raw(found, str(path), manifest.origin.space)
    if len(raw) != manifest.n:
        raise ValueError(
            f"{path}: expected {manifest.n} rows as the manifest says, found {len(raw)}; give the "
            "same render command again"
        )
    return raw


def missing_manifest(folder: SplitFolder) -> str:
    """Error line for a split without a manifest, depending on what is found in its place."""
    expected = f"{folder.manifest}: expected the manifest of a rendered split, found"
    if folder.root.is_file():
        return f"{expected} the file {folder.root}; give the data set's folder"
    if (folder.root / folder.manifest.name).is_file():
        return f"{expected} that of one split in {folder.root}; give {folder.root.parent}"
    if not folder.root.is_dir():
        otherwise = "render one with threedident render --out"
        advice = advise(folder.root, _holds_split, otherwise, DATA)
        return f"{expected} no folder {folder.root}; {advice}"
    if folder.scratch.is_dir():
        return f"{expected} a run that was interrupted; give the same render command again"
    if folder.sums.exists():
        return f"{expected} none beside {folder.sums.name}; restore it from a copy"
    if folder.raw_latents.exists():
        return f"{expected} latents without one; data sets in the published layout have none"
    return f"{expected} none; render one with threedident render --out {folder.root}"


def _holds_split(path: Path) -> bool:
    return any((path / split).is_dir() for split in SPLITS)


def setting_differences(
    found: tuple[Origin, Rendering], asked: tuple[Origin, Rendering]
) -> list[str]:
    """The settings that differ, each as a text ``name A where B is asked for``."""
    was, wanted = ({**origin.model_dump(), **r.model_dump()} for origin, r in (found, asked))
    names = [name for name in wanted if was[name] != wanted[name]]
    if len(names) > 1 and "fingerprint" in names:
        names.remove("fingerprint")  # it follows from the settings already named
    return [
        f"{name} {_spell(was[name])} where {_spell(wanted[name])} is asked for" for name in names
    ]


def _spell(value: object) -> str:
    if isinstance(value, dict):
        value = [f"{name}={number:g}" for name, number in value.items()]
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def require_alike(manifests: Sequence[Manifest]) -> None:
    """Check that splits were rendered with the same settings.

    Positives may have another material than their anchors.

    Raises:
        ValueError: a setting differs. The message names it.
    """
    for first, other in combinations(manifests, 2):
        apart = {"material"} if _is_positives(first) != _is_positives(other) else set()
        here, there = first.rendering.model_dump(), other.rendering.model_dump()
        differences = [
            f"{name} {here[name]} in {first.split} and {there[name]} in {other.split}"
            for name in here
            if here[name] != there[name] and name not in apart
        ]
        if differences:
            raise ValueError(
                f"dataset.json: expected splits rendered alike, found {', '.join(differences)}; "
                "render one of them again into a folder of its own"
            )


def _is_positives(manifest: Manifest) -> bool:
    return manifest.origin.conditional is not None
