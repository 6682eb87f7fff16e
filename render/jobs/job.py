"""Rendering of whole splits: missing images are rendered, damaged files are repaired.

The plan of a split is written first, then pictures and journals, then latents and digests, and
the manifest last. If a run is killed at any point, the next run continues it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from render.executors.dispatch import Watcher, dispatch
from render.executors.executor import Executor
from render.jobs.finish import finish, known_digests, needs_finish
from render.jobs.forecast import Forecast
from render.workers.chunk import Report, leases_of
from render.workers.journal import RowRecord, read_journals
from render.workers.leases import Lease, held, holders
from render.workers.plan import Plan, check_compatible, write_plan
from threedident.runtime.errors import Interrupted
from threedident.runtime.files import sweep
from threedident.runtime.progress import progress, say
from threedident.storage.folder import SplitFolder
from threedident.storage.manifest import Manifest, Material, Rendering, read_manifest
from threedident.storage.origin import Origin
from threedident.storage.verify import picture_state


@dataclass(frozen=True)
class Request:
    """Request for one split, or for the positives of a split.

    Arguments:
        folder: the split.
        n: number of rows.
        origin: origin of its latents.
        rows: raw latents of the anchors if the user provided them, or None.
        material: material of these images; None for that of the data set.
    """

    folder: SplitFolder
    n: int
    origin: Origin
    rows: NDArray[np.float32] | None = None
    material: Material | None = None

    def plan(self, rendering: Rendering) -> Plan:
        """The plan of the split, with the settings of the data set."""
        own = {} if self.material is None else {"material": self.material}
        return Plan(origin=self.origin, rendering=rendering.model_copy(update=own))


@dataclass(frozen=True)
class Outcome:
    """Result of a run for one split.

    Arguments:
        split: name of the split.
        n: number of its images.
        rendered: number of images rendered by this run.
        reports: reports of the workers that finished their chunk.
    """

    split: str
    n: int
    rendered: int
    reports: tuple[Report, ...] = ()


@dataclass(frozen=True)
class _Job:
    name: str
    folder: SplitFolder
    plan: Plan
    manifest: Manifest | None
    raw: NDArray[np.float32]


def render_dataset(
    root: Path,
    requests: list[Request],
    rendering: Rendering,
    start: Callable[[SplitFolder], Executor],
    name: str | None = None,
) -> list[Outcome]:
    """Render the requested splits below ``root``, or what is missing of them.

    A split that already has more rows than requested keeps them.

    Arguments:
        root: folder of the data set.
        requests: the splits of the data set.
        rendering: settings of all splits.
        start: function that creates the executor for a split.
        name: name in messages of a data set that is only temporary; None for one that is kept.

    Raises:
        ValueError: ``root`` contains a data set with other settings, another run works there, the
            disk has too little space, or workers failed. Files have changed only in the last case.
        Interrupted: the user stopped the run; the message says how to continue.
    """
    for request in requests:
        _check(root, request, rendering)
    _require_no_workers(root, requests)
    with _alone(root) as lease:  # another run may have started meanwhile, so check again
        _require_no_workers(root, requests)
        manifests = [_check(root, request, rendering) for request in requests]
        jobs = [
            _job(root, request, rendering, manifest)
            for request, manifest in zip(requests, manifests, strict=True)
        ]
        work = [_todo(job) for job in jobs]
        forecast = Forecast(root, rendering, sum(map(len, work)), name)
        forecast.check_disk()
        if any(work):
            say(forecast.opening())
        run = _Run(lease, forecast, start, name)
        return [run.bring(job, todo) for job, todo in zip(jobs, work, strict=True)]


def _run_leases(root: Path) -> Path:
    return root / ".lease"


@contextmanager
def _alone(root: Path) -> Iterator[Lease]:
    """Hold the lease of ``root`` against other runs. The folder is created if it is missing."""
    root.mkdir(parents=True, exist_ok=True)
    leases = _run_leases(root)
    try:
        with held(leases, "run") as lease:
            yield lease
    finally:
        with suppress(OSError):  # another run may already use it
            leases.rmdir()


def _check(root: Path, request: Request, rendering: Rendering) -> Manifest | None:
    return check_compatible(root, request.folder, request.plan(rendering))


def _require_no_workers(root: Path, requests: list[Request]) -> None:
    """Refuse splits on which workers of another run work.

    If workers were lost, this waits until their leases expire.
    """
    splits = {leases_of(request.folder): request.folder for request in requests}
    living = holders(_run_leases(root), *splits)  # the run's lease too, so all are watched at once
    for path, who in living.items():
        if path.parent in splits:
            raise ValueError(
                f"{splits[path.parent].path}: expected no worker of another run here, found {who} "
                f"at work on {path.stem}; wait for it or stop it, then give the same command again"
            )


def _job(root: Path, request: Request, rendering: Rendering, manifest: Manifest | None) -> _Job:
    anchors = read_manifest(SplitFolder(root, request.origin.split))  # positives need as many rows
    n = max(request.n, *(there.n for there in (manifest, anchors) if there is not None), 1)
    return _Job(
        name=str(request.folder.path.relative_to(root)),
        folder=request.folder,
        plan=request.plan(rendering),
        manifest=manifest,
        raw=request.origin.draw(n, request.rows),
    )


def _todo(job: _Job) -> list[int]:
    """Rows with a missing or altered picture."""
    _sweep(job)
    folder, rendering = job.folder, job.plan.rendering
    known = known_digests(
        folder, rendering, job.manifest, read_journals(folder, rendering.annotations)
    )
    count = min(len(job.raw), len(known))
    with progress(f"check {job.name}", count, "images", quiet=count < 10_000) as advance:

        def is_bad(index: int) -> bool:
            if index not in known:
                return True
            advance()
            pictures = folder.pictures(index, rendering.annotations)
            pairs = zip(pictures, known[index], strict=True)
            return any(picture_state(path, digest) for path, digest in pairs)

        return [index for index in range(len(job.raw)) if is_bad(index)]


def _sweep(job: _Job) -> None:
    """Remove temporary files of killed processes."""
    annotations = job.plan.rendering.annotations
    sweep(job.folder.path, *job.folder.picture_folders(annotations))


@dataclass(frozen=True)
class _Run:
    """A run that renders the splits of a data set one after the other."""

    lease: Lease
    forecast: Forecast
    start: Callable[[SplitFolder], Executor]
    name: str | None

    def bring(self, job: _Job, todo: list[int]) -> Outcome:
        """Render ``todo``, the missing rows of a split, and complete the split."""
        folder, n, reports = job.folder, len(job.raw), list[Report]()
        if todo or needs_finish(folder, job.manifest, n):
            write_plan(folder, job.plan, job.raw)
            if todo:
                reports = self._render(job, todo)
            self.lease.check()
            _sweep(job)  # workers may have died while they wrote
            finish(folder, job.plan, job.raw, job.manifest)
            shutil.rmtree(folder.scratch, ignore_errors=True)  # the next run removes any rest
        return Outcome(job.name, n, len(todo), tuple(reports))

    def _render(self, job: _Job, todo: list[int]) -> list[Report]:
        done, failures = 0, 0
        count = len(job.raw)
        with progress(f"render {self.name or job.name}", count, "images") as advance:
            advance.skip(count - len(todo))

            def finished(record: RowRecord) -> None:
                nonlocal done
                done += 1
                self.forecast.count(record)
                advance(note=f"lost workers: {failures}" if failures else "")

            def failed(line: str) -> None:
                nonlocal failures
                failures += 1
                advance.say(line)

            def settled() -> None:
                self.forecast.first_chunk(advance.say)

            watcher = Watcher(finished, failed, settled, self.lease.check)
            try:
                return dispatch(job.folder, todo, self.start(job.folder), watcher)
            except KeyboardInterrupt:
                raise Interrupted(
                    f"interrupted: {len(job.raw) - len(todo) + done} of {len(job.raw)} "
                    f"{job.name} images are safe; the same command again goes on from there"
                ) from None
            except ValueError as error:
                if self.name is not None:
                    raise ValueError(
                        f"{self.name}: {error}; give the same command again"
                    ) from None
                raise ValueError(
                    f"{job.folder.path}: {error}; {len(todo) - done} images are left, and the "
                    "same command again goes on from there"
                ) from None
