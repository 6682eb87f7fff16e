"""The zoo: trained encoders that come with this package, named ``zoo:NAME``.

``assets/zoo/NAME.npz`` holds the weights of an encoder as float16 arrays, without pickles.
``assets/zoo/cards.json`` holds its card. The weights include the normalisation of images and the
output space.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field, RootModel
from torch import Tensor

from benchmark.config import Config
from benchmark.settings import ImageSettings
from threedident.runtime.errors import unknown
from threedident.runtime.files import MOST_ARRAY, read_plain, sha256
from threedident.runtime.packages import asset_path
from threedident.runtime.records import Frozen, read_model

PREFIX = "zoo:"
_CARDS = "zoo/cards.json"
_REINSTALL = "reinstall threedident"


class ZooCard(Frozen):
    """The card of an encoder of the zoo.

    Arguments:
        config: configuration of the run that trained it, with the digests of its data.
        seed: seed of the training.
        render: command that renders the scored images.
        scores: its scores on the test split of these images, as
            :class:`benchmark.metrics.scores.Scores` writes them.
        sha256: SHA-256 of the file of its weights.
    """

    config: Config
    seed: Annotated[int, Field(ge=0)]
    render: str
    scores: dict[str, Any]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]

    @property
    def images(self) -> ImageSettings:
        """Settings of the images that it was trained on."""
        assert isinstance(self.config.source, ImageSettings)
        return self.config.source

    @property
    def codes(self) -> int:
        """Number of codes, one for each factor unless the run was asked for others."""
        return self.config.codes or len(self.images.factors)


class Cards(RootModel[dict[str, ZooCard]]):
    """The cards of all encoders of the zoo, by name."""


@cache
def cards() -> dict[str, ZooCard]:
    """The cards of all encoders of the zoo, by name.

    Raises:
        ValueError: the file of the cards is damaged.
    """
    found = read_model(Cards, asset_path(_CARDS), "the cards of the zoo", _REINSTALL)
    return {} if found is None else found.root


def is_zoo(encoder: str) -> bool:
    """True if an encoder is asked for by its name in the zoo, as ``zoo:NAME``."""
    return encoder.startswith(PREFIX)


def read_card(encoder: str) -> ZooCard:
    """The card of an encoder of the zoo.

    Arguments:
        encoder: ``zoo:NAME``.

    Raises:
        ValueError: the zoo has no encoder of this name.
    """
    known = {f"{PREFIX}{name}": card for name, card in cards().items()}
    if encoder not in known:
        raise ValueError(unknown("encoder", encoder, known, "take one of these"))
    return known[encoder]


def read_weights(encoder: str) -> dict[str, Tensor]:
    """The weights of an encoder of the zoo by name; floating ones as float32.

    Raises:
        ValueError: the zoo has no such encoder, or its file was altered.
    """
    path, expected = weights_path(encoder), read_card(encoder).sha256
    content = read_plain(path, MOST_ARRAY)
    if sha256(content) != expected:
        raise ValueError(
            f"{path}: expected weights with the SHA-256 of the card, {expected[:12]}..., found "
            f"{sha256(content)[:12]}...; {_REINSTALL}"
        )
    return from_npz(content)


def weights_path(encoder: str) -> Path:
    """The path of the file of the weights of an encoder of the zoo."""
    return asset_path(f"zoo/{encoder.removeprefix(PREFIX)}.npz")


def to_npz(weights: Mapping[str, Tensor]) -> bytes:
    """An ``.npz`` file of weights: floating ones as float16, others as they are.

    Raises:
        ValueError: a weight is too large for float16.
    """
    arrays: dict[str, Any] = {}
    for name, value in weights.items():
        half = value.half() if value.is_floating_point() else value
        if not half.isfinite().all():
            raise ValueError(
                f"{name}: expected weights below {np.finfo(np.float16).max:g}, found "
                f"{value.abs().max():g}, which float16 cannot hold; train with another seed"
            )
        arrays[name] = half.cpu().numpy()
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def from_npz(content: bytes) -> dict[str, Tensor]:
    """The weights in an ``.npz`` file that :func:`to_npz` made; floating ones as float32."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        weights = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    return {name: w.float() if w.is_floating_point() else w for name, w in weights.items()}
