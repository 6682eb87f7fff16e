"""Completion of a split: the files beside its images are written, the manifest last."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from render.workers.journal import RowRecord, read_journals
from render.workers.plan import Plan
from threedident.latents.sampling import to_physical
from threedident.runtime.files import npy_bytes, sha256, write_bytes
from threedident.storage.folder import SplitFolder, picture_name, sums_bytes
from threedident.storage.manifest import Digests, Manifest, Rendering, factor_records
from threedident.storage.statistics import Channels
from threedident.storage.verify import bad_files_beside, trusted_digests


def known_digests(
    folder: SplitFolder,
    rendering: Rendering,
    manifest: Manifest | None,
    journal: Mapping[int, RowRecord],
) -> dict[int, tuple[str, ...]]:
    """Digests of the pictures of each row, from the manifest and from the journals."""
    known: dict[int, tuple[str, ...]] = {}
    sums = (trusted_digests(folder, manifest) if manifest else None) or {}
    if manifest and sums:
        for index in range(manifest.n):
            pictures = folder.pictures(index, rendering.annotations)
            known[index] = tuple(sums[picture_name(path)] for path in pictures)
    return known | {index: record.digests for index, record in journal.items()}


def needs_finish(folder: SplitFolder, manifest: Manifest | None, n: int) -> bool:
    """True if a split is unfinished, its size is not ``n``, or a file beside its images is bad."""
    if folder.scratch.is_dir() or manifest is None or manifest.n != n:
        return True
    return bool(bad_files_beside(folder, manifest))


def finish(
    folder: SplitFolder, plan: Plan, raw: NDArray[np.float32], manifest: Manifest | None
) -> None:
    """Write the files beside the pictures of a split, after all pictures are rendered.

    Pictures after the last row, left by an abandoned larger run, are removed.
    """
    journal, n = read_journals(folder, plan.rendering.annotations), len(raw)
    known = known_digests(folder, plan.rendering, manifest, journal)
    digests: dict[str, str] = {}
    sizes = np.empty((n, 1 + len(plan.rendering.annotations)), dtype=np.int64)
    for index in range(n):
        pictures = folder.pictures(index, plan.rendering.annotations)
        digests |= zip(map(picture_name, pictures), known[index], strict=True)
        sizes[index] = [path.stat().st_size for path in pictures]
    contents = {
        folder.raw_latents: npy_bytes(raw),
        folder.latents: npy_bytes(to_physical(raw, plan.origin.space)),
        folder.sums: sums_bytes(digests),
        folder.sizes: npy_bytes(sizes),
    }
    for path, content in contents.items():
        write_bytes(path, content)
    _remove_past(folder, plan.rendering, n)
    channels = _channels(manifest, journal, n)
    mean, std = channels.moments(n * plan.rendering.resolution**2)
    written = Manifest(
        split=folder.split,
        n=n,
        factors=factor_records(plan.origin.space),
        origin=plan.origin,
        rendering=plan.rendering,
        channel_mean=mean,
        channel_std=std,
        channels=channels,
        digests=Digests(
            raw_latents=sha256(contents[folder.raw_latents]),
            latents=sha256(contents[folder.latents]),
            sums=sha256(contents[folder.sums]),
            sizes=sha256(contents[folder.sizes]),
        ),
    )
    write_bytes(folder.manifest, written.to_bytes())


def _remove_past(folder: SplitFolder, rendering: Rendering, n: int) -> None:
    for number, image in folder.numbered().items():
        if int(number) >= n:
            annotations = folder.pictures(int(number), rendering.annotations)[1:]
            for path in (*annotations, image):  # the image last, because the next run looks for it
                path.unlink(missing_ok=True)


def _channels(manifest: Manifest | None, journal: Mapping[int, RowRecord], n: int) -> Channels:
    """Sums over all images, from the manifest and from the records of rows after its last.

    A repaired row has the same pixels as before, so the sums of the manifest include it.
    """
    covered = manifest.n if manifest else 0
    new = (journal[index].channels for index in range(covered, n))
    return sum(new, manifest.channels if manifest else Channels())
