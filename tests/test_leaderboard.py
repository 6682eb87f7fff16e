"""From runs to the page: submit, check, verify on a fresh render by Blender, build."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from PIL import Image

import threedident
from benchmark.leaderboard.board.board import read_board
from benchmark.leaderboard.board.page import LEVEL_MEANINGS, page
from benchmark.leaderboard.board.standings import standings
from benchmark.leaderboard.sandbox.sandbox import Pass, execute
from benchmark.leaderboard.submission.data import DataRecord, SplitDigests, describe_data
from benchmark.leaderboard.verification import fresh
from benchmark.leaderboard.verification.entry import Entry
from benchmark.leaderboard.verification.secret import Secret
from benchmark.metrics.scores import score
from tests.conftest import (
    all_ended,
    cli,
    command,
    command_line,
    contents,
    descendants,
    done_at_once,
    refused_at_once,
    start,
    wait_for,
)
from tests.runs import run
from tests.submissions import (
    EDGE,
    change_codes,
    change_encoder,
    change_record,
    copy_of,
    encode,
    encoder,
    made_up_sums,
    make_submission,
    read_record,
    write_record,
)
from threedident import ThreeDIdent
from threedident.runtime.files import sha256
from threedident.storage.folder import SplitFolder
from threedident.storage.manifest import require_manifest

OTHER = "0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b"
SECRET = "f3a1c2d4e5b60718293a4b5c6d7e8f90"
FRESH, PUBLIC = 256, 1000
SMALL = ("--resolution", EDGE, "--quality", "draft", "--device", "cpu")
Verify = Callable[..., tuple[object, ...]]
TRACK = f"3dident-draft-{EDGE}px-60"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set drawn by Blender, with enough test images to score on."""
    root = tmp_path_factory.mktemp("data") / "set"
    result = cli("render", "--n", 60, "--n-test", PUBLIC, "--out", root, *SMALL)
    assert result.returncode == 0, result.stderr
    return root


