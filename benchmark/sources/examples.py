"""Examples from the data: pairs as the encoder sees them, and nearest neighbours in code space.

Codes are scaled to standard deviation 1 over the scored rows, so that their units do not matter.
The distance of two images is the Euclidean distance of their scaled codes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist
from torch import Tensor

from benchmark.pages.picture import Picture
from benchmark.pages.strips import Pixels, Strip, strip_picture

SHOWN = 4


def pairs(anchors: Tensor, positives: Tensor) -> Picture:
    """The picture of anchors and positives side by side.

    Arguments:
        anchors: images, shape (B, C, H, W), uint8, with one or three channels.
        positives: images of their positives, with the same shape.
    """
    strips = [
        Strip((a, b), f"Anchor and positive of pair {i}", f"pair {i}")
        for i, (a, b) in enumerate(zip(_pixels(anchors), _pixels(positives), strict=True))
    ]
    return strip_picture(
        strips,
        "Positive pairs",
        "Anchor and positive, as the encoder saw them in training. It never saw the factors.",
    )


def nearest(
    codes: NDArray[np.float32],
    images: Callable[[ArrayLike], Tensor],
    groups: NDArray[np.int64] | None = None,
) -> Picture:
    """The picture of test images, each with the images whose codes are nearest.

    Arguments:
        codes: codes of the first rows of the test split, shape (N, m).
        images: function from row numbers to images (B, C, H, W), uint8.
        groups: group number of each row, shape (N,), for example the number of its film. Rows of
            the same group do not count as neighbours. None if there are no groups.
    """
    apart = np.arange(len(codes)) if groups is None else groups[: len(codes)]
    queries = np.unique(apart, return_index=True)[1][:SHOWN]
    rows, distances = neighbours(codes, queries, apart)
    strips = []
    for query, near, far in zip(queries, rows, distances, strict=True):
        named = ", ".join(f"{d:.2f}" for d in far)
        strips.append(
            Strip(
                tuple(_pixels(images([query, *near]))),
                f"Image {query} of the scored split, then images {', '.join(map(str, near))}, "
                "which are nearest in code space",
                f"image {query} of the scored split; distances {named}",
                apart=True,
            )
        )
    others = "the others that were scored" if groups is None else "those of other tracks"
    return strip_picture(
        strips,
        "Nearest neighbours in code space",
        f"Left, a scored image; right, the nearest among {others}. They agree in what "
        "the codes hold, and differ in what the codes leave out. The distance is Euclidean, each "
        "code scaled to standard deviation 1.",
    )


def neighbours(
    codes: NDArray[np.float32], queries: NDArray[np.int64], groups: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The rows that are nearest to the queries in code space, excluding rows of the same group.

    Arguments:
        codes: shape (N, m).
        queries: row numbers, shape (Q,).
        groups: group number of each row, shape (N,).

    Returns:
        Row numbers and distances, nearest first, shape (Q, k) each. k is :data:`SHOWN`, or fewer
        if a query has fewer neighbours.
    """
    spread = codes.std(axis=0, dtype=np.float64)
    scaled = codes / np.where(spread > 0, spread, 1.0)
    distances = cdist(scaled[queries], scaled)
    same = groups[queries][:, None] == groups
    distances[same] = np.inf
    count = min(SHOWN, int((~same).sum(axis=1).min()))
    rows = distances.argsort(axis=1, kind="stable")[:, :count]
    return rows, np.take_along_axis(distances, rows, axis=1)


def _pixels(images: Tensor) -> list[Pixels]:
    """A batch of images, shape (B, C, H, W), as a list of images, shape (H, W, 3)."""
    rows = images.permute(0, 2, 3, 1).cpu().numpy()
    return [np.broadcast_to(row, (*row.shape[:2], 3)) for row in rows]
