"""Losses on several ranks: the mean over the ranks is the loss of the whole batch.

The ranks are threads, whose tensors share one graph. Gradients are compared as well.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Barrier
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark.losses.catalogue import ESTIMATORS, find_loss
from benchmark.losses.views import Views
from benchmark.ranks import Ranks
from tests.losses.codes_and_sums import codes

COUNT, ROWS = 3, 12


@dataclass(frozen=True)
class Threads(Ranks):
    """A rank that is a thread."""

    slots: list[Any] = field(default_factory=list)
    barrier: Barrier = field(default_factory=lambda: Barrier(COUNT))

    def gather(self, rows: Tensor) -> Tensor:
        self.slots[self.rank] = rows
        self.barrier.wait()
        found = torch.cat(self.slots)
        self.barrier.wait()
        return found


def shared(loss: Any, views: dict[str, Tensor]) -> Tensor:
    slots, barrier = [None] * COUNT, Barrier(COUNT)

    def part(rank: int) -> Tensor:
        mine = slice(rank * ROWS // COUNT, (rank + 1) * ROWS // COUNT)
        rows = {name: value[mine] for name, value in views.items()}
        found: Tensor = loss(Views(**rows, ranks=Threads(rank, COUNT, slots, barrier)))["loss"]
        return found

    with ThreadPoolExecutor(COUNT) as pool:
        return torch.stack(list(pool.map(part, range(COUNT)))).mean()


def cases() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, make in ESTIMATORS.items():
        for similarity in ("l1", "dot"):
            for symmetric in (False, True):
                spelt = f"{name} {similarity}{' symmetric' if symmetric else ''}"
                found[spelt] = make(3, similarity=similarity, symmetric=symmetric)
    for name in ("aninfonce", "vicreg", "barlow", "whitening", "supervised"):
        found[name] = find_loss(name)(3)
    found["lejepa"] = find_loss("lejepa")(3, slices=8)
    found["diet"] = find_loss("diet")(3, rows=20)
    return found


CASES = cases()


@pytest.mark.parametrize("name", CASES)
def test_ranks_share_the_loss_of_one_batch(name: str) -> None:
    loss = CASES[name].double()
    u, v = codes(ROWS, ROWS)
    views = {"codes": u, "positives": v, "latents": v.detach(), "rows": torch.arange(ROWS)}
    one = loss(Views(**views))["loss"]
    if name == "lejepa":  # whose slices differ from step to step
        torch.manual_seed(0)
        one = loss(Views(**views))["loss"]
        torch.manual_seed(0)
        several = shared(FirstDraw(loss), views)
    else:
        several = shared(loss, views)
    torch.testing.assert_close(several, one)
    inputs = [u, v, *loss.parameters()]
    found = torch.autograd.grad(several, inputs, allow_unused=True)
    expected = torch.autograd.grad(one, inputs, allow_unused=True)
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None and theirs is not None:
            torch.testing.assert_close(ours, theirs)


class FirstDraw:
    """A loss whose first rank draws first, as each rank has a generator of its own."""

    def __init__(self, loss: Any) -> None:
        self.loss = loss

    def __call__(self, views: Views) -> dict[str, Tensor]:
        assert isinstance(views.ranks, Threads)
        if views.ranks.rank:
            while views.ranks.slots[0] is None:
                pass
        found: dict[str, Tensor] = self.loss(views)
        return found
