from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.spatial.distance import cdist
from torch.utils.data import DataLoader

from tests.conftest import make_images
from threedident import Laplace, Normal, PositivePairs, ThreeDIdent, VonMisesFisher


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ThreeDIdent:
    return ThreeDIdent(make_images(tmp_path_factory.mktemp("pairs"), n=200))


def test_item_is_a_named_tuple_of_two_rows(data: ThreeDIdent) -> None:
    pairs = PositivePairs(data, Normal(0.1))
    pair = pairs[17]
    anchors, positives = pairs.rows([17])
    assert pair._fields == ("image", "positive_image", "latents", "positive_latents")
    for image, latents, row in [
        (pair.image, pair.latents, anchors[0]),
        (pair.positive_image, pair.positive_latents, positives[0]),
    ]:
        assert (image == data[row][0]).all()
        assert (latents == data[row][1]).all()


def test_item_depends_on_seed_and_number_alone(data: ThreeDIdent) -> None:
    pairs = PositivePairs(data, Normal(0.1), seed=3)
    longer = PositivePairs(data, Normal(0.1), seed=3, length=10_000)
    whole = np.stack(pairs.rows(np.arange(200)))
    scattered = np.array([150, 3, 3, 77])
    assert (np.stack(longer.rows(scattered)) == whole[:, scattered]).all()
    other = np.stack(PositivePairs(data, Normal(0.1), seed=4).rows(np.arange(200)))
    assert (other[0] != whole[0]).mean() > 0.9


def test_batches_equal_items_for_any_number_of_workers(data: ThreeDIdent) -> None:
    pairs = PositivePairs(data, Laplace(0.2))
    pairs.rows(range(10))  # faiss has run in this process before the workers are forked
    loaders = [DataLoader(pairs, batch_size=32, num_workers=w) for w in (0, 1, 2)]
    epochs = [[*map(tuple, loader)] for loader in loaders]
    for batches in zip(*epochs, strict=True):
        for fields in zip(*batches, strict=True):
            assert all((field == fields[0]).all() for field in fields)
    assert (epochs[0][0][1][5] == pairs[5].positive_image).all()


def test_a_batch_is_fetched_at_once(data: ThreeDIdent) -> None:
    pairs = PositivePairs(data, Normal(0.1))
    batch = pairs.__getitems__([4, 9, 4])
    assert [torch.equal(batch[0].image, other.image) for other in batch] == [True, False, True]
    assert torch.equal(batch[1].positive_latents, pairs[9].positive_latents)


def test_positive_is_the_nearest_other_row(data: ThreeDIdent) -> None:
    pairs = PositivePairs(data, Normal(0.3), length=500)
    anchors, positives = pairs.rows(np.arange(500))
    assert (anchors != positives).all()
    drawn = drawn_positives(pairs, np.arange(500))
    distances = cdist(drawn, data.latents)
    distances[np.arange(500), anchors] = np.inf
    snapped = distances[np.arange(500), positives]
    assert snapped == pytest.approx(distances.min(axis=1), abs=1e-9)


def drawn_positives(pairs: PositivePairs, items: np.ndarray) -> np.ndarray:
    """What the conditional drew before it was snapped, from the documented addresses."""
    from threedident.counter import uniforms

    u = uniforms(pairs.seed, (1,), items, 11)
    return pairs.conditional.transform(pairs.dataset.latents[pairs.rows(items)[0]], u[:, 1:])


def test_anchors_are_uniform_over_rows(data: ThreeDIdent) -> None:
    anchors, _ = PositivePairs(data, Normal(0.1)).rows(np.arange(40_000))
    counts = np.bincount(anchors, minlength=200)
    assert stats.chisquare(counts).pvalue > 1e-4


def test_positives_stay_close_in_latent_space(data: ThreeDIdent) -> None:
    anchors, positives = PositivePairs(data, Normal(0.1)).rows(np.arange(2000))
    step = np.linalg.norm(data.latents[anchors] - data.latents[positives], axis=1).mean()
    unrelated = np.linalg.norm(
        data.latents[anchors] - np.roll(data.latents[anchors], 1, 0), axis=1
    )
    assert step < 0.8 * unrelated.mean()


def test_length_and_ends(data: ThreeDIdent) -> None:
    assert len(PositivePairs(data, Normal(0.1))) == len(data)
    pairs = PositivePairs(data, Normal(0.1), length=3)
    assert len(pairs) == len(list(pairs)) == 3  # type: ignore[call-overload]
    assert torch.equal(pairs[-1].image, pairs[2].image)
    with pytest.raises(IndexError):
        pairs[3]


def test_conditional_must_fit_the_space(data: ThreeDIdent) -> None:
    with pytest.raises(ValueError, match="unit sphere"):
        PositivePairs(data, VonMisesFisher(10.0))


def test_conditional_must_be_one(data: ThreeDIdent) -> None:
    with pytest.raises(ValueError, match=r"such as Normal\(0\.1\), found 0\.1"):
        PositivePairs(data, 0.1)  # type: ignore[arg-type]


def test_indices_are_integers(data: ThreeDIdent) -> None:
    pairs = PositivePairs(data, Normal(0.1))
    assert torch.equal(pairs[np.int64(3)].image, pairs[torch.tensor(3)].image)  # type: ignore[index]
    for items in (data, pairs):
        with pytest.raises(TypeError):
            items[0:2]  # type: ignore[index]
    with pytest.raises(ValueError, match="non-negative"):
        pairs.rows([-1])


@pytest.mark.parametrize(("field", "value"), [("seed", -1), ("length", 0)])
def test_bad_numbers(data: ThreeDIdent, field: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{field}: expected"):
        PositivePairs(data, Normal(0.1), **{field: value})  # type: ignore[arg-type]


def test_one_image_makes_no_pair(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 2 images"):
        PositivePairs(ThreeDIdent(make_images(tmp_path, n=1, digits=6)), Normal(0.1))
