"""Data sets with fixed factors: records, ids, codes of the factors that vary, and refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from benchmark.config import Config
from benchmark.leaderboard.record import explained
from benchmark.leaderboard.sandbox.sandbox import Limits
from benchmark.leaderboard.submission.data import DataRecord, describe_data
from benchmark.leaderboard.submission.folder import SubmissionFolder
from benchmark.leaderboard.submission.reproduce import render_command
from benchmark.leaderboard.submission.submission import Submission
from benchmark.leaderboard.submission.submit import _require_codes
from benchmark.leaderboard.verification.check import check
from benchmark.leaderboard.verification.entry import Entry, read_row, row_bytes
from benchmark.metrics.scores import score
from tests.fuzz.damage.specimens import make_rendered
from tests.leaderboard.submission.test_hostile_records import OURS
from tests.leaderboard.submissions import (
    DATA,
    EDGE,
    NAME,
    change_codes,
    change_encoder,
    change_file,
    change_record,
    encoder,
    make_submission,
    read_record,
    refusal,
    scored_latents,
    write_record,
)
from threedident.latents.factors import LABELS, NAMES
from threedident.latents.sampling import sample_raw
from threedident.latents.spaces import parse_fixed
from threedident.storage.folder import SplitFolder
from threedident.storage.manifest import Manifest, require_manifest

UPRIGHT = {"alpha": 0.0, "beta": 0.0, "gamma": 0.25}
FREE = tuple(name for name in NAMES if name not in UPRIGHT)
HELD: dict[str, Any] = {
    **DATA,
    "id": f"3dident-alpha=0-beta=0-gamma=0.25-draft-{EDGE}px-60",
    "fixed": UPRIGHT,
}


@pytest.fixture
def held(tmp_path: Path) -> Path:
    """A sound submission on images without rotation."""
    return make_submission(tmp_path / "in", data=HELD)


@pytest.fixture(scope="module")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    root = make_rendered(tmp_path_factory.mktemp("made"))
    found = [require_manifest(SplitFolder(root, split)) for split in ("train", "test")]
    return [found[0], found[1].model_copy(update={"n": 1000})]


def with_origin(manifest: Manifest, **changes: Any) -> Manifest:
    origin = manifest.origin.model_copy(update=changes)
    return manifest.model_copy(update={"origin": origin})


@pytest.mark.parametrize(
    ("fixed", "words"),
    [
        ({}, ""),
        ({"x": 0.25}, "x=0.25-"),
        ({"theta": -1.0, "y": -0.0}, "y=0-theta=-1-"),
        ({"object_hue": 0.1 + 0.2}, "object_hue=0.30000000000000004-"),
    ],
)
def test_an_id_names_the_fixed_factors(
    manifests: list[Manifest], fixed: dict[str, float], words: str
) -> None:
    record = describe_data(*(with_origin(manifest, fixed=fixed) for manifest in manifests))
    assert record.id == f"3dident-{words}draft-{EDGE}px-6"
    assert record.fixed == fixed
    assert DataRecord.model_validate_json(record.model_dump_json()) == record
    assert ("--fix" in render_command(record)) == bool(fixed)
    assert parse_fixed(record.held, "box") == fixed


def test_records_without_fixed_factors_are_those_of_earlier_versions() -> None:
    """An empty field is left out wherever a record is written, so digests and signatures hold."""
    for given in (DATA, DATA | {"fixed": {}}):
        record = DataRecord.model_validate(given)
        assert record.model_dump(mode="json") == DATA
        assert json.loads(record.model_dump_json(exclude={"id"})) == {
            name: value for name, value in DATA.items() if name != "id"
        }
        assert record.factors.names == NAMES
        assert record.held == ()
        assert np.array_equal(record.test_latents(3, 20), sample_raw(3, "test", 20))


def test_the_factors_that_vary_follow_from_the_record() -> None:
    record = DataRecord.model_validate(HELD)
    assert record.factors.names == FREE
    assert record.factors.labels == tuple(LABELS[NAMES.index(name)] for name in FREE)
    raw, whole = record.test_latents(3, 50), sample_raw(3, "test", 50)
    for column, name in enumerate(NAMES):
        expected = UPRIGHT[name] if name in UPRIGHT else whole[:, column]
        assert np.array_equal(raw[:, column], np.broadcast_to(np.float32(expected), 50))
    assert record.factors.values(raw).shape == (50, 7)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"fixed": UPRIGHT}, "found alpha=0, beta=0, gamma=0.25 for train and none for test"),
        ({"space": "periodic"}, "expected latents of the box, found the periodic space in the tr"),
        ({"rows": "0" * 16}, "expected latents drawn by a seed, found given rows in the train"),
        ({"seed": 5}, "expected one seed for both splits, found 5 for train and 0 for test"),
    ],
)
def test_data_sets_that_cannot_be_drawn_again(
    manifests: list[Manifest], changes: dict[str, Any], reason: str
) -> None:
    train, test = manifests
    with pytest.raises(ValueError, match=r"^data: expected [^\n]*$") as error:
        describe_data(with_origin(train, **changes), test)
    assert reason in str(error.value)


NINE = dict.fromkeys(NAMES[:9], 0.1234567890123456)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"fixed": {"size": 0.0}}, "at fixed: fixed: expected one of x, y, z"),
        ({"fixed": {"x": 1.5}}, "expected x in [-1, 1], found 1.5"),
        ({"fixed": {"x": "0"}}, "at fixed.x: Input should be a valid number"),
        ({"fixed": {"x": float("nan")}}, "at fixed.x: Input should be a finite number"),
        ({"fixed": dict.fromkeys(NAMES, 0.0)}, "expected a factor that varies, found none"),
        ({"fixed": {"x": 0.0}}, "expected the id 3dident-x=0-draft-16px-60, which follows"),
        ({"fixed": {}}, "expected the id 3dident-draft-16px-60, which follows"),
        (
            {"fixed": NINE, "id": "3dident-" + "-".join(f"{n}={v}" for n, v in NINE.items())},
            "at id: String should have at most 200 characters",
        ),
    ],
)
def test_records_of_fixed_factors_that_cannot_be(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError) as error:
        DataRecord.model_validate(HELD | changes)
    assert reason in explained(error.value)


def test_scores_are_of_the_factors_that_vary(held: Path) -> None:
    """The check passes, and its row survives its file."""
    checked = check(SubmissionFolder(held), Limits())
    assert checked.latents.shape == checked.codes[0].shape == (1000, 7)
    latents = scored_latents(HELD)
    assert np.array_equal(checked.latents, latents)
    expected = score(latents=latents, representations=checked.codes[0])
    row = checked.entry()
    assert row.scores[0].mcc == pytest.approx(expected.mcc, abs=1e-6)
    assert row.scores[0].r2_per_factor == pytest.approx(expected.r2_per_factor, abs=1e-6)
    assert np.shape(row.correlation) == (7, 7)
    assert read_row(row_bytes(row), "it") == row
    assert row.track == f"{HELD['id']} / none"
    assert Submission.model_validate_json(row.submission.content()) == row.submission


def test_rows_of_other_factors_than_their_data_set_has_are_refused(held: Path) -> None:
    values = json.loads(row_bytes(check(SubmissionFolder(held), Limits()).entry()))
    scores = values["scores"][0]
    for change, reason in (
        ({"r2_per_factor": [scores["r2"]] * 10}, "expected R^2 and MCC of the same factors"),
        (
            {name: [scores[name[:-11]]] * 10 for name in ("r2_per_factor", "mcc_per_factor")},
            "expected scores of the 7 factors that vary",
        ),
        ({"r2_per_factor": []}, "at least 1 item"),
        ({"r2_per_factor": [scores["r2"]] * 11}, "at most 10 items"),
    ):
        with pytest.raises(ValidationError, match=reason.replace("^", r"\^")):
            Entry.model_validate_json(json.dumps(values | {"scores": [scores | change]}))
    for matrix in (np.eye(10), np.eye(10)[:7], np.eye(7)[:, :6]):
        with pytest.raises(ValidationError, match="expected correlations of 7 factors with 7"):
            Entry.model_validate_json(json.dumps(values | {"correlation": matrix.tolist()}))


def test_codes_and_encoders_of_ten_factors_are_refused(
    held: Path, board: Path, tmp_path: Path
) -> None:
    """Also the other way round: codes of seven factors where ten vary."""
    ten = np.random.default_rng(0).normal(size=(1000, 10)).astype(np.float32)
    sound = np.load(held / "representations_seed0.npy")
    change_codes(held, ten, claimed=False)
    assert "expected shape (1000, 7), a row for each test image, found (1000, 10)" in refusal(
        held, board
    )
    change_codes(held, sound)
    change_encoder(held, encoder())
    assert "expected the output float (batch, 7)" in refusal(held, board)
    whole = make_submission(tmp_path / "whole")
    change_codes(whole, sound, claimed=False)
    assert "expected shape (1000, 10)" in refusal(whole, board)
    record = read_record(make_submission(tmp_path / "named"))
    record["data"] = HELD
    write_record(tmp_path / "named" / NAME, record)
    assert "expected shape (1000, 7)" in refusal(tmp_path / "named" / NAME, board)


def config_of(factors: tuple[str, ...], **changes: Any) -> Config:
    source = {**OURS["source"], "factors": factors, "space": "box"}
    return Config.model_validate(OURS | {"source": source, **changes})


def test_a_configuration_must_encode_the_factors_that_vary(held: Path) -> None:
    change_record(held, trainer="threedident")
    for factors, sound in ((FREE, True), (FREE[:3], False), (NAMES, False)):
        content = config_of(factors).model_dump_json().encode()
        change_file(held, "config_seed0.json", content)
        if sound:
            check(SubmissionFolder(held), Limits())
            continue
        with pytest.raises(ValueError, match=r"expected the factors .* that the submission names"):
            check(SubmissionFolder(held), Limits())


def test_runs_of_other_codes_than_one_for_each_factor_that_varies() -> None:
    record = DataRecord.model_validate(HELD)
    _require_codes(config_of(FREE), record)
    _require_codes(config_of(FREE, codes=7), record)
    line = r"^--factors: [^\n]* x, y, z, theta, [^\n]* that encodes x, y; train it [^\n]*$"
    with pytest.raises(ValueError, match=line):
        _require_codes(config_of(("x", "y")), record)
    line = r"^--codes: expected a run of 7 codes[^\n]* found 8; train it without --codes$"
    with pytest.raises(ValueError, match=line):
        _require_codes(config_of(FREE, codes=8), record)
