"""The command ``python -m benchmark.measure losses``: InfoNCE in blocks and by broadcasting.

A step computes the loss and its gradients. The two ways take turns, and the fastest step of each
is reported, so that changes in the speed of the machine affect both. Memory is the peak of one
step in a separate process, minus the memory of that process after a step with a few codes.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import click
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmark.losses.contrastive import info_nce
from benchmark.losses.similarities import DotSimilarity, LpSimilarity, Similarity
from benchmark.measure.memory import run_script
from threedident.options import Choice
from threedident.runtime.files import spell_bytes

SIMILARITIES: dict[str, Similarity] = {
    "dot": DotSimilarity(),
    "p = 1": LpSimilarity(1),
    "p = 2": LpSimilarity(2),
    "p = 3": LpSimilarity(3),
}
_ROUNDS, _SECONDS = 3, 1.0  # minimum for each comparison
_FEW = 16
_SPREAD = 0.1

Way = Callable[[Tensor, Tensor, Similarity], Tensor]


def broadcast_info_nce(anchors: Tensor, positives: Tensor, similarity: Similarity) -> Tensor:
    """InfoNCE from one tensor of all differences of the batch, differentiated by autograd.

    Arguments:
        anchors: codes, shape (B, n).
        positives: codes, shape (B, n).
        similarity: one of :data:`SIMILARITIES`.
    """
    alike = similarity.paired(anchors, positives)
    if isinstance(similarity, LpSimilarity):
        others = similarity.paired(anchors[:, None], anchors[None])
    else:
        others = anchors @ anchors.T
    itself = torch.eye(len(anchors), dtype=torch.bool, device=anchors.device)
    scores = torch.cat([alike[:, None], others.masked_fill(itself, -torch.inf)], dim=1)
    return (scores.logsumexp(dim=1) - alike).mean()


WAYS: dict[str, Way] = {"blocks": info_nce, "broadcasting": broadcast_info_nce}


@click.command(context_settings={"show_default": True})
@click.option("--batch", type=click.IntRange(2), default=6144, help="Positive pairs.")
@click.option("--codes", type=click.IntRange(1), default=10, help="Coordinates of a code.")
@click.option("--device", type=Choice(["cpu", "cuda"]), default="cpu", help="Device to use.")
def loss_speed(batch: int, codes: int, device: str) -> None:
    """Measure time and memory of InfoNCE, forward and backward.

    \b
    Example:
        python -m benchmark.measure losses --batch 512 --codes 4
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device: expected cpu here, found cuda but no GPU; use --device cpu")
    title = f"InfoNCE, {batch} pairs of {codes} codes, {device}"
    table = Table(title=title, title_justify="left")
    for name in ("similarity", "blocks", "broadcasting", "ratio"):
        table.add_column(name)
    for name in SIMILARITIES:
        ours, theirs = best_seconds(name, batch, codes, device)
        table.add_row(
            name, f"{1e3 * ours:.1f} ms", f"{1e3 * theirs:.1f} ms", f"{theirs / ours:.1f}"
        )
        own, other = (_peak_in_child(way, name, batch, codes, device) for way in WAYS)
        table.add_row("", spell_bytes(own), spell_bytes(other), f"{other / max(own, 1):.1f}")
    Console().print(table)


def best_seconds(name: str, batch: int, codes: int, device: str) -> list[float]:
    """Seconds of the fastest step for each of :data:`WAYS`, over several rounds."""
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    for way in WAYS:
        _step(way, name, _FEW, codes, device)
    begin = time.perf_counter()
    for number in count():
        if number >= _ROUNDS and time.perf_counter() - begin > _SECONDS:
            break
        for way, seconds in times.items():
            start = time.perf_counter()
            _step(way, name, batch, codes, device)
            seconds.append(time.perf_counter() - start)
    return [min(seconds) for seconds in times.values()]


def peak_bytes(way: str, name: str, batch: int, codes: int, device: str) -> int:
    """Peak memory in bytes that the first large step adds to the memory of this process."""
    _step(way, name, _FEW, codes, device)
    if device == "cuda":
        held = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        _step(way, name, batch, codes, device)
        return torch.cuda.max_memory_allocated() - held
    held = _own_memory("VmRSS")
    _step(way, name, batch, codes, device)
    return _own_memory("VmHWM") - held


def _peak_in_child(way: str, name: str, batch: int, codes: int, device: str) -> int:
    script = (
        "import benchmark.measure.losses as s\n"
        f"print(s.peak_bytes({way!r}, {name!r}, {batch}, {codes}, {device!r}))"
    )
    done = run_script(script)
    if done.returncode:
        raise OSError(
            f"memory of {way}: expected a step of {batch} pairs, found exit status "
            f"{done.returncode}, {done.stderr.strip()[-200:]!r}; give a smaller --batch"
        )
    return int(done.stdout)


def _step(way: str, name: str, batch: int, codes: int, device: str) -> None:
    generator = torch.Generator().manual_seed(0)
    anchors = 2 * torch.rand(batch, codes, generator=generator) - 1
    positives = anchors + _SPREAD * torch.randn(batch, codes, generator=generator)
    anchors, positives = (x.to(device).requires_grad_() for x in (anchors, positives))
    WAYS[way](anchors, positives, SIMILARITIES[name]).backward()  # type: ignore[no-untyped-call]
    if device == "cuda":
        torch.cuda.synchronize()


def _own_memory(field: str) -> int:
    """Memory of this process in bytes, from a field of ``/proc/self/status``."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text("utf-8"))
    assert found is not None
    return 1024 * int(found[1])
