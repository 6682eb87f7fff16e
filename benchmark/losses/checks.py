"""Checks of the arguments of contrastive losses."""

from __future__ import annotations

import math
import re

from torch import Tensor

from threedident.runtime.errors import nearest

_METHODS = ("parameters", "prepare", "paired", "crossed", "pull")
_NAMED = {
    "dot": "DotSimilarity()",
    "cosine": "CosineSimilarity()",
    "DotSimilarity": "DotSimilarity()",
    "CosineSimilarity": "CosineSimilarity()",
    "LpSimilarity": "LpSimilarity(2)",
}
_POWER = re.compile(r"l(\d+(?:\.\d+)?)")


def check_similarity(similarity: object) -> None:
    """Check that an object is a similarity, and not, for example, the name of one.

    Raises:
        ValueError: the object is not a similarity; the message names the fix.
    """
    is_class = isinstance(similarity, type)
    if not is_class and all(callable(getattr(similarity, name, None)) for name in _METHODS):
        return
    name = similarity if isinstance(similarity, str) else ""
    power, near = _POWER.fullmatch(name.lower()), nearest(name, _NAMED)
    found = f"the class {similarity.__name__}" if is_class else repr(similarity)  # type: ignore[attr-defined]
    if is_class:
        fix = "an instance"
    elif power is not None:
        fix = f"LpSimilarity({power[1]})"
    else:
        fix = "one such as LpSimilarity(2) or DotSimilarity()" if near is None else _NAMED[near]
    raise ValueError(f"similarity: expected a Similarity, found {found}; give {fix}")


def check_temperature(temperature: float) -> None:
    """Check that the temperature is a positive number.

    Raises:
        ValueError: it is not positive and finite, or it is a tensor that requires a gradient.
    """
    if isinstance(temperature, Tensor) and temperature.requires_grad:
        raise ValueError(
            "temperature: expected a number, found a tensor that requires a gradient; learn the "
            "radius of a sphere or the scales of LpSimilarity instead"
        )
    if not 0 < temperature < math.inf:
        raise ValueError(
            f"temperature: expected a positive number, found {temperature}; use 1 to leave "
            "similarities as they are"
        )


def check_codes(anchors: Tensor, positives: Tensor, negatives: tuple[Tensor, ...]) -> None:
    """Check that codes are floating-point tensors of shapes (B, n), (B, n) and (M, n).

    Raises:
        ValueError: they are not, or they are on different devices.
    """
    for codes in (anchors, positives, *negatives):
        if not isinstance(codes, Tensor):
            raise ValueError(
                f"codes: expected tensors of shape (B, n), found {type(codes).__name__}; convert "
                "them with torch.as_tensor"
            )
    if anchors.ndim != 2 or anchors.shape != positives.shape or 0 in anchors.shape:
        raise ValueError(
            f"anchors and positives: expected one shape (B, n), found {tuple(anchors.shape)} and "
            f"{tuple(positives.shape)}; give one row of codes for each member of each pair"
        )
    n, shapes = anchors.shape[1], {tuple(codes.shape) for codes in negatives}
    if (
        any(len(shape) != 2 or shape[1] != n or shape[0] == 0 for shape in shapes)
        or len(shapes) > 1
    ):
        raise ValueError(
            f"negatives: expected shape (M, {n}), found {' and '.join(map(str, sorted(shapes)))}; "
            "give codes of the same encoder"
        )
    for codes in (anchors, positives, *negatives):
        if not codes.is_floating_point() or codes.device != anchors.device:
            raise ValueError(
                f"codes: expected floating-point numbers on {anchors.device}, found {codes.dtype} "
                f"on {codes.device}; convert or move them"
            )


def check_first(first: int | None, anchors: int, negatives: tuple[Tensor, ...] | None) -> None:
    """Check that rows ``first`` to ``first + anchors - 1`` exist in the negatives.

    Raises:
        ValueError: they do not exist, or there are no negatives and fewer than two anchors.
    """
    if negatives is None and first is not None:
        raise ValueError(
            f"first: expected None without negatives, found {first}; give the negatives, too"
        )
    if negatives is None and anchors < 2:
        raise ValueError(
            f"anchors: expected at least 2 where no negatives are given, found {anchors}; take a "
            "larger batch, or give negatives"
        )
    if negatives is None or first is None:
        return
    rows = len(negatives[0])
    if rows < 2 or not 0 <= first <= rows - anchors:
        raise ValueError(
            f"first: expected {anchors} anchors from this row on in at least 2 rows of negatives, "
            f"found {first} and {rows} rows; give the row of the first anchor in the negatives"
        )
