"""Files like the published ``kitti_peds_v2.pickle``, small and of made-up pedestrians."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np


def make_tracks(lengths: list[int], edge: int = 16, seed: int = 0) -> list[np.ndarray]:
    """Ellipses that walk and grow, one track of boolean masks (T, H, W) for each length."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:edge, :edge]
    tracks = []
    for length in lengths:
        centre = edge / 2 + rng.normal(0, edge / 64, (length, 2)).cumsum(axis=0)
        radius = edge / 6 + rng.random((length, 1)) * (1, 2)
        y, x, high, wide = np.concatenate([centre, radius], axis=1).T[:, :, None, None]
        tracks.append(((rows - y) / wide) ** 2 + ((columns - x) / high) ** 2 <= 1)
    return tracks


def factors(mask: np.ndarray) -> tuple[float, float, float]:
    """Vertical and horizontal centre of mass and area of a mask, pixel by pixel."""
    inside = [(y, x) for y, row in enumerate(mask) for x, on in enumerate(row) if on]
    vertical, horizontal = (sum(axis) / len(inside) for axis in zip(*inside, strict=True))
    return vertical, horizontal, float(len(inside))


def published(tracks: list[np.ndarray]) -> dict[str, list[np.ndarray]]:
    """The published layout of tracks of masks."""
    latents = [np.array([factors(mask) for mask in track], np.float32) for track in tracks]
    return {"pedestrians": tracks, "pedestrians_latents": latents}


def write_pickle(folder: Path, content: object, protocol: int = 4) -> Path:
    """``content`` as ``kitti_peds_v2.pickle`` in a folder."""
    path = folder / "kitti_peds_v2.pickle"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


def make_pickle(folder: Path, lengths: list[int], edge: int = 16, seed: int = 0) -> Path:
    """Made-up tracks of the given lengths as ``kitti_peds_v2.pickle`` in a folder."""
    return write_pickle(folder, published(make_tracks(lengths, edge, seed)))
