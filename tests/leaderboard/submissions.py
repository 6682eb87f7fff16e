"""Submissions made by hand, without any code that trains: what tests take apart and corrupt."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from warnings import catch_warnings

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from benchmark.metrics.remarks import ScoreWarning
from benchmark.metrics.scores import score
from tests.conftest import contents, refused_at_once
from threedident.latents.factors import NAMES
from threedident.latents.sampling import sample_raw
from threedident.runtime.files import npy_bytes, sha256
from threedident.storage.folder import image_name, sums_bytes

NAME = "2026-11-30_by-hand"
EDGE = 16
QUICK = ("--time-limit", 2, "--memory-limit", 1)
ROWS = 1000
CODES = 10


def made_up_sums(rows: int) -> bytes:
    """``SHA256SUMS`` of a test split that nobody drew."""
    names = (f"images/{image_name(row)}" for row in range(rows))
    return sums_bytes({name: sha256(name.encode()) for name in names})


DATA = {
    "id": f"3dident-draft-{EDGE}px-60",
    "hue_mode": "wrapped",
    "space": "box",
    "material": "rubber",
    "seed": 0,
    "n_train": 60,
    "n_test": ROWS,
    "resolution": EDGE,
    "quality": "draft",
    "device": "cpu",
    "blender": "4.5.15",
    "fingerprint": "0123456789abcdef",
    "digests": {"train": "a" * 64, "test": sha256(made_up_sums(ROWS))},
}

Weights = NDArray[np.float32]


def weights(seed: int = 0, seen: int = EDGE, codes: int = CODES) -> Weights:
    """Of a linear encoder from the mean colour of each column of pixels, (3 seen, codes)."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(EDGE, 3, codes))[:seen].reshape(3 * seen, codes).astype(np.float32)


def encode(
    images: NDArray[np.uint8], seed: int = 0, seen: int = EDGE, codes: int = CODES
) -> NDArray[np.float32]:
    """What :func:`encoder` gives, by numpy."""
    columns = images[:, :seen, :seen].astype(np.float32).mean(axis=1)
    return columns.reshape(len(images), -1) @ weights(seed, seen, codes) / 255.0


def encoder(
    seed: int = 0, edge: int = EDGE, seen: int = EDGE, codes: int = CODES, **changes: Any
) -> ModelProto:
    """A linear encoder from the mean colours of a corner's columns, as ONNX.

    Arguments:
        seed: of its weights.
        edge: of its images.
        seen: edge of the upper left corner that it looks at.
        codes: number of its codes.
        changes: for :func:`model`.
    """
    nodes = [
        helper.make_node("Slice", ["images", "start", "end", "axes"], ["corner"]),
        helper.make_node("Cast", ["corner"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "rows"], ["columns"], keepdims=0),
        helper.make_node("Flatten", ["columns"], ["colours"], axis=1),
        helper.make_node("MatMul", ["colours", "weights"], ["codes"]),
    ]
    constants = {
        "start": np.array([0, 0]),
        "end": np.array([seen, seen]),
        "axes": np.array([1, 2]),
        "rows": np.array([1]),
        "weights": weights(seed, seen, codes) / np.float32(255.0),
    }
    return model(nodes, constants, edge=edge, codes=codes, **changes)


