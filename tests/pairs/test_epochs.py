"""The order of the rows of an epoch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from tests.pairs.numbered import N
from threedident.pairs.epochs import NUMBERING, Epochs


def test_an_epoch_is_a_permutation_and_each_another() -> None:
    orders = Epochs(3, N).rows(np.arange(5 * N)).reshape(5, N)
    assert (np.sort(orders) == np.arange(N)).all()
    assert len({tuple(order) for order in orders.tolist()}) == 5
    other = Epochs(4, N).rows(np.arange(N))
    assert (other != orders[0]).any()


def test_every_place_holds_every_row_alike() -> None:
    orders = Epochs(0, 8).rows(np.arange(8 * 4000)).reshape(4000, 8)
    for column in orders.T:
        assert stats.chisquare(np.bincount(column, minlength=8)).pvalue > 1e-6
    neighbours = (orders[:, 1:] - orders[:, :-1] == 1).mean()  # 1/8 for a uniform permutation
    assert neighbours == pytest.approx(1 / 8, abs=0.01)


def test_rows_are_found_without_those_before() -> None:
    whole = Epochs(1, N).rows(np.arange(10 * N))
    scattered = np.array([1199, 0, 640, 7, 640])
    assert (Epochs(1, N).rows(scattered) == whole[scattered]).all()
    tensors = Epochs(1, N).rows(torch.from_numpy(scattered))
    assert (tensors.numpy() == whole[scattered]).all()


def test_a_longer_epoch_goes_round_again() -> None:
    rows = Epochs(2, 10, length=25).rows(np.arange(50)).reshape(2, 25)
    for epoch in rows:
        assert sorted(epoch[:10]) == sorted(epoch[10:20]) == list(range(10))
        assert len(set(epoch[20:])) == 5
        assert (epoch[:10] != epoch[10:20]).any()
    short = Epochs(2, 10, length=4).rows(np.arange(4))
    assert (short == rows[0, :4]).all()  # item k does not depend on the length


def test_numbering_2_stays_what_it_was() -> None:
    """Runs record the number of this law, and go on with the pairs that they began with."""
    assert NUMBERING == 2
    assert Epochs(0, 5).rows(np.arange(10)).tolist() == [1, 4, 0, 2, 3, 1, 3, 2, 0, 4]
    assert Epochs(7, 6).rows(np.arange(600, 606)).tolist() == [2, 1, 4, 0, 3, 5]


def test_rows_with_replacement_are_uniform_and_independent() -> None:
    drawn = Epochs(0, 8, replacement=True)
    rows = drawn.rows(np.arange(8 * 4000)).reshape(4000, 8)
    assert stats.chisquare(np.bincount(rows.ravel(), minlength=8)).pvalue > 1e-6
    distinct = np.mean([len(set(epoch)) for epoch in rows.tolist()])
    assert distinct == pytest.approx(8 * (1 - (7 / 8) ** 8), rel=0.02)
    assert (drawn.rows(np.array([803, 9])) == rows.ravel()[[803, 9]]).all()
    assert (drawn.rows(torch.arange(20)).numpy() == rows.ravel()[:20]).all()
