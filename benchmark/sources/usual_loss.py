"""The usual loss of a data set of images, which follows from its latent space."""

from __future__ import annotations

from pathlib import Path

from threedident.latents.factor_set import FactorSet
from threedident.latents.factors import NAMES
from threedident.storage.folder import SplitFolder
from threedident.storage.manifest import read_manifest


def usual_loss(data: Path, factors: str | None) -> str:
    """``l2`` for factors with ends, ``dot`` for angles without ends, ``l2+dot`` for both.

    Arguments:
        data: folder of the data set. Without a readable manifest, the factors have ends.
        factors: chosen factors, separated by commas; None for all.
    """
    try:
        manifest = read_manifest(SplitFolder(data, "train"))
    except ValueError:  # the reason is given when the data set is opened
        return "l2"
    if manifest is None:
        return "l2"
    chosen = NAMES if factors is None else tuple(factors.split(","))
    names = tuple(name for name in chosen if name not in manifest.origin.fixed)
    circular = FactorSet(manifest.origin.space, names).circular if names else ()
    if not any(circular):
        return "l2"
    return "dot" if all(circular) else "l2+dot"
