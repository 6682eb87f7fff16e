"""Submissions that are broken or mean harm: each refused in one line, with nothing left behind."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.conftest import contents, done_at_once, refused_at_once
from tests.submissions import (
    CODES,
    EDGE,
    NAME,
    ROWS,
    change_codes,
    change_encoder,
    change_file,
    encoder,
    make_submission,
    model,
    read_record,
    write_record,
)

QUICK = ("--time-limit", 2, "--memory-limit", 1)
CODES_FILE = "representations_seed0.npy"
ENCODER_FILE = "encoder_seed0.onnx"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_submission(tmp_path / "in")


@pytest.fixture
def board(tmp_path: Path) -> Path:
    return tmp_path / "board"


def refusal(folder: Path, board: Path) -> str:
    """The line with which a submission is refused, which changes nothing anywhere."""
    before = contents(board.parent) if folder.is_dir() else {}
    line = refused_at_once("leaderboard", "check", folder, "--add", "--board", board, *QUICK)
    assert not folder.is_dir() or contents(board.parent) == before
    assert len(line) < 700
    assert line.isprintable()
    return line


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
        archive.writestr("arr_0.npy", b"\0" * 10**7)
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
        "data": {"train": "a" * 64, "test": "b" * 64},
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
    change_file(folder, "config_seed0.json", json.dumps(OURS).encode())
    done_at_once("leaderboard", "check", folder, "--board", board)
    change_file(folder, "config_seed0.json", json.dumps(OURS | change).encode())
    assert reason in refusal(folder, board)


ARRAYS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {
    "NaN": (lambda z: np.where(np.arange(ROWS)[:, None] == 3, np.nan, z), "NaN or infinity"),
    "infinity": (lambda z: np.where(np.arange(ROWS)[:, None] == 3, np.inf, z), "row 3"),
    "too few rows": (lambda z: z[:-1], "a row for each test image, found (39, 10)"),
    "too many rows": (lambda z: np.tile(z, (2, 1)), "found (80, 10)"),
    "too few codes": (lambda z: z[:, :9], "found (40, 9)"),
    "too many codes": (lambda z: np.tile(z, 2), "found (40, 20)"),
    "shuffled rows": (lambda z: z[::-1], "give codes in the order of the test split"),
    "all the same": (lambda z: np.zeros_like(z), "that is claimed, found"),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_codes(folder: Path, board: Path, name: str) -> None:
    change, reason = ARRAYS[name]
    change_codes(folder, np.ascontiguousarray(change(codes(folder)), np.float32), claimed=False)
    assert reason in refusal(folder, board)


@pytest.mark.parametrize("kind", [np.float64, np.float16, np.int32, np.complex64, ">f4"])
def test_codes_of_another_type(folder: Path, board: Path, kind: Any) -> None:
    change_codes(folder, codes(folder).astype(kind)[: ROWS // 2], claimed=False)
    assert "expected float32 in order of rows" in refusal(folder, board)


def test_codes_by_columns(folder: Path, board: Path) -> None:
    change_codes(folder, np.asfortranarray(codes(folder)), claimed=False)
    assert "found float32 by columns" in refusal(folder, board)


def test_codes_cut_short(folder: Path, board: Path) -> None:
    change_file(folder, CODES_FILE, (folder / CODES_FILE).read_bytes()[:-4])
    assert "expected 1600 bytes of codes, found 1596" in refusal(folder, board)


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
    scaled = codes(folder)[:, ::-1] * np.float32(2.0)
    for seed in (1, 2):
        np.save(folder / f"representations_seed{seed}.npy", np.ascontiguousarray(scaled * seed))
        made = encoder(seed, seen=4)
        (folder / f"encoder_seed{seed}.onnx").write_bytes(made.SerializeToString())
    write_record(folder, record)
    assert "codes of seeds 0 and 1 to be the same up to order, sign and scale" in refusal(
        folder, board
    )


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


# Encoders.


def node(name: str, inputs: list[str], outputs: list[str], **attributes: Any) -> Any:
    return helper.make_node(name, inputs, outputs, **attributes)


CAST = node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT)
MEAN = node("ReduceMean", ["floats", "axes"], ["colour"], keepdims=0)
MULTIPLY = node("MatMul", ["colour", "weights"], ["plain"])
AXES = np.array([1, 2])
WEIGHTS = np.ones((3, CODES), np.float32)


def after(*nodes: Any, constants: dict[str, Any] | None = None, **changes: Any) -> Any:
    """The linear encoder with more between ``plain`` and ``codes``."""
    known = {"axes": AXES, "weights": WEIGHTS, **(constants or {})}
    return model([CAST, MEAN, MULTIPLY, *nodes], known, **changes)


def external() -> Any:
    made = encoder()
    tensor = made.graph.initializer[1]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    place = tensor.external_data.add()
    place.key, place.value = "location", "../../../etc/passwd"
    return made


def external_attribute() -> Any:
    tensor = numpy_helper.from_array(np.zeros(1, np.float32), "outside")
    tensor.data_location = TensorProto.EXTERNAL
    constant = node("Constant", [], ["shift"], value=tensor)
    return after(constant, node("Add", ["plain", "shift"], ["codes"]))


def body(name: str) -> Any:
    """A body of a loop that goes on for ever."""
    truth = helper.make_tensor_value_info("go_out", TensorProto.BOOL, [])
    step = helper.make_tensor_value_info("step", TensorProto.INT64, [])
    go = helper.make_tensor_value_info("go", TensorProto.BOOL, [])
    return helper.make_graph([node("Identity", ["go"], ["go_out"])], name, [step, go], [truth])


def endless() -> Any:
    loop = node("Loop", ["", "true"], [], body=body("body"))
    return after(loop, node("Identity", ["plain"], ["codes"]), constants={"true": np.array(True)})


def branching() -> Any:
    made = helper.make_tensor_value_info("x", TensorProto.FLOAT, None)
    arm = helper.make_graph([node("Identity", ["plain"], ["x"])], "arm", [], [made])
    test = {"true": np.array(True)}
    return after(node("If", ["true"], ["codes"], then_branch=arm, else_branch=arm), constants=test)


def hidden_loop() -> Any:
    """An allowed operator that carries a graph."""
    return after(node("Identity", ["plain"], ["codes"], hidden=body("hidden")))


def local_function() -> Any:
    made = after(node("Identity", ["plain"], ["codes"]))
    opset = [helper.make_opsetid("", 18)]
    function = helper.make_function("", "Mine", ["x"], ["y"], [node("Relu", ["x"], ["y"])], opset)
    made.functions.append(function)
    return made


def sparse() -> Any:
    made = after(node("Identity", ["plain"], ["codes"]))
    values = numpy_helper.from_array(np.ones(1, np.float32), "thin")
    where = numpy_helper.from_array(np.zeros(1, np.int64), "where")
    made.graph.sparse_initializer.append(helper.make_sparse_tensor(values, where, [9]))
    return made


def training_norm() -> Any:
    ones = {name: np.ones(CODES, np.float32) for name in ("a", "b", "m", "v")}
    norm = node(
        "BatchNormalization",
        ["plain", "a", "b", "m", "v"],
        ["codes", "new_m", "new_v"],
        training_mode=1,
    )
    return after(norm, constants=ones)


def training_dropout() -> Any:
    drop = node("Dropout", ["plain", "ratio", "training"], ["codes"])
    given = {"ratio": np.float32(0.5), "training": np.array(True)}
    return after(drop, constants=given)


def random() -> Any:
    noise = node("RandomNormalLike", ["plain"], ["noise"])
    return after(noise, node("Add", ["plain", "noise"], ["codes"]))


def hog(edge: int) -> Any:
    """Asks for edge x edge floats, and sums them up."""
    nodes = (
        node(
            "ConstantOfShape", ["huge"], ["many"], value=numpy_helper.from_array(np.ones(1, "f4"))
        ),
        node("MatMul", ["many", "many"], ["much"]),
        node("ReduceSum", ["much"], ["sum"], keepdims=0),
        node("Add", ["plain", "sum"], ["codes"]),
    )
    return after(*nodes, constants={"huge": np.array([edge, edge])})


def batch_dependent() -> Any:
    mean = node("ReduceMean", ["plain", "first"], ["middle"], keepdims=1)
    shifted = node("Sub", ["plain", "middle"], ["codes"])
    return after(mean, shifted, constants={"first": np.array([0])})


def batch_dependent_of_scale(scale: float) -> Any:
    """The same where a naive tolerance sees nothing: in tiny codes, or in such as overflow."""
    mean = node("ReduceMean", ["plain", "first"], ["middle"], keepdims=1)
    shifted = node("Sub", ["plain", "middle"], ["apart"])
    scaled = node("Mul", ["apart", "scale"], ["codes"])
    return after(
        mean, shifted, scaled, constants={"first": np.array([0]), "scale": np.float32(scale)}
    )


def two_formats() -> Any:
    """A file that is an ONNX model, and that onnxruntime could take for its own format.

    It begins with the version of the format (10, in field 1) and a producer (field 2) called
    ORTM, which are the very bytes by which the other format is known.
    """
    made = after(node("Identity", ["plain"], ["codes"]))
    made.ir_version, made.producer_name = 10, "ORTM"
    hidden = b"\xfa\x7f" + b"\x04" + b"loop"  # a field that no version of ONNX has
    content = made.SerializeToString()
    assert content[4:8] == b"ORTM"
    return content + hidden


def order_dependent() -> Any:
    total = node("CumSum", ["plain", "first"], ["codes"])
    return after(total, constants={"first": np.array(0)})


def not_a_number() -> Any:
    return after(
        node("Sub", ["plain", "plain"], ["zero"]), node("Div", ["zero", "zero"], ["codes"])
    )


def floats_by_channels() -> Any:
    nodes = [
        node("Identity", ["images"], ["floats"]),
        MEAN,
        node("MatMul", ["colour", "weights"], ["codes"]),
    ]
    return model(nodes, {"axes": AXES, "weights": WEIGHTS}, kind=TensorProto.FLOAT)


def two_outputs() -> Any:
    more = node("Relu", ["plain"], ["other"])
    return after(node("Identity", ["plain"], ["codes"]), more, outputs=("codes", "other"))


def nine_codes() -> Any:
    nine = {"axes": AXES, "weights": np.ones((3, 9), np.float32)}
    return model([CAST, MEAN, node("MatMul", ["colour", "weights"], ["codes"])], nine, codes=9)


def lying_codes() -> Any:
    """Says ten codes and gives nine."""
    nine = {"axes": AXES, "weights": np.ones((3, 9), np.float32)}
    return model([CAST, MEAN, node("MatMul", ["colour", "weights"], ["codes"])], nine)


def custom() -> Any:
    mine = node("Mine", ["plain"], ["codes"], domain="my.domain")
    return after(mine, opsets=(("", 18), ("my.domain", 1)))


def microsoft() -> Any:
    gelu = node("Gelu", ["plain"], ["codes"], domain="com.microsoft")
    return after(gelu)


def training_info() -> Any:
    made = after(node("Identity", ["plain"], ["codes"]))
    made.training_info.add()
    return made


def broken() -> Any:
    return after(node("Add", ["plain", "nowhere"], ["codes"]))


ENCODERS: dict[str, tuple[Callable[[], Any], str]] = {
    "external data": (external, "expected all weights within the file, found external data"),
    "external data in an attribute": (external_attribute, "found external data for 'outside'"),
    "a custom operator": (custom, "found the custom domain 'my.domain'"),
    "an operator of a vendor": (
        microsoft,
        "expected operators of ONNX alone, found 'com.microsoft'",
    ),
    "a loop that never ends": (endless, "expected a graph without loops and branches, found Loop"),
    "a branch": (branching, "found If"),
    "a hidden graph": (hidden_loop, "expected operators without graphs inside"),
    "a local function": (local_function, "found the local function 'Mine'"),
    "sparse weights": (sparse, "expected dense weights"),
    "training information": (training_info, "found training information"),
    "BatchNorm in training mode": (training_norm, "found it in training mode"),
    "Dropout in training mode": (training_dropout, "expected no Dropout in training mode"),
    "random numbers": (random, "found the random operator RandomNormalLike"),
    "an operator off the list": (
        lambda: after(node("Det", ["plain"], ["codes"])),
        "expected operators of the list",
    ),
    "a memory hog": (lambda: hog(60_000), "expected less memory, found the limit reached"),
    "work without end": (lambda: hog(8_000), "--time-limit where the encoder is just slow"),
    "batch statistics": (batch_dependent, "expected codes that depend on their own image alone"),
    "batch statistics of tiny codes": (
        lambda: batch_dependent_of_scale(1e-7),
        "expected codes that depend on their own image alone",
    ),
    "batch statistics of huge codes": (
        lambda: batch_dependent_of_scale(1e35),
        "expected codes that depend on their own image alone",
    ),
    "an operator with an endless name": (
        lambda: after(node("D" * 10**6, ["plain"], ["codes"])),
        "expected operators of the list",
    ),
    "an operator that talks to terminals": (
        lambda: after(node("\x1b]0;title\x07", ["plain"], ["codes"])),
        "expected operators of the list",
    ),
    "sums over the batch": (order_dependent, "expected codes that depend on their own image"),
    "NaN": (not_a_number, "expected finite codes"),
    "floats in place of bytes": (
        floats_by_channels,
        "expected the input uint8 (batch, 16, 16, 3) with any number in a batch, found float",
    ),
    "larger images": (lambda: encoder(edge=EDGE + 1), "found uint8 (batch, 17, 17, 3)"),
    "batches of one size": (lambda: encoder(batch=1), "found uint8 (1, 16, 16, 3)"),
    "two outputs": (two_outputs, "expected one output, found 2"),
    "nine codes": (nine_codes, "expected the output float (batch, 10)"),
    "nine codes called ten": (lying_codes, "expected "),
    "an input from nowhere": (broken, "expected an encoder that runs"),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders(folder: Path, board: Path, name: str) -> None:
    make, reason = ENCODERS[name]
    change_encoder(folder, make())
    line = refusal(folder, board)
    assert ENCODER_FILE in line
    assert reason in line


def test_what_hides_beside_a_model_is_dropped(folder: Path, board: Path) -> None:
    """Only what was checked is run: the model within, here a sound one."""
    from benchmark.leaderboard.graph import parse

    content = two_formats()
    model = parse(content)
    assert b"loop" not in model.SerializeToString()
    assert model.SerializeToString()[4:8] != b"ORTM"
    change_file(folder, ENCODER_FILE, content)
    done_at_once("leaderboard", "check", folder, "--board", board)


def test_garbage_for_an_encoder(folder: Path, board: Path) -> None:
    change_file(folder, ENCODER_FILE, bytes(range(256)) * 100)
    assert "expected an ONNX model, found none" in refusal(folder, board)
