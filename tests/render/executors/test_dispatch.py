"""How rows become chunks, and what becomes of chunks that are lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from render.executors.dispatch import Watcher, WorkerError, cut, dispatch
from render.executors.executor import Crew, Executor, Local, crew
from render.workers.chunk import Chunk, Report, parse_indices, spell_indices
from render.workers.journal import append, open_journal, read_journals, record_of
from tests.conftest import DRAFT, cli, contents, start_render
from threedident.runtime.machine import processors
from threedident.storage.folder import SplitFolder

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("count", "workers"), [(1, 4), (7, 2), (1000, 3), (0, 2), (600, 1), (2_000_000, 8)]
)
def test_chunks_cover_every_index_once(tmp_path: Path, count: int, workers: int) -> None:
    executor = Local(Crew(workers=workers, threads=1))
    found = cut(SplitFolder(tmp_path, "train"), list(range(count)), executor)
    assert [index for chunk in found for index in chunk.indices] == list(range(count))
    assert len(found) >= min(count, workers)
    assert len(found) <= 1000
    assert len({chunk.name for chunk in found}) == len(found)


def test_indices_survive_being_spelled() -> None:
    for indices in ((0,), (0, 1, 2, 5), (3, 5, 7, 8, 9, 250_000)):
        assert parse_indices(spell_indices(indices)) == indices


def test_a_crew_fills_the_machine_or_its_gpus() -> None:
    count = processors()
    assert crew(None, 0).workers * crew(None, 0).threads <= max(count, 2)
    assert crew(3, 0).workers == 3
    assert crew(None, 4) == Crew(workers=4, threads=max(1, count // 4), gpus=4)
    assert crew(None, 0, threads=1).workers == count


def workers_on(chunk: Chunk) -> list[int]:
    pattern = f"render.workers .*{chunk.split} --indices {spell_indices(chunk.indices)} "
    listed = subprocess.run(["pgrep", "-f", pattern], capture_output=True, text=True)
    return [int(line) for line in listed.stdout.split()]


def test_a_chunk_that_no_worker_survives_is_left_out_and_the_others_go_on(
    rendered: Path, tmp_path: Path
) -> None:
    out = tmp_path / "data"
    process = start_render(out, "--n", 12, "--n-test", 6, "--workers", 2)
    doomed = Chunk((out / "train").resolve(), tuple(range(6)), 1)
    while process.poll() is None:
        for worker in workers_on(doomed):
            try:
                os.kill(worker, signal.SIGKILL)
            except ProcessLookupError:
                continue
    _, stderr = process.communicate()
    assert process.returncode == 2
    [line] = [line for line in stderr.splitlines() if line.startswith("threedident: ")]
    assert "a worker was killed by signal 9, as happens when memory runs out" in line
    assert "at image 0; 6 images are left, and the same command again goes on" in line
    assert "its chunk is started again" in stderr
    assert "its chunk is left out" in stderr
    there = sorted(path.name for path in (out / "train" / "images").iterdir())
    assert there == [f"{index:06d}.png" for index in range(6, 12)]
    assert cli("render", "--n", 12, "--n-test", 6, "--out", out, *DRAFT).returncode == 0
    assert contents(out) == contents(rendered)


def test_two_workers_that_disagree_leave_a_clean_data_set(rendered: Path, tmp_path: Path) -> None:
    """A row that was journalled with other bytes than lie there is settled by the file."""
    data = shutil.copytree(rendered, tmp_path / "data")
    grown = ("--n", 14, "--n-test", 6, "--out", data)
    process = start_render(data, "--n", 400, "--n-test", 6)
    while not list((data / "train").glob("images/000013.png")):
        assert process.poll() is None
    process.kill()
    process.communicate()
    for journal in (data / "train" / ".render").glob("journal-*.jsonl"):
        other = journal.with_name("journal-chunk-000012-other.jsonl")
        lines = journal.read_text().splitlines()
        other.write_text(
            "\n".join(line.replace('"digests": ["', '"digests": ["0') for line in lines)
        )
    assert cli("render", *grown, *DRAFT).returncode == 0
    assert cli("verify", "--deep", data).returncode == 0


class Dying(Executor):
    """Workers that each finish some rows of their chunk, and die."""

    workers, threads, poll_s = 1, 1, 0.0

    def __init__(self, rows: int) -> None:
        self._rows = rows

    def submit(self, chunks: Sequence[Chunk]) -> list[Dying]:
        image, [chunk] = np.zeros((4, 4, 3), np.uint8), chunks
        left = sorted(set(chunk.indices) - set(read_journals(chunk.folder, [])))
        with open_journal(chunk.folder, chunk.name) as file:
            for row in left[: self._rows]:
                append(file, record_of(row, image, [b"png"]))
        self._killed = len(left) > self._rows
        return [self]

    def done(self) -> bool:
        return True

    def report(self) -> Report:
        return Report(death="killed" if self._killed else None)

    def stop(self) -> None:
        pass


def test_a_chunk_is_given_out_as_often_as_it_comes_further(tmp_path: Path) -> None:
    folder = SplitFolder(tmp_path, "train")
    folder.scratch.mkdir(parents=True)
    rows, deaths = list[int](), list[str]()
    watcher = Watcher(lambda found: rows.append(found.index), deaths.append, int, int)
    assert len(dispatch(folder, list(range(12)), Dying(1), watcher)) == 1
    assert sorted(rows) == list(range(12))
    assert len(deaths) == 11
    with pytest.raises(WorkerError, match="killed; at image 12"):
        dispatch(folder, list(range(12, 24)), Dying(0), watcher)
