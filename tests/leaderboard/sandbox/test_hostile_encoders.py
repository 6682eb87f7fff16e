"""Encoders that are broken or mean harm: refused before they run, or while they do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.conftest import done_at_once
from tests.leaderboard.submissions import (
    CODES,
    EDGE,
    change_encoder,
    change_file,
    encoder,
    model,
    refusal,
)

pytestmark = pytest.mark.slow

ENCODER_FILE = "encoder_seed0.onnx"


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


def offset_alone(offset: float) -> Any:
    """An offset, and beside it what is to be seen in batches alone: rounding must not hide it."""
    return after(
        node("Shape", ["plain"], ["shape"]),
        node("Gather", ["shape", "first"], ["batch"]),
        node("Equal", ["batch", "one"], ["alone"]),
        node("Where", ["alone", "nothing", "plain"], ["shown"]),
        node("Add", ["shown", "offset"], ["codes"]),
        constants={
            "first": np.array([0]),
            "one": np.array([1]),
            "nothing": np.zeros((1, 10), np.float32),
            "offset": np.float32(offset),
        },
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
        "expected only operators of ONNX, found 'com.microsoft'",
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
    "work without end": (lambda: hog(8_000), "--time-limit if the encoder is only slow"),
    "batch statistics": (batch_dependent, "expected codes that depend only on their own image"),
    "batch statistics of tiny codes": (
        lambda: batch_dependent_of_scale(1e-7),
        "expected codes that depend only on their own image",
    ),
    "batch statistics of huge codes": (
        lambda: batch_dependent_of_scale(1e35),
        "expected codes that depend only on their own image",
    ),
    "an offset that hides batches": (
        lambda: offset_alone(2.0**22),
        "expected codes that depend only on their own image",
    ),
    "an operator with an endless name": (
        lambda: after(node("D" * 10**6, ["plain"], ["codes"])),
        "expected operators of the list",
    ),
    "an operator that talks to terminals": (
        lambda: after(node("\x1b]0;title\x07", ["plain"], ["codes"])),
        "expected operators of the list",
    ),
    "sums over the batch": (order_dependent, "expected codes that depend only on their own image"),
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
    from benchmark.leaderboard.sandbox.graph import parse

    content = two_formats()
    model = parse(content)
    assert b"loop" not in model.SerializeToString()
    assert model.SerializeToString()[4:8] != b"ORTM"
    change_file(folder, ENCODER_FILE, content)
    done_at_once("leaderboard", "check", folder, "--board", board)


def test_garbage_for_an_encoder(folder: Path, board: Path) -> None:
    change_file(folder, ENCODER_FILE, bytes(range(256)) * 100)
    assert "expected an ONNX model, found none" in refusal(folder, board)
