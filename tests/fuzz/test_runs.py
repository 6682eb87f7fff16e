"""Runs of the benchmark: configurations, logs, scores, checkpoints and pickles."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any
from warnings import catch_warnings

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from benchmark.comparison.comparison import on_one_split, ranked
from benchmark.comparison.table import as_csv, show
from benchmark.runs.finished import find_runs
from benchmark.runs.loaded import LoadedEncoder, load_encoder
from benchmark.sources.kitti_masks.tracks import KittiMasks, load_masks
from benchmark.training.checkpoint import logged_scores, own_checkpoint, require_own_scores
from benchmark.training.folder import RunFolder
from benchmark.training.log import last_data, read_work
from tests.conftest import done_at_once, make_images
from tests.fuzz.damage.arrays import array_damage
from tests.fuzz.damage.edits import Damage, any_damage, edited
from tests.fuzz.damage.json_texts import json_damage, log_damage
from tests.fuzz.damage.pickled import pickle_damage, state_edits
from tests.fuzz.hunting import Refused, hunt, same
from tests.pedestrians import make_pickle
from threedident.runtime.files import load_npy

Damages = st.SearchStrategy[Damage]
OPTIONS = (
    *("--batch-size", 8, "--learning-rate", "1e-3", "--device", "cpu", "--workers", 0),
    *("--encoder", "tests.fuzz.damage.specimens:Tiny", "--steps", 4),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_images(tmp_path_factory.mktemp("i") / "set", n=40, n_test=40)


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    out = tmp_path_factory.mktemp("o") / "run"
    done_at_once("benchmark", "--data", data, "--out", out, *OPTIONS)
    return out


def compared(run: Path) -> dict[str, Any]:
    runs, remarks = find_runs([run])
    if remarks:
        raise Refused(remarks[0])
    places = ranked(on_one_split(runs), "mcc")
    with redirect_stdout(io.StringIO()) as shown:
        show(places, "mcc")
    assert all(line.isprintable() for line in shown.getvalue().splitlines())
    as_csv(places)
    return places[0].run.scores


@pytest.mark.parametrize("name", ["config.json", "scores.json"])
def test_runs_that_are_compared(run: Path, name: str) -> None:
    hunt(f"compare, {name}", run / name, json_damage, lambda: compared(run), place=run)


def encoded(run: Path) -> list[Any]:
    with catch_warnings(action="ignore"):
        encoder = load_encoder(run)
    images = torch.arange(2 * 3 * 16 * 16).reshape(2, 3, 16, 16).to(torch.uint8)
    assert all(line.isprintable() for line in repr(encoder).splitlines())
    return [encoder(images), encoder.step, encoder.seed, encoder]


def same_codes(found: list[Any], sound: list[Any]) -> None:
    same(found[:3], sound[:3])


@pytest.mark.parametrize("name", ["config.json", "metrics.jsonl", "checkpoints/seed-0.pt"])
def test_encoders_of_runs(run: Path, name: str) -> None:
    kinds = {"config.json": json_damage, "metrics.jsonl": log_damage}
    damage = kinds.get(name, any_damage)
    hunt(f"load_encoder, {name}", run / name, damage, lambda: encoded(run), same_codes, place=run)


def test_checkpoints_with_other_entries(run: Path) -> None:
    """Their checksums hold, so they are refused by what they say, or are encoders all the same."""

    def judge(found: list[Any], sound: list[Any]) -> None:
        codes, step, seed, encoder = found
        assert (codes.shape, codes.dtype, seed) == (sound[0].shape, sound[0].dtype, sound[2])
        assert type(step) is int
        assert isinstance(encoder, LoadedEncoder)
        assert bool(codes.isfinite().all())

    file = run / "checkpoints/seed-0.pt"
    damage = edited(state_edits, state_edits, state_edits)
    hunt("checkpoint's entries", file, damage, lambda: encoded(run), judge, place=run)


def test_logs_of_runs(run: Path) -> None:
    folder = RunFolder(run)

    def read() -> list[Any]:
        return [list(folder.records()), folder.scored(0), folder.has_scored_codes(0)]

    def judge(found: list[Any], _sound: object) -> None:
        records, scored, _ = found
        assert all(type(each["seed"]) is type(each["step"]) is int for each in records)
        assert all(each in records for each in scored)

    hunt("metrics.jsonl", folder.metrics, log_damage, read, judge, place=run)


def test_logs_of_work(run: Path) -> None:
    path = RunFolder(run).work

    def judge(found: list[Any], _sound: object) -> None:
        work, place = found
        assert work is None or (
            0 <= work.seconds < float("inf") and isinstance(work.hardware, str)
        )
        assert place is None or isinstance(place, Path)

    read = lambda: [read_work(path, 0), last_data(path)]  # noqa: E731
    hunt("work.jsonl", path, log_damage, read, judge, place=run)


def continued(run: Path) -> list[Any]:
    """What a run that goes on takes from its folder in place of training and scoring again."""
    folder = RunFolder(run)
    state = own_checkpoint(folder, folder.read_config(), 0)
    if state is None:
        raise Refused("nothing to go on with")
    require_own_scores(folder, 0, state)
    if not folder.has_scored_codes(0):
        raise Refused("codes are computed again")
    scores = [logged_scores(folder, r).to_json() for r in folder.scored_until(0, state["step"])]
    return [load_npy(folder.representations(0)), scores]


_CONTINUED: list[tuple[str, Damages]] = [
    ("config.json", json_damage),
    ("metrics.jsonl", log_damage),
    ("checkpoints/seed-0.pt", any_damage),
    ("representations/seed-0.npy", array_damage),
]


@pytest.mark.parametrize(("name", "damage"), _CONTINUED, ids=[name for name, _ in _CONTINUED])
def test_runs_that_are_gone_on_with(run: Path, name: str, damage: Damages) -> None:
    hunt(f"resume, {name}", run / name, damage, lambda: continued(run), place=run, examples=60)


def test_masks(tmp_path: Path) -> None:
    path = make_pickle(tmp_path, [4, 3, 5])

    def judge(found: KittiMasks, _sound: object) -> None:
        frames, latents = found.frames, found.latents
        assert frames.dtype == np.uint8
        assert np.isin(frames, (0, 255)).all()
        assert (latents.dtype, latents.shape) == (np.float32, (len(frames), 3))
        assert np.isfinite(latents).all()
        assert found.starts[-1] == len(frames)
        found.split()

    hunt("KITTI pickle", path, pickle_damage, lambda: load_masks(path), judge, examples=300)
