"""Output spaces whose learned extent is the learned number itself, and the published networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.encoders.networks import build_encoder
from benchmark.encoders.output_spaces import BoxLayer, SphereLayer, find_extent
from benchmark.protocol import PUBLISHED


@pytest.mark.parametrize("side", [1.0, 3.5, -2.0])
def test_linear_extents_are_the_learned_numbers(side: float) -> None:
    codes = torch.randn(50, 4, dtype=torch.float64)
    box = BoxLayer(4, side, learned=True, linear=True).double()
    sphere = SphereLayer(side, learned=True, linear=True).double()
    [bound], [radius] = box.parameters(), sphere.parameters()
    assert (bound == side).all()
    assert radius == side
    rows = codes.numpy()
    assert box(codes).detach().numpy() == pytest.approx(side / (1 + np.exp(-rows)), abs=1e-6)
    lengths = np.sqrt((rows**2).sum(axis=1, keepdims=True))
    assert sphere(codes).detach().numpy() == pytest.approx(side * rows / lengths, abs=1e-6)
    box(codes).sum().backward()  # type: ignore[no-untyped-call]
    assert bound.grad.numpy() == pytest.approx((1 / (1 + np.exp(-rows))).sum(axis=0))  # type: ignore[union-attr]


def test_learned_extents_begin_at_1_as_published_unless_given() -> None:
    for space in ("box", "learned-sphere"):
        assert find_extent(space, None, linear=True) == 1.0
        assert find_extent(space, 3.0, linear=True) == 3.0
    assert find_extent("box", None) == 10.0
    assert find_extent("unbounded", None, linear=True) is None
    _, layer = build_encoder("mlp", (3,), 3, "box", 0, procedure=PUBLISHED)
    [(name, sides)] = layer.named_parameters()
    assert (name, sides.tolist()) == ("bound", [1.0, 1.0, 1.0])
    _, fixed = build_encoder("mlp", (3,), 3, "fixed-box", 0, procedure=PUBLISHED)
    assert not list(fixed.parameters())


def test_the_published_mlp_has_torchs_initialisation() -> None:
    network, _ = build_encoder("mlp", (10,), 10, "unbounded", 0, procedure=PUBLISHED)
    layers = [layer for layer in network if isinstance(layer, nn.Linear)]
    for layer in layers:
        most = layer.in_features**-0.5
        for values in (layer.weight, layer.bias):
            assert values.abs().max() <= most
            assert values.std().item() == pytest.approx(most / 3**0.5, rel=0.35)
    again, _ = build_encoder("mlp", (10,), 10, "unbounded", 0, procedure=PUBLISHED)
    assert torch.equal(layers[0].weight, again[1].weight)


def test_the_network_of_kitti_masks() -> None:
    network, _ = build_encoder("kitti-conv", (1, 64, 64), 10, "box", 0)
    convs = [layer for layer in network if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convs] == [32, 32, 64, 64, 256]
    assert {layer.kernel_size for layer in convs} == {(4, 4)}
    assert [layer.stride[0] for layer in convs] == [2, 2, 2, 2, 1]
    assert sum(isinstance(layer, nn.ReLU) for layer in network) == 5
    assert not any("Norm" in type(layer).__name__ for layer in network.modules())
    channels = ((1, 32), (32, 32), (32, 64), (64, 64), (64, 256))
    counts = [16 * into * out + out for into, out in channels]
    assert sum(p.numel() for p in network.parameters()) == sum(counts) + 256 * 10 + 10
    for layer in network:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            inputs = layer.weight[0].numel()
            assert layer.weight.std().item() == pytest.approx((2 / inputs) ** 0.5, rel=0.1)
            assert layer.bias is not None
            assert not layer.bias.any()
    larger = build_encoder("kitti-conv", (3, 80, 95), 4, "unbounded", 0)
    assert larger(torch.rand(2, 3, 80, 95)).shape == (2, 4)
