"""The folder of a submission, which is untrusted: only known names, plain files, limited sizes.

FOLDER/submission.json              its description, see :class:`.submission.Submission`
FOLDER/SHA256SUMS                   digests of the images of the test split, from the data set
FOLDER/representations_seedK.npy    codes of the test split in order, N x n, float32
FOLDER/config_seedK.json            the resolved configuration of the training
FOLDER/encoder_seedK.onnx           images (B, H, W, 3) in uint8 to codes (B, n) in float32

There is one code for each of the n factors that vary in the data set.
"""

from __future__ import annotations

import io
import stat
import warnings
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from benchmark.leaderboard.record import parse_json, shown
from benchmark.leaderboard.submission.submission import SeedRecord, read_submission
from threedident.runtime.errors import advise, printable
from threedident.runtime.files import read_plain, sha256
from threedident.storage.folder import image_name, parse_sums

SUBMISSION = "submission.json"
SUMS = "SHA256SUMS"
_MOST_JSON = 10**6
_MOST_ENCODER = 2**29
_MOST_HEADER = 4096
_MOST_CODES = 16  # bytes per code; allows larger types, whose message is then more specific
_MOST_SUMS_A_ROW = 3 * 100  # bytes for an image and, if annotated, its mask and depth


def representations_name(seed: int) -> str:
    """The name of the file with the codes of a seed."""
    return f"representations_seed{seed}.npy"


def config_name(seed: int) -> str:
    """The name of the file with the configuration of a seed."""
    return f"config_seed{seed}.json"


def encoder_name(seed: int) -> str:
    """The name of the file with the encoder of a seed."""
    return f"encoder_seed{seed}.onnx"


class SubmissionFolder:
    """The folder of a submission, after a check of its files. Other content is read on demand.

    Arguments:
        path: path of the folder.

    Attributes:
        path: path of the folder.
        submission: content of its ``submission.json``.

    Raises:
        ValueError: the path is not a folder, or the folder contains other files than a submission.
    """

    def __init__(self, path: Path) -> None:
        if path.is_symlink() or not path.is_dir():
            what = "a link" if path.is_symlink() else "a file" if path.exists() else "nothing"
            advice = advise(path, _is_or_holds_submission, "give one", Path("submissions"))
            raise ValueError(
                f"{path}: expected the folder of a submission, found {what}; {advice}"
            )
        several = _submissions_in(path)
        if several and not (path / SUBMISSION).exists():
            raise ValueError(
                f"{path}: expected the folder of a submission, found a folder of submissions, "
                f"such as {shown(several[0].name)}; give one of them"
            )
        self.path = path
        _require_plain(path)
        self.submission = read_submission(
            _read_plain(path / SUBMISSION, _MOST_JSON), str(path / SUBMISSION)
        )
        self._check_names()

    def representations(self, record: SeedRecord) -> NDArray[np.float32]:
        """Codes of the test split of one seed, shape (N, n).

        Raises:
            ValueError: the file contains something else, or does not have the submitted digest.
        """
        name = representations_name(record.seed)
        shape = (self.submission.data.n_test, len(self.submission.data.factors.names))
        most = _MOST_HEADER + _MOST_CODES * shape[0] * shape[1]
        content = self._digested(name, most, record.digests.representations)
        return _float32(content, shape, str(self.path / name))

    def encoder(self, record: SeedRecord) -> bytes:
        """The content of the ONNX file of one seed, which is not parsed.

        Raises:
            ValueError: the file does not have the submitted digest.
        """
        return self._digested(encoder_name(record.seed), _MOST_ENCODER, record.digests.encoder)

    def image_digests(self) -> list[str]:
        """SHA-256 of every image of the test split, in order of rows.

        Raises:
            ValueError: the file is not the one of the data set, or lacks a row.
        """
        data = self.submission.data
        content = self._digested(SUMS, _MOST_SUMS_A_ROW * data.n_test, data.digests.test)
        found = parse_sums(content.decode(errors="replace"))
        names = [f"images/{image_name(row)}" for row in range(data.n_test)]
        missing = next((name for name in names if name not in found), None)
        if missing is not None:
            raise ValueError(
                f"{self.path / SUMS}: expected a digest for each of {data.n_test} images, found "
                f"none for {missing}; give the file of the data set's test split"
            )
        return [found[name] for name in names]

    def read_config(self, record: SeedRecord) -> Any:
        """The configuration of one seed, as the value of its JSON.

        Raises:
            ValueError: the file is not JSON, or does not have the submitted digest.
        """
        name = config_name(record.seed)
        content = self._digested(name, _MOST_JSON, record.digests.config)
        return parse_json(content, str(self.path / name))

    def _check_names(self) -> None:
        if self.submission.id != self.path.resolve().name:
            raise ValueError(
                f"{self.path}: expected a folder named as its id {self.submission.id}, found "
                f"{shown(self.path.resolve().name)}; rename it"
            )
        expected = {SUBMISSION, SUMS}
        for record in self.submission.seeds:
            seed = record.seed
            expected |= {representations_name(seed), config_name(seed), encoder_name(seed)}
        found = {entry.name for entry in self.path.iterdir()}
        for name in sorted(found - expected):
            raise ValueError(
                f"{self.path}: expected {', '.join(sorted(expected))} alone, found "
                f"{shown(name)}; take it out"
            )
        for name in sorted(expected - found):
            raise ValueError(f"{self.path / name}: expected a file, found nothing; add it")

    def _digested(self, name: str, most: int, digest: str) -> bytes:
        content = _read_plain(self.path / name, most)
        if sha256(content) != digest:
            raise ValueError(
                f"{self.path / name}: expected the file of digest {digest[:12]}, found "
                f"{sha256(content)[:12]}; it is not the one that {SUBMISSION} names"
            )
        return content