@pytest.fixture(scope="module")
def season(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the images of the season are kept, so that they are drawn once."""
    return tmp_path_factory.mktemp("season")


@pytest.fixture(scope="module")
def record(data: Path) -> dict[str, Any]:
    splits = (require_manifest(SplitFolder(data, split)) for split in ("train", "test"))
    return describe_data(*splits).model_dump(mode="json")


@pytest.fixture(scope="module")
def images(data: Path) -> np.ndarray:
    return ThreeDIdent(data, "test").images(range(PUBLIC)).permute(0, 2, 3, 1).numpy()


@pytest.fixture(scope="module")
def sums(data: Path) -> bytes:
    return (data / "test" / "SHA256SUMS").read_bytes()


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the season's secret."""
    path = tmp_path_factory.mktemp("kept") / "2026-autumn.secret"
    path.touch(0o600)
    path.write_text(SECRET)
    return path


@pytest.fixture
def board(tmp_path: Path, secret: Path) -> Path:
    place = tmp_path / "board"
    named = ("season", "open", "2026-autumn", "--secret", secret, "--n", FRESH)
    done_at_once("leaderboard", *named, "--board", place)
    return place


@pytest.fixture
def linear(tmp_path: Path, record: dict[str, Any], images: np.ndarray, sums: bytes) -> Path:
    """A sound submission of three linear encoders."""
    codes = partial(encode, images)
    return make_submission(tmp_path, codes, seeds=(0, 1, 2), data=record, sums=sums)


@pytest.fixture
def single(tmp_path: Path, record: dict[str, Any], images: np.ndarray, sums: bytes) -> Path:
    """A sound submission of one linear encoder, which is soon verified."""
    return make_submission(tmp_path, partial(encode, images), data=record, sums=sums)


@pytest.fixture
def verify(board: Path, season: Path, secret: Path) -> Verify:
    """What verifies a folder in the season."""
    shared = ("--secret", secret, "--fresh", season, "--board", board)
    return lambda folder, *more: ("leaderboard", "verify", folder, *shared, *more)


def verified(verify: Verify, board: Path, folder: Path, *more: object) -> Entry:
    done_at_once(*verify(folder, *more))
    [row] = [row for row in read_board(board).rows if row.id == folder.name]
    assert isinstance(row, Entry)
    return row


def drawn(season: Path) -> Path:
    """The one folder of kept images that were drawn to their end."""
    [place] = [seal.parent for seal in season.glob("*/seal")]
    return place


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_the_renderer_ends_with_the_verification_at_once(
    single: Path, board: Path, secret: Path, tmp_path: Path, number: signal.Signals
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    place = ("--secret", secret, "--board", board, "--fresh", tmp_path / "season")
    process = start("leaderboard", "verify", single, *place, env={"TMPDIR": str(scratch)})
    tree: list[int] = []
    while not any(b"render.workers" in command_line(pid) for pid in tree):
        assert process.poll() is None
        tree = descendants(process.pid)
    process.send_signal(number)
    wait_for(lambda: all_ended(tree), 1.0)
    process.communicate()
    if number != signal.SIGKILL:
        assert process.returncode == 2
        assert list(scratch.iterdir()) == []


def test_runs_become_a_row_that_was_re_executed(
    data: Path, board: Path, verify: Verify, tmp_path: Path
) -> None:
    shared = ("--encoder", "conv", "--steps", 15)
    run(data, tmp_path / "a", *shared, "--seeds", "0,2")
    run(data, tmp_path / "b", *shared, "--seeds", "1")
    result = cli(
        *("leaderboard", "submit", tmp_path / "a", tmp_path / "b"),
        *("--method", "Small net", "--out", tmp_path / "out", "--licence", "MIT"),
    )
    assert result.returncode == 0, result.stderr
    [folder] = (tmp_path / "out").iterdir()
    assert folder.name.endswith("_small-net")
    found = read_record(folder)
    assert [entry["seed"] for entry in found["seeds"]] == [0, 1, 2]
    assert all(entry["wall_time_s"] > 0 and entry["hardware"] for entry in found["seeds"])
    assert (found["supervision"], found["uses_train_latents"]) == ("pairs", True)
    for seed, path in ((0, "a"), (1, "b"), (2, "a")):
        codes = np.load(folder / f"representations_seed{seed}.npy")
        kept = np.load(tmp_path / path / "representations" / f"seed-{seed}.npy")
        assert np.array_equal(codes, kept)
    done_at_once("leaderboard", "check", folder, "--board", board)
    shown = done_at_once(*verify(folder))
    assert "re-executed" in shown
    assert f"rank 1 in {TRACK} / pairs" in shown
    assert f"next: threedident leaderboard build --board {board}" in shown
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "board", "out"]
    done_at_once("leaderboard", "build", "--board", board, "--out", tmp_path / "page.html")
    assert "Small net" in (tmp_path / "page.html").read_text()
    [standing] = standings(read_board(board))[f"{TRACK} / pairs"]
    assert (standing.row.level, standing.rank) == ("re-executed", 1)
    assert "all sound" in done_at_once("leaderboard", "entries", "--board", board)


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


def again_of(
    tmp_path: Path,
    images: np.ndarray,
    record: dict[str, Any],
    sums: bytes,
    seen: int,
    **changes: Any,
) -> Path:
    """A second training: encoders of another corner, whose scores are near where it is large."""
    return make_submission(
        tmp_path / "again",
        lambda seed: encode(images, seed, seen),
        seeds=(0, 1, 2),
        data=record,
        seen=seen,
        sums=sums,
        **changes,
    )


def test_a_second_training_raises_the_level(
    linear: Path,
    board: Path,
    verify: Verify,
    tmp_path: Path,
    images: np.ndarray,
    record: dict[str, Any],
    sums: bytes,
) -> None:
    first = verified(verify, board, linear)
    again = again_of(tmp_path, images, record, sums, EDGE - 1)
    row = verified(verify, board, linear, "--retrained", again)
    assert (first.level, row.level) == ("re-executed", "retrained")
    assert row.verification is not None
    assert row.verification.retrained is not None
    assert row.verification.fresh != row.verification.retrained.fresh
    digests = [entry["digests"]["encoder"] for entry in read_record(again)["seeds"]]
    assert list(row.verification.retrained.encoders) == digests
    assert "it is not lowered to re-executed" in refused_at_once(*verify(linear))


def test_what_is_no_second_training(
    linear: Path,
    verify: Verify,
    tmp_path: Path,
    images: np.ndarray,
    record: dict[str, Any],
    sums: bytes,
) -> None:
    copied = copy_of(linear, tmp_path / "again")
    line = refused_at_once(*verify(linear, "--retrained", copied))
    assert "expected encoders of a training of our own, found those of 2026-11-30" in line
    shutil.rmtree(tmp_path / "again")
    again = again_of(tmp_path, images, record, sums, EDGE - 1, supervision="augmentations")
    line = refused_at_once(*verify(linear, "--retrained", again))
    assert "expected a training with the supervision of 2026-11-30_by-hand" in line


def test_a_training_that_falls_short_does_not_raise_it(
    linear: Path,
    verify: Verify,
    tmp_path: Path,
    images: np.ndarray,
    record: dict[str, Any],
    sums: bytes,
) -> None:
    again = again_of(tmp_path, images, record, sums, 1)
    line = refused_at_once(*verify(linear, "--retrained", again))
    assert "--retrained: expected the fresh" in line
    assert "it stays re-executed" in line


def test_a_supervised_encoder_that_claims_none_passes_and_the_page_says_so(
    linear: Path, board: Path, verify: Verify
) -> None:
    """Its word is all that there is for its supervision, whatever it was trained with."""
    row = verified(verify, board, linear)
    assert (row.level, row.supervision) == ("re-executed", "none")
    proves, leaves = LEVEL_MEANINGS["re-executed"]
    assert "trained with all latents, and claims supervision none, passes" in leaves
    assert "Only the level retrained checks it" in leaves
    text = html.unescape(page(read_board(board)))
    assert proves in text
    assert leaves in text


def test_what_lies_in_the_working_folder_is_not_run(
    single: Path, verify: Verify, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever unpacks a submission and stands beside it."""
    canary = tmp_path / "executed"
    for name in ("benchmark", "threedident", "render", "onnx", "numpy"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"open({str(canary)!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    done_at_once("leaderboard", "check", single.name, "--board", tmp_path / "board")
    done_at_once(*verify(single.name))
    assert not canary.exists()


def test_the_readmes_submission_without_our_code(
    data: Path, record: dict[str, Any], board: Path, tmp_path: Path
) -> None:
    readme = (Path(threedident.__file__).parents[1] / "README.md").read_text()
    [example] = [
        block
        for block in re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
        if "A submission from plain PyTorch" in block
    ]
    (tmp_path / "plain.py").write_text(example)
    result = subprocess.run(
        [sys.executable, "plain.py", str(data), record["id"], "3"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    [folder] = (tmp_path / "submissions").iterdir()
    done_at_once("leaderboard", "check", folder, "--board", board)
    assert read_record(folder)["data"] == record


def test_secrets_of_no_season(single: Path, board: Path, tmp_path: Path) -> None:
    (tmp_path / "s").write_text(OTHER)
    line = refused_at_once(
        *("leaderboard", "verify", single, "--secret", tmp_path / "s", "--board", board)
    )
    assert "expected the secret of a season of" in line
    assert "threedident leaderboard season open begins a season" in line


def test_a_clock_before_the_opening_is_found_before_any_work(
    single: Path, board: Path, verify: Verify
) -> None:
    seasons = json.loads((board / "seasons.json").read_text())
    seasons[0]["opened"] = "2098-01-01"
    (board / "seasons.json").write_text(json.dumps(seasons))
    before = contents(board)
    line = refused_at_once(*verify(single))
    assert "clock: expected 2098-01-01 or later, when season 2026-autumn opened" in line
    assert contents(board) == before


def test_nobody_sees_the_secret_or_the_seed_of_the_split(
    single: Path, board: Path, secret: Path
) -> None:
    """Neither on a command line, nor in an environment, of any process of a verification."""
    seed = str(Secret(SECRET).number("fresh split"))
    process = start("leaderboard", "verify", single, "--secret", secret, "--board", board)
    seen = set[str]()

    def shown() -> bool:
        for pid in (process.pid, *descendants(process.pid)):
            for name in ("cmdline", "environ"):
                with suppress(OSError):
                    text = Path(f"/proc/{pid}/{name}").read_text(errors="replace")
                    seen.update(text.split("\0"))
        return "-" in seen and any("--n-test" in word for word in seen)

    try:
        wait_for(shown)
    finally:
        process.kill()
        process.communicate()
    assert [word for word in seen if SECRET in word or seed in word] == []


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


def test_kept_images_that_were_altered_are_drawn_again(
    single: Path, board: Path, verify: Verify, season: Path
) -> None:
    """Rotated, cut, exchanged: the scores are those of the images that the season drew."""
    first = verified(verify, board, single)
    place = drawn(season)
    whole = contents(place)
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    for row in range(FRESH):
        path = place / "test" / "images" / f"{row:06d}.png"
        with Image.open(path) as image:
            image.rotate(180).save(path)
    (place / "train" / "images" / "000003.png").write_bytes(b"")
    again = verified(verify, board, single)
    assert contents(place) == whole
    assert first.verification is not None
    assert again.verification is not None
    assert again.verification.fresh == first.verification.fresh


@pytest.mark.parametrize("change", ["nothing", "seal", "manifest", "no seal", "rows", "pack"])
def test_kept_images_with_digests_of_ones_own_are_drawn_again(
    single: Path,
    board: Path,
    verify: Verify,
    season: Path,
    record: dict[str, Any],
    change: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where a pack lies beside them, which would be read in their place."""
    verified(verify, board, single)
    kept = tmp_path / "kept"
    place = shutil.copytree(drawn(season), kept / drawn(season).name)
    if change == "seal":
        (place / "seal").write_text("0" * 128)
    elif change == "manifest":
        manifest = json.loads((place / "test" / "dataset.json").read_text())
        manifest["digests"]["sums"] = "0" * 64
        (place / "test" / "dataset.json").write_text(json.dumps(manifest))
    elif change == "no seal":
        (place / "seal").unlink()
    elif change == "rows":
        shutil.rmtree(place / "train")
    elif change == "pack":
        done_at_once("pack", place)
    drawings: list[object] = []

    def draw(root: Path, *_: object, **__: object) -> None:
        drawings.append(list(root.iterdir()))
        raise ValueError("drawn again")

    monkeypatch.setattr(fresh, "_render", draw)
    data = DataRecord.model_validate(record | {"digests": SplitDigests(**record["digests"])})
    if change == "nothing":
        with fresh.fresh_images(data, Secret(SECRET), FRESH, kept) as found:
            assert len(found.latents) == FRESH
        assert drawings == []
    else:
        with (
            pytest.raises(ValueError, match="drawn again"),
            fresh.fresh_images(data, Secret(SECRET), FRESH, kept),
        ):
            pass
        assert drawings == [[place / "public_rows.npy"]]  # and nothing of what was there


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


def test_a_row_that_cannot_be_put_on_the_board_is_kept(
    single: Path, board: Path, verify: Verify, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Hours of work end in a file, wherever there is room for one."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    (board / "entries").write_text("a file where the folder is to be")
    line = refused_at_once(*verify(single))
    [kept] = here.iterdir()
    assert f"the signed row is kept in {kept}" in line
    (board / "entries").unlink()
    (board / "entries").mkdir()
    shutil.copy(kept, board / "entries")
    [row] = read_board(board).rows
    assert row.level == "re-executed"


@pytest.mark.parametrize(
    "place", ["/dev/full", "closed", "ascii"], ids=["full disk", "closed pipe", "ascii"]
)
def test_a_signed_row_is_written_before_it_is_shown(
    single: Path, board: Path, verify: Verify, place: str
) -> None:
    """Also one whose names are markup to a terminal."""
    change_record(single, method="Net [/] [red]x :smile: é")
    words = command(*verify(single))
    environment = {**os.environ, "PYTHONIOENCODING": "ascii" if place == "ascii" else "utf-8"}
    if place == "ascii":
        result = subprocess.run(words, capture_output=True, env=environment)
        assert result.returncode == 0, result.stderr
        assert b"Net [/] [red]x :smile: ?" in result.stdout
    elif place == "closed":
        reader, writer = os.pipe()
        os.close(reader)
        result = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE, env=environment)
        os.close(writer)
    else:
        with Path(place).open("w") as full:
            result = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, env=environment)
    assert b"Traceback" not in result.stderr
    if place == "/dev/full":
        assert b"the signed row is written, but could not be shown" in result.stderr
    [row] = read_board(board).rows
    assert row.level == "re-executed"
