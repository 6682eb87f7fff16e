"""Mistakes and accidents that end a run: named in one line, and nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.training.folder import RunFolder
from tests.conftest import (
    can_mount,
    command,
    contents,
    make_images,
    refused,
    refused_at_once,
    start,
)
from tests.pedestrians import make_pickle
from tests.small_runs import SMALL, results, wait_for_step
from threedident.runtime.files import locked

pytestmark = pytest.mark.slow


def test_a_loss_that_explodes_stops_the_run(coloured: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    line = refused(
        "benchmark",
        "--data",
        coloured,
        "--out",
        out,
        *SMALL,
        "--learning-rate",
        "1e30",
        "--steps",
        50,
    )
    assert "loss: expected a finite number" in line
    assert "after step" in line
    assert torch.load(out / "checkpoints" / "seed-0.pt")["step"] == 0
    assert not (out / "scores.json").exists()


def test_codes_that_explode_stop_the_run(coloured: Path, tmp_path: Path) -> None:
    arguments = ("--output-space", "unbounded", "--learning-rate", "1e15", "--steps", 1)
    line = refused_at_once(
        "benchmark", "--data", coloured, "--out", tmp_path / "run", *SMALL, *arguments
    )
    assert "lower --learning-rate" in line


def test_too_few_test_images_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    images = make_images(tmp_path / "images", n=20, n_test=3)
    line = refused_at_once(
        "benchmark", "--data", images, "--out", tmp_path / "run", "--batch-size", 4
    )
    assert "expected at least 4 test images" in line
    assert not (tmp_path / "run").exists()


def test_factors_that_cannot_be_scored_are_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    images = make_images(tmp_path / "images", n=20, n_test=20)
    latents = images / "test" / "raw_latents.npy"
    raw = np.load(latents)
    raw[:, 4] = 0.5
    np.save(latents, raw)
    shared = ("--batch-size", 4, "--out", tmp_path / "run")
    line = refused_at_once("benchmark", "--data", images, *shared)
    assert f"found that beta varies in {images}/train and is constant in {images}/test" in line
    line = refused_at_once("benchmark", "--data", images, *shared, "--factors", "z,w")
    assert "--factors: expected one of x, y, z" in line
    line = refused_at_once("benchmark", "--source", "kitti", "--factors", "x", *shared)
    assert "--factors: expected with --source nearest or rendered or augmented or mixing" in line
    for asked in ("x", "101", "1", "-3", 10**400):
        line = refused_at_once("benchmark", "--source", "mixing", "--factors", asked, *shared)
        assert "--factors: expected a number of latents from 2 to 100 for mixing, found" in line
    masks = make_pickle(tmp_path, [3, 3, 3])
    line = refused_at_once("benchmark", "--source", "kitti", "--data", masks, *shared)
    assert f"{masks}: latents: expected shape (N, n) with N >= 4, found (3, 3)" in line
    assert not (tmp_path / "run").exists()


def test_a_damaged_image_is_named_in_one_line_by_loader_processes(
    rendered: Path, tmp_path: Path
) -> None:
    data = shutil.copytree(rendered, tmp_path / "data")
    image = data / "test" / "images" / "000004.png"
    content = bytearray(image.read_bytes())
    content[60:90] = bytes(30)
    image.write_bytes(content)
    arguments = ("--batch-size", 4, "--steps", 1, "--device", "cpu", "--workers", 2)
    line = refused("benchmark", "--data", data, "--out", tmp_path / "run", *arguments)
    assert "000004.png: expected an image, found a damaged file" in line
    assert "Caught" not in line


def test_damaged_logs_and_foreign_checkpoints_are_named(
    coloured: Path, finished: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(finished, tmp_path / "run")
    shared = ("benchmark", "--data", coloured, "--out", out, *SMALL, "--steps", 40)
    (out / "metrics.jsonl").write_text("[1]\n")
    assert "metrics.jsonl: expected the scores" in refused_at_once(
        *shared, "--seeds", "0,3", "--resume"
    )
    torch.save({"x": 1}, out / "checkpoints" / "seed-0.pt")
    line = refused_at_once(*shared, "--seeds", "0,3", "--resume")
    assert "expected a checkpoint of this run, found one with no configuration" in line


def test_checkpoints_of_other_runs_and_seeds_are_named(
    coloured: Path, finished: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(finished, tmp_path / "run")
    shared = ("benchmark", "--data", coloured, "--out", out, *SMALL, "--steps", 40, "--resume")
    own, other = (out / "checkpoints" / f"seed-{seed}.pt" for seed in (0, 3))
    before = own.read_bytes()
    shutil.copy(other, own)
    line = refused_at_once(*shared, "--seeds", "0,3")
    assert "found one with seed 3 where 0 is asked for; delete it" in line
    own.write_bytes(before)
    state = torch.load(own)
    state["config"]["learning_rate"] = 0.5
    torch.save(state, own)
    line = refused_at_once(*shared, "--seeds", "0,3")
    assert "found one with learning_rate 0.5 where 0.001 is asked for" in line


@pytest.mark.skipif(not can_mount(), reason="this machine lets no test mount a small disk")
def test_a_full_disk_is_named(coloured: Path, tmp_path: Path) -> None:
    line = " ".join(command("benchmark", "--data", coloured, *SMALL, "--steps", 3))
    script = f"mount -t tmpfs -o size=4m tmpfs {tmp_path} && exec {line} --out {tmp_path}/run"
    result = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True)
    assert result.returncode == 2, result.stderr
    assert "expected room on the disk, found it full" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_run_is_not_overwritten(coloured: Path, finished: Path) -> None:
    before = results(finished)
    shared = ("benchmark", "--data", coloured, "--out", finished, *SMALL)
    assert "add --resume" in refused_at_once(*shared, "--steps", 40, "--seeds", "0,3")
    line = refused_at_once(*shared, "--steps", 41, "--seeds", "0,3", "--resume")
    assert "steps 40 where 41 is asked for" in line
    assert results(finished) == before


def test_two_runs_do_not_share_a_folder(coloured: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = ("benchmark", "--data", coloured, *SMALL, "--steps", 500, "--out", out)
    process = start(*arguments, "--workers", 1)
    wait_for_step(out / "checkpoints" / "seed-0.pt", 0)
    assert "expected no other run at work" in refused(*arguments, "--resume")
    process.kill()
    process.communicate()
    with locked(out):  # loader processes do not hold on to it
        assert (out / "config.json").is_file()


def test_a_killed_loader_process_is_named(coloured: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = start("benchmark", "--data", coloured, "--steps", 500, "--out", out, *SMALL[:-1], 1)
    wait_for_step(out / "checkpoints" / "seed-0.pt", 0)
    while process.poll() is None:
        pgrep = ["pgrep", "-P", str(process.pid)]
        for child in subprocess.run(pgrep, capture_output=True, text=True).stdout.split():
            with suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)
        time.sleep(0.5)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 2, stderr
    assert "expected its processes to keep running, but" in stderr
    assert "Traceback" not in stderr


def test_strange_folders_and_damaged_files_are_refused(
    coloured: Path, finished: Path, tmp_path: Path
) -> None:
    shared = ("benchmark", "--data", coloured, *SMALL, "--steps", 40, "--seeds", "0,3", "--resume")
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "love.txt").write_text("dear")
    (tmp_path / "letters" / ".draft.1.tmp").write_text("dearest")
    assert "found other files" in refused_at_once(*shared, "--out", tmp_path / "letters")
    assert len(contents(tmp_path / "letters")) == 2
    copy = shutil.copytree(finished, tmp_path / "copy")
    os.truncate(copy / "checkpoints" / "seed-0.pt", 1000)
    assert "expected a checkpoint, found a damaged file" in refused_at_once(*shared, "--out", copy)
    (copy / "config.json").write_text("{}")
    assert "config.json: expected the configuration" in refused_at_once(*shared, "--out", copy)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--encoder", "vgg"), "resnet18, resnet34"),
        (("--encoder", "no_such:Net"), "ModuleNotFoundError"),
        (("--encoder", "mlp", "--loss", "l0.5"), "exponent of at least 1"),
        (("--loss", "hinge"), "l1, l2, l3, dot, cosine, supervised"),
        (("--output-space", "torus"), "expected one of unbounded, sphere"),
        (("--loss", "dot", "--output-space", "box"), "fits the loss dot (sphere, learned-sphere)"),
        (("--conditional", "cauchy"), "normal, laplace, gennorm3"),
        (("--conditional", "vmf", "--loss", "dot"), "normal, laplace, gennorm3, uniform"),
        (("--loss", "supervised", "--sigma", 1), "which has no pairs"),
        (("--loss", "supervised", "--symmetric"), "which has no similarity"),
        (("--factors", 3), "--factors: expected names of factors such as x,y,hue, found 3"),
        (("--source", "rendered"), "render with --pairs"),
        (("--warmup", 5, "--steps", 5), "fewer than the 5 steps"),
        (("--protocol", "published"), "expected at least 4096 test rows"),
        (("--jobs", 2), "expected beside --suite"),
        (("--sigma", 0), "--sigma"),
        (("--sigma", "nan"), "--sigma"),
        (("--learning-rate", "inf"), "--learning-rate"),
        (("--seeds", "²"), "an integer from 0 to 2^63 - 1"),
        (("--seeds", 10**20), "an integer from 0 to 2^63 - 1"),
        (("--steps", -1), "--steps"),
        (("--batch-size", 1), "--batch-size"),
        (("--batch-size", 500), "expected at most 400, the images of the train split, found 500"),
        (("--seeds", "0,0"), "distinct integers"),
        (("--seeds", "a"), "an integer from 0 to 2^63 - 1"),
    ],
)
def test_bad_arguments_are_refused(
    coloured: Path, tmp_path: Path, arguments: tuple[object, ...], words: str
) -> None:
    shared = ("--data", coloured, "--batch-size", 32, "--out", tmp_path / "run")
    assert words in refused_at_once("benchmark", *shared, *arguments)
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_an_absent_gpu_is_named(coloured: Path) -> None:
    assert "no CUDA GPU" in refused_at_once("benchmark", "--data", coloured, "--device", "cuda")


def test_bad_data_is_refused_before_training(rendered: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "run", "--batch-size", 2)
    assert "no folder" in refused_at_once("benchmark", "--data", tmp_path / "nothing", *out)
    data = shutil.copytree(rendered, tmp_path / "data")
    image = data / "test" / "images" / "000002.png"
    os.truncate(image, image.stat().st_size - 1)
    assert "000002.png" in refused_at_once("benchmark", "--data", data, *out)
    image.unlink()
    assert "1 missing, first 000002.png" in refused_at_once("benchmark", "--data", data, *out)
    shutil.rmtree(data / "test")
    assert "test/dataset.json" in refused_at_once("benchmark", "--data", data, *out)
    (data / "train" / "dataset.json").unlink()
    assert "train/dataset.json" in refused_at_once("benchmark", "--data", data, *out)
    assert not (tmp_path / "run").exists()


def test_a_run_of_another_numbering_is_read_and_not_resumed(
    coloured: Path, finished: Path, tmp_path: Path
) -> None:
    old = shutil.copytree(finished, tmp_path / "run")
    config = json.loads((old / "config.json").read_text())
    assert config["source"].pop("numbering") == 2  # as runs were before they had it
    (old / "config.json").write_text(json.dumps(config))
    before = contents(old)
    arguments = ("--data", coloured, "--out", old, *SMALL, "--steps", 40, "--seeds", "0,3")
    line = refused_at_once("benchmark", *arguments, "--resume")
    assert "expected a run whose pairs are numbered as version 2 does, found version 1" in line
    assert "give another --out" in line
    assert contents(old) == before
    found = RunFolder(old).read_config()
    assert found.source.numbering == 1  # type: ignore[union-attr]
    assert len(RunFolder(old).scored(0)) == len(RunFolder(finished).scored(0))
