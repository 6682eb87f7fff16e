"""KITTI Masks: silhouettes of pedestrians in street scenes, and pairs of frames of one track.

The published file, ``kitti_peds_v2.pickle`` of https://doi.org/10.5281/zenodo.3931823, is a dict
of two lists. Each list has one item for each track. A track is a sequence of frames that show the
same pedestrian.

- ``pedestrians``: masks, shape (T, 64, 64), boolean, T at least 2;
- ``pedestrians_latents``: vertical and horizontal centre of mass, in pixels from the centre of
  the upper left pixel, and area in pixels; shape (T, 3), float32.

The published code trains on the following pairs, without augmentation. The anchor is any frame of
a track except the last. The positive is 1 to D frames later, with equal probabilities, or the
last frame of the track if the track ends earlier. A batch of 64 images consists of 32 such pairs.
The published scores use 10,000 anchors of the tracks that were trained on, and Spearman's
correlation.

References:
    Towards Nonlinear Disentanglement in Natural Data with Temporal Sparse Coding, Klindt, Schott,
    Sharma, Ustyuzhaninov, Brendel, Bethge, Paiton, 2021, https://arxiv.org/abs/2007.10930
    Contrastive Learning Inverts the Data Generating Process, Zimmermann, Sharma, Schneider,
    Bethge, Brendel, 2021, https://arxiv.org/abs/2102.08850
"""

from __future__ import annotations

import hashlib
import operator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from benchmark.sources.kitti_masks.pickles import load_pickle
from threedident.latents.philox import check_seed, uniforms
from threedident.pairs.epochs import Epochs
from threedident.pairs.pair import Pair
from threedident.runtime.cards import Card
from threedident.runtime.files import open_plain

LABELS = ("vertical centre", "horizontal centre", "area")
_MASKS, _LATENTS = "pedestrians", "pedestrians_latents"

_PAIR_STREAM, _SPLIT_STREAM = 8, 9
_TEST_SHARE = 10


