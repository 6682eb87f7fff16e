from __future__ import annotations

import hashlib
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage, stats

from benchmark.sources.kitti_masks.tracks import LABELS, KittiMasks, MaskPairs, load_masks
from tests.conditionals.laws import LEVEL
from tests.pedestrians import make_pickle, make_tracks, published, write_pickle
from threedident.pairs.loader import load, slices

LENGTHS = [2, 9, 1, 5, 30, 2, 3, 14, 7, 1, 6, 8]


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory) -> KittiMasks:
    return load_masks(make_pickle(tmp_path_factory.mktemp("kitti"), LENGTHS))


def track_of(masks: KittiMasks, rows: np.ndarray) -> np.ndarray:
    return np.searchsorted(masks.starts, rows, side="right") - 1


def forward(lengths: list[int], distance: int) -> np.ndarray:
    """Probability of every pair of frames, by the published rule, counted one by one."""
    n = sum(lengths)
    law, start = np.zeros((n, n)), 0
    for length in lengths:
        last = start + length - 1
        for anchor in range(start, last):
            for step in range(1, distance + 1):
                law[anchor, min(anchor + step, last)] += 1
        start += length
    return law / law.sum()


def test_frames_are_the_files(masks: KittiMasks) -> None:
    tracks = make_tracks(LENGTHS)
    assert np.diff(masks.starts).tolist() == LENGTHS
    assert masks.frames.dtype == np.uint8
    assert (masks.frames == np.concatenate(tracks) * np.uint8(255)).all()
    images = masks.images([3, 0])
    assert images.shape == (2, 1, 16, 16)
    assert (images[:, 0].numpy() == masks.frames[[3, 0]]).all()
    assert torch.equal(masks.images([3, 0], shared=True), images)


def test_latents_are_centre_of_mass_and_area(masks: KittiMasks) -> None:
    assert masks.latents.dtype == np.float32
    assert len(LABELS) == masks.latents.shape[1] == 3
    for frame, latents in zip(masks.frames, masks.latents, strict=True):
        expected = (*ndimage.center_of_mass(frame), np.count_nonzero(frame))
        np.testing.assert_allclose(latents, expected, rtol=1e-6)


@pytest.mark.parametrize("protocol", [3, 4])
def test_kinds_of_masks_that_mean_the_same(
    tmp_path: Path, masks: KittiMasks, protocol: int
) -> None:
    tracks, latents = published(make_tracks(LENGTHS)).values()
    kinds: list[tuple[Any, Any]] = [
        (tuple(tracks), tuple(latents)),
        ([track.astype(np.uint8) for track in tracks], latents),
        ([track * np.uint8(255) for track in tracks], latents),
        ([np.asfortranarray(track) for track in tracks], latents),
        (tracks, [track.astype(float) for track in latents]),
    ]
    for kind in kinds:
        content = dict(zip(("pedestrians", "pedestrians_latents"), kind, strict=True))
        same = load_masks(write_pickle(tmp_path, {"more": 1, **content}, protocol))
        assert (same.frames == masks.frames).all()
        assert (same.latents == masks.latents).all()
        assert (same.starts == masks.starts).all()


def test_the_digest_is_the_files(tmp_path: Path) -> None:
    path = make_pickle(tmp_path, [3, 2])
    assert load_masks(str(path)).digest == hashlib.sha256(path.read_bytes()).hexdigest()


def test_arrays_are_read_only(masks: KittiMasks) -> None:
    for part in (masks, *masks.split()):
        for array in (part.frames, part.latents, part.starts):
            assert not array.flags.writeable


def test_the_split_parts_the_tracks(tmp_path: Path) -> None:
    lengths = list(range(1, 41))
    whole = load_masks(make_pickle(tmp_path, lengths))
    train, test = whole.split()
    assert len(test.starts) - 1 == 4
    kept, held = np.diff(train.starts).tolist(), np.diff(test.starts).tolist()
    assert sorted(kept + held) == lengths
    for part, tracks in ((train, kept), (test, held)):
        rows = np.concatenate([np.arange(whole.starts[i - 1], whole.starts[i]) for i in tracks])
        assert (part.frames == whole.frames[rows]).all()
        assert (part.latents == whole.latents[rows]).all()
        assert part.digest == whole.digest
    again = whole.split()[1]
    assert (again.frames == test.frames).all()


