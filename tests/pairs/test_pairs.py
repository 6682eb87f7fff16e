"""Laws of all pairs: item k depends on (seed, k) alone, however it is asked for."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from tests.conftest import done_at_once, make_images
from threedident import (
    AugmentedPairs,
    Normal,
    PositivePairs,
    RenderedPairs,
    ResidentPairs,
    ThreeDIdent,
)
from threedident.pairs.core import Pairs
from threedident.pairs.pair import Pair

KINDS = ("row", "marginal", pytest.param("rendered", marks=pytest.mark.slow), "augmented")


class Roots(dict[str, Path]):
    """Data sets by name; the one with positives is drawn by Blender, when it is first needed."""

    def __init__(self, request: pytest.FixtureRequest, folder: Path) -> None:
        super().__init__()
        self._request, self._folder = request, folder

    def __missing__(self, name: str) -> Path:
        assert name == "paired"
        paired = self._request.getfixturevalue("paired")
        self[name] = shutil.copytree(paired, self._folder / "paired")
        done_at_once("pack", self[name])
        return self[name]


@pytest.fixture(scope="module")
def roots(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Image files, the same packed, and a data set with positives, packed as well."""
    found = Roots(request, tmp_path_factory.mktemp("roots"))
    found["plain"] = make_images(tmp_path_factory.mktemp("plain"), n=120)
    found["packed"] = make_images(tmp_path_factory.mktemp("packed"), n=120)
    done_at_once("pack", found["packed"])
    return found


def build(kind: str, roots: dict[str, Path], seed: int = 3, length: int | None = None) -> Pairs:
    if kind == "rendered":
        paired = ThreeDIdent(roots["paired"])
        return RenderedPairs(paired, seed=seed, length=120 if length is None else length)
    data = ThreeDIdent(roots["packed"])
    if kind == "augmented":
        return AugmentedPairs(data, seed=seed, length=length)
    return PositivePairs(data, Normal(0.2), anchor=kind, seed=seed, length=length)  # type: ignore[arg-type]


@pytest.fixture(params=KINDS)
def pairs(request: pytest.FixtureRequest, roots: dict[str, Path]) -> Pairs:
    return build(request.param, roots)


def same(a: Pair, b: Pair) -> bool:
    return all(x is y is None or torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_an_item_is_two_images_and_their_latents(pairs: Pairs) -> None:
    pair = pairs[7]
    draw = pairs.draw(np.array([7]))
    assert pair._fields == ("image", "positive_image", "latents", "positive_latents")
    edge = pairs.dataset.resolution
    assert pair.image.shape == pair.positive_image.shape == (3, edge, edge)
    assert (pair.latents == pairs.dataset[draw.anchors[0]][1]).all()
    assert (pair.positive_latents == pairs.positives[draw.positives[0]][1]).all()
    if not pairs.changes_images:
        assert torch.equal(pair.image, pairs.dataset[draw.anchors[0]][0])
        assert torch.equal(pair.positive_image, pairs.positives[draw.positives[0]][0])


@pytest.mark.parametrize("kind", KINDS)
def test_item_depends_on_seed_and_number_alone(kind: str, roots: dict[str, Path]) -> None:
    pairs, longer = build(kind, roots), build(kind, roots, length=10_000)
    whole = pairs.draw(np.arange(60))
    scattered = np.array([50, 3, 3, 17])
    for one, all_of_it in zip(longer.draw(scattered), whole, strict=True):
        assert (one == all_of_it[scattered]).all()
    assert same(longer[9], pairs[9])
    other = build(kind, roots, seed=4).draw(np.arange(60))
    assert (other.anchors != whole.anchors).mean() > 0.7


def test_batches_equal_items(pairs: Pairs) -> None:
    numbers = [4, 9, 4, 0]
    batch, listed = pairs.batch(numbers), pairs.__getitems__(numbers)
    for place, number in enumerate(numbers):
        one = pairs[number]
        assert same(listed[place], one)
        assert same(Pair(*(field[place] for field in batch)), one)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1, 2])
