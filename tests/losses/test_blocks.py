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
from benchmark.losses.catalogue import ESTIMATORS
from benchmark.losses.views import Views
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


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("similarity", ["dot", "l1"])
def test_estimators_need_no_tensor_of_all_pairs(
    name: str, similarity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, n, elements = 512, 10, 2**15
    monkeypatch.setattr(pairwise, "_elements", lambda _: elements)
    u, v = (x.detach().float().requires_grad_() for x in codes(batch, batch, n=n))
    loss = ESTIMATORS[name](n, similarity=similarity, symmetric=True)
    with Largest() as largest, threads(1):
        loss(Views(codes=u, positives=v))["loss"].backward()
    assert 0 < largest.elements <= 2 * elements < batch**2 / 2


@pytest.mark.parametrize("name", ["nce", "spectral"])
def test_threads_do_not_change_a_bit_of_sums(name: str) -> None:
    u, v = (x.detach().requires_grad_() for x in codes(700, 700))
    loss, found = ESTIMATORS[name](3, similarity="l2").double(), []
    for count in (1, 3):
        with threads(count):
            value = loss(Views(codes=u, positives=v))["loss"]
            found.append((value, *torch.autograd.grad(value, (u, v, loss.offset.value))))
    assert all(map(torch.equal, *found))


def test_second_derivatives_are_refused() -> None:
    u, v = codes(5, 5)
    loss = ESTIMATORS["nce"](3, similarity="l2").double()(Views(codes=u, positives=v))["loss"]
    [gradient] = torch.autograd.grad(loss, u, create_graph=True)
    with pytest.raises(RuntimeError, match="expected to be differentiated once"):
        gradient.sum().backward()


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
