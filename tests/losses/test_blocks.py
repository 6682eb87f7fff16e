"""Block by block: memory, threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmark.losses import (
    DotSimilarity,
    LpSimilarity,
    info_nce,
    symmetric_info_nce,
)
from benchmark.losses import blocks as pairwise
from tests.losses.codes_and_sums import codes


class Largest(TorchDispatchMode):
    """Elements of the largest tensor that any operation returns, backward ones included."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        found = func(*args, **(kwargs or {}))
        sizes = (x.untyped_storage().nbytes() for x in tree_leaves(found) if isinstance(x, Tensor))
        self.elements = max(self.elements, *(size // 4 for size in sizes), 0)
        return found


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Torch with so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("loss", [info_nce, symmetric_info_nce], ids=["one", "both"])
@pytest.mark.parametrize("p", [None, 1, 1.5, 2, 3])
def test_no_tensor_of_all_pairs_exists(
    p: float | None, loss: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, n, elements = 512, 10, 2**15
    monkeypatch.setattr(pairwise, "_elements", lambda _: elements)
    u, v = (x.detach().float().requires_grad_() for x in codes(batch, batch, n=n))
    similarity = DotSimilarity() if p is None else LpSimilarity(p, torch.ones(n))
    with Largest() as largest, threads(1):  # else it sees no more than this thread
        loss(u, v, similarity).backward()
    assert 0 < largest.elements <= 2 * elements < batch**2 / 2


def test_torch_keeps_its_threads() -> None:
    u, v = codes(4, 4)
    with threads(2):
        info_nce(u, v, LpSimilarity(1)).backward()
        assert torch.get_num_threads() == 2


@pytest.mark.parametrize("p", [None, 1, 2, 3])
def test_threads_do_not_change_a_bit(p: float | None) -> None:
    u, v = (x.detach().requires_grad_() for x in codes(700, 700))
    similarity = DotSimilarity() if p is None else LpSimilarity(p, torch.ones(3))
    found = []
    for count in (1, 3):
        with threads(count):
            loss = info_nce(u, v, similarity)
            found.append((loss, *torch.autograd.grad(loss, (u, v))))
    assert all(map(torch.equal, *found))