def test_the_split_depends_on_the_number_of_tracks_alone(tmp_path: Path) -> None:
    held = []
    for lengths in ([3] * 30, [1, 2] * 15):
        whole = load_masks(make_pickle(tmp_path, lengths))
        coded = KittiMasks(
            whole.frames,
            np.repeat(np.arange(30, dtype=np.float32), lengths)[:, None],
            whole.starts,
            whole.digest,
        )
        held.append(np.unique(coded.split()[1].latents).tolist())
    assert held[0] == held[1]
    assert len(held[0]) == 3


def test_one_track_cannot_be_split(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="tracks: expected 2 or more to split, found 1"):
        load_masks(make_pickle(tmp_path, [5])).split()


@pytest.mark.parametrize("distance", [1, 2, 5, 1000])
def test_pairs_follow_the_published_rule(masks: KittiMasks, distance: int) -> None:
    n = 200_000
    anchors, positives = MaskPairs(masks, distance, seed=3).draw(range(n))
    assert (track_of(masks, anchors) == track_of(masks, positives)).all()
    assert (anchors < positives).all()
    assert (positives - anchors).max() <= distance
    law = forward(LENGTHS, distance)
    seen = np.zeros_like(law)
    np.add.at(seen, (anchors, positives), 1)
    assert not seen[law == 0].any()
    assert stats.chisquare(seen[law > 0], n * law[law > 0]).pvalue > LEVEL


def test_within_a_track_every_distance_is_as_probable(tmp_path: Path) -> None:
    masks = load_masks(make_pickle(tmp_path, [400]))
    anchors, positives = MaskPairs(masks, 5).draw(range(50_000))
    inner = anchors < 400 - 5
    counts = np.bincount((positives - anchors)[inner], minlength=6)[1:]
    assert stats.chisquare(counts).pvalue > LEVEL
    assert stats.chisquare(np.bincount(anchors, minlength=399)).pvalue > LEVEL


def test_a_batch_holds_the_frames_of_its_draw(masks: KittiMasks) -> None:
    pairs = MaskPairs(masks, 5, seed=1)
    batch, (anchors, positives) = pairs.batch(range(50)), pairs.draw(range(50))
    for image, latents, rows in (
        (batch.image, batch.latents, anchors),
        (batch.positive_image, batch.positive_latents, positives),
    ):
        assert latents is not None
        assert image.dtype == torch.uint8
        assert (image[:, 0].numpy() == masks.frames[rows]).all()
        assert latents.dtype == torch.float32
        assert (latents.numpy() == masks.latents[rows]).all()


def test_pairs_are_addressed(masks: KittiMasks) -> None:
    whole = MaskPairs(masks, 5, seed=1).batch(range(20))
    for items in (range(5, 9), range(0), np.array([19, 0, 7, 7])):
        part = MaskPairs(masks, 5, seed=1).batch(items)
        for some, all_ in zip(part, whole, strict=True):
            assert torch.equal(some, all_[np.asarray(items, int)])
    other = MaskPairs(masks, 5, seed=2).batch(range(20))
    assert not torch.equal(other.latents, whole.latents)


def test_ranks_share_the_batches_of_one(masks: KittiMasks) -> None:
    pairs = MaskPairs(masks, 5)
    for step, items in enumerate(slices(8, 0, 4)):
        shares = [slices(8, 0, 4, rank, 2)[step] for rank in range(2)]
        both = [pairs.batch(share) for share in shares]
        for field, *parts in zip(pairs.batch(items), *both, strict=True):
            assert torch.equal(field, torch.cat(parts))


def test_loader_processes_make_the_same_batches(masks: KittiMasks) -> None:
    pairs = MaskPairs(masks, 5)
    here, there = (list(load(pairs.batch, slices(8, 0, 3), workers)) for workers in (0, 1))
    for a, b in zip(here, there, strict=True):
        assert all(torch.equal(*fields) for fields in zip(a, b, strict=True))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"max_distance": 0}, "max_distance: expected at least 1 frame, found 0"),
        (
            {"max_distance": 1, "seed": -1},
            r"seed: expected an integer from 0 to 2\^63 - 1, found -1",
        ),
    ],
)
def test_impossible_pairs(masks: KittiMasks, arguments: dict[str, int], words: str) -> None:
    with pytest.raises(ValueError, match=f"^{words}"):
        MaskPairs(masks, **arguments)


