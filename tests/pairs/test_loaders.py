"""Epochs of loaders, of torch's own loader, and of training."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Subset

from benchmark.sources.images import ImageSource
from benchmark.sources.kitti_masks.tracks import MaskPairs, load_masks
from benchmark.sources.source import Machine
from tests.pairs.numbered import N, anchors, same
from tests.pedestrians import make_pickle
from threedident import (
    Normal,
    PositivePairs,
    ResidentPairs,
    ThreeDIdent,
)
from threedident.conditionals.law import Law
from threedident.pairs.core import Pairs
from threedident.pairs.epochs import Epochs
from threedident.pairs.loader import ahead, slices
from threedident.pairs.pair import Pair


def test_two_epochs_of_one_loader_hold_every_anchor_twice(pairs: Pairs) -> None:
    loader = pairs.loader(5)
    first, second = list(loader), list(loader)
    assert len(first) == len(second) == len(pairs) // 5
    for epoch in (first, second):
        assert set(anchors(epoch).values()) == {1}
    assert set(anchors(first + second).values()) == {2}
    assert len(anchors(first + second)) == len(pairs)


def test_each_epoch_draws_other_positives(data: ThreeDIdent) -> None:
    pairs = PositivePairs(data, Normal(0.5), seed=1)
    loader, found = pairs.loader(40), []
    for _ in range(3):
        epoch = [pairs for batch in loader for pairs in zip(*batch[2:], strict=True)]
        found.append({tuple(z.tolist()): tuple(p.tolist()) for z, p in epoch})
    moved = [sum(found[0][z] != other[z] for z in found[0]) for other in found[1:]]
    assert min(moved) > N / 2


def test_lengths_are_those_of_the_iterations(data: ThreeDIdent) -> None:
    pairs = PositivePairs(data, Normal(0.2))
    for size, kept, dropped in ((50, 3, 2), (40, 3, 3), (120, 1, 1), (119, 2, 1)):
        whole, full = pairs.loader(size), pairs.loader(size, drop_last=True)
        assert (len(whole), len(full)) == (kept, dropped)
        assert [len(batch.latents) for batch in whole] == [size] * (N // size) + [N % size] * (
            N % size > 0
        )
        assert [len(batch.latents) for batch in full] == [size] * dropped


@pytest.mark.parametrize("size", [121, 5000])
def test_a_loader_that_would_hold_no_batch_is_refused(data: ThreeDIdent, size: int) -> None:
    pairs = PositivePairs(data, Normal(0.2))
    words = f"batch_size: expected at most 120, the pairs of an epoch, found {size}"
    with pytest.raises(ValueError, match=words):
        pairs.loader(size)
    with pytest.raises(ValueError, match=words):
        ResidentPairs(pairs, "cpu").batches(size)
    with pytest.raises(ValueError, match="steps: expected at least 1, found 0"):
        pairs.loader(4, steps=0)
    with pytest.raises(ValueError, match="first: expected a step from 0 on, found -2"):
        pairs.loader(4, first=-2)


def test_resuming_within_an_epoch_equals_going_through(pairs: Pairs) -> None:
    loader = pairs.loader(3, drop_last=True)
    each = len(loader)
    whole = [batch for _ in range(3) for batch in loader]
    for first in (0, 2, each, each + 1, 2 * each + 1):
        late = pairs.loader(3, first=first, drop_last=True)
        assert len(late) == each - first % each
        assert all(map(same, list(late), whole[first : first - first % each + each]))
        if first < 2 * each:  # the next iteration is the whole next epoch
            begin = first - first % each + each
            assert all(map(same, list(late), whole[begin : begin + each]))


def test_an_epoch_that_is_set_is_the_next(data: ThreeDIdent) -> None:
    pairs = PositivePairs(data, Normal(0.3), seed=2)
    through = pairs.loader(30)
    epochs = [list(through) for _ in range(4)]
    loader = pairs.loader(30)
    for epoch in (2, 0, 3, 3):
        loader.set_epoch(epoch)
        assert loader.epoch == epoch
        assert all(map(same, loader, epochs[epoch]))
    watching = pairs.loader(30)
    for epoch in (1, 1, 0):
        pairs.set_epoch(epoch)
        assert all(map(same, watching, epochs[epoch]))
        assert all(map(same, pairs.loader(30), epochs[epoch]))
    late = pairs.loader(30, first=3)
    late.set_epoch(2)
    assert all(map(same, late, epochs[2][3:]))
    assert all(map(same, late, epochs[3]))


@pytest.mark.parametrize("epoch", [-1, 2**31])
def test_epochs_that_are_none(data: ThreeDIdent, epoch: int) -> None:
    pairs = PositivePairs(data, Normal(0.2))
    for each in (pairs, pairs.loader(4)):
        with pytest.raises(ValueError, match="epoch: expected an integer from 0 to"):
            each.set_epoch(epoch)


def test_given_steps_go_on_over_epochs(data: ThreeDIdent) -> None:
    pairs = PositivePairs(data, Normal(0.2))
    stream = pairs.loader(50, steps=4, drop_last=True)
    taken = [*stream, *stream]
    epochs = pairs.loader(50, drop_last=True)
    through = [batch for _ in range(4) for batch in epochs]
    assert len(stream) == 4
    assert all(map(same, taken, through))


def test_resident_batches_are_epochs_too(data: ThreeDIdent) -> None:
    pairs = PositivePairs(data, Normal(0.2), seed=9)
    here, there = ResidentPairs(pairs, "cpu").batches(35), pairs.loader(35)
    assert len(here) == len(there) == 4
    for _ in range(2):
        assert all(map(same, here, there))


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_share_the_last_batch_as_well(data: ThreeDIdent, world_size: int) -> None:
    pairs = PositivePairs(data, Normal(0.2))
    alone = list(pairs.loader(36))
    shares = [
        list(pairs.loader(36, rank=rank, world_size=world_size)) for rank in range(world_size)
    ]
    for step, batch in enumerate(alone):
        parts = [share[step] for share in shares]
        assert len({len(part.latents) for part in parts}) == 1
        assert torch.equal(torch.cat([part.latents for part in parts]), batch.latents)


def test_a_last_batch_that_ranks_cannot_share_is_refused(data: ThreeDIdent) -> None:
    pairs = PositivePairs(Subset(data, range(65)), Normal(0.2))
    words = "drop_last: expected True, because the last batch of an epoch has 1 pairs"
    with pytest.raises(ValueError, match=words):
        pairs.loader(16, world_size=4)
    alone = list(pairs.loader(16, drop_last=True))
    shares = [list(pairs.loader(16, rank=r, world_size=4, drop_last=True)) for r in range(4)]
    assert [len(share) for share in shares] == [len(alone)] * 4
    late = [pairs.loader(16, first=5, rank=r, world_size=4, drop_last=True) for r in range(4)]
    assert {loader.epoch for loader in (*late, pairs.loader(16, first=5, drop_last=True))} == {1}


def test_another_process_has_an_epoch_of_its_own(data: ThreeDIdent) -> None:
    pairs = PositivePairs(data, Normal(0.2))
    pairs.set_epoch(3)
    child = os.fork()
    if child == 0:
        pairs.set_epoch(7)
        os._exit(0 if pairs.epoch == 7 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert pairs.epoch == 3


def test_a_loader_says_where_it_is(data: ThreeDIdent) -> None:
    loader = PositivePairs(data, Normal(0.2)).loader(40, first=4)
    assert "2 in the next iteration, 3 an epoch" in repr(loader)
    assert "begins with: epoch 1, step 1" in repr(loader)


@pytest.mark.parametrize("workers", [0, 2])
def test_torchs_loader_draws_anew_when_the_epoch_is_set(data: ThreeDIdent, workers: int) -> None:
    pairs = PositivePairs(data, Normal(0.5), seed=1)
    generator = torch.Generator().manual_seed(0)
    kept = {"persistent_workers": True} if workers else {}
    loader = DataLoader(pairs, 30, shuffle=True, num_workers=workers, generator=generator, **kept)
    found = []
    for epoch in range(2):
        pairs.set_epoch(epoch)
        batches = list(loader)
        assert len(anchors(batches)) == N
        rows = zip(
            torch.cat([b.latents for b in batches]).tolist(),
            torch.cat([b.positive_latents for b in batches]).tolist(),
            strict=True,
        )
        found.append({tuple(z): tuple(p) for z, p in rows})
    assert sum(found[0][z] != found[1][z] for z in found[0]) > N / 2
    assert same(pairs[7], Pair(*(field[0] for field in pairs.batch([N + 7]))))


def test_training_covers_every_anchor_once_an_epoch(data: ThreeDIdent) -> None:
    splits = data, ThreeDIdent(data.folder.root, "test")
    for pairs, law in (("nearest", Law(name="normal", sigma=0.1)), (None, None)):
        source = ImageSource(splits, pairs, law)  # type: ignore[arg-type]
        batches = list(source.batches(0, range(6), 40, Machine(torch.device("cpu"))))
        for epoch in (batches[:3], batches[3:]):
            assert set(anchors(epoch).values()) == {1}
            assert len(anchors(epoch)) == N


def test_no_batch_of_an_epoch_holds_an_anchor_twice() -> None:
    epochs = Epochs(0, 50)
    for numbers in slices(16, 0, 30, epoch=50):
        assert len(set(epochs.rows(np.array(numbers)).tolist())) == 16


def test_frames_are_anchors_once_an_epoch(tmp_path: Path) -> None:
    masks = load_masks(make_pickle(tmp_path, [7, 4, 9]))
    pairs = MaskPairs(masks, 5, seed=1)
    first, second = pairs.draw(np.arange(2 * len(pairs)))[0].reshape(2, -1)
    assert len(set(first.tolist())) == len(pairs)
    assert sorted(first) == sorted(second)
    assert (first != second).any()
    moved = pairs.draw(np.arange(2 * len(pairs)))[1].reshape(2, -1)
    assert (moved[0][np.argsort(first)] != moved[1][np.argsort(second)]).any()


def test_batches_are_made_ahead_in_order() -> None:
    made: list[int] = []

    def fetch(numbers: range) -> int:
        if numbers.start == 8:
            raise ValueError("the ninth")
        made.append(numbers.start)
        return numbers.start

    batches = [range(n, n + 1) for n in range(9)]
    found = ahead(fetch, batches, torch.device("cpu"))
    assert made == []
    for n in range(8):
        assert next(found) == n
        assert len(made) <= n + 3
    with pytest.raises(ValueError, match="the ninth"):
        next(found)
    few = ahead(fetch, batches[:2], torch.device("cpu"))
    assert list(few) == [0, 1]
    begun = ahead(fetch, batches[:8], torch.device("cpu"))
    next(begun)
    begun.close()  # type: ignore[attr-defined]