def test_loaders_give_the_same_for_any_number_of_workers(pairs: Pairs, workers: int) -> None:
    pairs.draw(np.arange(10))  # faiss has run in this process before the workers are forked
    batches = list(pairs.loader(4, workers=workers, steps=3))
    for step, batch in enumerate(batches):
        assert same(batch, pairs.batch(range(4 * step, 4 * step + 4)))
    plain = DataLoader(pairs, batch_size=4, num_workers=workers)
    for ours, theirs in zip(batches, plain, strict=False):
        assert same(ours, theirs)


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_share_each_step(pairs: Pairs, world_size: int) -> None:
    alone = list(pairs.loader(6, steps=3))
    shares = zip(
        *(pairs.loader(6, steps=3, rank=r, world_size=world_size) for r in range(world_size)),
        strict=True,
    )
    for batch, parts in zip(alone, shares, strict=True):
        assert same(batch, Pair(*(torch.cat(fields) for fields in zip(*parts, strict=True))))


def test_a_loader_can_begin_later(pairs: Pairs) -> None:
    whole, late = list(pairs.loader(3, steps=5)), list(pairs.loader(3, first=2, steps=3))
    assert all(same(a, b) for a, b in zip(whole[2:], late, strict=True))
    assert len(list(pairs.loader(3))) == len(pairs) // 3


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_can_keep_the_latents_to_itself(pairs: Pairs, workers: int) -> None:
    [batch] = pairs.loader(4, steps=1, workers=workers, latents=False)
    assert batch.latents is batch.positive_latents is None
    assert torch.equal(batch.image, pairs.batch(range(4)).image)


def test_images_come_out_channels_last(pairs: Pairs) -> None:
    if not pairs.changes_images:
        assert pairs.batch(range(4)).image.is_contiguous(memory_format=torch.channels_last)


def test_survives_pickling_after_use(pairs: Pairs) -> None:
    before = pairs[3]
    assert same(pickle.loads(pickle.dumps(pairs))[3], before)


def test_packs_change_nothing(roots: dict[str, Path]) -> None:
    ours, theirs = (
        PositivePairs(ThreeDIdent(roots[name]), Normal(0.2)) for name in ("packed", "plain")
    )
    assert same(ours.batch(range(50)), theirs.batch(range(50)))


def test_tensors_draw_what_arrays_draw(pairs: Pairs) -> None:
    arrays, tensors = pairs.draw(np.arange(100)), pairs.draw(torch.arange(100))
    for array, tensor in zip(arrays, tensors, strict=True):
        assert isinstance(tensor, torch.Tensor)
        assert tensor.numpy() == pytest.approx(array, abs=1e-12)
    assert (tensors.positives.numpy() == arrays.positives).all()


@pytest.mark.parametrize(
    "kind", ["row", "marginal", "augmented", pytest.param("rendered", marks=pytest.mark.slow)]
)
def test_resident_pairs_are_those_of_the_loader(kind: str, roots: dict[str, Path]) -> None:
    pairs = build(kind, roots)
    resident = ResidentPairs(pairs, "cpu")
    for ours, theirs in zip(resident.batches(6, steps=4), pairs.loader(6, steps=4), strict=True):
        assert same(ours, theirs)
        assert ours.image.is_contiguous(memory_format=torch.channels_last)
    shares = resident.batches(6, first=1, steps=1, rank=1, world_size=2, latents=False)
    [share] = shares
    assert torch.equal(share.image, pairs.batch(range(9, 12)).image)
    assert share.latents is None


def test_resident_pairs_need_packed_images_as_they_are(roots: dict[str, Path]) -> None:
    cpu = torch.device("cpu")
    plain = ThreeDIdent(roots["plain"])
    with pytest.raises(ValueError, match="expected a pack of 16 pixels, found none"):
        ResidentPairs(PositivePairs(plain, Normal(0.1)), cpu)
    changed = ThreeDIdent(roots["packed"], transform=lambda picture: picture)
    with pytest.raises(ValueError, match="expected a data set without a transform"):
        ResidentPairs(PositivePairs(changed, Normal(0.1)), cpu)
    one_by_one = AugmentedPairs(ThreeDIdent(roots["packed"]), lambda image: image.flip(-1))
    with pytest.raises(ValueError, match="found AugmentedPairs by a function of one image"):
        ResidentPairs(one_by_one, cpu)


