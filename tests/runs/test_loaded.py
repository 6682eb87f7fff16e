"""Trained encoders, loaded from their runs without the data."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import threedident
from benchmark.settings import MixingSettings
from benchmark.sources.kitti_masks.masks import MaskSource
from benchmark.sources.mixing import MixingSource
from benchmark.sources.source import Machine
from benchmark.training.folder import RunFolder
from benchmark.training.log import last_data
from tests.conftest import cli, done_at_once, make_images, succeeded
from tests.pedestrians import make_pickle
from tests.test_architecture import ROOT, loaded_after
from threedident import ThreeDIdent, load_encoder

pytestmark = pytest.mark.slow

MACHINE = ("--device", "cpu", "--workers", 0)


def codes_of(run: Path, seed: int) -> np.ndarray:
    return np.load(RunFolder(run).representations(seed))


def change(run: Path, seed: int, **values: Any) -> None:
    """Change a checkpoint; None leaves an entry out."""
    path = RunFolder(run).checkpoint(seed)
    state = {**torch.load(path), **values}
    torch.save({name: value for name, value in state.items() if value is not None}, path)


@pytest.fixture
def alone(finished: Path, tmp_path: Path) -> Path:
    """A copy of a finished run, without the record of where its data lay."""
    run = shutil.copytree(finished, tmp_path / "run")
    (run / "work.jsonl").unlink()
    return run


@pytest.mark.parametrize("early", [False, True])
def test_codes_are_the_representations_of_the_run(
    coloured: Path, alone: Path, early: bool
) -> None:
    split = ThreeDIdent(coloured, "test")
    images = torch.stack([split[row][0] for row in range(len(split))])
    if early:  # as version 0.1.0 wrote them
        change(alone, 0, shape=None)
    for seed in (0, 3):
        codes = load_encoder(alone, seed)(images)
        assert codes.dtype == torch.float32
        assert codes.numpy() == pytest.approx(codes_of(alone, seed), abs=1e-5)
    assert torch.equal(load_encoder(alone)(images), load_encoder(str(alone), 0)(images))


def test_an_encoder_tells_what_it_is_and_stays_as_it_is(alone: Path) -> None:
    encoder = load_encoder(alone, 3)
    assert (encoder.seed, encoder.step, encoder.resolution) == (3, 40, 16)
    assert encoder.labels == tuple(threedident.latents.factors.LABELS)  # type: ignore[attr-defined]
    assert encoder.config == RunFolder(alone).read_config()
    assert encoder.scores.mcc == RunFolder(alone).scored(3)[-1]["mcc"]
    card = repr(encoder)
    assert "seed: 3, step 40 of 40" in card
    assert "from: uint8 (B, 3, 16, 16)" in card
    assert "to: float32 (B, 10), box" in card
    assert "<table>" in encoder._repr_html_()
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    probe = nn.Sequential(encoder, nn.Linear(10, 1)).train()
    probe(torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)).sum().backward()
    assert not any(module.training for module in encoder.modules())
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    (alone / "metrics.jsonl").unlink()
    assert load_encoder(alone).scores is None


def test_encoders_of_mixed_latents_and_masks(tmp_path: Path) -> None:
    machine = Machine(torch.device("cpu"))
    mixed, masks = tmp_path / "mixed", tmp_path / "masks"
    options = ("--factors", 3, "--batch-size", 16, "--steps", 2, "--learned-scales")
    done_at_once("benchmark", "--source", "mixing", *options, "--out", mixed, *MACHINE)
    encoder = load_encoder(mixed)
    settings = encoder.config.source
    assert isinstance(settings, MixingSettings)
    [observations] = MixingSource(settings).held_out(0, 100, machine)
    codes = encoder(observations)
    assert codes.numpy() == pytest.approx(codes_of(mixed, 0)[:100], abs=1e-5)
    assert (encoder.labels, encoder.resolution) == (("z1", "z2", "z3"), None)
    with pytest.raises(ValueError, match="observations: expected float32, found float64"):
        encoder(observations.double())

    for edge in (16, 64):
        data = make_pickle(tmp_path, [12] * 20, edge=edge)
        options = ("--data", data, "--batch-size", 8, "--steps", 1, "--out", masks / str(edge))
        done_at_once("benchmark", "--source", "kitti", *options, *MACHINE)
        assert last_data(RunFolder(masks / str(edge)).work) == data.resolve()
        encoder = load_encoder(masks / str(edge))
        source = MaskSource(data, 1)
        [observations] = source.held_out(0, len(source.scored), machine)
        codes = encoder(observations)
        assert codes.shape == (len(source.scored), 10)
        assert codes.numpy() == pytest.approx(codes_of(masks / str(edge), 0), abs=1e-5)
    change(masks / "64", 0, shape=None)  # masks of the published shape may be of version 0.1.0
    assert torch.equal(load_encoder(masks / "64")(observations), codes)
    change(masks / "16", 0, shape=None)
    with pytest.raises(ValueError, match=r"seed-0\.pt: expected the weights of conv, found other"):
        load_encoder(masks / "16")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, a network of one's own, and a run that trained it."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "own_nets.py").write_text(
        "from torch import nn\n"
        "def pooled(codes):\n"
        "    return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, codes))\n"
    )
    make_images(folder / "data", n=40, n_test=40)
    line = ("--data", "data", "--encoder", "own_nets:pooled", "--batch-size", 8, "--steps", 2)
    succeeded(cli("benchmark", *line, "--out", "run", *MACHINE, cwd=folder))
    return folder


@pytest.mark.parametrize("before", ["", "import benchmark\n"], ids=["not yet", "already"])
def test_ones_own_encoder_is_loaded_by_a_script_beside_a_module_named_benchmark(
    own: Path, tmp_path: Path, before: str
) -> None:
    shutil.copytree(own, tmp_path, dirs_exist_ok=True)
    (tmp_path / "benchmark.py").write_text("mine = 1\n")
    (tmp_path / "script.py").write_text(
        f"{before}import numpy, torch, threedident\n"
        "split = threedident.ThreeDIdent('data', 'test')\n"
        "images = torch.stack([split[row][0] for row in range(40)])\n"
        "codes = threedident.load_encoder('run')(images).numpy()\n"
        "numpy.testing.assert_allclose(\n"
        "    codes, numpy.load('run/representations/seed-0.npy'), atol=1e-5)\n"
        "import benchmark\n"
        "assert benchmark.mine == 1\n"
    )
    result = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("which shadows it") == (2 if not before else 1)
    assert "script.py:4: UserWarning: benchmark: expected threedident's package" in (
        result.stderr.replace("script.py:5", "script.py:4")
    )


def test_a_training_that_has_not_ended_is_loaded_with_a_warning(alone: Path) -> None:
    change(alone, 0, step=30, scores=None)
    with pytest.warns(UserWarning, match="seed 0 was trained for 30 of 40 steps; threedident ben"):
        encoder = load_encoder(alone)
    assert encoder.step == 30


IMAGES = torch.zeros(2, 3, 16, 16, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (IMAGES[0], r".* shape \(B, 3, 16, 16\), found \(3, 16, 16\); add the axis of the"),
        (IMAGES.permute(0, 2, 3, 1), r".* \(2, 16, 16, 3\); put channels first, as in x.perm"),
        (IMAGES[..., :8, :8], r".* \(2, 3, 8, 8\); open the data set with resolution=16"),
        (IMAGES[:, :1], r".* \(2, 1, 16, 16\); give those of the data set"),
        (IMAGES / 255, "expected uint8, found float32; give them as they are, 0 to 255"),
        (IMAGES.long(), "expected uint8, found int64"),
        (IMAGES.to("meta"), "expected them on cpu, where the encoder is, found them on meta"),
        (IMAGES.numpy(), r"expected a torch\.Tensor, found ndarray; give torch\.from_numpy"),
    ],
    ids=["one", "last", "small", "grey", "floats", "integers", "elsewhere", "array"],
)
def test_observations_of_another_kind_are_refused(
    finished: Path, given: Tensor, words: str
) -> None:
    with pytest.raises(ValueError, match=f"observations: {words}"):
        load_encoder(finished)(given)


def damaged(run: Path) -> None:
    os.truncate(RunFolder(run).checkpoint(0), 1000)


def foreign(run: Path) -> None:
    shutil.copy(RunFolder(run).checkpoint(3), RunFolder(run).checkpoint(0))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (damaged, r"seed-0\.pt: expected a checkpoint, found a damaged file"),
        (foreign, r"seed-0\.pt: expected a checkpoint of this run, found one with seed 3"),
        (lambda run: RunFolder(run).checkpoint(0).unlink(), "expected a checkpoint, found none"),
        (lambda run: torch.save([1], RunFolder(run).checkpoint(0)), "checkpoint, found list"),
        (lambda run: change(run, 0, step=None), "of this run, found one with no step; delete it"),
        (lambda run: change(run, 0, objective=None), r"weights of .*, found others \(KeyError\)"),
        (lambda run: change(run, 0, objective={}), r"found others \(RuntimeError\); restore the"),
        (lambda run: RunFolder(run).config.write_text("{"), r"config\.json: expected the config"),
        (lambda run: RunFolder(run).config.unlink(), "found a folder without config.json; name"),
        (lambda run: shutil.rmtree(run), "expected the folder of a run, found nothing; name"),
    ],
)
def test_runs_that_cannot_be_loaded_take_one_line(
    alone: Path, spoil: Callable[[Path], None], words: str
) -> None:
    spoil(alone)
    with pytest.raises(ValueError, match=words) as error:
        load_encoder(alone)
    assert "\n" not in str(error.value)


def test_seeds_and_devices_that_are_not_there_take_one_line(finished: Path) -> None:
    with pytest.raises(ValueError, match=r"seed: expected one of 0, 3, which .* found 5"):
        load_encoder(finished, 5)
    for device in ("quantum", "cuda:99"):
        with pytest.raises(ValueError, match=f"device: expected one .* found {device}") as error:
            load_encoder(finished, device=device)
        assert "\n" not in str(error.value)


def test_loading_is_asked_for_by_name_alone() -> None:
    assert "load_encoder" in dir(threedident)
    assert "benchmark" not in loaded_after("import threedident")
    assert "bpy" not in loaded_after("from threedident import load_encoder")
