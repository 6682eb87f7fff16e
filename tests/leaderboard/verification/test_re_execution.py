"""Encoders run again on images that did not exist: what passes, and what does not."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from benchmark.leaderboard.board.board import read_board
from benchmark.leaderboard.board.standings import standings
from benchmark.leaderboard.sandbox.sandbox import Pass, execute
from benchmark.metrics.scores import score
from tests.conftest import (
    contents,
    done_at_once,
    refused_at_once,
)
from tests.leaderboard.submissions import (
    change_codes,
    change_encoder,
    encode,
    encoder,
    made_up_sums,
    make_submission,
    read_record,
    write_record,
)
from tests.leaderboard.verification.verifying import (
    FRESH,
    PUBLIC,
    Verify,
    drawn,
    verified,
)
from threedident import ThreeDIdent
from threedident.runtime.files import sha256

pytestmark = pytest.mark.slow


def looked_up(seed: int, table: np.ndarray, images: np.ndarray) -> ModelProto:
    """One encoder for all seeds that gives other codes for the public images, which it knows."""
    made = encoder(0)
    made.graph.node[-1].output[0] = "plain"
    known = images.reshape(len(images), -1).astype(np.float32) / 255.0
    constants = {
        "known": known.T.copy(),
        "squares": (known**2).sum(axis=1)[None],
        "near": np.float32(1e-2),
        "table": table.astype(np.float32),
        "scale": np.float32(1 / 255.0),
        "two": np.float32(2.0),
        "last": np.array([1]),
        "twist": np.diag(1.0 + np.arange(10) * 0.1 * seed).astype(np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["images"], ["all"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["all"], ["flat"], axis=1),
        helper.make_node("Mul", ["flat", "scale"], ["pixels"]),
        helper.make_node("Mul", ["pixels", "pixels"], ["powers"]),
        helper.make_node("ReduceSum", ["powers", "last"], ["own"], keepdims=1),
        helper.make_node("MatMul", ["pixels", "known"], ["products"]),
        helper.make_node("Mul", ["products", "two"], ["doubled"]),
        helper.make_node("Add", ["own", "squares"], ["sums"]),
        helper.make_node("Sub", ["sums", "doubled"], ["distances"]),
        helper.make_node("Less", ["distances", "near"], ["same"]),
        helper.make_node("Cast", ["same"], ["hits"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["hits", "table"], ["noise"]),
        helper.make_node("Add", ["plain", "noise"], ["changed"]),
        helper.make_node("MatMul", ["changed", "twist"], ["codes"]),
    ]
    made.graph.node.extend(nodes)
    made.graph.initializer.extend(numpy_helper.from_array(v, n) for n, v in constants.items())
    return made


@pytest.mark.filterwarnings("ignore::benchmark.metrics.remarks.FewRowsWarning")
def test_fresh_scores_are_those_of_images_that_did_not_exist(
    linear: Path, board: Path, verify: Verify, season: Path, record: dict[str, Any], data: Path
) -> None:
    row = verified(verify, board, linear)
    place = drawn(season)
    fresh = ThreeDIdent(place, "test")
    assert fresh.manifest is not None
    assert fresh.manifest.rendering.fingerprint == record["fingerprint"]
    assert len(fresh) == FRESH
    assert row.verification is not None
    for found in row.verification.fresh:
        codes = encode(fresh.images(range(FRESH)).permute(0, 2, 3, 1).numpy(), found.seed)
        assert found.mcc == pytest.approx(score(fresh.latents, codes).mcc, abs=1e-4)
    assert not any(gap.suspicious for gap in row.verification.gap.values())
    seen = {tuple(latents) for latents in ThreeDIdent(data, "test").latents}
    assert not seen & {tuple(latents) for latents in fresh.latents}
    public = ThreeDIdent(place, "train").latents
    assert len(public) == 64
    assert seen > {tuple(latents) for latents in public}


def test_labels_in_place_of_codes_pass_the_check_and_not_the_verification(
    single: Path, board: Path, verify: Verify, data: Path
) -> None:
    change_codes(single, ThreeDIdent(data, "test").latents)
    assert read_record(single)["seeds"][0]["claim"]["mcc"] == pytest.approx(1.0)
    done_at_once("leaderboard", "check", single, "--board", board)
    before = contents(board)
    line = refused_at_once(*verify(single))
    assert "encoder_seed0.onnx: expected the codes of" in line
    assert "drawn anew, found others" in line
    assert contents(board) == before


def test_shuffled_codes_that_are_claimed_as_they_are(
    single: Path, verify: Verify, images: np.ndarray
) -> None:
    change_codes(single, np.ascontiguousarray(encode(images)[::-1]))
    assert "drawn anew, found others" in refused_at_once(*verify(single))


def test_the_encoder_of_another_seed(single: Path, verify: Verify) -> None:
    change_encoder(single, encoder(5))
    assert "drawn anew, found others" in refused_at_once(*verify(single))


def test_images_of_another_renderer(single: Path, verify: Verify) -> None:
    changed = read_record(single)
    changed["data"]["fingerprint"] = "0" * 16
    write_record(single, changed)
    line = refused_at_once(*verify(single))
    assert "renderer: expected the fingerprint 0000000000000000" in line


def test_invented_digests_are_found_on_rows_drawn_anew(
    tmp_path: Path, images: np.ndarray, record: dict[str, Any], verify: Verify, board: Path
) -> None:
    """Whoever names a data set with images that it does not have keeps others out of nothing."""
    invented = made_up_sums(PUBLIC)
    digests = {**record["digests"], "test": sha256(invented)}
    folder = make_submission(
        tmp_path,
        partial(encode, images),
        data={**record, "digests": digests},
        sums=invented,
    )
    before = contents(board)
    line = refused_at_once(*verify(folder))
    assert "SHA256SUMS: expected the digests of the images of 3dident-draft-16px-60" in line
    assert "found others for 64 of 64 rows drawn anew" in line
    assert contents(board) == before


def test_one_training_that_knows_the_public_images_is_found_on_fresh_ones(
    tmp_path: Path,
    images: np.ndarray,
    record: dict[str, Any],
    sums: bytes,
    board: Path,
    verify: Verify,
) -> None:
    """Noise of each seed's own on images that anybody has hides one training there alone."""
    plain = encode(images)
    tables = {
        seed: 0.3 * plain.std(axis=0) * np.random.default_rng(seed).normal(size=plain.shape)
        for seed in (0, 1, 2)
    }
    models = {seed: looked_up(seed, table, images) for seed, table in tables.items()}
    codes = {
        seed: execute(model.SerializeToString(), images, 10, [Pass(64)], "made")[0]
        for seed, model in models.items()
    }
    folder = make_submission(tmp_path, codes.get, seeds=(0, 1, 2), data=record, sums=sums)
    for seed, model in models.items():
        (folder / f"encoder_seed{seed}.onnx").write_bytes(model.SerializeToString())
    write_record(folder, read_record(folder))
    row = verified(verify, board, folder)
    assert {alike.of for alike in row.alike or ()} <= {"weights"}
    assert row.verification is not None
    assert [alike.seeds for alike in row.verification.alike or ()] == [(0, 1), (0, 2), (1, 2)]
    [standing] = standings(read_board(board))[row.track]
    assert standing.rank is None


def test_one_wild_row_does_not_let_other_codes_through(
    single: Path, verify: Verify, board: Path, images: np.ndarray
) -> None:
    """What is let through is measured by the rows that are drawn, not by one that may not be."""
    rng = np.random.default_rng(0)
    codes = encode(images)
    spread = codes.std(axis=0)
    codes = (codes + spread * rng.normal(size=codes.shape)).astype(np.float32)
    codes[777] = 9000 * spread
    change_codes(single, codes)
    before = contents(board)
    assert "drawn anew, found others" in refused_at_once(*verify(single))
    assert contents(board) == before
