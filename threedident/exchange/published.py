"""The published data set: where its archives are, and how it names its files.

    {train,test}/raw_latents.npy    N x 10, in [-1, 1]
    {train,test}/latents.npy        N x 10, physical
    {train,test}/images/NNNNNN.png  the row's index, as many digits as the last row has

References:
    Contrastive Learning Inverts the Data Generating Process, Zimmermann, Sharma, Schneider,
    Bethge, Brendel, 2021, https://doi.org/10.5281/zenodo.4502485
"""

from __future__ import annotations

from dataclasses import dataclass

# a file of 224 x 224 pixels, not compressed at all, with what a tar archive puts around it
_MOST_IMAGE = 3 * 224**2 + 4096

ADDRESS = "https://zenodo.org/records/4502485/files"


@dataclass(frozen=True)
class Archive:
    """A tar archive that holds one split.

    Arguments:
        name: of the file, below the address of all.
        md5: its digest in hexadecimal.
        split: ``train`` or ``test``.
        most: bytes that it surely does not exceed.
    """

    name: str
    md5: str
    split: str
    most: int


ARCHIVES = (
    Archive(
        "3dident_train.tar", "df132b4dacf04fa28e1c8ca9d2168634", "train", 250_000 * _MOST_IMAGE
    ),
    Archive("3dident_test.tar", "35020bca16c9faa80cf0c926d265d678", "test", 25_000 * _MOST_IMAGE),
)


def image_digits(n: int) -> int:
    """The width to which the names of ``n`` images are padded: log10 of n, rounded up.

    Example:
        >>> image_digits(250_000), image_digits(25_000), image_digits(1)
        (6, 5, 1)
    """
    return len(str(n - 1))
