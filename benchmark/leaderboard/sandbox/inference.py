"""Inference of an untrusted graph, inside the confined process."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, checker, helper

from benchmark.leaderboard.sandbox.graph import parse, require_encoder, require_plain_graph


def answer(request: dict[str, Any], model: bytes, images: NDArray[np.uint8]) -> list[Any]:
    """Codes of every pass, shape (N, n) each.

    Arguments:
        request: request of :mod:`benchmark.leaderboard.sandbox.sandbox`.
        model: content of an ONNX file.
        images: images, shape (N, H, H, 3).

    Raises:
        ValueError: the model is not allowed, fails, or returns something else than finite codes.
    """
    graph = parse(model)
    require_plain_graph(graph)
    require_encoder(graph.graph, request["resolution"], request["codes"])
    try:
        checker.check_model(graph)
        session = _session(graph.SerializeToString())  # runs only what was checked
        return [
            _run(session, images, p["batch"], p["order"], request["codes"])
            for p in request["passes"]
        ]
    except ValueError:
        raise
    except MemoryError:
        raise ValueError("expected less memory, found the limit reached") from None
    except Exception as error:
        words = " ".join(str(error).split())
        short = any(sign in words for sign in ("bad_alloc", "Failed to allocate memory"))
        if short:
            raise ValueError("expected less memory, found the limit reached") from None
        raise ValueError(f"expected an encoder that runs, found {words[:200]}") from None


def _run(
    session: onnxruntime.InferenceSession,
    images: NDArray[np.uint8],
    batch: int,
    order: list[int] | None,
    codes: int,
) -> NDArray[np.float32]:
    """Codes in the order of the images, shape (N, codes).

    Arguments:
        session: session of the model.
        images: images, shape (N, H, H, 3).
        batch: number of images in a batch.
        order: order in which the model receives the rows; None for the given order.
        codes: required number of codes.
    """
    rows = np.arange(len(images)) if order is None else np.array(order)
    found = np.empty((len(images), codes), np.float32)
    name = session.get_inputs()[0].name
    for start in range(0, len(rows), batch):
        taken = rows[start : start + batch]
        [part] = session.run(None, {name: images[taken]})
        if part.shape != (len(taken), codes) or part.dtype != np.float32:
            raise ValueError(
                f"expected codes float32 ({len(taken)}, {codes}), found {part.dtype} {part.shape}"
            )
        if not np.isfinite(part).all():
            raise ValueError("expected finite codes, found NaN or infinity")
        found[taken] = part
    return found


def _session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.load_model_format", "ONNX")  # never another
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def warm_up() -> None:
    """Run a trusted model, so that libraries open the files that they need before confinement."""
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["b", 2]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", value[:1], value[1:])
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    _session(model.SerializeToString()).run(None, {"x": np.zeros((1, 2), np.float32)})
