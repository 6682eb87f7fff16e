"""Submissions that are broken or mean harm: each refused in one line, with nothing left behind."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from benchmark.config import Config
from benchmark.leaderboard.sandbox.sandbox import Limits
from benchmark.leaderboard.submission.folder import SubmissionFolder
from benchmark.leaderboard.verification.check import check
from tests.conftest import done_at_once, refused_at_once
from tests.submissions import (
    DATA,
    EDGE,
    NAME,
    QUICK,
    ROWS,
    change_codes,
    change_file,
    change_record,
    make_submission,
    read_record,
    refusal,
    write_record,
)

CODES_FILE = "representations_seed0.npy"
ENCODER_FILE = "encoder_seed0.onnx"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_submission(tmp_path / "in")


@pytest.fixture
def board(tmp_path: Path) -> Path:
    return tmp_path / "board"


def codes(folder: Path) -> np.ndarray:
    return np.load(folder / CODES_FILE)


def test_a_sound_submission_is_taken(folder: Path, board: Path) -> None:
    done_at_once("leaderboard", "check", folder, "--add", "--board", board)
    entry = json.loads((board / "entries" / f"{NAME}.json").read_text())
    assert "verification" not in entry


class Canary:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_pickled_codes_are_never_loaded(folder: Path, board: Path, tmp_path: Path) -> None:
    canary = tmp_path / "executed"
    held = np.empty(1, object)
    held[0] = Canary(canary)
    with (folder / CODES_FILE).open("wb") as file:
        np.save(file, held, allow_pickle=True)
    write_record(folder, read_record(folder))
    assert "pickled objects, which are never loaded" in refusal(folder, board)
    assert not canary.exists()


def test_a_pickle_under_the_name_of_codes(folder: Path, board: Path, tmp_path: Path) -> None:
    canary = tmp_path / "executed"
    change_file(folder, CODES_FILE, pickle.dumps(Canary(canary)))
    assert "expected a plain npy array" in refusal(folder, board)
    assert not canary.exists()


def test_a_pickle_under_the_name_of_an_encoder(folder: Path, board: Path, tmp_path: Path) -> None:
    canary = tmp_path / "executed"
    change_file(folder, ENCODER_FILE, pickle.dumps(Canary(canary)))
    assert "expected an ONNX model, found none" in refusal(folder, board)
    assert not canary.exists()


@pytest.mark.parametrize("name", ["model.pt", "model.pt2", "codes.npz", "README.md", "setup.py"])
def test_files_that_no_submission_has(folder: Path, board: Path, name: str) -> None:
    (folder / name).write_bytes(b"anything")
    assert f"alone, found '{name}'; take it out" in refusal(folder, board)


def test_a_zip_bomb_in_place_of_codes(folder: Path, board: Path) -> None:
    with zipfile.ZipFile(folder / CODES_FILE, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("arr_0.npy", b"\0" * 10**9)
    write_record(folder, read_record(folder))
    assert "expected at most" in refusal(folder, board)
    change_file(folder, CODES_FILE, (folder / CODES_FILE).read_bytes()[:3000])
    assert "expected a plain npy array" in refusal(folder, board)


@pytest.mark.parametrize("name", ["submission.json", CODES_FILE, ENCODER_FILE])
def test_links(folder: Path, board: Path, name: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    shutil.move(folder / name, secret)
    (folder / name).symlink_to(secret)
    assert "expected plain files alone, found a link" in refusal(folder, board)


def test_a_linked_folder(folder: Path, board: Path, tmp_path: Path) -> None:
    moved = folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(moved)
    assert "expected the folder of a submission, found a link" in refusal(folder, board)


def test_folders_and_pipes_within(folder: Path, board: Path) -> None:
    (folder / CODES_FILE).unlink()
    (folder / CODES_FILE).mkdir()
    assert "found a folder" in refusal(folder, board)
    (folder / CODES_FILE).rmdir()
    os.mkfifo(folder / CODES_FILE)
    line = refused_at_once("leaderboard", "check", folder, "--board", board, *QUICK)
    assert "found a device" in line


def test_a_missing_file(folder: Path, board: Path) -> None:
    (folder / ENCODER_FILE).unlink()
    assert f"{ENCODER_FILE}: expected a file, found nothing" in refusal(folder, board)


def test_no_folder(board: Path) -> None:
    assert "expected the folder of a submission, found nothing" in refusal(board / "no", board)


def test_a_huge_encoder(folder: Path, board: Path) -> None:
    with (folder / ENCODER_FILE).open("r+b") as file:
        file.truncate(2**40)  # of which the disk holds nothing
    line = refused_at_once("leaderboard", "check", folder, "--board", board, *QUICK)
    assert "expected at most 537 MB, found 1.1 TB" in line


def test_a_huge_record(folder: Path, board: Path) -> None:
    (folder / "submission.json").write_bytes(b" " * (10**6 + 1))
    assert "submission.json: expected at most 1 MB" in refusal(folder, board)


def changed(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    record = read_record(folder)
    change(record)
    write_record(folder, record)


RECORDS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "climbs out by its id": (lambda r: r.update(id="../../etc"), "at id:"),
    "another id than its folder": (
        lambda r: r.update(id="2026-11-30_other"),
        "expected a folder named as its id 2026-11-30_other",
    ),
    "another date than its id": (lambda r: r.update(date="2026-12-01"), "begins with the date"),
    "a schema of the future": (
        lambda r: r.update(schema_version=2),
        "expected schema version 1, found 2, which is newer; upgrade",
    ),
    "a schema that never was": (lambda r: r.update(schema_version=0), "at schema_version:"),
    "another protocol": (lambda r: r.update(protocol_version=2), "at protocol_version:"),
    "markup": (lambda r: r.update(method="<b>Best</b>"), "at method: expected plain text"),
    "a script": (
        lambda r: r.update(method="<script>alert(1)</script>"),
        "at method: expected plain text, found < or >",
    ),
    "letters that run backwards": (
        lambda r: r.update(method="Best \N{RIGHT-TO-LEFT OVERRIDE}ever"),
        "found the invisible character U+202E",
    ),
    "a name of two lines": (lambda r: r.update(method="a\nb"), "U+000A"),
    "an invisible name": (
        lambda r: r.update(method="\N{HANGUL FILLER}"),
        "found no visible letter",
    ),
    "a pile of accents": (
        lambda r: r.update(method="A" + "\N{COMBINING RING ABOVE}" * 9),
        "found a pile of accents",
    ),
    "a number in quotes": (lambda r: r["seeds"][0].update(steps="12"), "at seeds.0.steps:"),
    "a truth in words": (lambda r: r.update(external_data="off"), "at external_data:"),
    "a truth for a number": (lambda r: r["seeds"][0].update(seed=False), "at seeds.0.seed:"),
    "an endless number": (lambda r: r["data"].update(seed=2**200), "at data.seed:"),
    "years without end": (lambda r: r["seeds"][0].update(wall_time_s=1e308), "at seeds.0.wall"),
    "images that take days to draw": (
        lambda r: r["data"].update(resolution=4096),
        "at data.resolution:",
    ),
    "an endless name": (lambda r: r.update(method="a" * 101), "at most 100 characters"),
    "no name": (lambda r: r.update(method=""), "at method:"),
    "a link that runs code": (
        lambda r: r.update(paper="javascript:alert(1)"),
        "at paper: expected a link that begins with https://",
    ),
    "a link with quotes": (lambda r: r.update(code='https://a.org/"onclick'), "at code:"),
    "unknown supervision": (lambda r: r.update(supervision="some"), "at supervision:"),
    "latents that it says it never saw": (
        lambda r: r.update(supervision="full"),
        "expected uses_train_latents true with supervision full",
    ),
    "a field too many": (lambda r: r.update(rank=1), "at rank:"),
    "a field too few": (lambda r: r.pop("external_data"), "at external_data:"),
    "no seed": (lambda r: r.update(seeds=[]), "at seeds:"),
    "a seed of its own choice": (
        lambda r: r["seeds"][0].update(seed=7),
        "expected the seeds 0, 1, 2 from the first on, found 7",
    ),
    "a seed twice": (lambda r: r["seeds"].append(r["seeds"][0]), "found 0, 0"),
    "a perfect score that is none": (
        lambda r: r["seeds"][0]["claim"].update(mcc=1.5),
        "at seeds.0.claim.mcc:",
    ),
    "a data set by another name": (
        lambda r: r["data"].update(id="3dident-64px-20k"),
        "expected the id 3dident-draft-16px-60, which follows from the settings",
    ),
    "another latent space": (lambda r: r["data"].update(space="periodic"), "at data.space:"),
    "images larger than they are": (
        lambda r: r.update(input_resolution=EDGE + 1),
        "expected an input_resolution of at most 16",
    ),
    "r2 edited by 0.001": (
        lambda r: r["seeds"][0]["claim"].update(r2=r["seeds"][0]["claim"]["r2"] + 0.001),
        "that is claimed, found",
    ),
    "mcc edited by 0.001": (
        lambda r: r["seeds"][0]["claim"].update(mcc=r["seeds"][0]["claim"]["mcc"] - 0.001),
        "expected the mcc",
    ),
}


@pytest.mark.parametrize("name", RECORDS)
def test_records(folder: Path, board: Path, name: str) -> None:
    change, reason = RECORDS[name]
    changed(folder, change)
    assert reason in refusal(folder, board)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"[" * 100_000, b'{"schema_version": NaN}', b"\xff\xfe", b"[]"),
        b'{"schema_version": 1, "schema_version": 1}',
        b'{"schema_version": ' + b"1" * 10_000 + b"}",
    ],
    ids=len,
)
def test_records_that_are_no_json(folder: Path, board: Path, content: bytes) -> None:
    (folder / "submission.json").write_bytes(content)
    assert "submission.json: expected" in refusal(folder, board)


def test_a_configuration_that_is_no_json(folder: Path, board: Path) -> None:
    change_file(folder, "config_seed0.json", b"[" * 100_000)
    assert "config_seed0.json: expected JSON, found none" in refusal(folder, board)


OURS: dict[str, Any] = {
    "source": {
        "kind": "images",
        "pairs": "nearest",
        "anchor": "row",
        "conditional": None,
        "data": DATA["digests"],
        "resolution": EDGE,
    },
    "encoder": "conv",
    "loss": "l2",
    "output_space": "box",
    "extent": 1.0,
    "temperature": 1.0,
    "symmetric": False,
    "learned_scales": False,
    "steps": 0,
    "batch_size": 8,
    "warmup": 0,
    "learning_rate": 1e-3,
    "schedule": "constant",
    "precision": "float32",
    "eval_every": 1,
    "protocol": "held-out",
    "seeds": [0],
}


@pytest.mark.parametrize("depth", [100, 500, 900])
def test_a_configuration_that_is_nested_deeply(folder: Path, board: Path, depth: int) -> None:
    change_record(folder, trainer="threedident")
    nested = b"[" * depth + b"]" * depth
    content = (
        json.dumps(OURS | {"encoder": 0})
        .encode()
        .replace(b'"encoder": 0', b'"encoder": ' + nested)
    )
    change_file(folder, "config_seed0.json", content)
    assert "config_seed0.json: expected" in refusal(folder, board)


def test_a_trainer_must_be_named(folder: Path, board: Path) -> None:
    """Whether a configuration is one of ours is said, and not guessed from its look."""
    record = read_record(folder)
    del record["trainer"]
    write_record(folder, record)
    assert 'expected a trainer, "threedident" if its benchmark' in refusal(folder, board)
    change_record(folder, trainer="somebody")
    assert "at trainer:" in refusal(folder, board)


def mutations(value: Any) -> Iterator[Any]:
    """Every change of one value, somewhere in a configuration, that none of ours would have."""
    if isinstance(value, dict):
        for name in value:
            yield {key: part for key, part in value.items() if key != name}
            yield value | {f"{name} ": 0}
            yield from (value | {name: changed} for changed in mutations(value[name]))
    elif isinstance(value, list):
        yield [*value, "x"]
    else:
        yield from ([], {}, "\N{SNOWMAN}", -1.5)


def is_valid(config: Any) -> bool:
    try:
        Config.model_validate(config)
    except ValidationError:
        return False
    return True


def test_no_mutation_of_a_configuration_of_ours_passes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An invalid one is not somebody else's."""
    change_record(folder, trainer="threedident")
    opened = SubmissionFolder(folder)
    changes = [change for change in mutations(OURS) if not is_valid(change)]
    assert len(changes) > 100
    for change in changes:
        monkeypatch.setattr(SubmissionFolder, "read_config", lambda *_, given=change: given)
        with pytest.raises(ValueError, match="expected a configuration of threedident benchmark"):
            check(opened, Limits())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"source": {**OURS["source"], "data": {"test": "c" * 64}}}, "the digest of train images"),
        ({"source": {**OURS["source"], "resolution": 8}}, "expected the resolution 16"),
        (
            {"steps": 100},
            "expected the supervision 'none' that the submission names, found 'pairs'",
        ),
        ({"seeds": [1]}, "expected the seeds (0,)"),
    ],
)
def test_a_configuration_of_ours_that_says_otherwise(
    folder: Path, board: Path, change: dict[str, Any], reason: str
) -> None:
    change_record(folder, trainer="threedident")
    change_file(folder, "config_seed0.json", json.dumps(OURS).encode())
    done_at_once("leaderboard", "check", folder, "--board", board)
    change_file(folder, "config_seed0.json", json.dumps(OURS | change).encode())
    assert reason in refusal(folder, board)