def test_single_frames_make_no_pairs(tmp_path: Path) -> None:
    masks = load_masks(make_pickle(tmp_path, [1, 1]))
    with pytest.raises(ValueError, match="masks: expected a track of 2 frames or more"):
        MaskPairs(masks, 1)


def spoiled() -> dict[str, tuple[object, str]]:
    """Files that hold no masks, each with what the refusal says."""
    good = published(make_tracks([3, 2, 4]))
    tracks, latents = good["pedestrians"], good["pedestrians_latents"]
    one = np.ones((40, 64, 64), bool)

    def with_track(track: object) -> dict[str, Any]:
        return {**good, "pedestrians": [tracks[0], track, tracks[2]]}

    def with_latents(track: object) -> dict[str, Any]:
        return {**good, "pedestrians_latents": [latents[0], track, latents[2]]}

    def with_value(value: float) -> dict[str, Any]:
        return with_latents(np.full((2, 3), value))

    return {
        "list": ([1], "found NoneType and NoneType"),
        "no latents": ({"pedestrians": tracks}, "found list and NoneType"),
        "no lists": ({**good, "pedestrians": one}, "found ndarray and list"),
        "no tracks": ({key: [] for key in good}, "found 0 of masks and 0 of latents"),
        "too few": ({**good, "pedestrians": tracks[:2]}, "found 2 of masks and 3 of latents"),
        "text": (with_track("track"), r"pedestrians\[1\]: expected an array .*found str;"),
        "float masks": (with_track(one.astype(float)), r"\[1\]: .*bool or uint8, found float64"),
        "another size": (with_track(one), r"\[1\]: .*found \(40, 64, 64\); scale"),
        "flat": (with_track(tracks[1][0]), r"\[1\]: .*found \(16, 16\);"),
        "grey": (with_track(tracks[1] * np.uint8(254)), r"\[1\]: .*other levels up to 254"),
        "three levels": (
            with_track(np.array([0, 1, 255] * 512, np.uint8).reshape(6, 16, 16)),
            r"\[1\]: .*other levels up to 255",
        ),
        "first is no array": ({**good, "pedestrians": [None] * 3}, r"\[0\]: .*found NoneType"),
        "long latents": (with_latents(latents[0]), r"pedestrians_latents\[1\]: .*\(2, 3\), .*"),
        "list latents": (with_latents([1.0]), r"latents\[1\]: .*found list;"),
        "integers": (with_latents(np.ones((2, 3), int)), r"latents\[1\]: .*found int64 \(2, 3\)"),
        "two factors": (with_latents(latents[1][:, :2].copy()), r"found float32 \(2, 2\)"),
        "nan": (with_value(np.nan), r"latents\[1\]: expected finite numbers"),
        "infinite": (with_value(-np.inf), r"latents\[1\]: expected finite numbers"),
        "beyond float32": (with_value(1e39), r"latents\[1\]: expected finite numbers"),
        "amplified": (
            {"pedestrians": [one] * 9, "pedestrians_latents": [np.ones((40, 3), "f4")] * 9},
            "expected each track once",
        ),
    }


@pytest.mark.parametrize("kind", spoiled())
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, kind: str) -> None:
    content, words = spoiled()[kind]
    path = write_pickle(tmp_path, content)
    with pytest.raises(ValueError, match=rf"^{re.escape(str(path))}: .*{words}") as caught:
        load_masks(path)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_files_of_every_binary_protocol(tmp_path: Path, protocol: int) -> None:
    tracks = make_tracks([3, 5])
    masks = load_masks(write_pickle(tmp_path, published(tracks), protocol))
    np.testing.assert_array_equal(masks.frames, 255 * np.concatenate(tracks).astype(np.uint8))


def test_hostile_files_are_refused(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "sentinel",)

    path = tmp_path / "kitti_peds_v2.pickle"
    path.write_bytes(pickle.dumps({**published(make_tracks([2])), "more": Hostile()}))
    with pytest.raises(ValueError, match="nothing of it was run"):
        load_masks(path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
