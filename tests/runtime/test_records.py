"""JSON from outside is read or refused in words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.suites.outcome import read_outcome
from benchmark.suites.table import Row
from benchmark.training.folder import RunFolder
from benchmark.training.log import last_data, read_work
from render.workers.plan import plan_path, read_plan
from threedident.dataset.pack import PackFiles, PackRecord, read_record
from threedident.runtime.records import parse_json, parse_model
from threedident.storage.folder import SplitFolder
from threedident.storage.manifest import read_manifest

DEEP = b"[" * 100_000
BAD = [
    DEEP,
    b'{"a":' * 100_000,
    b"",
    b"\xff\xfe",
    b"1" * 5000,
    b"{" + b'"x": 1, ' * 9,
    b"\x00" * 9,
    b"null",
    b"[]",
    b'{"n": ' + b"9" * 9000 + b"}",
    b'{"\x1b[2J": 1}',
]


@pytest.mark.parametrize("content", BAD[:7], ids=range(7))
def test_what_is_no_json_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the decoder's own words
        parse_json(content)


@pytest.mark.parametrize("content", BAD, ids=range(len(BAD)))
def test_what_is_no_record_is_refused_in_one_bounded_line(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"^at ") as error:
        parse_model(PackRecord, content)
    assert len(str(error.value)) < 400
    assert str(error.value).isprintable()


def scores(path: Path, content: bytes) -> None:
    folder = RunFolder(path)
    folder.scores.write_bytes(content)
    with pytest.raises(ValueError, match=r"scores\.json: .* damaged file"):
        read_outcome(Row("row", {}, {}), folder)


def config(path: Path, content: bytes) -> None:
    (path / "config.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"config\.json: expected the configuration"):
        RunFolder(path).read_config()


def manifest(path: Path, content: bytes) -> None:
    (path / "train").mkdir()
    (path / "train/dataset.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"dataset\.json: expected a manifest"):
        read_manifest(SplitFolder(path, "train"))


def pack(path: Path, content: bytes) -> None:
    files = PackFiles(SplitFolder(path, "train"), 16)
    files.record.parent.mkdir(parents=True)
    files.record.write_bytes(content)
    with pytest.raises(ValueError, match=r"16\.json: expected the record of a pack"):
        read_record(files)


def plan(path: Path, content: bytes) -> None:
    place = plan_path(SplitFolder(path, "train"))
    place.parent.mkdir(parents=True)
    place.write_bytes(content)
    with pytest.raises(ValueError, match=r"plan\.json: expected the plan"):
        read_plan(SplitFolder(path, "train"))


def log(path: Path, content: bytes) -> None:
    place = path / "log.jsonl"
    whole = b'{"seed": 0, "seconds": 1.0, "hardware": "chip", "data": "/here"}\n'
    place.write_bytes(whole + content + b"\n" + whole)
    work = read_work(place, 0)
    assert work is not None
    assert work.seconds == 2.0
    assert last_data(place) == Path("/here")


@pytest.mark.parametrize("content", BAD, ids=range(len(BAD)))
@pytest.mark.parametrize("reader", [scores, config, manifest, pack, plan, log])
def test_every_reader_refuses_it(
    tmp_path: Path, reader: Callable[[Path, bytes], None], content: bytes
) -> None:
    reader(tmp_path, content)


@pytest.mark.parametrize("seconds", ["NaN", "Infinity", "-1", "true", '"1"', "9" * 400], ids=str)
def test_lines_of_another_kind_are_passed_over(tmp_path: Path, seconds: str) -> None:
    log(tmp_path, f'{{"seed": 0, "seconds": {seconds}, "hardware": "chip"}}'.encode())


@pytest.mark.parametrize("entry", ['"seed": "0"', '"seed": 0.0', '"seed": false', '"data": 3'])
def test_lines_of_entries_of_another_kind_are_passed_over(tmp_path: Path, entry: str) -> None:
    log(tmp_path, f'{{"seed": 0, "seconds": 1, "hardware": "chip", {entry}}}'.encode())


def test_steps_of_another_kind_are_passed_over(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    lines: list[Any] = ['"0"', "0.5", "true", "null", "[]", "1"]
    folder.metrics.write_text(
        "".join(f'{{"seed": 0, "step": {step}, "r2": 0.5}}\n' for step in lines)
    )
    assert [record["step"] for record in folder.scored(0)] == [1]