ARRAYS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {
    "NaN": (lambda z: np.where(np.arange(ROWS)[:, None] == 3, np.nan, z), "NaN or infinity"),
    "infinity": (lambda z: np.where(np.arange(ROWS)[:, None] == 3, np.inf, z), "row 3"),
    "too few rows": (lambda z: z[:-1], f"a row for each test image, found ({ROWS - 1}, 10)"),
    "too many rows": (lambda z: np.tile(z, (2, 1)), f"found ({2 * ROWS}, 10)"),
    "too few codes": (lambda z: z[:, :9], f"found ({ROWS}, 9)"),
    "too many codes": (lambda z: np.tile(z, 2), f"found ({ROWS}, 20)"),
    "shuffled rows": (lambda z: z[::-1], "give codes in the order of the test split"),
    "all the same": (lambda z: np.zeros_like(z), "that is claimed, found"),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_codes(folder: Path, board: Path, name: str) -> None:
    change, reason = ARRAYS[name]
    change_codes(folder, np.ascontiguousarray(change(codes(folder)), np.float32), claimed=False)
    assert reason in refusal(folder, board)


@pytest.mark.parametrize("offset", [2.0**22, -1e6, 3e4])
def test_codes_that_drown_in_their_offset(folder: Path, board: Path, offset: float) -> None:
    change_codes(folder, codes(folder) + np.float32(offset))
    line = refusal(folder, board)
    assert "expected codes that vary by 0.0001 of their magnitude at least, found code 0" in line
    assert "take the offset out" in line


def test_codes_of_a_common_offset_are_taken(folder: Path, board: Path) -> None:
    """As a bias or a box from 0 to 1 gives, and codes that do not vary at all, as dead units."""
    shifted = codes(folder) + np.float32(100.0)
    shifted[:, 3] = 1.0
    change_codes(folder, shifted)
    done_at_once("leaderboard", "check", folder, "--board", board)


@pytest.mark.parametrize("kind", [np.float64, np.float16, np.int32, np.complex64, ">f4"])
def test_codes_of_another_type(folder: Path, board: Path, kind: Any) -> None:
    change_codes(folder, codes(folder).astype(kind)[: ROWS // 2], claimed=False)
    assert "expected float32 in order of rows" in refusal(folder, board)


def test_codes_by_columns(folder: Path, board: Path) -> None:
    change_codes(folder, np.asfortranarray(codes(folder)), claimed=False)
    assert "found float32 by columns" in refusal(folder, board)


def test_codes_cut_short(folder: Path, board: Path) -> None:
    change_file(folder, CODES_FILE, (folder / CODES_FILE).read_bytes()[:-4])
    assert f"expected {40 * ROWS} bytes of codes, found {40 * ROWS - 4}" in refusal(folder, board)


def test_a_header_that_asks_for_all_memory(folder: Path, board: Path) -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (10000000000000, 10), }"
    padded = header + b" " * (117 - len(header)) + b"\n"
    content = b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded
    change_file(folder, CODES_FILE, content)
    assert "found (10000000000000, 10)" in refusal(folder, board)


@pytest.mark.parametrize("name", [CODES_FILE, ENCODER_FILE, "config_seed0.json"])
def test_files_that_the_record_does_not_name(folder: Path, board: Path, name: str) -> None:
    path = folder / name
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert f"{name}: expected the file of digest" in refusal(folder, board)


def test_one_training_handed_in_as_three(tmp_path: Path, board: Path) -> None:
    folder = make_submission(tmp_path / "in", seeds=(0, 1, 2))
    for kind in ("representations", "encoder"):
        suffix = "npy" if kind == "representations" else "onnx"
        for seed in (1, 2):
            shutil.copy(folder / f"{kind}_seed0.{suffix}", folder / f"{kind}_seed{seed}.{suffix}")
    record = read_record(folder)
    for entry in record["seeds"]:
        entry["claim"] = record["seeds"][0]["claim"]
    write_record(folder, record)
    assert "of its own for each seed, found one twice" in refusal(folder, board)


@pytest.mark.parametrize("name", [".payload.deadbeef.tmp", ".hidden", "\x1b]0;title\x07"])
def test_names_of_files_are_shown_without_effect(folder: Path, board: Path, name: str) -> None:
    (folder / name).write_bytes(b"")
    line = refusal(folder, board)
    assert "alone, found" in line
    assert line.isprintable()


@pytest.mark.parametrize("version", [(3, 0), (9, 9)])
def test_npy_files_of_other_versions(folder: Path, board: Path, version: tuple[int, int]) -> None:
    content = bytearray((folder / CODES_FILE).read_bytes())
    content[6:8] = bytes(version)
    change_file(folder, CODES_FILE, bytes(content))
    assert "expected a plain npy array" in refusal(folder, board)


@pytest.mark.parametrize(
    "limit", [("--memory-limit", "inf"), ("--memory-limit", "nan"), ("--time-limit", "1" * 12)]
)
def test_limits_that_are_none(folder: Path, board: Path, limit: tuple[str, str]) -> None:
    line = refused_at_once("leaderboard", "check", folder, "--board", board, *limit)
    assert limit[0] in line
