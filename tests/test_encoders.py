from __future__ import annotations

import pytest
import torch

from benchmark.encoders import ENCODERS, build_encoder
from benchmark.spaces import OUTPUT_SPACES, Box, Sphere, Unbounded


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_give_one_code_per_factor(name: str) -> None:
    encoder = build_encoder(name, 10, "unbounded", seed=0).eval()
    with torch.no_grad():
        assert encoder(torch.rand(2, 3, 64, 64)).shape == (2, 10)


@pytest.mark.parametrize("name", OUTPUT_SPACES)
def test_codes_lie_in_their_space(name: str) -> None:
    codes = OUTPUT_SPACES[name](10)(3 * torch.randn(100, 10))
    if "sphere" in name:
        assert torch.allclose(codes.norm(dim=1), torch.ones(100), atol=1e-5)
    if "box" in name:
        assert codes.min() >= 0
        assert codes.max() <= (10 if name == "box" else 1)


def test_head_is_the_papers() -> None:
    backbone, head, _ = build_encoder("resnet18", 10, "unbounded", seed=0)
    assert backbone.fc.out_features == 100
    assert [type(layer).__name__ for layer in head] == ["LeakyReLU", "Linear"]
    assert (head[1].in_features, head[1].out_features) == (100, 10)


def test_seed_alone_decides_the_weights() -> None:
    torch.manual_seed(99)
    state = torch.get_rng_state()
    first = build_encoder("resnet18", 10, "box", seed=1).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    second = build_encoder("resnet18", 10, "box", seed=1).state_dict()
    other = build_encoder("resnet18", 10, "box", seed=2).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["0.conv1.weight"], other["0.conv1.weight"])


def test_fixed_scales_are_not_trained_and_learned_ones_are() -> None:
    assert not list(Unbounded().parameters())
    assert not list(Sphere(2.0).parameters())
    assert not list(Box(3, 2.0).parameters())
    codes = torch.randn(5, 3)
    for space in (Sphere(2.0, learned=True), Box(3, 2.0, learned=True)):
        [scale] = space.parameters()
        space(codes).square().sum().backward()  # type: ignore[no-untyped-call]
        assert scale.grad is not None
        assert (scale.grad != 0).all()


@pytest.mark.parametrize(
    ("name", "space", "words"),
    [
        ("vgg", "box", "encoder: expected one of resnet18, resnet34"),
        ("resnet18", "torus", "output space: expected one of unbounded, sphere"),
    ],
)
def test_unknown_names_list_what_there_is(name: str, space: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build_encoder(name, 10, space, seed=0)
