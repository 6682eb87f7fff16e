"""Executor for a Ray cluster whose nodes share the data set's folder. Ray is an extra.

References:
    Ray: A Distributed Framework for Emerging AI Applications, Moritz et al., 2018,
    https://arxiv.org/abs/1712.05889
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from render.executors.executor import Crew, Executor
from render.workers.chunk import Chunk, Report
from threedident.runtime.packages import call, require_extra

_PATIENCE_S = 10.0


class Ray(Executor):
    """Executor that runs workers as tasks of a Ray cluster with a shared folder.

    Arguments:
        crew: threads and GPUs of a worker.
        address: address of the cluster; None for that in RAY_ADDRESS, a cluster on this machine,
            or a new one.

    Raises:
        ValueError: Ray is not installed, or no cluster answers.
    """

    poll_s = 0.2

    def __init__(self, crew: Crew, address: str | None = None) -> None:
        require_extra("--executor ray", "ray", "ray")
        ray: Any = import_module("ray")
        self._ray, self.threads = ray, crew.threads
        try:
            _require_listener(address or os.environ.get("RAY_ADDRESS"))
            ray.init(
                address=address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                include_dashboard=None if address else False,
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise ValueError(
                "--ray-address: expected a Ray cluster there, found none "
                f"({_first_sentence(error)}); start one with ray start --head"
            ) from None
        resources = ray.cluster_resources()
        found = int(resources.get("GPU" if crew.gpus else "CPU", 1))
        self.workers = max(1, found if crew.gpus else found // crew.threads)
        share = {"num_cpus": min(crew.threads, found), "num_gpus": 1 if crew.gpus else 0}
        self._run = ray.remote(max_retries=0, scheduling_strategy="SPREAD", **share)(call)
        self._references: list[Any] = []
        self._ended: set[Any] = set()
        self._asked = 0.0

    def stop(self) -> None:
        """Cancel every task that has not ended."""
        for reference in self._references:
            self._ray.cancel(reference, force=True)
        self._references, self._ended = [], set()

    def submit(self, chunks: Sequence[Chunk]) -> list[_RayJob]:
        """Start one task for each chunk."""
        references = [self._run.remote("render.workers.process:run", chunk) for chunk in chunks]
        self._references += references
        return [_RayJob(self, self._ray, reference) for reference in references]

    def has_ended(self, reference: Any) -> bool:
        """True if a task has ended. One request asks for all tasks, at most every 0.1 s."""
        if time.monotonic() - self._asked > self.poll_s / 2:
            running = [each for each in self._references if each not in self._ended]
            if running:
                ended, _ = self._ray.wait(running, num_returns=len(running), timeout=0)
                self._ended.update(ended)
            self._asked = time.monotonic()
        return reference in self._ended


class _RayJob:
    def __init__(self, tasks: Ray, ray: Any, reference: Any) -> None:
        self._tasks, self._ray, self._reference = tasks, ray, reference

    def done(self) -> bool:
        return self._tasks.has_ended(self._reference)

    def report(self) -> Report:
        try:
            report: Report = self._ray.get(self._reference)
            return report
        except self._ray.exceptions.RayError as error:
            return Report(death=f"a Ray task was lost: {_first_sentence(error)}")


def _require_listener(address: str | None) -> None:
    """Raise OSError at once if nothing listens at the address; Ray itself tries for minutes."""
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if colon:
        socket.create_connection((host, int(port)), timeout=_PATIENCE_S).close()


def _first_sentence(error: Exception) -> str:
    words = " ".join(str(error).split()).partition(". ")[0]
    return words or type(error).__name__
