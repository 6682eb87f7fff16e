"""Fresh images, which did not exist when an encoder was trained.

They are rendered with the settings of the data set of the encoder. There are two parts. The fresh
test split has a seed of the season, and encoders are scored on it. The other part renders some
rows of the public test split again. The secret of the season selects them. For these rows an
encoder must compute the submitted codes.

Images can be kept for other submissions. They are compared with their digests each time, and the
digests are signed with the secret of the season. Altered images are rendered again.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.leaderboard.submission.data import DataRecord
from benchmark.leaderboard.verification.secret import Secret, is_signed
from threedident.dataset.split import ThreeDIdent
from threedident.latents.factor_set import FactorSet
from threedident.latents.sampling import SPLITS
from threedident.runtime.files import MOST_JSON, locked, npy_bytes, read_plain, sha256, write_bytes
from threedident.runtime.machine import child
from threedident.runtime.packages import module_command
from threedident.runtime.progress import say
from threedident.storage.folder import MOST_PICTURE, SplitFolder
from threedident.storage.manifest import read_manifest
from threedident.storage.origin import Origin, rows_digest
from threedident.storage.verify import verify_split

_PUBLIC_ROWS = 64
_SEAL = "seal"
_MOST_SEAL = 4096  # bytes


@dataclass(frozen=True)
class FreshImages:
    """The fresh images of a season for one data set.

    Arguments:
        root: folder of the rendered data set: ``test`` is the fresh split, ``train`` contains the
            public rows.
        rows: numbers of the public rows in the public test split, shape (K,).
        factors: the factors that vary.
    """

    root: Path
    rows: NDArray[np.int64]
    factors: FactorSet

    @property
    def latents(self) -> NDArray[np.float32]:
        """The factors that vary, of the fresh split, shape (N, n)."""
        return self.factors.values(ThreeDIdent(self.root, "test").latents)

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the renderer of the images."""
        manifest = ThreeDIdent(self.root, "test").manifest
        assert manifest is not None
        return manifest.rendering.fingerprint

    def images(self, resolution: int) -> NDArray[np.uint8]:
        """Images of the fresh split, shape (N, H, H, 3)."""
        return self._images("test", resolution)

    @property
    def public_digests(self) -> list[str]:
        """SHA-256 of the newly rendered files of the public rows, in order of ``rows``."""
        drawn = SplitFolder(self.root, "train")
        images = (drawn.image(i) for i in range(len(self.rows)))
        return [sha256(read_plain(image, MOST_PICTURE)) for image in images]

    def public_images(self, resolution: int) -> NDArray[np.uint8]:
        """Newly rendered images of the public rows, shape (K, H, H, 3)."""
        return self._images("train", resolution)

    def _images(self, split: str, resolution: int) -> NDArray[np.uint8]:
        images = ThreeDIdent(self.root, split, resolution=resolution)
        found = images.images(range(len(images))).permute(0, 2, 3, 1)
        return np.ascontiguousarray(found.numpy())


@contextmanager
def fresh_images(
    data: DataRecord, secret: Secret, n: int, keep: Path | None = None
) -> Iterator[FreshImages]:
    """A context with the fresh images of a season for a data set, rendered if necessary.

    Arguments:
        data: data set with the settings to render with.
        secret: secret of the season.
        n: number of rows of the fresh split.
        keep: folder that keeps the images for later calls. None for a temporary folder, which is
            removed at the end of the context.

    Raises:
        ValueError: the renderer fails, or differs from the renderer of the data set.
    """
    drawn_with = data.model_dump_json(exclude={"id", "n_train", "digests"})  # all other settings
    name = f"{data.id}-{sha256(drawn_with.encode())[:12]}-{secret.commitment[:12]}"
    if keep is not None:
        yield _drawn(data, secret, n, keep / name, kept=True)
        return
    with tempfile.TemporaryDirectory(prefix="threedident-") as scratch:
        yield _drawn(data, secret, n, Path(scratch) / name, kept=False)


