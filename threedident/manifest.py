"""The manifest ``dataset.json``: what a split is, how it was rendered, and its statistics."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from threedident.factors import FACTORS
from threedident.storage import SplitFolder


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FactorRecord(_Model):
    """One column of the latents."""

    name: str
    unit: str
    reach: float


class Rendering(_Model):
    """The settings on which pixels depend, beside the latents.

    Arguments:
        resolution: edge of the square image in pixels.
        quality: name of the quality preset.
        hue_mode: how hue angles become colours.
        device: what Cycles computed on.
        blender: Blender's version.
        fingerprint: digest of scene, teapot, preset, device and Blender's version.
    """

    resolution: int
    quality: str
    hue_mode: Literal["wrapped", "published"]
    device: str
    blender: str
    fingerprint: str


class Origin(_Model):
    """Where the latents come from: a seed, or rows that the user gave.

    Arguments:
        space: the latent space.
        seed: seed of the marginal, or None for given rows.
        rows: digest of the given rows, or None for a seed.
    """

    space: Literal["box"] = "box"
    seed: int | None = None
    rows: str | None = None


class Channels(_Model):
    """Exact sums over all pixels of the split, for red, green and blue in 0..255."""

    total: tuple[int, int, int]
    square_total: tuple[int, int, int]


class Digests(_Model):
    """SHA-256 of the files beside the images."""

    raw_latents: str
    latents: str
    sums: str


class Manifest(_Model):
    """``dataset.json`` of one split.

    Arguments:
        channel_mean: mean of each channel over all pixels, in [0, 1].
        channel_std: standard deviation of each channel over all pixels, in [0, 1].
    """

    schema_version: Literal[1] = 1
    split: str
    n: int = Field(gt=0)
    factors: tuple[FactorRecord, ...]
    origin: Origin
    rendering: Rendering
    channel_mean: tuple[float, float, float]
    channel_std: tuple[float, float, float]
    channels: Channels
    digests: Digests

    def to_bytes(self) -> bytes:
        """The file's content."""
        return (self.model_dump_json(indent=2) + "\n").encode()


def factor_records() -> tuple[FactorRecord, ...]:
    """The table of factors as manifests record it."""
    return tuple(FactorRecord(name=f.name, unit=f.unit, reach=f.reach) for f in FACTORS)


def read_manifest(folder: SplitFolder) -> Manifest | None:
    """The manifest of a split, or None where there is none.

    Raises:
        ValueError: the file is there but is no manifest.
    """
    try:
        content = folder.manifest.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise ValueError(
            f"{folder.manifest}: expected a manifest of schema version 1, but at "
            f"{place}: {first['msg']}; restore the file from a copy"
        ) from None


def require_manifest(folder: SplitFolder) -> Manifest:
    """The manifest of a finished split.

    Raises:
        ValueError: there is none; the message says what is there instead.
    """
    manifest = read_manifest(folder)
    if manifest is not None:
        return manifest
    raise ValueError(missing_manifest(folder))


def missing_manifest(folder: SplitFolder) -> str:
    """One line on a split that has no manifest: what was expected, found, and what to do."""
    expected = f"{folder.manifest}: expected the manifest of a rendered split, found"
    if not folder.root.is_dir():
        return f"{expected} no folder {folder.root}; render one with threedident render --out"
    if folder.scratch.is_dir():
        return f"{expected} a run that was interrupted; give the same render command again"
    if folder.sums.exists():
        return f"{expected} none beside {folder.sums.name}; restore it from a copy"
    if folder.raw_latents.exists():
        return f"{expected} latents without one (the published layout has none to check against)"
    return f"{expected} none; render one with threedident render --out {folder.root}"
