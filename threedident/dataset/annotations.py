"""Annotations of an image: the label and the distance of every pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from threedident.runtime.files import read_plain
from threedident.storage.folder import MOST_PICTURE
from threedident.storage.pictures import decode_picture

NOTHING, GROUND, OBJECT = 0, 1, 2

DEPTH_STEP = 1e-3

_COLORS = (0, 0, 0, 120, 130, 140, 240, 150, 40)  # RGB of the three labels, for image viewers


def annotation_picture(
    name: str, labels: NDArray[np.uint8], depths: NDArray[np.float32]
) -> Image.Image:
    """The picture of the annotation ``mask`` or ``depth``.

    Arguments:
        name: ``mask`` or ``depth``.
        labels: label of every pixel, shape (H, W).
        depths: distance along the camera's axis in Blender units, shape (H, W).
    """
    if name == "mask":
        picture = Image.fromarray(labels)
        picture.putpalette(_COLORS)
        return picture
    steps = np.rint(depths.astype(np.float64) / DEPTH_STEP)
    return Image.fromarray(np.clip(steps, 0, 2**16 - 1).astype(np.uint16))


def read_mask(path: Path, edge: int) -> NDArray[np.uint8]:
    """The labels in a mask's file, shape (H, W).

    Arguments:
        path: path of the file.
        edge: height and width in pixels.

    Raises:
        ValueError: the file is missing, damaged, or not a mask of that size.
    """
    labels = np.asarray(_read(path, edge, ("P", "L")), dtype=np.uint8)
    if labels.max() > OBJECT:
        raise _bad(path, edge, f"the label {labels.max()}")
    return labels


def read_depth(path: Path, edge: int) -> NDArray[np.float32]:
    """The distances in a depth file in Blender units, shape (H, W), float32.

    Arguments and errors are the same as for :func:`read_mask`.
    """
    steps = np.asarray(_read(path, edge, ("I;16", "I")), dtype=np.float64)
    return (steps * DEPTH_STEP).astype(np.float32)


def _read(path: Path, edge: int, modes: tuple[str, ...]) -> Image.Image:
    try:
        picture = decode_picture(read_plain(path, MOST_PICTURE))
    except OSError as error:
        what = "nothing" if isinstance(error, FileNotFoundError) else "an unreadable file"
        raise _bad(path, edge, what) from None
    except ValueError as error:
        raise _bad(path, edge, str(error)) from None
    if picture.size != (edge, edge) or picture.mode not in modes:
        raise _bad(path, edge, f"one of {picture.size} and mode {picture.mode}")
    return picture


def _bad(path: Path, edge: int, found: str) -> ValueError:
    return ValueError(
        f"{path}: expected an annotation of {edge} x {edge} pixels, found {found}; threedident "
        "verify names every bad file, and the same render command again repairs them"
    )
