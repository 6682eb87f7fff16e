"""What workers leave for others to read: journals, plans, their last words."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from render.workers.chunk import Chunk
from render.workers.journal import Tail, append, open_journal, read_journals, record_of
from render.workers.plan import Plan, planned_latents, write_plan
from render.workers.process import _report, run
from tests.conftest import DRAFT, cli, contents
from threedident.runtime.files import npy_bytes, write_bytes
from threedident.storage.folder import SplitFolder
from threedident.storage.manifest import require_manifest


def record(**changes: object) -> bytes:
    """A line of a journal that a worker could have written of another image, changed."""
    sums = {"total": [300, 300, 300], "square_total": [900, 900, 900]}
    line = {"index": 0, "digests": ["0" * 64], "sizes": [100], "channels": sums}
    return json.dumps({**line, **changes}).encode()


WRONG = [
    b"null",
    b"[]",
    b"\x00\xff",
    b"[" * 100_000,
    b'{"index": ' + b"9" * 5000 + b"}",
    b" " * 10_000 + record(),
    record(index=None),
    record(index="0"),
    record(index=0.0),
    record(index=10**6),
    record(index=-1),
    record(digests=[{}]),
    record(digests=["\x1b[2J"]),
    record(sizes=["100"]),
    record(sizes=[0]),
    record(sizes=[100, 100]),
    record(channels={"total": 0, "square_total": 0}),
    record(channels={"total": [300] * 3, "square_total": [299] * 3}),
    record(channels={"total": [300] * 3, "square_total": [255 * 300 + 1] * 3}),
]


@pytest.mark.parametrize("line", WRONG)
def test_lines_of_a_journal_that_no_worker_wrote_are_passed_over(
    tmp_path: Path, line: bytes
) -> None:
    folder = SplitFolder(tmp_path, "train")
    folder.scratch.mkdir(parents=True)
    tail = Tail(folder)
    (folder.scratch / "journal-chunk-000000-aa.jsonl").write_bytes(
        b"\n".join((record(index=1), line, record(index=2), b""))
    )
    os.mkfifo(folder.scratch / "journal-chunk-000000-bb.jsonl")
    (folder.scratch / "journal-chunk-000000-cc.jsonl").mkdir()
    assert list(read_journals(folder, ())) == [1, 2]
    assert [found.index for found in tail.read()] == [1, 2]
    assert tail.read() == []


def test_a_journal_of_garbage_without_an_end_is_read_once(tmp_path: Path) -> None:
    folder = SplitFolder(tmp_path, "train")
    folder.scratch.mkdir(parents=True)
    tail, path = Tail(folder), folder.scratch / "journal-chunk-000000-aa.jsonl"
    with path.open("wb") as file:
        file.truncate(2**25)
    for _ in range(3):
        assert tail.read() == []
    with path.open("ab") as file:
        file.write(b"\n" + record(index=7) + b"\n")
    assert [found.index for found in tail.read()] == [7]
    assert list(read_journals(folder, ())) == [7]


@pytest.mark.slow
def test_damaged_journals_cost_only_their_rows(rendered: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "train" / ".render"
    scratch.mkdir(parents=True)
    lines = [*WRONG, record(), record(digests=["0" * 64] * 2, sizes=[1, 1]), b"cut"]
    (scratch / "journal-chunk-000000-aa.jsonl").write_bytes(b"\n".join(lines))
    assert cli("render", "--n", 12, "--n-test", 6, "--out", tmp_path, *DRAFT).returncode == 0
    assert contents(tmp_path) == contents(rendered)


@pytest.mark.parametrize(
    ("status", "out", "death"),
    [
        (0, b'noise\n{"images": 3}\n', None),
        (0, b"", "ended with status 0"),
        (0, b"[" * 100_000, "ended with status 0"),
        (0, b'{"images": "many"}', "ended with status 0"),
        (1, b'{"images": 3}', "ended with status 1"),
        (1, b'{"error": "why"}', None),
        (-9, b"\xff\xfe", "was killed by signal 9"),
    ],
)
def test_what_a_worker_says_last(status: int, out: bytes, death: str | None) -> None:
    said = _report(status, out, b"")
    assert (said.death is None) == (death is None)
    assert death is None or death in str(said.death)


@pytest.mark.slow
@pytest.mark.parametrize("raw", [np.zeros((3, 10), np.float32), np.zeros((12, 3)), np.array("x")])
def test_a_worker_refuses_latents_that_are_not_those_of_its_plan(
    rendered: Path, tmp_path: Path, raw: np.ndarray
) -> None:
    folder = SplitFolder(tmp_path, "train")
    manifest = require_manifest(SplitFolder(rendered, "train"))
    plan = Plan(origin=manifest.origin, rendering=manifest.rendering)
    write_plan(folder, plan, np.zeros((12, 10), np.float32))
    write_bytes(planned_latents(folder), npy_bytes(raw))
    report = run(Chunk(folder.path, (5,), 1))
    assert report.error is not None
    assert "expected" in report.error
    assert "Traceback" not in report.error


def test_a_row_is_finished_when_the_disk_has_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = SplitFolder(tmp_path, "train")
    folder.scratch.mkdir(parents=True)
    reached = []
    monkeypatch.setattr("os.fsync", lambda handle: reached.append(os.fstat(handle).st_size))
    image = np.zeros((4, 4, 3), np.uint8)
    with open_journal(folder, "chunk-000000") as file:
        for row in range(3):
            append(file, record_of(row, image, [b"png"]))
            assert sorted(read_journals(folder, [])) == list(range(row + 1))
            assert reached[-1] == sum(path.stat().st_size for path in folder.scratch.iterdir())
            assert len(reached) == row + 1