@dataclass(frozen=True, eq=False, repr=False)
class KittiMasks(Card):
    """The frames of all tracks, one track after the other.

    Arguments:
        frames: masks, shape (N, H, W), uint8, 0 or 255.
        latents: factors in the order of :data:`LABELS`, shape (N, 3), float32.
        starts: number of the first frame of each track, followed by N, shape (tracks + 1,), int64.
        digest: SHA-256 of the file.
    """

    frames: NDArray[np.uint8]
    latents: NDArray[np.float32]
    starts: NDArray[np.int64]
    digest: str

    def __post_init__(self) -> None:
        for array in (self.frames, self.latents, self.starts):
            array.setflags(write=False)

    def __len__(self) -> int:
        return len(self.frames)

    def card(self) -> dict[str, str]:
        """See :class:`threedident.runtime.cards.Card`."""
        height, width = self.frames.shape[1:]
        return {
            "masks": f"{len(self)} frames of {height} x {width} pixels",
            "tracks": str(len(self.starts) - 1),
            "factors": ", ".join(LABELS),
        }

    def images(self, rows: ArrayLike, *, shared: bool = False) -> torch.Tensor:
        """Frames by number.

        Arguments:
            rows: numbers of frames, from 0 to N - 1, shape (B,).
            shared: put the images into shared memory, so that a loader process passes them on
                without a copy.

        Returns:
            Images, shape (B, 1, H, W), uint8, 0 or 255.
        """
        images = torch.from_numpy(self.frames[np.asarray(rows, np.int64)])[:, None]
        return images.share_memory_() if shared else images  # type: ignore[no-untyped-call]

    def split(self) -> tuple[KittiMasks, KittiMasks]:
        """The train and test parts, which share no track. The test part is a fixed tenth.

        The tracks of the test part are in random order, so that its first rows are representative.

        The published scores do not use such a split: they were computed on the tracks that were
        trained on. The same pedestrian can be in both parts: the data set cuts each pedestrian out
        of up to six overlapping windows of the street. Each window is a track, and the file does
        not say which tracks show the same pedestrian.

        Raises:
            ValueError: there is only one track.
        """
        tracks = len(self.starts) - 1
        if tracks < 2:
            raise ValueError(f"tracks: expected 2 or more to split, found {tracks}; take all")
        order = np.argsort(uniforms(0, (_SPLIT_STREAM,), np.arange(tracks), 1)[:, 0])
        held_out = max(1, tracks // _TEST_SHARE)
        return self._part(np.sort(order[held_out:])), self._part(order[:held_out])

    def _part(self, tracks: NDArray[np.int64]) -> KittiMasks:
        rows = np.concatenate([np.arange(*self.starts[track : track + 2]) for track in tracks])
        starts = _starts(np.diff(self.starts)[tracks])
        return KittiMasks(self.frames[rows], self.latents[rows], starts, self.digest)


class MaskPairs(Card):
    """Pairs of two frames of one track; the module describes their distribution.

    Pairs are numbered over epochs. Each epoch contains every anchor once. Item k of epoch e
    depends only on (seed, e, k).

    Arguments:
        masks: the frames.
        max_distance: largest number of frames from an anchor to its positive; published: 1 and 5.
        seed: seed of the pairs.

    Raises:
        ValueError: the distance is below 1, the seed is invalid, or no track has two frames.
    """

    def __init__(self, masks: KittiMasks, max_distance: int, seed: int = 0) -> None:
        if operator.index(max_distance) < 1:
            raise ValueError(f"max_distance: expected at least 1 frame, found {max_distance}")
        lengths = np.diff(masks.starts)
        lasts = np.repeat(masks.starts[1:] - 1, lengths)
        rows = np.arange(len(masks))
        self.masks, self.max_distance, self.seed = masks, max_distance, check_seed(seed)
        self._anchors, self._lasts = rows[rows < lasts], lasts
        if not len(self._anchors):
            raise ValueError("masks: expected a track of 2 frames or more, found none; take more")
        self._epochs = Epochs(self.seed, len(self._anchors))

    def __len__(self) -> int:
        """Number of pairs in an epoch: the number of frames except the last of each track."""
        return len(self._anchors)

    def card(self) -> dict[str, str]:
        """See :class:`threedident.runtime.cards.Card`."""
        return {
            "masks": f"{len(self.masks)} frames of {len(self.masks.starts) - 1} tracks",
            "positives": f"1 to {self.max_distance} frames later",
            "pairs": f"{len(self)} an epoch, seed {self.seed}",
        }

    def draw(self, items: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Numbers of the frames of anchors and of positives, shape (B,) each.

        Arguments:
            items: numbers of pairs, counted over all epochs from 0, shape (B,).
        """
        epochs, places = self._epochs.address(items)
        u = uniforms(self.seed, (_PAIR_STREAM,), places, 1, epochs=epochs)[:, 0]
        distance = (u * self.max_distance).astype(np.int64)
        anchors = self._anchors[self._epochs.rows(items)]
        return anchors, np.minimum(anchors + 1 + distance, self._lasts[anchors])

    def batch(self, items: ArrayLike, *, shared: bool = False) -> Pair:
        """Pairs by number, as one batch.

        Arguments:
            items: numbers of pairs, counted over all epochs from 0, shape (B,).
            shared: put the images into shared memory, so that a loader process passes them on
                without a copy.

        Returns:
            Images, shape (B, 1, H, W), uint8, 0 or 255, and latents, shape (B, 3), float32.
        """
        rows = self.draw(items)
        images = (self.masks.images(side, shared=shared) for side in rows)
        return Pair(*images, *(torch.from_numpy(self.masks.latents[side]) for side in rows))


def load_masks(path: str | Path) -> KittiMasks:
    """All tracks of the published file, or of a similar one.

    In a similar file, masks may have another common size, and may be uint8 of 0 and 1 or of 0 and
    255. Tracks may have only one frame, which is then in no pair. Code in the file is never run.

    Arguments:
        path: path of ``kitti_peds_v2.pickle``.

    Raises:
        ValueError: the file is missing, damaged or contains something else.
    """
    path = Path(path)
    masks, latents = _lists(load_pickle(path), path)
    frames = _frames(masks, path)
    lengths = np.array([len(track) for track in masks])
    for i, (track, length) in enumerate(zip(latents, lengths, strict=True)):
        _check_latents(track, length, f"{path}: {_LATENTS}[{i}]")
    factors = np.concatenate(latents).astype(np.float32)
    with open_plain(path) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return KittiMasks(frames, factors, _starts(lengths), digest)


def _starts(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _lists(content: Any, path: Path) -> tuple[list[Any], list[Any]]:
    """The lists of masks and of latents, with one item for each track."""
    found = [content.get(key) if isinstance(content, dict) else None for key in (_MASKS, _LATENTS)]
    masks, latents = found
    if not (isinstance(masks, list | tuple) and isinstance(latents, list | tuple)):
        kinds = " and ".join(type(item).__name__ for item in found)
        raise ValueError(
            f"{path}: expected a dict with the lists {_MASKS} and {_LATENTS}, found {kinds}; take "
            "kitti_peds_v2.pickle"
        )
    if not 0 < len(masks) == len(latents):
        raise ValueError(
            f"{path}: expected tracks, and as many of latents as of masks, found {len(masks)} of "
            f"masks and {len(latents)} of latents; take kitti_peds_v2.pickle"
        )
    return list(masks), list(latents)


def _frames(masks: list[Any], path: Path) -> NDArray[np.uint8]:
    """All masks in one array, 0 or 255."""
    edges = masks[0].shape[1:] if isinstance(masks[0], np.ndarray) else ()
    stated = sum(track.nbytes for track in masks if isinstance(track, np.ndarray))
    if stated > path.stat().st_size:  # the file refers to one array many times
        raise ValueError(
            f"{path}: expected each track once, found more masks than the file has bytes; take "
            "kitti_peds_v2.pickle"
        )
    for i, track in enumerate(masks):
        _check_masks(track, edges, f"{path}: {_MASKS}[{i}]")
    frames = np.empty((sum(map(len, masks)), *edges), np.uint8)
    np.concatenate([track.view(np.uint8) for track in masks], out=frames)
    np.minimum(frames, 1, out=frames)
    return np.multiply(frames, 255, out=frames)


def _check_masks(track: Any, edges: tuple[int, ...], name: str) -> None:
    """Check that a track consists of masks with the given edges.

    Raises:
        ValueError: type, shape or levels are wrong.
    """
    if not (isinstance(track, np.ndarray) and track.dtype in (np.bool_, np.uint8)):
        found = track.dtype if isinstance(track, np.ndarray) else type(track).__name__
        raise ValueError(f"{name}: expected an array of bool or uint8, found {found}; convert it")
    if track.ndim != 3 or track.shape[1:] != edges or not track.size:
        raise ValueError(
            f"{name}: expected shape (T, H, W) as in all tracks, found {track.shape}; "
            "scale masks to one size"
        )
    levels = track.view(np.uint8)
    top = levels.max()
    if top not in (0, 1, 255) or not ((levels == 0) | (levels == top)).all():
        raise ValueError(
            f"{name}: expected 0 and 1, or 0 and 255, found other levels up to {top}; threshold "
            "the masks"
        )


def _check_latents(track: Any, length: int, name: str) -> None:
    """Check that a track has finite latents for each of its ``length`` frames.

    Raises:
        ValueError: type or shape are wrong, or entries are not finite.
    """
    numeric = isinstance(track, np.ndarray) and track.dtype in (np.float32, np.float64)
    if not numeric or track.shape != (length, len(LABELS)):
        array = isinstance(track, np.ndarray)
        found = f"{track.dtype} {track.shape}" if array else type(track).__name__
        raise ValueError(
            f"{name}: expected floats of shape {(length, len(LABELS))}, {', '.join(LABELS)} of "
            f"each mask, found {found}; take kitti_peds_v2.pickle"
        )
    if not (np.abs(track) < np.finfo(np.float32).max).all():
        raise ValueError(
            f"{name}: expected finite numbers, found others; take kitti_peds_v2.pickle"
        )
