"""Renders whole splits: what is missing is rendered, what is damaged is repaired.

A split opens with a plan, fills with pictures and journals, and ends with latents, digests and,
last, the manifest. A run that is killed anywhere in between is continued by the next.
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
from threedident.storage.manifest import Manifest, Rendering, read_manifest
from threedident.storage.origin import Origin
from threedident.storage.verify import picture_state


@dataclass(frozen=True)
class Request:
    """One split of ``n`` rows, or the positives beside one.

    Arguments:
        folder: where it lies.
        n: how many rows.
        origin: where its latents come from.
        rows: the anchors' raw latents where the user gave them.
    """

    folder: SplitFolder
    n: int
    origin: Origin
    rows: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Outcome:
    """What a run did to one split.

    Arguments:
        split: what people call it.
        n: images it holds.
        rendered: how many of them are new.
        reports: of the workers that came to an end of their own.
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
    """Bring the splits below ``root`` to what is requested.

    A split that holds more rows than requested keeps them.

    Arguments:
        root: folder of the data set.
        requests: its splits.
        rendering: settings of all of them.
        start: makes the executor that renders a split.
        name: what messages call a data set that is not kept; None for one that is.

    Raises:
        ValueError: ``root`` holds other settings, another run is at work there, the disk cannot
            hold the images, or workers cannot go on. Only the last can have changed anything.
        Interrupted: the user stopped the run; the message says how to go on.
    """
    for request in requests:
        _check(root, request, rendering)
    _require_no_workers(root, requests)
    with _alone(root) as lease:  # another run may have come between, so look again
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
    """Keep other runs out of ``root``, which is made where it is missing."""
    root.mkdir(parents=True, exist_ok=True)
    leases = _run_leases(root)
    try:
        with held(leases, "run") as lease:
            yield lease
    finally:
        with suppress(OSError):  # another run is in it already
            leases.rmdir()


def _check(root: Path, request: Request, rendering: Rendering) -> Manifest | None:
    plan = Plan(origin=request.origin, rendering=rendering)
    return check_compatible(root, request.folder, plan)


def _require_no_workers(root: Path, requests: list[Request]) -> None:
    """Refuse splits at which workers are; those of a run that is lost are waited for."""
    splits = {leases_of(request.folder): request.folder for request in requests}
    living = holders(_run_leases(root), *splits)  # that of the run, too: all are watched at once
    for path, who in living.items():
        if path.parent in splits:
            raise ValueError(
                f"{splits[path.parent].path}: expected no worker of another run here, found {who} "
                f"at work on {path.stem}; wait for it or stop it, then give the same command again"
            )


def _job(root: Path, request: Request, rendering: Rendering, manifest: Manifest | None) -> _Job:
    anchors = read_manifest(SplitFolder(root, request.origin.split))  # positives go along
    n = max(request.n, *(there.n for there in (manifest, anchors) if there is not None), 1)
    return _Job(
        name=str(request.folder.path.relative_to(root)),
        folder=request.folder,
        plan=Plan(origin=request.origin, rendering=rendering),
        manifest=manifest,
        raw=request.origin.draw(n, request.rows),
    )


def _todo(job: _Job) -> list[int]:
    """Rows whose pictures are not all there as they were written."""
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
    """Remove what killed writers left."""
    annotations = job.plan.rendering.annotations
    sweep(job.folder.path, *job.folder.picture_folders(annotations))


@dataclass(frozen=True)
class _Run:
    """Brings the splits of a data set to what is asked for, one after the other."""

    lease: Lease
    forecast: Forecast
    start: Callable[[SplitFolder], Executor]
    name: str | None

    def bring(self, job: _Job, todo: list[int]) -> Outcome:
        """Render ``todo``, the rows that a split lacks, and finish it."""
        folder, n, reports = job.folder, len(job.raw), list[Report]()
        if todo or needs_finish(folder, job.manifest, n):
            write_plan(folder, job.plan, job.raw)
            if todo:
                reports = self._render(job, todo)
            self.lease.check()
            _sweep(job)  # workers may have died while they wrote
            finish(folder, job.plan, job.raw, job.manifest)
            shutil.rmtree(folder.scratch, ignore_errors=True)  # what remains, the next run takes
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
