"""KITTI Masks: silhouettes of pedestrians in street scenes, and pairs of frames of one track.

The published file, ``kitti_peds_v2.pickle`` of https://doi.org/10.5281/zenodo.3931823, is a dict
of two lists with an item for each track, a run of frames that show the same pedestrian:

- ``pedestrians``: masks, shape (T, 64, 64), boolean, T at least 2;
- ``pedestrians_latents``: vertical and horizontal centre of mass, in pixels from the upper left
  pixel's centre, and area in pixels; shape (T, 3), float32.

The published code trains on these pairs, without augmentation: the anchor is any frame but the
last of its track; the positive is 1 to D frames later, each as probable as the others, and the
track's last frame where it ends earlier. A batch of 64 images is 32 such pairs. It scores on
10,000 anchors of the tracks it trained on, with Spearman's correlation.

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

from benchmark.sources.pickles import load_pickle
from threedident.latents.philox import check_seed, uniforms
from threedident.pairs.core import Pair
from threedident.pairs.epochs import Epochs
from threedident.runtime.cards import Card
from threedident.runtime.files import open_plain

LABELS = ("vertical centre", "horizontal centre", "area")
_MASKS, _LATENTS = "pedestrians", "pedestrians_latents"

_PAIR_STREAM, _SPLIT_STREAM = 8, 9
_TEST_SHARE = 10


@dataclass(frozen=True, eq=False, repr=False)
class KittiMasks(Card):
    """Frames of all tracks, one track after the other.

    Arguments:
        frames: masks, shape (N, H, W), uint8, 0 or 255.
        latents: factors in the order of :data:`LABELS`, shape (N, 3), float32.
        starts: first frame of each track, and N, shape (tracks + 1,), int64.
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
            rows: from 0 to N - 1, shape (B,).
            shared: put them into shared memory, to leave a loader process without a copy.

        Returns:
            Shape (B, 1, H, W), uint8, 0 or 255.
        """
        images = torch.from_numpy(self.frames[np.asarray(rows, np.int64)])[:, None]
        return images.share_memory_() if shared else images  # type: ignore[no-untyped-call]

    def split(self) -> tuple[KittiMasks, KittiMasks]:
        """Train and test, with no track in both: a tenth is for the test, always the same.

        The tracks of the test are in random order, so that any first rows of it are like the rest.

        The published figures are not from such a split: they were scored on the tracks trained
        on. Nor does it part pedestrians: each was cut out in up to six windows of the street that
        overlap, each window makes a track, and the file does not say which belong together.

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
    """Two frames of one track; see the module for the law.

    Pairs are numbered over epochs, each of which holds every anchor once; item k of epoch e
    depends on (seed, e, k) alone.

    Arguments:
        masks: where frames come from.
        max_distance: most frames from an anchor to its positive; published: 1 and 5.
        seed: with epoch and item, all that a pair depends on.

    Raises:
        ValueError: the distance or the seed is none, or no track has two frames.
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
        """Pairs of an epoch: the frames that others of their track follow."""
        return len(self._anchors)

    def card(self) -> dict[str, str]:
        """See :class:`threedident.runtime.cards.Card`."""
        return {
            "masks": f"{len(self.masks)} frames of {len(self.masks.starts) - 1} tracks",
            "positives": f"1 to {self.max_distance} frames later",
            "pairs": f"{len(self)} an epoch, seed {self.seed}",
        }

    def draw(self, items: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Frames of the anchors and of the positives, each of shape (B,).

        Arguments:
            items: non-negative numbers of pairs over all epochs, shape (B,).
        """
        epochs, places = self._epochs.address(items)
        u = uniforms(self.seed, (_PAIR_STREAM,), places, 1, epochs=epochs)[:, 0]
        distance = (u * self.max_distance).astype(np.int64)
        anchors = self._anchors[self._epochs.rows(items)]
        return anchors, np.minimum(anchors + 1 + distance, self._lasts[anchors])

    def batch(self, items: ArrayLike, *, shared: bool = False) -> Pair:
        """Pairs by number, as one batch.

        Arguments:
            items: non-negative numbers of pairs, shape (B,).
            shared: put images into shared memory, to leave a loader process without a copy.

        Returns:
            Images of shape (B, 1, H, W), uint8, 0 or 255; latents of shape (B, 3), float32.
        """
        rows = self.draw(items)
        images = (self.masks.images(side, shared=shared) for side in rows)
        return Pair(*images, *(torch.from_numpy(self.masks.latents[side]) for side in rows))


def load_masks(path: str | Path) -> KittiMasks:
    """All tracks of the published file, or of one like it.

    Masks may be of any common size, and uint8 of 0 and 1 or of 0 and 255; tracks may be of one
    frame, which is then in no pair.

    Arguments:
        path: of ``kitti_peds_v2.pickle``.

    Raises:
        ValueError: it is missing, damaged or holds something else; nothing in it is ever run.
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
    """Masks and latents, an item for each track."""
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
    if stated > path.stat().st_size:  # one array named many times
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
    """Refuse what is no track of masks of the given edges."""
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
    """Refuse what does not hold finite latents for each of ``length`` frames."""
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
