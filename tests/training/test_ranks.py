"""Processes that share a step over gloo train as one would.

Some are started by torchrun, as they are meant to be, and the others as torchrun starts them.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.conftest import cli, followed, make_images, start

pytestmark = pytest.mark.slow

SHARED = ("--steps", 20, "--device", "cpu", "--workers", 0)


def torchrun(ranks: int, *arguments: object) -> list[str]:
    launcher = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node")
    return [*launcher, str(ranks), "-m", "threedident", *map(str, arguments)]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def ranked(ranks: int, *arguments: object, cwd: Path | None = None) -> str:
    """What processes print that have the environment which torchrun gives them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    counts = {"WORLD_SIZE": str(ranks), "LOCAL_WORLD_SIZE": str(ranks)}
    started = [
        start(*arguments, env={**shared, **counts, "RANK": str(r), "LOCAL_RANK": str(r)}, cwd=cwd)
        for r in range(ranks)
    ]
    said = [process.communicate() for process in started]
    assert [process.returncode for process in started] == [0] * ranks, said
    return "".join(stdout for stdout, _ in said)


def losses(out: Path) -> list[float]:
    records = map(json.loads, (out / "metrics.jsonl").read_text().splitlines())
    return [record["loss"] for record in records if "loss" in record]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_images(tmp_path_factory.mktemp("images"), n=200, n_test=60)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--encoder", "conv", "--loss", "l3", "--learned-scales", "--seeds", "0,1"),
        ("--encoder", "conv", "--symmetric"),
        ("--encoder", "conv", "--precision", "bf16"),
        ("--encoder", "conv", "--loss", "supervised"),
        ("--encoder", "conv", "--estimator", "nce"),
        ("--encoder", "conv", "--loss", "lejepa", "--projector", 16),
    ],
    ids=str,
)
def test_two_ranks_train_as_one(data: Path, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    line = ("benchmark", "--data", data, "--batch-size", 32, *SHARED, *arguments, "--out")
    alone = cli(*line, tmp_path / "one", env={"OMP_NUM_THREADS": "1"})
    assert alone.returncode == 0, alone.stderr
    assert ranked(2, *line, tmp_path / "two").count("report:") == 1
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert len(one) == len(two)
    low = "bf16" in arguments
    for seed in range(len(one) // 20):  # noise grows step by step, as between numbers of threads
        first = slice(20 * seed, 20 * seed + 4)
        assert two[first] == pytest.approx(one[first], abs=0.02 if low else 1e-5)
    assert two == pytest.approx(one, abs=0.05 if low else 0.005)
    states = [
        torch.load(tmp_path / name / "checkpoints" / "seed-0.pt")["objective"]
        for name in ("one", "two")
    ]
    for name, tensor in states[0].items():
        if "running" in name:
            assert torch.allclose(tensor, states[1][name], atol=0.05, rtol=0.01), name


RESNET = """
import torch
from torchvision.models import resnet18
class Net(torch.nn.Module):
    def __init__(self, codes):
        super().__init__()
        self.resnet = resnet18(num_classes=codes).double()
    def forward(self, images):
        return self.resnet(images.double())
"""


def test_two_ranks_train_a_resnet_as_one_where_rounding_is_small(
    data: Path, tmp_path: Path
) -> None:
    """In float32 the noise of sums in another order grows from step to step."""
    (tmp_path / "precise.py").write_text(RESNET)
    line = ("benchmark", "--data", data, "--encoder", "precise:Net", "--batch-size", 32, *SHARED)
    line = (*line, "--steps", 8)
    for ranks, name in ((1, "one"), (2, "two")):
        ranked(ranks, *line, "--out", tmp_path / name, cwd=tmp_path)
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert two == pytest.approx(one, abs=1e-5)
    assert_same_weights(tmp_path)


def assert_same_weights(root: Path) -> None:
    one, two = (
        torch.load(root / name / "checkpoints" / "seed-0.pt")["objective"]
        for name in ("one", "two")
    )
    for name, tensor in one.items():
        assert torch.allclose(tensor, two[name], atol=1e-5), name


@pytest.mark.parametrize("protocol", ["held-out", "published"])
def test_ranks_without_images_train_as_one(tmp_path: Path, protocol: str) -> None:
    line = ("benchmark", "--source", "mixing", "--factors", 3, "--batch-size", 64, *SHARED)
    line = (*line, "--protocol", protocol)
    assert cli(*line, "--out", tmp_path / "one", env={"OMP_NUM_THREADS": "1"}).returncode == 0
    ranked(2, *line, "--out", tmp_path / "two")
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), abs=1e-5)
    assert_same_weights(tmp_path)


def test_ranks_stop_together_and_go_on(tmp_path: Path) -> None:
    line = ("benchmark", "--source", "mixing", "--factors", 3, "--batch-size", 64)
    out = tmp_path / "run"
    options = (*line, "--steps", 300, "--device", "cpu", "--out", out)
    process = followed(
        subprocess.Popen(
            torchrun(2, *options), stderr=subprocess.PIPE, text=True, env=environment()
        )
    )
    end = time.monotonic() + 300
    while not (out / "metrics.jsonl").is_file() or not losses(out):
        assert time.monotonic() < end, "waited too long"
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    saved = torch.load(out / "checkpoints" / "seed-0.pt")["step"]
    assert 0 < saved < 300
    ranked(2, *options, "--resume")
    assert len(losses(out)) == 300


def test_a_batch_that_ranks_cannot_share_is_named_once(tmp_path: Path) -> None:
    line = ("benchmark", "--source", "mixing", "--factors", 3, "--batch-size", 33, *SHARED)
    found = subprocess.run(
        torchrun(2, *line, "--out", tmp_path / "run"),
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert found.returncode != 0
    words = "threedident: --batch-size: expected a multiple of the 2 ranks, found 33"
    assert found.stderr.count(words) == 1
    assert not (tmp_path / "run").exists()


def test_what_one_rank_alone_finds_ends_all(tmp_path: Path) -> None:
    """The leader alone reads the run that is there, and scores."""
    (tmp_path / "nothing.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Linear):\n"
        "    def __init__(self, codes):\n"
        "        super().__init__(3, codes)\n"
        "    def forward(self, rows):\n"
        "        return super().forward(rows) * float('nan')\n"
    )
    line = ("benchmark", "--source", "mixing", "--factors", 3, "--batch-size", 32, *SHARED)
    encoder = ("--encoder", "nothing:Net", "--output-space", "unbounded")
    for words in ("codes: expected finite numbers", "expected no run there, found one"):
        found = subprocess.run(
            torchrun(2, *line, *encoder, "--out", tmp_path / "run"),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env=environment(),
        )
        assert found.returncode != 0
        lines = [text for text in found.stderr.splitlines() if text.startswith("threedident: ")]
        said = [line for line in lines if line != "threedident: interrupted"]  # by torchrun
        assert len(said) == 1, found.stderr
        assert words in said[0]
