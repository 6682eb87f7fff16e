"""A body and a head: the body maps observations to features, the head maps these to codes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


class Headed(nn.Sequential):
    """The layers of a body, and as the last module the head, which maps features to codes."""

    @property
    def features(self) -> int:
        """The number of features F."""
        first = next(layer for layer in self[-1].modules() if isinstance(layer, nn.Linear))
        return first.in_features

    def features_and_codes(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        """The features (B, F) and the codes (B, n) of observations (B, ...)."""
        *body, head = self
        features = observations
        for layer in body:
            features = layer(features)
        return features, head(features)


@dataclass(frozen=True)
class Widths:
    """Numbers of outputs of the layers at the end of an encoder.

    Arguments:
        codes: number of codes n.
        features: number of features F; None for the default of the body.
        projector: hidden widths of the head; None for one linear layer.
        sphere: number of the last codes, which encode a point on a sphere.
    """

    codes: int
    features: int | None = None
    projector: tuple[int, ...] | None = None
    sphere: int = 0

    def head(self, features: int) -> nn.Module:
        """A head from ``features`` numbers to codes."""
        layers: list[nn.Module] = []
        width = features
        for hidden in self.projector or ():
            linear = nn.Linear(width, hidden, bias=False)
            layers += [linear, nn.BatchNorm1d(hidden), nn.ReLU()]
            width = hidden
        last = _Codes(width, self.codes)
        return nn.Sequential(*layers, last) if layers else last


class _Codes(nn.Linear):
    """The last linear layer, in float32. With bf16 there would be only a few hundred values."""

    def forward(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            return super().forward(features.float())
