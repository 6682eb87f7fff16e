"""The published protocol against the published formulas, computed independently in float64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.special import logsumexp
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from torch import nn

from benchmark.config import Config
from benchmark.protocol import VERSION, label, procedure_of, require_current
from benchmark.ranks import Ranks
from benchmark.runs.completion import complete
from benchmark.runs.opening import open_source, resolve
from benchmark.runs.options import Options
from benchmark.sources.source import Batch, Machine, Source
from benchmark.training.evaluation import score_codes, scored_latents
from benchmark.training.objective import Objective
from tests.conftest import make_images
from tests.pedestrians import make_pickle
from tests.small_runs import results, run
from threedident import ThreeDIdent, load_encoder

Array = NDArray[np.float64]
CPU = Machine(torch.device("cpu"))
TIGHT = 1e-6


class Spread(nn.Linear):
    """A linear encoder whose codes are far apart."""

    def __init__(self, codes: int) -> None:
        super().__init__(3, codes)
        nn.init.normal_(self.weight, std=3.0)


class Normed(nn.Sequential):
    """An encoder that is BatchNorm alone."""

    def __init__(self, codes: int) -> None:
        super().__init__(nn.BatchNorm1d(codes))


def opened(**asked: Any) -> tuple[Config, Source]:
    mixing = {"source": "mixing", "factors": 3, "batch_size": 32, "steps": 1}
    options = complete(Options(**{**mixing, "protocol": "published", **asked}))
    source = open_source(options)
    return resolve(options, source), source


def objective(**asked: Any) -> tuple[Objective, Batch]:
    config, source = opened(**asked)
    batch = next(source.batches(0, range(1), config.batch_size, CPU))
    return Objective(config, source, 0, Ranks()), batch


def published_loss(u: Array, v: Array, loss: str, tau: float) -> float:
    """The mean of -s(u, v) / tau + log of the sum over the positive and all anchors."""
    if loss == "dot":
        positive, negative = (u * v).sum(1), u @ u.T
    else:
        power = int(loss[1:])
        positive = -(np.abs(u - v) ** power).sum(1)
        negative = -(np.abs(u[:, None] - u[None]) ** power).sum(2)
    both = np.concatenate([negative, positive[:, None]], axis=1) / tau
    return float((logsumexp(both, axis=1) - positive / tau).mean())


@pytest.mark.parametrize("tau", [1.0, 0.3])
@pytest.mark.parametrize("loss", ["l1", "l2", "l3", "dot"])
def test_an_anchor_is_one_of_its_negatives(loss: str, tau: float) -> None:
    space = "sphere" if loss == "dot" else "unbounded"
    asked = {"loss": loss, "temperature": tau, "output_space": space}
    found, batch = objective(**asked, encoder=f"{__name__}:Spread")
    assert batch.positives is not None
    views = batch.anchors, batch.positives
    u, v = (found.model(view).detach().double().numpy() for view in views)
    value = found(batch)["loss"].item()
    assert value == pytest.approx(published_loss(u, v, loss, tau), rel=TIGHT)
    ours, _ = objective(**asked, encoder=f"{__name__}:Spread", protocol="held-out")
    assert ours(batch)["loss"].item() < value - 1e-3  # one term fewer in the denominator


def standardised(rows: Array) -> Array:
    return (rows - rows.mean(axis=0)) / np.sqrt(rows.var(axis=0) + 1e-5)


def test_batch_norm_sees_one_view_at_a_time() -> None:
    encoder = {"encoder": f"{__name__}:Normed", "loss": "l2", "output_space": "unbounded"}
    found, batch = objective(**encoder)
    assert batch.positives is not None
    views = [view.double().numpy() for view in (batch.anchors, batch.positives + 1)]
    shifted = Batch(batch.anchors, batch.positives + 1, batch.latents)
    expected = published_loss(*map(standardised, views), "l2", 1.0)
    assert found(shifted)["loss"].item() == pytest.approx(expected, rel=TIGHT)
    together, _ = objective(**encoder, protocol="held-out")
    joint = standardised(np.concatenate(views))
    codes = together.model(torch.cat(shifted.observations)).detach().numpy()
    assert codes == pytest.approx(joint, abs=1e-5)
    assert together(shifted)["loss"].item() > expected + 1


@pytest.mark.parametrize("space", ["box", "sphere", "learned-sphere", "unbounded"])
def test_supervised_codes_go_through_any_output_space(space: str) -> None:
    found, batch = objective(loss="supervised", output_space=space)
    codes = found.model(batch.anchors).detach().double().numpy()
    error = np.mean((codes - batch.latents.double().numpy()) ** 2)
    assert found(batch)["loss"].item() == pytest.approx(error, rel=TIGHT)


def published_mcc(latents: Array, codes: Array) -> float:
    n = latents.shape[1]
    correlation = np.abs(np.corrcoef(latents.T, codes.T)[:n, n:])
    return float(correlation[linear_sum_assignment(-correlation)].mean())


@pytest.mark.parametrize("noise", [0.1, 30.0])
def test_mixing_is_fitted_and_scored_on_ten_batches(noise: float) -> None:
    config, source = opened()
    latents = scored_latents(config, source, 0)
    rng = np.random.default_rng(0)
    mixed = latents @ rng.normal(size=(3, 3)) + noise * rng.normal(size=latents.shape)
    codes = (mixed + np.linspace(0, 5, len(mixed))[:, None]).astype(np.float32)
    found = score_codes(config, source, 0, codes)
    z, c = latents.astype(np.float64), codes.astype(np.float64)
    parts = [slice(6144 * k, 6144 * (k + 1)) for k in range(10)]
    r2 = [r2_score(z[p], LinearRegression().fit(c[p], z[p]).predict(c[p])) for p in parts]
    assert len(latents) == 10 * 6144
    assert found.r2 == pytest.approx(np.mean(r2), abs=TIGHT)
    mcc = np.mean([published_mcc(z[p], c[p]) for p in parts])
    assert found.mcc == pytest.approx(mcc, abs=TIGHT)
    assert found.r2_per_factor.mean() == pytest.approx(found.r2)
    assert found.r2 >= 0  # rows that were fitted are never predicted worse than by their mean
    assert type(found).from_json(found.to_json()).r2 == found.r2


class Rows:
    """A source with latents alone."""

    labels, spare_codes, circular = ("a", "b", "c"), False, (False, False, False)

    def __init__(self, latents: NDArray[np.float32]) -> None:
        self._latents = latents

    def latents(self, seed: int) -> NDArray[np.float32]:  # noqa: ARG002
        return self._latents


def test_images_are_fitted_on_the_first_half_of_4096_rows(tmp_path: Path) -> None:
    data = make_images(tmp_path, n=40)
    config, _ = opened(source="nearest", data=data, factors=None)
    rng = np.random.default_rng(1)
    z = rng.random((5000, 3)).astype(np.float32)
    codes = (z @ rng.normal(size=(3, 3)) + rng.normal(size=z.shape)).astype(np.float32)[:4096]
    found = score_codes(config, Rows(z), 0, codes)  # type: ignore[arg-type]
    readout = LinearRegression().fit(codes[:2048], z[:2048])
    expected = r2_score(z[2048:4096], readout.predict(codes[2048:]))
    assert found.r2 == pytest.approx(expected, abs=TIGHT)
    assert found.mcc == pytest.approx(published_mcc(z[:4096], codes), abs=TIGHT)
    with pytest.raises(ValueError, match="at least 4096 test rows for published, found 4095"):
        scored_latents(config, Rows(z[:4095]), 0)  # type: ignore[arg-type]


def test_images_are_normalised_by_the_mean_of_their_own_deviations(tmp_path: Path) -> None:
    data = make_images(tmp_path, n=40)
    given = {"source": "nearest", "data": data, "encoder": "conv", "factors": None}
    config, source = opened(**given)
    images = next(source.batches(0, range(1), 32, CPU)).anchors
    pixels = source.train.images(range(40)).double().numpy() / 255  # type: ignore[attr-defined]
    mean = pixels.mean(axis=(0, 2, 3))[:, None, None]
    deviation = pixels.reshape(40, 3, -1).std(axis=2, ddof=1).mean(axis=0)[:, None, None]
    found = Objective(config, source, 0, Ranks()).model[0](images).numpy()
    expected = (images.numpy() / 255 - mean) / deviation
    assert np.abs(found - expected).max() < 1e-5  # inputs are float32
    held_out, ours = opened(**given, protocol="held-out")
    other = Objective(held_out, ours, 0, Ranks()).model[0](images).numpy()
    assert np.abs(found - other).max() > 0.1


def test_anchors_come_from_the_marginal_or_with_replacement(tmp_path: Path) -> None:
    data = make_images(tmp_path, n=40)
    config, _ = opened(source="nearest", data=data, factors=None)
    assert config.source.anchor == "marginal"  # type: ignore[union-attr]
    for asked in ({"source": "augmented"}, {"loss": "supervised"}, {"anchor": "row"}):
        for protocol, once in (("held-out", True), ("published", False)):
            given = {"source": "nearest", "data": data, "factors": None, **asked}
            _, source = opened(**given, protocol=protocol, batch_size=40)
            latents = next(source.batches(0, range(1), 40, CPU)).latents
            assert (len(latents.unique(dim=0)) == 40) == once


def test_augmented_crops_are_bicubic_and_not_blurred(tmp_path: Path) -> None:
    data = make_images(tmp_path, n=40)
    for protocol, ours in (("held-out", True), ("published", False)):
        _, source = opened(source="augmented", data=data, protocol=protocol, factors=None)
        law = source.pairs(0).law()["two views by"]  # type: ignore[attr-defined]
        assert ("blurred=True" in law) == ours
        assert ("bicubic=True" in law) != ours


def test_all_tracks_are_trained_on_and_scored(tmp_path: Path) -> None:
    data = make_pickle(tmp_path, [5] * 20, edge=64)
    given = {"source": "kitti", "data": data, "factors": None}
    config, source = opened(**given)
    assert (config.encoder, config.score_on, config.extent) == ("kitti-conv", "train", 1.0)
    assert source.size == 80
    latents = source.latents(0)
    frames = source.train.latents  # type: ignore[attr-defined]
    anchors = np.delete(frames, np.arange(4, 100, 5), axis=0)
    assert len(latents) == 80  # of at most 10,000
    assert np.array_equal(np.sort(latents, axis=0), np.sort(anchors, axis=0))
    assert not np.array_equal(latents, anchors)
    assert sum(map(len, source.held_out(0, 80, CPU))) == 80
    with pytest.raises(ValueError, match="trains on all tracks, found test"):
        opened(**given, score_on="test")
    _, ours = opened(**given, protocol="held-out", score_on="train")
    scored, trained = ours.latents(0), ours.train.latents  # type: ignore[attr-defined]
    assert np.array_equal(np.sort(scored, axis=0), np.sort(trained, axis=0))


def test_the_train_split_is_scored_on_request(tmp_path: Path) -> None:
    data = make_images(tmp_path, n=40)
    given = {"source": "nearest", "data": data, "protocol": "held-out", "factors": None}
    config, source = opened(**given, score_on="train")
    assert config.score_on == "train"
    assert np.array_equal(source.latents(0), source.train.latents)  # type: ignore[attr-defined]
    images = torch.cat(list(source.held_out(0, 30, CPU)))
    assert torch.equal(images, source.train.images(range(30)))  # type: ignore[attr-defined]


def test_runs_of_earlier_versions_keep_their_procedure() -> None:
    config, _ = opened()
    assert config.protocol_version == VERSION
    assert label(config) == "published"
    require_current("run", config)
    early = config.model_copy(update={"protocol_version": 1})
    followed = procedure_of(early)
    assert followed.batch_statistics
    assert not followed.anchor_as_negative
    assert {rows.rows for rows in followed.scored.values()} == {4096}
    assert label(early) == "published-1"
    with pytest.raises(ValueError, match="run: expected a run by version 2 of the published"):
        require_current("run", early)
    held_out, _ = opened(protocol="held-out")
    assert (held_out.protocol_version, label(held_out)) == (1, "held-out")
    require_current("run", held_out)


@pytest.mark.slow
def test_a_run_holds_its_normalisation_and_goes_on(tmp_path: Path) -> None:
    data = make_images(tmp_path / "data", n=60, n_test=4096, edge=8)
    out = tmp_path / "run"
    found = run(data, out, "--protocol", "published", "--steps", 2)
    assert (found["rows"], found["protocol"], found["split"]) == (4096, "published", "test")
    encoder = load_encoder(out)
    deviations = ThreeDIdent(data).image_deviations()
    assert encoder.model[0].std.flatten().numpy() == pytest.approx(255 * deviations, rel=TIGHT)
    before = results(out)
    (out / "scores.json").unlink()
    assert run(data, out, "--protocol", "published", "--steps", 2, "--resume") == found
    assert results(out) == before
