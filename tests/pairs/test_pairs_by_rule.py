"""Pairs that follow a rule: what is kept, what is searched, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.spatial.distance import cdist
from torch.utils.data import Subset

from benchmark.measure.synthetic import sparse_pairs
from tests.conftest import DRAFT, cli, done_at_once, make_images, succeeded
from threedident import Normal, PositivePairs, RenderedPairs, ResidentPairs, ThreeDIdent
from threedident.conditionals.rules.spelling import parse_rule
from threedident.latents.layout import layout_of
from threedident.latents.sampling import to_physical
from threedident.pairs import agreement

ROWS = 400
HUES = [7, 8, 9]


def on_a_grid(root: Path, columns: list[int], values: int) -> ThreeDIdent:
    """A packed data set whose latents have a few values in some columns."""
    make_images(root, n=ROWS)
    path = root / "train"
    raw = np.load(path / "raw_latents.npy")
    raw[:, columns] = np.round((raw[:, columns] + 1) / 2 * (values - 1)) / (values - 1) * 2 - 1
    np.save(path / "raw_latents.npy", raw)
    np.save(path / "latents.npy", to_physical(raw))
    done_at_once("pack", root)
    return ThreeDIdent(root)


@pytest.fixture(scope="module")
def hues(tmp_path_factory: pytest.TempPathFactory) -> ThreeDIdent:
    return on_a_grid(tmp_path_factory.mktemp("hues"), HUES, 3)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> ThreeDIdent:
    return on_a_grid(tmp_path_factory.mktemp("grid"), list(range(10)), 2)


def nearest_agreeing(pairs: PositivePairs, columns: list[int]) -> np.ndarray:
    """The nearest other row of equal values, or of all rows if there is none, one by one."""
    z, draw = pairs.dataset.latents, pairs.draw(np.arange(ROWS))
    distances = cdist(draw.z_positive, z)
    distances[np.arange(ROWS), draw.anchors] = np.inf
    agree = (z[draw.anchors][:, None, columns] == z[None, :, columns]).all(axis=2)
    agree[np.arange(ROWS), draw.anchors] = False
    distances[~agree & agree.any(axis=1, keepdims=True)] = np.inf
    return np.asarray(distances.argmin(axis=1))


@pytest.mark.parametrize("anchor", ["row", "marginal"])
@pytest.mark.parametrize("small", [0, 20, 256])
def test_positives_are_the_nearest_rows_that_agree(
    hues: ThreeDIdent, small: int, anchor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agreement, "_SMALL", small)
    pairs = PositivePairs(hues, "hue=keep;rest=normal:0.3", anchor=anchor)  # type: ignore[arg-type]
    draw = pairs.draw(np.arange(ROWS))
    assert (draw.anchors != draw.positives).all()
    assert (draw.positives == nearest_agreeing(pairs, HUES)).all()


def test_what_is_kept_is_delivered_exactly_where_rows_share_it(hues: ThreeDIdent) -> None:
    found = PositivePairs(hues, "hue=keep;x=marginal;rest=normal:0.3").delivered(ROWS)
    assert found.agreeing is not None
    assert found.agreeing > 0.95
    assert not found.requested[HUES].any()
    assert (found.delivered[HUES] < 0.1).all()
    assert (found.delivered[:7] > 0.2).all()
    numbers = found.to_json()
    assert numbers["agreeing"] == found.agreeing
    assert set(numbers["delivered"]) == set(hues.factors)
    assert f"{found.agreeing:.1%} of pairs agree exactly" in repr(found)


def test_continuous_factors_take_part_in_the_distance(hues: ThreeDIdent) -> None:
    """Nothing else can be done: no two rows agree in them."""
    pairs = PositivePairs(hues, "x,hue=keep;rest=normal:0.3")
    assert (pairs.draw(np.arange(ROWS)).positives == nearest_agreeing(pairs, HUES)).all()
    found = pairs.delivered(ROWS)
    assert found.agreeing == 0.0
    assert found.delivered[0] > 0.1 > found.requested[0] == 0.0
    assert "if possible of equal object_hue" in repr(pairs)
    assert "content: x, object_hue, spotlight_hue, background_hue" in repr(pairs)


def test_without_shared_values_the_nearest_row_is_the_positive(tmp_path: Path) -> None:
    data = ThreeDIdent(make_images(tmp_path, n=ROWS))
    pairs = PositivePairs(data, "position=keep;rest=normal:0.1")
    assert (pairs.draw(np.arange(ROWS)).positives == nearest_agreeing(pairs, [])).all()
    assert pairs.delivered(ROWS).agreeing == 0.0


@pytest.mark.parametrize("text", ["hue=keep;rest=normal:0.3", "x=keep;rest=normal:0.3"])
def test_an_approximate_index_serves(
    hues: ThreeDIdent, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agreement, "_SMALL", 10)
    exact, ours = (
        PositivePairs(hues, text, index=kind).draw(np.arange(ROWS)) for kind in ("exact", "ivf")
    )
    assert (exact.positives == ours.positives).mean() > 0.99


@pytest.mark.parametrize("text", ["rest=marginal/1", "position=normal:0.5@0.5;rest=marginal/2"])
def test_each_pair_agrees_in_what_it_keeps_itself(grid: ThreeDIdent, text: str) -> None:
    pairs = PositivePairs(grid, text)
    assert pairs.rule is not None
    draw, changed = pairs.draw(np.arange(ROWS)), pairs.changed(np.arange(ROWS))
    z = grid.latents
    agree = ((z[draw.anchors] == z[draw.positives]) | changed).all(axis=1)
    for number, (anchor, moved) in enumerate(zip(draw.anchors, changed, strict=True)):
        if pairs.rule.masks <= 64:
            others = (z[:, ~moved] == z[anchor, ~moved]).all(axis=1).sum() - 1
            assert agree[number] == (others > 0)
    assert pairs.delivered(ROWS).agreeing == pytest.approx(agree.mean())


def test_masks_are_those_of_the_draws(hues: ThreeDIdent) -> None:
    for anchor in ("row", "marginal"):
        pairs = PositivePairs(hues, "x=keep;rest=normal:0.2@0.5", anchor=anchor)  # type: ignore[arg-type]
        items = np.arange(3 * ROWS)
        draw, changed = pairs.draw(items), pairs.changed(items)
        assert (changed == (draw.z != draw.z_positive)).all()
        some = pairs.draw(items[[900, 7]])
        for field, whole in zip(some, draw, strict=True):
            assert (field == whole[[900, 7]]).all()
        assert (pairs.changed(items[[900, 7]]) == changed[[900, 7]]).all()
        there = pairs.changed(torch.from_numpy(items))
        assert torch.equal(there, torch.from_numpy(changed))
    with pytest.raises(ValueError, match="changed: expected pairs that follow a rule, found Posi"):
        PositivePairs(hues, Normal(0.1)).changed([0])


def test_resident_pairs_are_the_same(hues: ThreeDIdent) -> None:
    pairs = PositivePairs(hues, "hue=keep;x=marginal@0.3;rest=normal:0.3")
    arrays, tensors = pairs.draw(np.arange(ROWS)), pairs.draw(torch.arange(ROWS))
    assert (tensors.positives.numpy() == arrays.positives).all()
    here, there = pairs.batch(range(30)), ResidentPairs(pairs, "cpu").batch(range(30))
    assert torch.equal(here.positive_image, there.positive_image)
    assert torch.equal(here.positive_latents, there.positive_latents)


def test_rows_of_a_subset_agree_among_themselves(hues: ThreeDIdent) -> None:
    pairs = PositivePairs(Subset(hues, range(0, ROWS, 2)), "hue=keep;rest=normal:0.3")
    draw, z = pairs.draw(np.arange(200)), pairs.dataset.latents
    assert (z[draw.anchors][:, HUES] == z[draw.positives][:, HUES]).all(axis=1).mean() > 0.9


def test_rules_fit_the_latents(hues: ThreeDIdent) -> None:
    rule = parse_rule("hue=keep;rest=normal:0.3")
    by_text = PositivePairs(hues, "rest=normal:0.3;hue=keep").draw(np.arange(50))
    assert (PositivePairs(hues, rule).draw(np.arange(50)).positives == by_text.positives).all()
    other = parse_rule("position=keep;rest=marginal", layout_of("periodic"))
    with pytest.raises(
        ValueError, match=r"rule: expected one over x, y, .* x, y, z, sphere; give"
    ):
        PositivePairs(hues, other)
    with pytest.raises(ValueError, match="--pairs: expected FACTORS=ACTION"):
        PositivePairs(hues, "hue=keep")


def test_a_law_of_all_factors_draws_what_it_always_did(hues: ThreeDIdent) -> None:
    for ours, theirs in zip(
        PositivePairs(hues, "normal:0.2").draw(np.arange(ROWS)),
        PositivePairs(hues, Normal(0.2)).draw(np.arange(ROWS)),
        strict=True,
    ):
        assert (ours == theirs).all()
    found = PositivePairs(hues, "normal:0.2").delivered(50)
    assert found.agreeing is None
    assert "agreeing" not in found.to_json()


def test_pairs_in_which_nothing_is_kept_do_not_agree(tmp_path: Path) -> None:
    pairs = PositivePairs(ThreeDIdent(make_images(tmp_path, n=ROWS)), "rest=normal:0.3@0.9")
    assert pairs.changed(np.arange(ROWS)).all(axis=1).mean() > 0.2
    assert pairs.delivered(ROWS).agreeing == 0.0


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_carry_what_changed_beside_their_four_fields(
    hues: ThreeDIdent, workers: int
) -> None:
    pairs = PositivePairs(hues, "x=keep;rest=normal:0.2/3")
    changed = torch.from_numpy(pairs.changed(np.arange(60)))
    loaded = list(pairs.loader(20, steps=3, workers=workers))
    here = list(ResidentPairs(pairs, "cpu").batches(20, steps=3))
    for batches in (loaded, here):
        assert torch.equal(torch.cat([batch.changed for batch in batches]), changed)
        _, _, latents, _ = batches[0]
        assert latents.shape == (20, 10)
    one = pairs.batch([7])
    assert torch.equal(one.changed, changed[[7]])  # type: ignore[attr-defined]
    assert not hasattr(PositivePairs(hues, Normal(0.1)).batch([7]), "changed")


@pytest.mark.parametrize("text", ["hue=keep;x=marginal;rest=normal:0.3", "rest=laplace:0.2/3"])
def test_rendered_positives_follow_their_rule(tmp_path: Path, text: str) -> None:
    sparse_pairs(tmp_path, 4000, 8, text)
    pairs = RenderedPairs(ThreeDIdent(tmp_path))
    raw, positives = pairs.dataset.latents, pairs.positives.latents
    items = np.arange(4000)
    rows, changed = pairs.draw(items).anchors, pairs.changed(items)
    assert ((raw[rows] != positives[rows]) == changed).mean() > 0.9999
    assert (raw[rows].view(np.int32) == positives[rows].view(np.int32))[~changed].all()
    origin = pairs.positives.manifest.origin  # type: ignore[union-attr]
    assert (origin.draw(50) == positives[:50]).all()
    some = [31, 7, 2000]
    part = RenderedPairs(ThreeDIdent(tmp_path).take(some))
    draw = part.draw(np.arange(3))
    differ = raw[some][draw.anchors] != positives[some][draw.positives]
    assert (part.changed(torch.arange(3)).numpy() == differ).all()
    found = pairs.delivered(4000)
    assert found.agreeing == 1.0
    assert np.abs(found.delivered - found.requested).max() < 0.05
    if "hue" in text:
        assert not found.delivered[HUES].any()
        assert stats.kstest(positives[:, 0], stats.uniform(-1, 2).cdf).pvalue > 1e-4


@pytest.mark.slow
def test_images_are_rendered_by_a_rule(tmp_path: Path) -> None:
    line = ("render", "--n", 6, "--n-test", 0, *DRAFT, "--out", tmp_path / "data", "--pairs")
    succeeded(cli(*line, "rest=normal:0.3;hue,x,y,z=keep"))
    raw, positives = (
        np.load(tmp_path / "data" / place / "raw_latents.npy")
        for place in ("train", "train/positives")
    )
    kept = [0, 1, 2, *HUES]
    assert raw[:, kept].tobytes() == positives[:, kept].tobytes()
    assert (raw[:, 3:7] != positives[:, 3:7]).all()
    manifest = json.loads((tmp_path / "data/train/positives/dataset.json").read_text())
    assert manifest["origin"]["conditional"] == "position,hue=keep;rotation,theta=normal:0.3"
    pairs = RenderedPairs(ThreeDIdent(tmp_path / "data"))
    assert pairs.rule is not None
    assert [name for name, role in pairs.rule.roles.items() if role == "style"] == [
        "alpha",
        "beta",
        "gamma",
        "theta",
    ]
    assert torch.equal(pairs[0].latents[kept], pairs[0].positive_latents[kept])
    again = cli(*line, "hue=keep;position=keep;rest=normal:0.3")
    assert "6 train images (0 new), 6 train/positives images (0 new)" in succeeded(again)
    other = cli(*line, "hue=keep;position=keep;rest=normal:0.4")
    assert other.returncode == 2
    assert "conditional" in other.stderr
