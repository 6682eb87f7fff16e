from __future__ import annotations

import sys
from pathlib import Path
from threading import Lock

import pytest
import torch
from torch import nn

from benchmark.encoders.networks import RESNETS, build_encoder, require_trainable
from benchmark.encoders.output_spaces import OUTPUT_SPACES, BoxLayer, SphereLayer, Unbounded

IMAGES, MASKS, ROWS = (3, 64, 64), (1, 64, 64), (10,)


@pytest.mark.parametrize("shape", [IMAGES, MASKS], ids=str)
@pytest.mark.parametrize("name", [*RESNETS, "conv", "kitti-conv"])
def test_encoders_give_one_code_per_factor(name: str, shape: tuple[int, ...]) -> None:
    encoder = build_encoder(name, shape, 10, "unbounded", seed=0).eval()
    with torch.no_grad():
        assert encoder(torch.rand(2, *shape)).shape == (2, 10)


@pytest.mark.parametrize("edge", [1, 5, 8, 33])
def test_the_light_net_takes_images_of_any_size(edge: int) -> None:
    encoder = build_encoder("conv", (3, edge, edge + 2), 4, "box", seed=0).eval()
    assert encoder(torch.rand(2, 3, edge, edge + 2)).shape == (2, 4)


def test_the_mlp_is_the_papers() -> None:
    network, _ = build_encoder("mlp", ROWS, 10, "unbounded", seed=0)
    widths = [layer.out_features for layer in network if isinstance(layer, nn.Linear)]
    assert widths == [100, 500, 500, 500, 500, 100, 10]
    assert len([layer for layer in network if isinstance(layer, nn.LeakyReLU)]) == 6


def test_the_mlp_keeps_the_spread_of_its_inputs() -> None:
    """Else deep nets shrink all codes to a point, and training waits on plateaus."""
    encoder = build_encoder("mlp", ROWS, 10, "unbounded", seed=0)
    codes = encoder(torch.randn(4096, 10, generator=torch.Generator().manual_seed(0)))
    assert 0.3 < codes.std() < 3


def test_identity_shows_observations_as_codes() -> None:
    encoder = build_encoder("identity", (2, 3), 6, "unbounded", seed=0)
    rows = torch.rand(4, 2, 3)
    assert torch.equal(encoder(rows), rows.flatten(1))


class Scaled(nn.Module):
    """An encoder of one's own."""

    def __init__(self, codes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(3, codes)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.linear(rows)  # type: ignore[no-any-return]


class TooMany(Scaled):
    def __init__(self, codes: int) -> None:
        super().__init__(codes + 1)


class Raises(Scaled):
    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        raise RuntimeError(f"no room\nfor {len(rows)}")


class Detached(Scaled):
    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return super().forward(rows).detach()


class Whole(Scaled):
    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return super().forward(rows).long()


class FewerLater(Scaled):
    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return super().forward(rows)[:, : 5 if len(rows) == 2 else 4]


class Locked(Scaled):
    """Cannot be copied."""

    def __init__(self, codes: int) -> None:
        super().__init__(codes)
        self.lock = Lock()


class Noisy(nn.Sequential):
    def __init__(self, codes: int) -> None:
        super().__init__(nn.Linear(3, codes), nn.BatchNorm1d(codes), nn.Dropout(0.5))


class Frozen(Scaled):
    def __init__(self, codes: int) -> None:
        super().__init__(codes)
        self.requires_grad_(False)


class TakesMore(nn.Module):
    def __init__(self, codes: int, width: int) -> None:
        super().__init__()
        self.shape = codes, width


def text(codes: int) -> str:
    return "x" * codes


NUMBER = 3


def test_encoders_of_ones_own_are_found_by_import_path() -> None:
    encoder = build_encoder(f"{__name__}:Scaled", (3,), 5, "box", seed=0)
    assert encoder(torch.rand(2, 3)).shape == (2, 5)
    again = build_encoder(f"{__name__}:Scaled", (3,), 5, "box", seed=0)
    weights = [found[0].network.linear.weight for found in (encoder, again)]
    assert torch.equal(*weights)


def test_encoders_beside_the_working_directory_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nets_of_mine.py").write_text(
        "from torch import nn\ndef flat(codes):\n    return nn.Linear(3, codes)\n"
    )
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    try:
        assert build_encoder("nets_of_mine:flat", (3,), 2, "unbounded", seed=0)
    finally:
        sys.modules.pop("nets_of_mine", None)
    assert sys.path == path


def test_what_an_encoder_does_later_is_named_too() -> None:
    encoder = build_encoder(f"{__name__}:FewerLater", (3,), 5, "box", seed=0)
    with pytest.raises(ValueError, match=r":FewerLater, found \(7, 4\) for B = 7"):
        encoder(torch.rand(7, 3))