def model(
    nodes: list[NodeProto],
    constants: dict[str, NDArray[Any]],
    *,
    edge: int = EDGE,
    kind: int = TensorProto.UINT8,
    batch: str | int = "batch",
    codes: int = CODES,
    outputs: tuple[str, ...] = ("codes",),
    opsets: tuple[tuple[str, int], ...] = (("", 18),),
) -> ModelProto:
    """A graph from images to codes."""
    shape = [batch, edge, edge, 3]
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info("images", kind, shape)],
        [helper.make_tensor_value_info(o, TensorProto.FLOAT, [batch, codes]) for o in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    imports = [helper.make_opsetid(*opset) for opset in opsets]
    return helper.make_model(graph, opset_imports=imports, ir_version=9)


def make_submission(
    parent: Path,
    codes: Callable[[int], NDArray[np.float32]] | None = None,
    *,
    seeds: tuple[int, ...] = (0,),
    data: dict[str, Any] = DATA,
    name: str = NAME,
    seen: int = EDGE,
    sums: bytes | None = None,
    **changes: Any,
) -> Path:
    """The folder of a sound submission of linear encoders, but for ``changes``.

    Arguments:
        parent: where the folder is made.
        codes: of the test split, by seed; by default noisy latents, which no encoder gives.
        seeds: of its trainings.
        data: record of the data set.
        name: of the folder.
        seen: edge of the corner that its encoders look at.
        sums: content of the data set's ``SHA256SUMS``; by default that of images nobody drew.
        changes: of fields of its record.
    """
    folder = parent / name
    folder.mkdir(parents=True)
    latents = scored_latents(data)
    (folder / "SHA256SUMS").write_bytes(made_up_sums(data["n_test"]) if sums is None else sums)
    records = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        noisy = (latents + 0.3 * rng.normal(size=latents.shape)).astype(np.float32)
        found = noisy if codes is None else codes(seed)
        files = {
            f"representations_seed{seed}.npy": npy_bytes(found),
            f"config_seed{seed}.json": b'{"framework": "none"}',
            f"encoder_seed{seed}.onnx": encoder(
                seed, data["resolution"], seen, latents.shape[1]
            ).SerializeToString(),
        }
        for file, content in files.items():
            (folder / file).write_bytes(content)
        records.append({"seed": seed, "steps": 0, "digests": {}, "claim": claim(latents, found)})
    record = {
        "schema_version": 1,
        "protocol_version": 1,
        "id": name,
        "date": name[:10],
        "method": "By hand",
        "trainer": "own",
        "supervision": "none",
        "uses_train_latents": False,
        "external_data": False,
        "pretrained": False,
        "command": "python train.py",
        "data": data,
        "input_resolution": data["resolution"],
        "seeds": records,
        **changes,
    }
    write_record(folder, record)
    return folder


def scored_latents(data: dict[str, Any]) -> NDArray[np.float32]:
    """The columns of the public test split that are not fixed."""
    fixed = data.get("fixed", {})
    drawn = sample_raw(data["seed"], "test", data["n_test"], fixed=fixed)
    return drawn[:, [column for column, name in enumerate(NAMES) if name not in fixed]]


def claim(latents: NDArray[np.float32], codes: NDArray[np.float32]) -> dict[str, float]:
    with catch_warnings(action="ignore", category=ScoreWarning):
        found = score(latents=latents, representations=codes)
    return {"r2": found.r2, "mcc": found.mcc, "mcc_spearman": found.mcc_spearman}


def read_record(folder: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((folder / "submission.json").read_text())
    return record


def write_record(folder: Path, record: dict[str, Any]) -> None:
    """Write ``submission.json`` with the digests of the files that are there."""
    for entry in record["seeds"]:
        for kind, suffix in (("representations", "npy"), ("config", "json"), ("encoder", "onnx")):
            file = folder / f"{kind}_seed{entry['seed']}.{suffix}"
            if file.is_file() and not file.is_symlink():
                entry["digests"][kind] = sha256(file.read_bytes())
    (folder / "submission.json").write_text(json.dumps(record))


def change_record(folder: Path, **changes: Any) -> None:
    """Change fields of the record."""
    write_record(folder, read_record(folder) | changes)


def change_file(folder: Path, name: str, content: bytes) -> None:
    """Replace a file, and its digest in the record."""
    (folder / name).write_bytes(content)
    write_record(folder, read_record(folder))


def change_codes(folder: Path, codes: NDArray[Any], claimed: bool = True) -> None:
    """Replace the codes of seed 0, their digest and, where ``claimed``, their scores."""
    record = read_record(folder)
    (folder / "representations_seed0.npy").write_bytes(npy_bytes(codes))
    if claimed:
        record["seeds"][0]["claim"] = claim(scored_latents(record["data"]), codes)
    write_record(folder, record)


def change_encoder(folder: Path, made: ModelProto) -> None:
    """Replace the encoder of seed 0 and its digest."""
    change_file(folder, "encoder_seed0.onnx", made.SerializeToString())


def copy_of(folder: Path, parent: Path) -> Path:
    """The same folder elsewhere."""
    return shutil.copytree(folder, parent / folder.name, symlinks=True)


def refusal(folder: Path, board: Path) -> str:
    """The line with which a submission is refused, which changes nothing anywhere."""
    before = contents(board.parent) if folder.is_dir() else {}
    line = refused_at_once("leaderboard", "check", folder, "--add", "--board", board, *QUICK)
    assert not folder.is_dir() or contents(board.parent) == before
    assert len(line) < 700
    assert line.isprintable()
    return line
