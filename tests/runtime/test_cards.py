"""Objects print as a card of a few lines, and as a table in a notebook."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmark.sources.kitti_masks.tracks import MaskPairs, load_masks
from tests.conftest import make_images
from tests.pedestrians import make_pickle
from threedident import (
    AugmentedPairs,
    Conditional,
    GeneralizedNormal,
    NearestLatents,
    Normal,
    PositivePairs,
    RenderedPairs,
    ThreeDIdent,
    VonMisesFisher,
)
from threedident.conditionals.rules.spelling import parse_conditional
from threedident.runtime.cards import Card, in_line


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ThreeDIdent:
    return ThreeDIdent(make_images(tmp_path_factory.mktemp("cards"), n=30))


@pytest.mark.slow
def test_cards_say_what_their_objects_are(data: ThreeDIdent, paired: Path, tmp_path: Path) -> None:
    masks = load_masks(make_pickle(tmp_path, [7, 4]))
    whole = ThreeDIdent(paired)
    pairs = PositivePairs(data, Normal(0.2), seed=4)
    pairs.set_epoch(3)
    assert whole.manifest is not None
    cards: list[tuple[Card, tuple[str, ...]]] = [
        (data, ("30, 16 x 16 pixels", "train split", "box space", "published archive")),
        (data.take([3, 4]), ("2 chosen",)),
        (whole, ("10, 32 x 32 pixels", "draft", "rubber", "wrapped hues")),
        (whole.manifest, ("Manifest of the train split", "seed 0", "draft", "fingerprint")),
        (pairs, ("30 an epoch, seed 4, epoch 3", "Normal(scale 0.2, space box)", "exact index")),
        (RenderedPairs(whole), ("rendered exactly, from normal:0.1",)),
        (AugmentedPairs(data), ("SimCLR(bicubic=False, blurred=True)",)),
        (pairs.index, ("30 rows of 10 columns", "exact on cpu", "recall: 1.0000")),
        (NearestLatents(data.latents, factors=["x", "y"]), ("distance over: x, y",)),
        (pairs.delivered(30), ("pairs: 30", "object_hue: ", "snap distances: median 0.000")),
        (Normal(0.1), ("Normal", "scale=0.1", "space='box'")),
        (GeneralizedNormal((0.1, 0.2), beta=2.5), ("scale=(0.1, 0.2)", "beta=2.5")),
        (masks, ("11 frames of 16 x 16 pixels", "tracks: 2", "vertical centre")),
        (MaskPairs(masks, 5, 2), ("1 to 5 frames later", "9 an epoch, seed 2")),
        (VonMisesFisher(3), ("kappa=3.0",)),
        (
            parse_conditional("normal:0.1", "periodic", {}),
            ("columns 0 to 2: Normal(scale 0.1", "columns 3 to 10: VonMisesFisher(kappa 10"),
        ),
    ]
    for card, words in cards:
        text, page = repr(card), card._repr_html_()
        assert 2 <= len(text.splitlines()) <= 15
        assert str(card) == text
        for word in words:
            assert word in text
        assert page.startswith("<table>")
        assert page.count("<tr>") == len(card.card())


def test_a_notebook_shows_text_as_text() -> None:
    class Named(Card):
        def card(self) -> dict[str, str]:
            return {"<b>": "a & b"}

    assert "&lt;b&gt;" in Named()._repr_html_()
    assert "a &amp; b" in Named()._repr_html_()
    assert in_line(Named()) == "Named(<b> a & b)"


@pytest.mark.slow
def test_split_and_factors_are_attributes(paired: Path) -> None:
    for split in ("train", "test", "train/positives"):
        assert ThreeDIdent(paired, split).split == split
    assert ThreeDIdent(paired).factors[:4] == ("x", "y", "z", "alpha")
    assert len(ThreeDIdent(paired).factors) == 10


class OneFactor(Conditional):
    """One factor drawn anew, all others kept."""

    def count(self, dimension: int) -> int:
        return min(2, dimension)

    def draw(self, anchors: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
        columns = (uniforms[:, 0] * anchors.shape[1]).astype(int)
        positives = anchors.copy()
        positives[np.arange(len(anchors)), columns] = 2 * uniforms[:, 1] - 1
        return positives


class Wrong(OneFactor):
    def draw(self, anchors: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
        return super().draw(anchors, uniforms)[:, :3]


def test_a_conditional_of_ones_own_works_wherever_one_does(data: ThreeDIdent) -> None:
    pairs = PositivePairs(data, OneFactor())
    drawn = pairs.draw(np.arange(30))
    assert ((drawn.z != drawn.z_positive).sum(axis=1) == 1).all()
    assert len(pairs.loader(10)) == 3
    assert "OneFactor" in repr(pairs)
    sampled = OneFactor().sample(data.latents, 0)
    assert sampled.shape == data.latents.shape
    with pytest.raises(ValueError, match="expected finite anchors for OneFactor"):
        OneFactor().sample(np.full((2, 3), np.nan), 0)
    words = r"Wrong.draw: expected positives of shape \(30, 10\) as the anchors have, found"
    with pytest.raises(ValueError, match=words):
        PositivePairs(data, Wrong()).draw(np.arange(30))
