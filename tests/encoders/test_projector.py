"""Heads of encoders: number of codes, features, and projectors."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from benchmark.encoders.headed import Headed, Widths
from benchmark.encoders.model import Model, build_model
from benchmark.encoders.networks import build_encoder
from benchmark.runs.completion import complete
from benchmark.runs.opening import open_source, resolve
from benchmark.runs.options import Options

SHAPES = {"resnet18": (3, 16, 16), "conv": (1, 16, 16), "mlp": (6,)}
HERE = __name__


class Own(nn.Linear):
    def __init__(self, outputs: int) -> None:
        super().__init__(6, outputs)


def model(**asked: Any) -> Model:
    options = complete(Options(**{"source": "mixing", "factors": 3, **asked}))
    source = open_source(options)
    return build_model(resolve(options, source), source, 0)


@pytest.mark.parametrize("name", SHAPES)
def test_the_head_follows_the_features(name: str) -> None:
    encoder = build_encoder(name, SHAPES[name], Widths(4, 7, (11, 5)), "box", seed=0)
    images = torch.rand(6, *SHAPES[name])
    features, codes = encoder(images, True)
    assert features.shape == (6, 7)
    assert codes.shape == (6, 4)
    layers = [type(layer) for layer in encoder[0][-1]]
    assert layers[:6] == 2 * [nn.Linear, nn.BatchNorm1d, nn.ReLU]
    assert encoder[0].features == 7


@pytest.mark.parametrize("name", SHAPES)
def test_features_come_with_the_same_codes_in_one_pass(name: str) -> None:
    encoder = build_encoder(name, SHAPES[name], 4, "unbounded", seed=0).eval()
    images = torch.rand(6, *SHAPES[name])
    features, codes = encoder(images, True)
    assert torch.equal(codes, encoder(images))
    network = encoder[0]
    assert isinstance(network, Headed)
    assert torch.equal(network[-1](features), codes)


def test_encoders_of_ones_own_make_features_for_a_projector() -> None:
    encoder = build_encoder(f"{HERE}:Own", (6,), Widths(3, 9, (8,)), "unbounded", seed=0)
    features, codes = encoder(torch.rand(5, 6), True)
    assert (features.shape, codes.shape) == ((5, 9), (5, 3))
    features, codes = build_encoder(f"{HERE}:Own", (6,), 3, "unbounded", seed=0)(
        torch.rand(5, 6), True
    )
    assert features is None
    assert codes.shape == (5, 3)


@pytest.mark.parametrize(
    ("name", "widths", "words"),
    [
        (f"{HERE}:Own", Widths(3, None, (8,)), "--projector: expected beside --features"),
        (f"{HERE}:Own", Widths(3, 9), "--features: expected beside --projector"),
        ("identity", Widths(6, 9), "--features: expected with an encoder that has layers"),
        ("identity", Widths(6, None, (8,)), "--projector: expected with an encoder that has"),
    ],
)
def test_heads_that_do_not_fit_are_refused(name: str, widths: Widths, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build_encoder(name, (6,), widths, "unbounded", seed=0)


def test_options_reach_the_model() -> None:
    found = model(codes=5, features=9, projector=(8, 7))
    assert found.features == 9
    features, codes = found.features_and_codes(torch.rand(4, 3))
    assert features is not None
    assert (features.shape, codes.shape) == ((4, 9), (4, 5))
    assert model().features == 30
    assert model(encoder="identity", steps=0).features is None


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"codes": 1, "loss": "dot"}, "--codes: expected at least 2 in the output space sphere"),
        ({"codes": 4, "loss": "supervised"}, "--codes: expected with a loss that predicts no"),
    ],
)
def test_numbers_of_codes_that_cannot_be_scored_are_refused(
    asked: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        model(**asked)
