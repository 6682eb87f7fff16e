"""The process in which encoders run: it gives their codes, and can do nothing else."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.encoders.networks import build_encoder
from benchmark.leaderboard.sandbox.agreement import agreeing_codes
from benchmark.leaderboard.sandbox.sandbox import Limits, Pass, execute
from benchmark.leaderboard.submission.export import onnx_bytes
from tests.conftest import children, followed, wait_for
from tests.leaderboard.sandbox.test_hostile_encoders import hog
from tests.leaderboard.submissions import EDGE, encode, encoder
from threedident.runtime.machine import started_at

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (70, EDGE, EDGE, 3), dtype=np.uint8)


def test_codes_are_the_encoders(images: np.ndarray) -> None:
    content = encoder().SerializeToString()
    order = np.random.default_rng(1).permutation(70).tolist()
    found = execute(content, images, 10, [Pass(64), Pass(7, order), Pass(1)], "mine")
    for codes in found:
        assert codes == pytest.approx(encode(images), abs=1e-5)


class Downscaling(nn.Module):
    """A net of one's own, with an adaptive layer and an attention over patches."""

    def __init__(self, codes: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, stride=4)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.head = nn.Linear(16, codes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        mixed, _ = self.attention(tokens, tokens, tokens, need_weights=False)
        codes: torch.Tensor = self.head((tokens + mixed).mean(1))
        return codes


@pytest.mark.parametrize(
    ("name", "space"),
    [
        ("resnet18", "box"),
        ("conv", "sphere"),
        ("glimpse", "box"),
        ("tests.leaderboard.sandbox.test_sandbox:Downscaling", "unbounded"),
    ],
)
def test_exported_encoders_give_the_codes_of_torch(
    images: np.ndarray, name: str, space: str
) -> None:
    network = build_encoder(name, (3, EDGE, EDGE), 10, space, seed=0)
    for module in network.modules():  # statistics that training would have left
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.normal_(module.running_mean)
    model = nn.Sequential(_Floats(), network).train()
    content = onnx_bytes(model, EDGE)
    assert model.training
    [codes] = execute(content, images, 10, [Pass(64)], name)
    assert np.array_equal(agreeing_codes(content, images, codes, name, Limits()), codes)
    with torch.no_grad():
        expected = model.eval()(torch.from_numpy(images).permute(0, 3, 1, 2)).numpy()
    assert codes == pytest.approx(expected, abs=1e-4)
    assert codes.std(axis=0).min() > 1e-6


class _Floats(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.float() / 255.0 - 0.5


def test_what_onnx_cannot_say_is_refused() -> None:
    class Branching(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.float() if images.float().mean() > 0 else -images.float()

    with pytest.raises(ValueError, match="expected one that torch can export as ONNX, found"):
        onnx_bytes(Branching(), EDGE)


PROBE = """
import os, socket, sys, threading
from benchmark.leaderboard.sandbox.confinement import leave_network, lock_down
leave_network()
lock_down(2**30, 60)
for name, attempt in {
    "read": lambda: open("/etc/hostname"),
    "write": lambda: open(sys.argv[1], "w"),
    "socket": lambda: socket.socket(),
    "start": lambda: os.posix_spawn("/bin/true", ["true"], {}),
    "memory": lambda: bytearray(2**31),
}.items():
    try:
        print(name, "allowed" if attempt() is not None else "")
    except (OSError, MemoryError) as error:
        print(name, type(error).__name__)
"""


def test_a_locked_process_opens_nothing(tmp_path: Path) -> None:
    target = tmp_path / "written"
    result = subprocess.run(
        [sys.executable, "-c", PROBE, str(target)], capture_output=True, text=True
    )
    said = dict(line.split() for line in result.stdout.splitlines())
    assert {name: said[name] for name in ("read", "write", "socket", "memory")} == {
        "read": "OSError",
        "write": "OSError",
        "socket": "OSError",
        "memory": "MemoryError",
    }, result
    assert not target.exists()


def test_a_locked_process_has_no_network() -> None:
    code = (
        "import socket\nfrom benchmark.leaderboard.sandbox.confinement import leave_network\n"
        "leave_network()\nprint(len(socket.if_nameindex()))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    may = subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode == 0
    assert result.returncode == 0, result.stderr
    if may:
        assert result.stdout.strip() == "1"  # of itself alone


def test_the_limit_of_time_holds(images: np.ndarray) -> None:
    start = time.monotonic()
    with pytest.raises(ValueError, match="--time-limit"):
        execute(hog(12_000).SerializeToString(), images[:2], 10, [Pass(1)], "slow", Limits(1))
    assert time.monotonic() - start < 60


def test_the_process_dies_with_the_one_that_asked() -> None:
    code = (
        "import sys, numpy as np\n"
        "from tests.leaderboard.sandbox.test_hostile_encoders import hog\n"
        "from benchmark.leaderboard.sandbox.sandbox import Pass, execute\n"
        "images = np.zeros((1, 16, 16, 3), np.uint8)\n"
        "execute(hog(12000).SerializeToString(), images, 10, [Pass(1)] * 99, 'slow')"
    )
    asking = followed(subprocess.Popen([sys.executable, "-c", code], text=True))
    wait_for(lambda: any(map(_is_executor, children(asking))))
    [child] = children(asking)
    asking.send_signal(signal.SIGKILL)
    asking.wait()
    wait_for(lambda: not started_at(child), 60)


def _is_executor(pid: int) -> bool:
    try:
        return b"benchmark.leaderboard.sandbox" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_an_answer_of_another_size_is_refused(
    images: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a flaw in a library made of the process."""
    for answer in (b"", b"\n", b"\n" + bytes(70 * 10 * 4 + 1), b"\x1b[2J" * 1000):
        monkeypatch.setattr(
            "benchmark.leaderboard.sandbox.sandbox._answer", lambda *_, a=answer: a
        )
        with pytest.raises(ValueError, match=r"^mine: ") as caught:
            execute(b"", images, 10, [Pass(64)], "mine")
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 400