def _drawn(data: DataRecord, secret: Secret, n: int, root: Path, kept: bool) -> FreshImages:
    root, rows = root.resolve(), _public_rows(data, secret)
    public, seed = data.test_latents(data.seed, data.n_test)[rows], secret.number("fresh split")
    origin = Origin(split="test", space=data.space, seed=seed, fixed=data.fixed)
    found = FreshImages(root, rows, data.factors)
    with locked(root.parent, wait=True):  # another verification may render there
        if _is_sealed(root, secret) and _holds(root, public, n, origin) and _is_intact(root):
            _require_same_renderer(root, data)
            return found
        if root.exists():
            say(f"{root}: not as this season rendered and sealed it; it is rendered again")
            shutil.rmtree(root)
        root.mkdir(mode=0o700)
        latents = root / "public_rows.npy"
        write_bytes(latents, npy_bytes(public))
        settings = (
            *("--latents", latents, "--resolution", data.resolution, "--quality", data.quality),
            *("--hue", data.hue_mode, "--material", data.material, "--device", data.device),
            *("--out", root),
        )
        shown = str(root) if kept else "fresh split"
        _render(root, shown, *settings)
        _require_same_renderer(root, data)  # before the larger part is rendered
        held = ("--fix", ",".join(data.held)) if data.fixed else ()
        _render(root, shown, *settings, *held, "--n-test", n, "--seed", "-", said=f"{seed}\n")
        write_bytes(root / _SEAL, secret.sign(_sealed_content(root)).encode())
    return found


def _is_intact(root: Path) -> bool:
    """True if every file is as rendered, and there is no pack that would be read instead."""
    folders = [SplitFolder(root, split) for split in SPLITS]
    if any(folder.packed.exists() for folder in folders):
        return False
    return not any(verify_split(folder, deep=True) for folder in folders)


def _is_sealed(root: Path, secret: Secret) -> bool:
    """True if the season has signed the digests of the images in the folder."""
    try:
        seal = read_plain(root / _SEAL, _MOST_SEAL).decode("ascii")
    except (OSError, ValueError):
        return False
    return is_signed(_sealed_content(root), seal, secret.public_key)


def _sealed_content(root: Path) -> bytes:
    manifests = (SplitFolder(root, split).manifest for split in SPLITS)
    return b"".join(read_plain(p, MOST_JSON) if p.is_file() else b"" for p in manifests)


def _holds(root: Path, public: NDArray[np.float32], n: int, origin: Origin) -> bool:
    """True if the splits in the folder belong to this season and data set."""
    train, test = (read_manifest(SplitFolder(root, split)) for split in SPLITS)
    return (
        train is not None
        and test is not None
        and (test.n, test.origin) == (n, origin)
        and (train.n, train.origin.rows) == (len(public), rows_digest(public))
    )


def _require_same_renderer(root: Path, data: DataRecord) -> None:
    manifest = ThreeDIdent(root, "train").manifest
    assert manifest is not None
    if manifest.rendering.fingerprint != data.fingerprint:
        raise ValueError(
            f"renderer: expected the fingerprint {data.fingerprint} of {data.id} (Blender "
            f"{data.blender}), found {manifest.rendering.fingerprint} (Blender "
            f"{manifest.rendering.blender}); verify with the renderer of the data set"
        )


def _public_rows(data: DataRecord, secret: Secret) -> NDArray[np.int64]:
    rng = np.random.default_rng(secret.number("public rows"))
    return np.sort(rng.permutation(data.n_test)[:_PUBLIC_ROWS])


def _render(root: Path, shown: str, *arguments: object, said: str = "") -> None:
    """Run the renderer, and pass its progress on to standard error.

    Arguments:
        root: folder that it renders to.
        shown: name of this folder in its messages.
        arguments: arguments of ``threedident render``.
        said: text for its standard input: a seed, which must not appear on a command line.

    Raises:
        ValueError: the renderer fails; the message gives its reason.
    """
    command = [*module_command("threedident"), "render", *map(str, arguments)]
    reason = "see its messages above"
    with child(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd="/",
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        with suppress(BrokenPipeError):  # it ended, and its messages give the reason
            process.stdin.write(said)
            process.stdin.close()
        for line_said in process.stderr:
            line = line_said.replace(str(root), shown)
            if line.startswith("threedident: "):
                reason = line.removeprefix("threedident: ").strip()
            else:
                sys.stderr.write(line)
    if process.returncode:
        raise ValueError(
            f"fresh split: expected the renderer to finish, found that it failed: {reason}"
        )
