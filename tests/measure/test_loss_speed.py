"""The command that measures InfoNCE, at a size that takes seconds."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
import torch

from benchmark.measure.losses import SIMILARITIES, WAYS

COMMAND = (sys.executable, "-m", "benchmark.measure", "losses")


@pytest.mark.parametrize("name", SIMILARITIES)
def test_both_ways_compute_one_loss(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    u, v = (
        torch.randn(30, 3, generator=generator, dtype=torch.float64).requires_grad_()
        for _ in range(2)
    )
    ours, theirs = (way(u, v, SIMILARITIES[name]) for way in WAYS.values())
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-12)
    for a, b in zip(
        torch.autograd.grad(ours, (u, v)), torch.autograd.grad(theirs, (u, v)), strict=True
    ):
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.slow
def test_every_similarity_has_times_memory_and_ratios() -> None:
    result = subprocess.run(
        [*COMMAND, "--batch", "1500", "--codes", "3"],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "120"},
    )
    assert result.returncode == 0, result.stderr
    assert "InfoNCE, 1500 pairs of 3 codes, cpu" in result.stdout
    times = re.findall(r"│ (dot|p = \d) +│ ([\d.]+) ms +│ ([\d.]+) ms +│ ([\d.]+)", result.stdout)
    sizes = re.findall(r"│ +│ ([\d.]+) [kM]B +│ ([\d.]+) MB +│ ([\d.]+)", result.stdout)
    assert [name for name, *_ in times] == list(SIMILARITIES)
    assert all(float(figure) > 0 for _, *figures in times for figure in figures)
    assert len(sizes) == len(SIMILARITIES)
    assert all(float(ratio) > 2 for *_, ratio in sizes)


@pytest.mark.slow
def test_a_gpu_that_is_not_here_is_told() -> None:
    result = subprocess.run(
        [*COMMAND, "--device", "cuda"],
        capture_output=True,
        text=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )
    assert result.returncode == 2
    assert "--device: expected cpu here, found cuda" in result.stderr
