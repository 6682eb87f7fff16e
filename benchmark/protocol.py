"""The protocols of training and scoring, and all in which the published one differs from ours.

``held-out`` is ours. ``published`` is the procedure of the published code. Where the two differ,
the code reads a field of :class:`Procedure`, and no name of a protocol.

References:
    Contrastive Learning Inverts the Data Generating Process, Zimmermann, Sharma, Schneider,
    Bethge, Brendel, 2021, https://arxiv.org/abs/2102.08850
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from benchmark.config import Config

VERSION = 2  # of the published protocol


class Scored(NamedTuple):
    """The rows that are scored.

    Arguments:
        rows: number of rows.
        batch: rows per batch, which share BatchNorm's statistics if these are the batch's.
    """

    rows: int
    batch: int


@dataclass(frozen=True, kw_only=True)
class Procedure:
    """The parts of training and scoring in which the protocols differ. The defaults are ours.

    Arguments:
        anchor_as_negative: True if an anchor is one of its own negatives.
        separate_views: True if each view goes through the encoder in a pass of its own, so that
            BatchNorm normalises each view separately.
        linear_extents: True if the learned number of a learned box or sphere is the side or the
            radius itself, from 1; False if it is the logarithm.
        torch_initialisation: True if the MLP starts from torch's own initialisation; False if it
            starts from He's.
        supervised_anywhere: True if supervised codes may be in any output space; False if the
            space must contain the latents.
        mixing_below_threshold: True if the matrices of the mixing function g are the first with
            a condition number not above the least of 25,000 others; False if each is the best of
            25,000.
        image_deviations: True to normalise by the mean of the images' own standard deviations;
            False to normalise by the deviation over all pixels.
        published_crops: True if augmented crops are resized bicubically, and never blurred.
        replacement: True if anchor images are drawn with replacement, and those of nearest pairs
            from the marginal by default; False if each comes once per epoch.
        all_tracks: True to train on all tracks of KITTI Masks and to score them; False to hold a
            tenth out.
        batch_statistics: True to score with BatchNorm's statistics of each batch; False to score
            in eval mode.
        same_rows: True to fit and score R^2 of mixing on the same rows, batch by batch, and to
            average all scores over the batches.
        scored: rows that are scored, by kind of source; a missing kind stands for all rows.
    """

    anchor_as_negative: bool = False
    separate_views: bool = False
    linear_extents: bool = False
    torch_initialisation: bool = False
    supervised_anywhere: bool = False
    mixing_below_threshold: bool = False
    image_deviations: bool = False
    published_crops: bool = False
    replacement: bool = False
    all_tracks: bool = False
    batch_statistics: bool = False
    same_rows: bool = False
    scored: Mapping[str, Scored] = field(default_factory=dict)


OURS = Procedure()
_EARLY = Procedure(  # version 1 of the published protocol changed scores alone
    batch_statistics=True,
    scored=dict.fromkeys(("images", "mixing", "kitti"), Scored(4096, 256)),
)
PUBLISHED = Procedure(
    anchor_as_negative=True,
    separate_views=True,
    linear_extents=True,
    torch_initialisation=True,
    supervised_anywhere=True,
    mixing_below_threshold=True,
    image_deviations=True,
    published_crops=True,
    replacement=True,
    all_tracks=True,
    batch_statistics=True,
    same_rows=True,
    scored={
        "images": Scored(4096, 512),
        "mixing": Scored(10 * 6144, 6144),
        "kitti": Scored(10_000, 1024),
    },
)


def procedure(protocol: str, version: int = VERSION) -> Procedure:
    """The procedure of a protocol.

    Arguments:
        protocol: ``held-out`` or ``published``.
        version: version of the published protocol.
    """
    if protocol == "held-out":
        return OURS
    return _EARLY if version < VERSION else PUBLISHED


def procedure_of(config: Config) -> Procedure:
    """The procedure of a run."""
    return procedure(config.protocol, config.protocol_version)


def version_of(protocol: str) -> int:
    """The version that new runs of a protocol record; ``held-out`` has one version only."""
    return VERSION if protocol == "published" else 1


def label(config: Config) -> str:
    """The name of the protocol of a run, which ends in its version if that is an earlier one."""
    current = config.protocol_version == version_of(config.protocol)
    return config.protocol if current else f"{config.protocol}-{config.protocol_version}"


def require_current(name: object, config: Config) -> None:
    """Check that a run can be resumed by the current version of its protocol.

    Raises:
        ValueError: the run follows an earlier version.
    """
    if config.protocol_version != version_of(config.protocol):
        raise ValueError(
            f"{name}: expected a run by version {VERSION} of the published protocol, found "
            f"version {config.protocol_version}, which changed scores alone and can be read and "
            "compared, but not resumed; give another --out to train it again"
        )
