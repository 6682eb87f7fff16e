from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from tests.devices.pretend import MixedError, pretending


@pytest.mark.parametrize(
    "mix",
    [
        lambda here, there: here @ there,
        lambda here, there: here + there,
        lambda here, there: torch.where(here > 0, here, there),
        lambda here, there: torch.cat([here, there]),
        lambda here, _: here[torch.zeros(2, dtype=torch.long)],
        lambda here, there: here.mul_(there),
    ],
)
def test_devices_do_not_mix(mix: Callable[[Tensor, Tensor], Tensor]) -> None:
    with pretending():
        there = torch.ones(3, 3)
        here = there.to("pretend")
        assert here.device.type == "pretend"
        with pytest.raises(MixedError, match=r"found \(3, 3\) on pretend, .* on cpu"):
            mix(here, there)
        assert torch.equal((here + torch.tensor(1.0)).cpu(), there + 1)  # as a GPU allows


def test_only_a_copy_becomes_an_array() -> None:
    with pretending():
        here = torch.ones(3, device="pretend")
        with pytest.raises(RuntimeError, match="numpy"):
            here.numpy()
        assert here.cpu().numpy().sum() == 3


def test_what_a_gpu_would_be_waited_for_is_counted() -> None:
    with pretending() as waits:
        here = torch.arange(3.0).to("pretend", non_blocking=True)
        (2 * here).sum()
        assert not waits.counts
        torch.zeros(3).to("pretend")
        here.sum().item()
        assert float(here.max()) == 2
        here[here > 1]
        here.nonzero()
        here.cpu()
        here.tolist()
        torch.zeros(3).copy_(here)
        bool((here > 1).all())
    assert waits.counts == {
        "reads a number": 3,
        "has a shape that depends on values": 2,
        "copies to the CPU": 3,
        "copies from the CPU": 1,
    }


def test_training_there_is_training_here() -> None:
    def trained(device: str) -> list[Tensor]:
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
        images = torch.rand(5, 3, 8, 8).to(device)
        net.to(device)
        adam = torch.optim.Adam(net.parameters())
        for _ in range(3):
            adam.zero_grad()
            net(images).square().mean().backward()
            adam.step()
        return [value.detach().cpu() for value in net.state_dict().values()]

    with pretending() as waits, torch.random.fork_rng():
        pairs = zip(trained("pretend"), trained("cpu"), strict=True)
        assert all(torch.equal(there, here) for there, here in pairs)
    assert set(waits.counts) == {"copies from the CPU", "copies to the CPU"}
