"""Renders whole splits: what is missing is rendered, what is damaged is repaired.

A split opens with a plan, fills with images and journals, and ends with latents, digests and,
last, the manifest. A run that is killed anywhere in between is continued by the next.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from render.journal import channels_of, read_journals
from render.launch import Crew, run_local
from render.plan import Plan, check_compatible, rows_digest, write_plan
from threedident.errors import Interrupted
from threedident.latents import sample_raw, to_physical
from threedident.locking import locked
from threedident.manifest import (
    Channels,
    Digests,
    Manifest,
    Origin,
    Rendering,
    factor_records,
)
from threedident.progress import progress
from threedident.storage import (
    SplitFolder,
    npy_bytes,
    sha256,
    sums_bytes,
    sweep,
    write_bytes,
)
from threedident.verify import bad_files_beside, image_state, trusted_digests


@dataclass(frozen=True)
class Request:
    """One split of ``n`` rows: drawn from ``seed``, or ``rows`` as given."""

    split: str
    n: int
    seed: int | None = None
    rows: NDArray[np.float32] | None = None

    def origin(self) -> Origin:
        """Where the latents come from."""
        return Origin(seed=self.seed, rows=None if self.rows is None else rows_digest(self.rows))

    def raw(self, n: int) -> NDArray[np.float32]:
        """The first ``n`` raw latents."""
        if self.rows is not None:
            return self.rows
        assert self.seed is not None
        return sample_raw(self.seed, self.split, n)


@dataclass(frozen=True)
class Outcome:
    """What a run did to one split: images it holds, and how many of them are new."""

    split: str
    n: int
    rendered: int


@dataclass(frozen=True)
class _Job:
    folder: SplitFolder
    plan: Plan
    raw: NDArray[np.float32]
    manifest: Manifest | None


def render_dataset(
    root: Path, requests: list[Request], rendering: Rendering, crew: Crew
) -> list[Outcome]:
    """Bring the splits below ``root`` to what is requested.

    A split that holds more rows than requested keeps them.

    Raises:
        ValueError: ``root`` holds other settings, another run is at work there, or a worker
            cannot go on. Nothing is changed in the first two cases.
        Interrupted: the user stopped the run; the message says how to go on.
    """
    for request in requests:
        _prepare(root, request, rendering)
    with locked(root):  # another run may have come between, so look again
        jobs = [_prepare(root, request, rendering) for request in requests]
        return [_run(job, crew) for job in jobs]


def _prepare(root: Path, request: Request, rendering: Rendering) -> _Job:
    folder = SplitFolder(root, request.split)
    plan = Plan(origin=request.origin(), rendering=rendering)
    manifest = check_compatible(folder, plan)
    n = max(request.n, manifest.n if manifest else 0)
    return _Job(folder, plan, request.raw(n), manifest)


def _run(job: _Job, crew: Crew) -> Outcome:
    folder, n = job.folder, len(job.raw)
    sweep(folder.path, folder.images)
    known = _known_digests(job)
    todo = [i for i in range(n) if _needs_work(folder, i, known.get(i))]
    if todo or not _is_finished(job):
        write_plan(folder, job.plan, job.raw)
        _render(job, todo, crew)
        _finish(job)
        shutil.rmtree(folder.scratch)
    return Outcome(folder.split, n, len(todo))


def _known_digests(job: _Job) -> dict[int, str]:
    """Digests by index: those that the manifest vouches for, and those in the journals."""
    sums = (trusted_digests(job.folder, job.manifest) if job.manifest else None) or {}
    journals = {i: record.digest for i, record in read_journals(job.folder).items()}
    return {**sums, **journals}


def _needs_work(folder: SplitFolder, index: int, digest: str | None) -> bool:
    return digest is None or image_state(folder.image(index), digest) is not None


def _is_finished(job: _Job) -> bool:
    """Whether no run was interrupted here, and the files beside the images are the manifest's."""
    folder, manifest = job.folder, job.manifest
    if folder.scratch.is_dir() or manifest is None or manifest.n != len(job.raw):
        return False
    return not bad_files_beside(folder, manifest)


def _render(job: _Job, todo: list[int], crew: Crew) -> None:
    done = 0
    with progress(f"render {job.folder.split}", len(todo), "images") as advance:

        def count() -> None:
            nonlocal done
            done += 1
            advance()

        try:
            run_local(job.folder, todo, crew, count)
        except KeyboardInterrupt:
            raise Interrupted(
                f"interrupted: {len(job.raw) - len(todo) + done} of {len(job.raw)} "
                f"{job.folder.split} images are safe; the same command again goes on from there"
            ) from None
        except ValueError as error:
            raise ValueError(
                f"{job.folder.path}: {error}; {len(todo) - done} images are left, and the same "
                "command again goes on from there"
            ) from None


def _finish(job: _Job) -> None:
    """Write what stands beside the images, the manifest last, and remove images past the end."""
    folder, n = job.folder, len(job.raw)
    known = _known_digests(job)
    contents = {
        folder.raw_latents: npy_bytes(job.raw),
        folder.latents: npy_bytes(to_physical(job.raw)),
        folder.sums: sums_bytes({index: known[index] for index in range(n)}),
    }
    for path, content in contents.items():
        write_bytes(path, content)
    digests = Digests(
        raw_latents=sha256(contents[folder.raw_latents]),
        latents=sha256(contents[folder.latents]),
        sums=sha256(contents[folder.sums]),
    )
    for number, stray in folder.numbered().items():
        if int(number) >= n:
            stray.unlink()
    write_bytes(folder.manifest, _manifest(job, digests).to_bytes())


def _manifest(job: _Job, digests: Digests) -> Manifest:
    channels = _channels(job)
    pixels = len(job.raw) * job.plan.rendering.resolution**2
    mean, std = channels.moments(pixels)
    return Manifest(
        split=job.folder.split,
        n=len(job.raw),
        factors=factor_records(),
        origin=job.plan.origin,
        rendering=job.plan.rendering,
        channel_mean=mean,
        channel_std=std,
        channels=channels,
        digests=digests,
    )


def _channels(job: _Job) -> Channels:
    """Sums over all images: those of the manifest, and of the rows it does not cover yet.

    A row that was repaired has the pixels that the manifest counted.
    """
    covered = job.manifest.n if job.manifest else 0
    journal = read_journals(job.folder)
    new = channels_of([journal[index] for index in range(covered, len(job.raw))])
    if job.manifest is None:
        return new
    old = job.manifest.channels
    r, g, b = (np.array(old.total) + new.total).tolist()
    r2, g2, b2 = (np.array(old.square_total) + new.square_total).tolist()
    return Channels(total=(r, g, b), square_total=(r2, g2, b2))
