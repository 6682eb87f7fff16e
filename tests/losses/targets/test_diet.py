"""DIET: the cross-entropy of row numbers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from benchmark.losses.match import mismatch
from benchmark.losses.targets.diet import DIET
from benchmark.losses.views import Views
from benchmark.runs.completion import complete
from benchmark.runs.opening import open_source, resolve
from benchmark.runs.options import Options
from benchmark.sources.source import Machine
from tests.conftest import make_images
from tests.losses.codes_and_sums import codes
from threedident import ThreeDIdent

ROWS = torch.tensor([3, 0, 7, 3, 9, 1])


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("anchors", [False, True])
def test_value_and_gradient_are_those_of_cross_entropy(normalised: bool, anchors: bool) -> None:
    u, v = codes(6, 6)
    options: dict[str, Any] = {"normalised": normalised, "anchors": anchors, "temperature": 0.4}
    loss = DIET(3, 10, **options).double()
    found = loss(Views(codes=u, positives=v, rows=ROWS))["loss"]
    x, rows = (torch.cat([u, v]), ROWS.repeat(2)) if anchors else (v, ROWS)
    weights = loss.weight
    if normalised:
        x, weights = normalize(x, dim=1), normalize(weights, dim=1)
    expected = cross_entropy(x @ weights.T / 0.4, rows)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        torch.autograd.grad(found, (v, loss.weight)),
        torch.autograd.grad(expected, (v, loss.weight)),
    )


def test_a_sample_of_rows_gives_the_denominator_in_the_mean() -> None:
    _, v = codes(6, 6)
    torch.manual_seed(0)
    exact = DIET(3, 500).double()
    sampled = DIET(3, 500, sampled=50).double()
    sampled.load_state_dict(exact.state_dict())
    with torch.no_grad():
        own = (v * exact.weight[ROWS]).sum(1)
        sums = [sampled._rivals(v, ROWS).exp().sum(1) for _ in range(3000)]
        expected = (v @ exact.weight.T).exp().sum(1) - own.exp()
        mean = torch.stack(sums).mean(0)
    assert mean.numpy() == pytest.approx(expected.numpy(), rel=0.02)
    loss = sampled(Views(codes=v, positives=v, rows=ROWS))["loss"]
    assert loss.item() == pytest.approx(
        exact(Views(codes=v, positives=v, rows=ROWS))["loss"].item(), abs=0.3
    )


def test_many_rows_are_sampled_unless_told_otherwise() -> None:
    assert DIET(2, 16_384)._sampled == 0
    assert DIET(2, 16_385)._sampled == 4096
    assert DIET(2, 100, sampled=7)._sampled == 7


def test_the_best_rows_are_recognised() -> None:
    loss = DIET(2, 4)
    angles = torch.arange(4) * math.pi / 2
    vectors = torch.stack([angles.cos(), angles.sin()], 1)
    loss.weight.data = vectors
    views = Views(codes=vectors, positives=vectors, rows=torch.arange(4))
    assert loss(views)["accuracy"] == 1
    turned = Views(codes=vectors, positives=vectors.roll(1, 0), rows=torch.arange(4))
    assert loss(turned)["accuracy"] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"temperature": 0.0}, "temperature: expected a positive number, found 0.0"),
        ({"sampled": -1}, "sampled: expected at least 0, found -1"),
    ],
)
def test_arguments_out_of_bounds_are_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        DIET(3, 10, **arguments)


def test_mixing_numbers_its_anchors() -> None:
    asked = Options(
        source="mixing", factors=3, loss="diet", space="sphere", conditional="vmf", sigma=0.1
    )
    options = complete(asked.replace(anchor_rows=20))
    assert options.output_space == "unbounded"
    source = open_source(options)
    assert source.rows == 20
    machine = Machine(torch.device("cpu"))
    batches = list(source.batches(0, range(4), 64, machine))
    rows = torch.cat([batch.rows for batch in batches if batch.rows is not None])
    latents = torch.cat([batch.latents for batch in batches])
    assert (rows.bincount(minlength=20) > 0).all()
    assert len(latents.unique(dim=0)) == 20
    for row in range(20):
        assert len(latents[rows == row].unique(dim=0)) == 1
    positives = torch.cat([batch.positives for batch in batches if batch.positives is not None])
    assert len(positives.unique(dim=0)) == 256
    again = next(source.batches(0, range(2, 3), 64, machine))
    assert torch.equal(again.anchors, batches[2].anchors)
    assert again.rows is not None
    assert torch.equal(again.rows, rows[128:192])
    assert mismatch(resolve(options, source)) is None


def test_a_source_without_rows_is_refused() -> None:
    from benchmark.ranks import Ranks
    from benchmark.training.objective import Objective

    options = complete(Options(source="mixing", factors=3, loss="diet", batch_size=8, steps=1))
    source = open_source(options)
    assert source.rows is None
    with pytest.raises(ValueError, match="a source whose anchors are numbered rows for diet"):
        Objective(resolve(options, source), source, 0, Ranks())


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (
            {"loss": "supervised", "anchor_rows": 5},
            "--anchor-rows: expected with a contrastive --loss",
        ),
        ({"loss": "diet", "temperature": 1.0}, "--temperature: expected with a contrastive"),
        ({"loss": "diet", "output_space": "box"}, "fits the loss diet"),
        ({"source": "nearest", "anchor_rows": 5}, "--anchor-rows: expected with --source mixing"),
    ],
)
def test_options_that_do_not_fit_are_refused(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        complete(Options(**{"source": "mixing", **asked}))


def test_violated_assumptions_are_named() -> None:
    for asked, words in (
        ({}, "latents do not lie on a sphere"),
        ({"space": "sphere"}, "positives are not von Mises-Fisher"),
        (
            {"space": "sphere", "conditional": "vmf", "marginal": "normal"},
            "not uniform, but normal",
        ),
    ):
        options = complete(Options(source="mixing", factors=3, loss="diet", **asked))
        assert words in str(mismatch(resolve(options, open_source(options))))


def test_rows_of_images_are_those_of_the_anchors(tmp_path: Path) -> None:
    data = make_images(tmp_path, n=30, n_test=10)
    for source in ("nearest", "augmented"):
        options = complete(Options(source=source, data=data, loss="diet", batch_size=8, steps=1))
        images = open_source(options)
        assert images.rows == 30
        latents = ThreeDIdent(data).latents
        for batch in images.batches(0, range(2, 5), 8, Machine(torch.device("cpu"))):
            assert batch.rows is not None
            assert torch.equal(batch.latents, torch.from_numpy(latents[batch.rows.numpy()]))
    drawn = complete(Options(data=data, loss="diet", anchor="marginal", batch_size=8, steps=1))
    assert open_source(drawn).rows is None
