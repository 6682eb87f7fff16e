"""Batches: the same for every step, wherever and by however many processes they are made."""

from __future__ import annotations

import pytest
import torch

from benchmark.ranks import Ranks
from benchmark.settings import MixingSettings
from benchmark.sources.images import ImageSource
from benchmark.sources.kitti_masks.masks import MaskSource
from benchmark.sources.mixing import MixingSource
from benchmark.sources.source import Batch, Machine, Source
from tests.conftest import cli, make_images
from tests.pedestrians import make_pickle
from threedident import ThreeDIdent
from threedident.conditionals.law import Law

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> ThreeDIdent:
    return ThreeDIdent(make_images(tmp_path_factory.mktemp("plain"), n=50))


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> ThreeDIdent:
    root = make_images(tmp_path_factory.mktemp("packed"), n=50)
    assert cli("pack", root).returncode == 0
    return ThreeDIdent(root)


def build(kind: str, dataset: ThreeDIdent) -> ImageSource:
    splits = dataset, ThreeDIdent(dataset.folder.root, "test")
    if kind == "supervised":
        return ImageSource(splits, None)
    if kind == "augmented":
        return ImageSource(splits, "augmented")
    return ImageSource(splits, "nearest", Law(name="normal", sigma=0.1))


def same(a: Batch, b: Batch) -> bool:
    return all(
        x is y is None or (x is not None and y is not None and torch.equal(x, y))
        for x, y in zip(a, b, strict=True)
    )


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("kind", ["nearest", "augmented", "supervised"])
def test_batches_are_addressed_by_step(
    plain: ThreeDIdent, packed: ThreeDIdent, kind: str, workers: int
) -> None:
    machine = Machine(CPU, workers)
    sources = [build(kind, data) for data in (plain, packed)]
    whole = list(sources[0].batches(2, range(6), 8, machine))
    for late in (list(source.batches(2, range(4, 6), 8, machine)) for source in sources):
        assert all(map(same, whole[4:], late))
    assert (whole[0].positives is None) == (kind == "supervised")
    assert not torch.equal(whole[0].latents, whole[1].latents)


MIXING = MixingSettings(
    factors=3, space="box", marginal="uniform", conditional=Law(name="laplace", sigma=0.05)
)


@pytest.fixture(scope="module")
def every_source(
    plain: ThreeDIdent, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Source]:
    masks = make_pickle(tmp_path_factory.mktemp("masks"), [9, 5, 7, 12, 4, 8])
    return {
        "images": build("nearest", plain),
        "mixing": MixingSource(MIXING),
        "kitti": MaskSource(masks, 2),
        "supervised mixing": MixingSource(MIXING.model_copy(update={"conditional": None})),
        "supervised kitti": MaskSource(masks, 2, paired=False),
    }


SOURCES = ["images", "mixing", "kitti", "supervised mixing", "supervised kitti"]


@pytest.mark.parametrize("name", SOURCES)
def test_ranks_share_the_batch_that_one_would_get(
    every_source: dict[str, Source], name: str
) -> None:
    source = every_source[name]
    whole = next(source.batches(5, range(3, 4), 8, Machine(CPU)))
    shares = [
        next(source.batches(5, range(3, 4), 8, Machine(CPU, ranks=Ranks(rank, 2))))
        for rank in range(2)
    ]
    joined = [
        None if a is None or b is None else torch.cat([a, b]) for a, b in zip(*shares, strict=True)
    ]
    assert same(whole, Batch(*joined))  # type: ignore[arg-type]
    other = next(source.batches(6, range(3, 4), 8, Machine(CPU)))
    assert not same(whole, other)


@pytest.mark.parametrize("name", SOURCES)
def test_held_out_rows_are_the_latents_own(every_source: dict[str, Source], name: str) -> None:
    source = every_source[name]
    latents = source.latents(1)
    rows = len(latents)
    shown = torch.cat(list(source.held_out(1, rows, Machine(CPU))))
    assert shown.shape == (rows, *source.shape)
    fewer = torch.cat(list(source.held_out(1, rows - 1, Machine(CPU))))
    assert torch.equal(fewer, shown[:-1])
    assert latents.shape == (rows, len(source.labels))
    assert source.summary()
