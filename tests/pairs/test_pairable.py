"""What can be paired."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import Subset

from benchmark.losses import CosineSimilarity, info_nce
from tests.pairs.numbered import N, same
from threedident import (
    AugmentedPairs,
    NearestLatents,
    Normal,
    PositivePairs,
    RenderedPairs,
    ResidentPairs,
    ThreeDIdent,
)


@pytest.mark.slow
def test_a_subset_is_paired_among_its_rows(data: ThreeDIdent, paired: Path) -> None:
    rows = [5, 90, 17, 33, 60, 2, 88]
    subset = Subset(data, rows)
    allowed = {tuple(z) for z in data.latents[rows].tolist()}
    for pairs in (PositivePairs(subset, Normal(0.5)), AugmentedPairs(subset)):
        assert len(pairs) == len(rows)
        batch = next(iter(pairs.loader(len(rows))))
        assert set(map(tuple, batch.latents.tolist())) == allowed
        assert set(map(tuple, batch.positive_latents.tolist())) <= allowed
    last = PositivePairs(Subset(data, [-1, 0]), Normal(0.5))
    assert (last.dataset.latents == data.latents[[N - 1, 0]]).all()
    nested = PositivePairs(Subset(Subset(data, rows), [1, 3, 4]), Normal(0.5))
    assert set(map(tuple, nested.dataset.latents.tolist())) == {
        tuple(z) for z in data.latents[[90, 33, 60]].tolist()
    }
    resident = ResidentPairs(nested, "cpu")
    assert same(resident.batch(range(3)), nested.batch(range(3)))
    whole = ThreeDIdent(paired)
    rendered = RenderedPairs(Subset(whole, [7, 2]))
    positives = ThreeDIdent(paired, "train/positives")
    for pair in (rendered[0], rendered[1]):
        row = int(np.flatnonzero((whole.latents == pair.latents.numpy()).all(axis=1))[0])
        assert row in (7, 2)
        assert torch.equal(pair.positive_image, positives[row][0])


def test_some_rows_of_a_data_set(data: ThreeDIdent) -> None:
    some = data.take([4, 9, 4])
    assert len(some) == 3
    assert torch.equal(some[1][0], data[9][0])
    assert torch.equal(some.images([2, 0]), data.images([4, 4]))
    mean, _ = some.channel_statistics()
    shown = data.images([4, 9, 4]).double().mean(dim=(0, 2, 3)) / 255
    assert mean == pytest.approx(shown.numpy())
    with pytest.raises(ValueError, match="read-only"):
        some.latents[0] = 0
    for rows, words in (
        ([], r"rows: expected integers of shape \(M,\)"),
        ([1.5], r"rows: expected integers of shape \(M,\)"),
        ([0, 120], "rows: expected 0 to 119, found 0 to 120"),
        ([-1], "rows: expected 0 to 119, found -1 to -1"),
    ):
        with pytest.raises(ValueError, match=words):
            data.take(rows)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("data/demo", r"found the path 'data/demo'; give ThreeDIdent\('data/demo'\)"),
        (Path("x"), r"found the path 'x'; give ThreeDIdent\('x'\)"),
        (None, "found NoneType; give a ThreeDIdent, or a Subset of one"),
        (np.zeros((3, 10)), "found ndarray"),
        (Subset([1, 2], [0]), "found list; give a ThreeDIdent"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_data_set_is_refused_in_a_line(given: object, words: str) -> None:
    expected = f"dataset: expected a ThreeDIdent or a Subset of one, {words}"
    for build in (
        lambda: PositivePairs(given, Normal(0.1)),  # type: ignore[arg-type]
        lambda: AugmentedPairs(given),  # type: ignore[arg-type]
        lambda: RenderedPairs(given),  # type: ignore[arg-type]
    ):
        with pytest.raises(ValueError, match=expected) as error:
            build()
        assert "\n" not in str(error.value)


def test_a_data_set_in_place_of_its_latents_is_refused_in_a_line(data: ThreeDIdent) -> None:
    words = "array: expected numbers, found a ThreeDIdent; give its .latents"
    for use in (
        lambda: NearestLatents(data),  # type: ignore[arg-type]
        lambda: Normal(0.1).sample(data, 0),  # type: ignore[call-overload]
    ):
        with pytest.raises(ValueError, match=words):
            use()
    with pytest.raises(ValueError, match="pairs: expected pairs such as PositivePairs, found"):
        ResidentPairs(data, "cpu")  # type: ignore[arg-type]


def test_an_empty_subset_and_an_unknown_marginal_are_refused(data: ThreeDIdent) -> None:
    with pytest.raises(ValueError, match="dataset: expected rows in the Subset, found none"):
        PositivePairs(Subset(data, []), Normal(0.1))
    with pytest.raises(ValueError, match="anchor: expected row for a Subset"):
        PositivePairs(Subset(data, range(9)), Normal(0.1), anchor="marginal")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("cosine", r"found 'cosine'; give CosineSimilarity\(\)"),
        ("l2", r"found 'l2'; give LpSimilarity\(2\)"),
        (2, "found 2; give one such as LpSimilarity"),
        (CosineSimilarity, "found the class CosineSimilarity; give an instance"),
    ],
)
def test_what_is_no_similarity_is_refused_in_a_line(given: object, words: str) -> None:
    codes = torch.rand(8, 3)
    with pytest.raises(ValueError, match=f"similarity: expected a Similarity, {words}") as error:
        info_nce(codes, codes, given)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)
