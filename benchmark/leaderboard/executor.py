"""The process in which encoders of strangers are parsed and run: no files, no network, limits.

``python -m benchmark.leaderboard.executor`` reads one request from standard input and answers on
standard output. A request is a line of JSON, see :func:`benchmark.leaderboard.sandbox.execute`,
then the model's bytes, then the images'. The answer is a line of JSON: ``{"refused": reason}``,
or ``{"shape": [N, n]}`` and the codes of every pass in float32.

Before a byte of the model is parsed, the process gives up the right to open anything: its limit
of open files is zero, so neither files nor sockets can be had, and where the system grants it,
its network is an empty namespace.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, checker, helper

from benchmark.leaderboard.graph import parse, require_encoder, require_plain_graph
from threedident.machine import die_with

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000


def answer(request: dict[str, Any], model: bytes, images: NDArray[np.uint8]) -> list[Any]:
    """Codes of every pass, each of shape (N, n).

    Raises:
        ValueError: the model is not fit to be run, or gives something else.
    """
    graph = parse(model)
    require_plain_graph(graph)
    require_encoder(graph.graph, request["resolution"], request["codes"])
    try:
        checker.check_model(graph)
        session = _session(graph.SerializeToString())  # what was checked, and nothing beside it
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
    """Codes in the order of the images, taken in the order asked for."""
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
    options.add_session_config_entry("session.load_model_format", "ONNX")  # never its own
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _warm_up() -> None:
    """Run a model of our own, so that libraries open what they need while it can be opened."""
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["b", 2]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", value[:1], value[1:])
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    _session(model.SerializeToString()).run(None, {"x": np.zeros((1, 2), np.float32)})


def leave_network() -> None:
    """Move to a network without any interface, where the system grants it: before any thread."""
    if sys.platform == "linux":
        unshare = ctypes.CDLL(None).unshare
        if unshare(_CLONE_NEWNET):  # which is for root alone
            unshare(_CLONE_NEWUSER | _CLONE_NEWNET)


def lock_down(memory: int, seconds: int) -> None:
    """Give up files, sockets, and all but the memory and processor time that were granted."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    processor = int(spent.ru_utime + spent.ru_stime) + 1 + seconds * (os.cpu_count() or 1)
    if sys.platform == "linux":  # other systems do not hold processes to it
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        _limit(resource.RLIMIT_AS, memory + pages * resource.getpagesize())
    _limit(resource.RLIMIT_NOFILE, 0)  # of new ones: those that are open stay so
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_CPU, processor, grace=1)  # a signal, then the end


def _limit(kind: int, value: int, grace: int = 0) -> None:
    """Lower a limit of this process for good, below what it was started with."""
    _, hard = resource.getrlimit(kind)
    most = value + grace
    if hard != resource.RLIM_INFINITY:
        value, most = min(value, hard), min(most, hard)
    resource.setrlimit(kind, (value, most))


def _read(stream: BinaryIO, count: int) -> bytes:
    content = stream.read(count)
    if len(content) != count:
        sys.exit("the request was cut short")
    return content


def main() -> None:
    """Answer one request."""
    die_with(int(sys.argv[1]))
    leave_network()
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    request = json.loads(stdin.readline())
    model = _read(stdin, request["model_bytes"])
    shape = (request["images"], request["resolution"], request["resolution"], 3)
    images = np.frombuffer(_read(stdin, int(np.prod(shape))), np.uint8).reshape(shape)
    _warm_up()
    lock_down(request["memory"], request["seconds"])
    try:
        passes = answer(request, model, images)
    except ValueError as error:
        stdout.write(json.dumps({"refused": str(error)}).encode() + b"\n")
    else:
        stdout.write(json.dumps({"shape": passes[0].shape}).encode() + b"\n")
        for codes in passes:
            stdout.write(codes.tobytes())
    stdout.flush()


if __name__ == "__main__":
    main()