def test_a_transform_makes_the_images(roots: dict[str, Path]) -> None:
    def darker(picture: object) -> torch.Tensor:
        return torch.from_numpy(np.asarray(picture).astype(np.float32) / 510).permute(2, 0, 1)

    changed = PositivePairs(ThreeDIdent(roots["packed"], transform=darker), Normal(0.2))
    plain = PositivePairs(ThreeDIdent(roots["packed"]), Normal(0.2))
    [batch] = changed.loader(5, steps=1)
    assert batch.image == pytest.approx(plain.batch(range(5)).image / 510)
    assert torch.equal(changed[3].positive_image, batch.positive_image[3])


def test_length_and_ends(roots: dict[str, Path]) -> None:
    assert len(build("row", roots)) == 120
    pairs = build("row", roots, length=3)
    assert len(pairs) == len(list(pairs)) == 3  # type: ignore[call-overload]
    assert same(pairs[-1], pairs[2])
    assert same(pairs[np.int64(1)], pairs[torch.tensor(1)])  # type: ignore[index]
    with pytest.raises(IndexError):
        pairs[3]
    with pytest.raises(TypeError):
        pairs[0:2]  # type: ignore[index]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("field", "value"), [("seed", -1), ("length", 0)])
def test_bad_numbers(kind: str, roots: dict[str, Path], field: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{field}: expected"):
        build(kind, roots, **{field: value})


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"rank": 2, "world_size": 2}, "rank: expected 0 to 1, found 2"),
        ({"world_size": 4}, "batch_size: expected a positive multiple of the 4 ranks, found 6"),
        ({"first": -1}, "first: expected a step"),
    ],
)
def test_impossible_loaders(pairs: Pairs, asked: dict[str, int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        next(pairs.loader(6, steps=2, **asked))  # type: ignore[arg-type]


class Killed(torch.utils.data.Dataset[int]):
    """Stands for a transform: its process is killed when it comes to row 20."""

    def __call__(self, picture: object) -> torch.Tensor:
        if int(np.asarray(picture).sum()) % 5 == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return torch.zeros(3)


def test_a_killed_loader_process_is_one_line(roots: dict[str, Path]) -> None:
    data = ThreeDIdent(roots["packed"], transform=Killed())
    pairs = PositivePairs(data, Normal(0.1))
    with pytest.raises(
        ValueError, match="loader: expected its processes to keep running, but"
    ) as error:
        list(pairs.loader(8, workers=2))
    assert "\n" not in str(error.value)


def test_an_error_in_a_loader_process_is_its_own_line(roots: dict[str, Path]) -> None:
    def broken(_: object) -> torch.Tensor:
        raise ValueError("picture: expected a teapot, found none; look again")

    pairs = PositivePairs(ThreeDIdent(roots["packed"], transform=broken), Normal(0.1))
    with pytest.raises(ValueError, match=r"^picture: expected a teapot, found none; look again$"):
        list(pairs.loader(8, workers=2))


def test_the_positives_of_rendered_pairs_are_their_own_images(tmp_path: Path) -> None:
    """Anchors and positives are the same rows of two splits."""
    anchors, positives = (ThreeDIdent(make_images(tmp_path / name, n=8)) for name in "ab")
    positives = positives.take(range(7, -1, -1))

    class Rendered(AugmentedPairs):
        changes_images = False

        def shown(self, items: object, image: object, positive: object) -> tuple[object, object]:  # noqa: ARG002
            return image, positive

    pairs = Rendered(anchors)
    pairs.positives = positives
    draw, batch = pairs.draw(np.arange(8)), pairs.batch(range(8))
    assert torch.equal(batch.image, anchors.images(draw.anchors))
    assert torch.equal(batch.positive_image, positives.images(draw.anchors))
    assert not torch.equal(batch.image, batch.positive_image)
