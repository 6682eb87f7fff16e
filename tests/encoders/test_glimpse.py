"""The encoder ``glimpse``: its crop follows the object, and shows no hues."""

from __future__ import annotations

import colorsys

import pytest
import torch
from torch import Tensor

from benchmark.encoders.glimpse import FEATURES, colour_contrast, locate, visible
from benchmark.encoders.headed import Widths
from benchmark.encoders.networks import build_encoder

EDGE = 64
BACKGROUND = 0.7, 0.55  # hue and value


def picture(x: float = 0, y: float = 0, radius: float = 0.25, hue: float = 0.1) -> Tensor:
    """A disc of one colour, brighter at its top, before a pale background, shape (1, 3, H, W)."""
    axis = (2 * torch.arange(EDGE) + 1) / EDGE - 1
    down, right = torch.meshgrid(axis, axis, indexing="ij")
    disc = ((right - x).square() + (down - y).square()).sqrt() < radius
    value = (0.7 - 0.2 * (down - y) / radius).clamp(0, 1)
    colour = torch.tensor(colorsys.hsv_to_rgb(hue, 1, 1))[:, None, None] * value
    pale = torch.tensor(colorsys.hsv_to_rgb(BACKGROUND[0], 0.2, BACKGROUND[1]))
    return torch.where(disc, colour, pale[:, None, None])[None]


@pytest.mark.parametrize("x", [-0.5, 0, 0.4])
@pytest.mark.parametrize("y", [-0.3, 0.5])
def test_the_place_moves_with_the_object(x: float, y: float) -> None:
    place, first = locate(colour_contrast(picture(x, y))), locate(colour_contrast(picture()))
    assert place.x.item() == pytest.approx(x, abs=0.02)
    assert (place.y - first.y).item() == pytest.approx(y, abs=0.02)
    assert first.y.item() == pytest.approx(0, abs=0.06)  # its brighter half counts for more


@pytest.mark.parametrize("radius", [0.1, 0.2, 0.28])
def test_the_place_grows_with_the_object(radius: float) -> None:
    place, first = (locate(colour_contrast(picture(radius=r))) for r in (radius, 0.25))
    assert (place.radius / first.radius).item() == pytest.approx(radius / 0.25, rel=0.1)
    assert place.side.item() == pytest.approx(2.6 * place.radius.item())
    assert 0.7 * radius < place.radius.item() < 1.1 * radius


def test_a_shadow_is_no_object() -> None:
    image = picture(x=0.5)
    image[:, :, 40:60, :20] *= 0.3
    assert locate(colour_contrast(image)).x.item() == pytest.approx(0.5, abs=0.1)


def test_the_view_stays_while_the_object_moves_grows_and_changes_its_hue() -> None:
    first = visible(picture())[0]
    for moved in (
        picture(x=0.25, y=-0.25),  # 8 pixels
        picture(radius=0.3),
        picture(hue=0.9),
    ):
        outline, shading = visible(moved)[0, :2]
        assert (outline - first[0]).abs().mean() < 0.05
        assert (shading - first[1])[first[0] > 0.9].abs().mean() < 0.15
    turned = visible(picture().flip(2))[0]
    assert (turned[1] - first[1])[first[0] > 0.9].abs().mean() > 0.8


def test_codes_of_an_image_do_not_depend_on_the_other_images() -> None:
    encoder = build_encoder("glimpse", (3, EDGE, EDGE), 10, "box", seed=0).eval()
    images = torch.cat([picture(), picture(x=0.4, hue=0.5), torch.zeros(1, 3, EDGE, EDGE)])
    with torch.no_grad():
        together, alone = encoder(images), encoder(images[1:2])
    assert torch.allclose(together[1:2], alone, atol=1e-5)
    assert together.isfinite().all()


@pytest.mark.parametrize("edge", [16, 31, 48, 128])
def test_images_may_have_any_size(edge: int) -> None:
    encoder = build_encoder("glimpse", (3, edge, edge), 4, "unbounded", seed=0)
    features, codes = encoder(torch.rand(3, 3, edge, edge), True)
    assert (features.shape, codes.shape) == ((3, FEATURES), (3, 4))


def test_every_weight_is_trained() -> None:
    encoder = build_encoder("glimpse", (3, EDGE, EDGE), 10, "box", seed=0)
    images = torch.cat([picture(x / 10, hue=x / 8) for x in range(8)])
    encoder(images).square().sum().backward()
    for name, parameter in encoder[0].named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_images_without_colours_and_other_numbers_of_features_are_refused() -> None:
    with pytest.raises(ValueError, match=r"three colours for glimpse.*take conv"):
        build_encoder("glimpse", (1, 64, 64), 10, "box", seed=0)
    with pytest.raises(ValueError, match=r"three colours for glimpse.*take mlp"):
        build_encoder("glimpse", (10,), 10, "box", seed=0)
    with pytest.raises(ValueError, match=f"--features.*glimpse, which has {FEATURES}"):
        build_encoder("glimpse", (3, 64, 64), Widths(10, 7, (5,)), "box", seed=0)