def _submissions_in(path: Path) -> list[Path]:
    return sorted(found.parent for found in path.glob(f"*/{SUBMISSION}"))


def _is_or_holds_submission(path: Path) -> bool:
    return (path / SUBMISSION).is_file() or bool(_submissions_in(path))


def _read_plain(path: Path, most: int) -> bytes:
    """The content of a plain file of at most ``most`` bytes. Links are refused.

    Raises:
        ValueError: the path is something else, or the file is larger.
    """
    try:
        return read_plain(path, most, links=False)
    except FileNotFoundError:
        raise ValueError(f"{path}: expected a file, found nothing; add it") from None
    except OSError as error:
        raise ValueError(f"{path}: expected a plain file, found {error.strerror}") from None


def _require_plain(folder: Path) -> None:
    """Check that a folder contains only plain files, before anything is read.

    Raises:
        ValueError: it contains a link, a folder or a device.
    """
    for path in sorted(folder.iterdir()):
        mode = path.lstat().st_mode
        if not stat.S_ISREG(mode):
            kind = "link" if stat.S_ISLNK(mode) else "folder" if stat.S_ISDIR(mode) else "device"
            raise ValueError(f"{path}: expected plain files alone, found a {kind}; take it out")


def _read_header(stream: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order (True for columns) and type of the array in an npy file."""
    layout: Any = np.lib.format  # untyped
    readers = {(1, 0): layout.read_array_header_1_0, (2, 0): layout.read_array_header_2_0}
    with warnings.catch_warnings(action="error"):
        return readers[layout.read_magic(stream)](stream)  # type: ignore[no-any-return]


def _float32(content: bytes, shape: tuple[int, int], place: str) -> NDArray[np.float32]:
    """The array of an npy file. Its header is checked before memory is allocated.

    Raises:
        ValueError: the content is damaged, or is not a float32 array of this shape.
    """
    stream = io.BytesIO(content)
    try:
        found, by_columns, kind = _read_header(stream)
    except Exception as error:  # numpy raises many kinds of errors for damaged files
        raise ValueError(
            f"{place}: expected a plain npy array as numpy.save writes it, found none "
            f"({type(error).__name__}); save the array again"
        ) from None
    if kind.hasobject:
        raise ValueError(
            f"{place}: expected numbers, found pickled objects, which are never loaded; save a "
            "float32 array"
        )
    if kind != np.dtype("<f4") or by_columns:
        found_kind = printable(str(kind), 60) + (" by columns" if by_columns else "")
        raise ValueError(
            f"{place}: expected float32 in order of rows, found {found_kind}; save "
            "numpy.ascontiguousarray(codes, dtype=numpy.float32)"
        )
    if found != shape:
        raise ValueError(
            f"{place}: expected shape {shape}, a row for each test image, found {shown(found)}; "
            "give all rows and codes"
        )
    if len(content) - stream.tell() != 4 * shape[0] * shape[1]:
        raise ValueError(
            f"{place}: expected {4 * shape[0] * shape[1]} bytes of codes, found "
            f"{len(content) - stream.tell()}; save the array again"
        )
    return np.frombuffer(content, "<f4", offset=stream.tell()).reshape(shape)
