"""Batches: the same for every step, wherever and by however many processes they are made."""

from __future__ import annotations

import pytest
import torch

from benchmark.sources import Machine, Source
from tests.conftest import cli, make_images
from threedident import AugmentedPairs, Normal, PositivePairs, ThreeDIdent
from threedident.pairs import Pairs

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> ThreeDIdent:
    return ThreeDIdent(make_images(tmp_path_factory.mktemp("plain"), n=50))


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> ThreeDIdent:
    root = make_images(tmp_path_factory.mktemp("packed"), n=50)
    assert cli("pack", root).returncode == 0
    return ThreeDIdent(root)


def build(kind: str, dataset: ThreeDIdent) -> Pairs | None:
    if kind == "supervised":
        return None
    if kind == "augmented":
        return AugmentedPairs(dataset, seed=2)
    return PositivePairs(dataset, Normal(0.1), seed=2)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("kind", ["nearest", "augmented", "supervised"])
def test_batches_are_addressed_by_step(
    plain: ThreeDIdent, packed: ThreeDIdent, kind: str, workers: int
) -> None:
    sources = [
        Source(data, build(kind, data), 2, 8, Machine(CPU, workers)) for data in (plain, packed)
    ]
    whole = list(sources[0].batches(0, 6))
    for late in (list(source.batches(4, 6)) for source in sources):
        for a, b in zip(whole[4:], late, strict=True):
            assert torch.equal(a.images, b.images)
            assert torch.equal(a.latents, b.latents)
            assert (a.positives is None) == (b.positives is None) == (kind == "supervised")
            assert a.positives is b.positives is None or torch.equal(a.positives, b.positives)
    assert not torch.equal(whole[0].latents, whole[1].latents)
