"""One training under several names is found; honest trainings are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import numpy_helper

from benchmark.leaderboard.sandbox.sandbox import Limits, shared_weights
from benchmark.leaderboard.submission.folder import SubmissionFolder
from benchmark.leaderboard.verification.check import check
from benchmark.leaderboard.verification.likeness import ALIKE, likeness
from tests.conftest import done_at_once
from tests.leaderboard.submissions import (
    encoder,
    make_submission,
    read_record,
    write_record,
)
from threedident.latents.sampling import sample_raw

ROWS = 1000


@pytest.fixture(scope="module")
def latents() -> np.ndarray:
    return sample_raw(0, "test", ROWS)


def training(latents: np.ndarray, seed: int, noise: float = 0.3) -> np.ndarray:
    """Latents seen through a bend that all trainings share, and mistakes of one's own."""
    own = np.random.default_rng(seed).normal(size=latents.shape)
    return (np.tanh(1.5 * latents) + noise * own).astype(np.float32)


@pytest.mark.parametrize("noise", [0.05, 0.3, 1.0])
def test_trainings_of_their_own_are_not_alike(latents: np.ndarray, noise: float) -> None:
    """Although their codes agree wherever the latents say what they are."""
    one, other = (training(latents, seed, noise) for seed in (1, 2))
    assert likeness(latents, one, other) < ALIKE["codes"] - 0.2


def mixed(codes: np.ndarray) -> np.ndarray:
    """15 and 30 % of one code in another."""
    found = codes.copy()
    found[:, 0] = 0.85 * codes[:, 0] + 0.15 * codes[:, 1]
    found[:, 2] = 0.7 * codes[:, 2] + 0.3 * codes[:, 3]
    return found


def rotated(codes: np.ndarray) -> np.ndarray:
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(10, 10)))[0]
    return (codes @ rotation).astype(np.float32)


def noisy(codes: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(9).normal(size=codes.shape)
    return (codes + 0.02 * codes.std(axis=0) * noise).astype(np.float32)


@pytest.mark.parametrize(
    "change",
    [
        lambda codes: codes,
        lambda codes: -3.0 * codes[:, ::-1] + 5.0,
        mixed,
        rotated,
        noisy,
        lambda codes: noisy(mixed(codes)),
        lambda codes: np.tanh(codes),
        lambda codes: codes**3,
    ],
    ids=["same", "turned round", "mixed", "rotated", "noisy", "both", "bent", "cubed"],
)
def test_one_training_is_found(latents: np.ndarray, change: object) -> None:
    codes = training(latents, 1)
    assert callable(change)
    found = np.ascontiguousarray(change(codes), np.float32)
    assert likeness(latents, codes, found) > ALIKE["codes"]


def test_what_the_latents_explain_says_nothing(latents: np.ndarray) -> None:
    """Perfect encoders are the same up to rounding, and yet each was trained."""
    perfect = rotated(latents)
    assert likeness(latents, latents, perfect) == 0.0
    constant = np.ones_like(latents)
    assert likeness(latents, constant, constant) == 0.0


def test_codes_that_do_not_vary_are_left_out(latents: np.ndarray) -> None:
    codes = training(latents, 1)
    dead = codes.copy()
    dead[:, 4] = 1.0
    assert likeness(latents, dead, rotated(codes)) > ALIKE["codes"]


def test_more_rows_cost_no_more(latents: np.ndarray) -> None:
    many = sample_raw(0, "test", 6000)
    one, other = training(many, 1), training(many, 2)
    cut = slice(None, 5000)
    assert likeness(many, one, other) == likeness(many[cut], one[cut], other[cut])
    assert np.array_equal(many[:ROWS], latents)


def test_weights_of_two_trainings_are_their_own() -> None:
    models = [encoder(seed).SerializeToString() for seed in (0, 1)]
    assert shared_weights(*models, "two", Limits()) == 0.0
    assert shared_weights(models[0], models[0], "one", Limits()) == 1.0


def test_weights_are_found_under_noise_and_other_scales_and_names() -> None:
    model = encoder(0)
    [tensor] = [t for t in model.graph.initializer if t.name == "weights"]
    values = numpy_helper.to_array(tensor)
    rng = np.random.default_rng(0)
    changed = (-2.0 * values + 0.05 * rng.normal(size=values.shape) / 255).astype(np.float32)
    tensor.CopyFrom(numpy_helper.from_array(changed, "others"))
    share = shared_weights(encoder(0).SerializeToString(), model.SerializeToString(), "m")
    assert share == 1.0


def test_what_is_no_model_has_no_weights() -> None:
    with pytest.raises(ValueError, match="mine: expected an ONNX model, found none"):
        shared_weights(b"nothing", encoder(0).SerializeToString(), "mine")


@pytest.mark.slow
def test_alike_seeds_are_named_and_marked(tmp_path: Path, latents: np.ndarray) -> None:
    """The row is shown with the pair, and is not ranked."""
    folder = make_submission(
        tmp_path / "in",
        lambda seed: mixed(training(latents, 1)) if seed == 2 else training(latents, 1 + seed),
        seeds=(0, 1, 2),
    )
    row = check(SubmissionFolder(folder), Limits()).entry()
    assert row.alike is not None
    [alike] = row.alike
    assert (alike.seeds, alike.of) == ((0, 2), "codes")
    shown = done_at_once("leaderboard", "check", folder, "--add", "--board", tmp_path / "board")
    assert "not ranked: seeds 0 and 2 share 100.0% of their codes beyond the factors" in shown


@pytest.mark.slow
def test_seeds_that_share_an_encoder_are_named_and_marked(
    tmp_path: Path, latents: np.ndarray
) -> None:
    folder = make_submission(
        tmp_path / "in", lambda seed: training(latents, 1 + seed), seeds=(0, 1, 2)
    )
    model = encoder(0)
    model.graph.name = "another"
    (folder / "encoder_seed1.onnx").write_bytes(model.SerializeToString())
    write_record(folder, read_record(folder))
    row = check(SubmissionFolder(folder), Limits()).entry()
    assert row.alike is not None
    [alike] = row.alike
    assert (alike.seeds, alike.of, alike.share) == ((0, 1), "weights", 1.0)