def test_encoders_that_cannot_be_copied_will_do() -> None:
    assert build_encoder(f"{__name__}:Locked", (3,), 5, "box", seed=0)


def test_encoders_with_nothing_to_train_are_known() -> None:
    for name in (f"{__name__}:Frozen", "identity"):
        encoder = build_encoder(name, (3,), 3, "box", seed=0)  # whose bounds could be trained
        with pytest.raises(ValueError, match="give --steps 0"):
            require_trainable(name, (3,), encoder)
    for name in ("mlp", f"{__name__}:Scaled"):
        require_trainable(name, (3,), build_encoder(name, (3,), 3, "box", seed=0))


def test_codes_without_gradient_are_scored_but_not_trained() -> None:
    name = f"{__name__}:Detached"
    encoder = build_encoder(name, (3,), 3, "box", seed=0)
    with pytest.raises(ValueError, match="found codes without gradient"):
        require_trainable(name, (3,), encoder)


def test_to_look_whether_a_network_can_be_trained_leaves_it_as_it_was() -> None:
    name = f"{__name__}:Noisy"
    encoder = build_encoder(name, (3,), 3, "box", seed=0)
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    state = torch.get_rng_state()
    require_trainable(name, (3,), encoder)
    assert torch.equal(torch.get_rng_state(), state)
    for key, value in encoder.state_dict().items():
        assert torch.equal(value, before[key]), key


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("TooMany", r"expected codes of shape \(B, 5\) from .*:TooMany, found \(2, 6\)"),
        ("Raises", "RuntimeError: no room"),
        ("Whole", "of a floating type from .*:Whole, found torch.int64"),
        ("TakesMore", "its only argument is the number of codes"),
        ("text", "torch.nn.Module, found str"),
        ("NUMBER", "to be a class or a function, found int"),
        ("Missing", "to be importable"),
    ],
)
def test_unfit_encoders_are_named(name: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build_encoder(f"{__name__}:{name}", (3,), 5, "box", seed=0)


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        ("resnet18", ROWS, "expected images for resnet18"),
        ("conv", ROWS, "expected images for conv"),
        ("kitti-conv", ROWS, "expected images for kitti-conv"),
        ("kitti-conv", (1, 64, 63), "at least 64 x 64 pixels for kitti-conv, found 64 x 63"),
        ("identity", ROWS, "expected observations of 5 numbers"),
        ("no_such_package:Net", ROWS, "ModuleNotFoundError"),
        (":", ROWS, "to be importable"),
    ],
)
def test_encoders_that_do_not_fit_are_refused(
    name: str, shape: tuple[int, ...], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        build_encoder(name, shape, 5, "unbounded", seed=0)


@pytest.mark.parametrize("name", OUTPUT_SPACES)
def test_codes_lie_in_their_space(name: str) -> None:
    space = OUTPUT_SPACES[name]
    codes = space.build(10, space.extent or 0.0, False)(3 * torch.randn(100, 10))
    if "sphere" in name:
        assert torch.allclose(codes.norm(dim=1), torch.ones(100), atol=1e-5)
    if "box" in name:
        assert codes.min() >= 0
        assert codes.max() <= (10 if name == "box" else 1)


def test_head_is_the_papers() -> None:
    network, _ = build_encoder("resnet18", IMAGES, 10, "unbounded", seed=0)
    backbone, *head = network
    assert backbone.fc.out_features == 100
    assert [*map(isinstance, head, (nn.LeakyReLU, nn.Linear))] == [True, True]
    assert (head[1].in_features, head[1].out_features) == (100, 10)


def test_seed_alone_decides_the_weights() -> None:
    torch.manual_seed(99)
    state = torch.get_rng_state()
    first = build_encoder("resnet18", IMAGES, 10, "box", seed=1).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    second = build_encoder("resnet18", IMAGES, 10, "box", seed=1).state_dict()
    other = build_encoder("resnet18", IMAGES, 10, "box", seed=2).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["0.0.conv1.weight"], other["0.0.conv1.weight"])


def test_fixed_scales_are_not_trained_and_learned_ones_are() -> None:
    assert not list(Unbounded().parameters())
    assert not list(SphereLayer(2.0).parameters())
    assert not list(BoxLayer(3, 2.0).parameters())
    codes = torch.randn(5, 3)
    for space in (SphereLayer(2.0, learned=True), BoxLayer(3, 2.0, learned=True)):
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
        build_encoder(name, IMAGES, 10, space, seed=0)


@pytest.mark.parametrize("layer", [Unbounded(), SphereLayer(2.0), BoxLayer(3, 5.0)], ids=repr)
@pytest.mark.parametrize("given", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_codes_are_at_least_float32(layer: nn.Module, given: torch.dtype) -> None:
    """Half precision would leave a few hundred different codes."""
    codes = layer(torch.tensor([[0.1, -0.2, 0.3]], dtype=given))
    assert codes.dtype == torch.promote_types(given, torch.float32)
