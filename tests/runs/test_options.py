"""What options resolve to, and what is refused before anything is made."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from benchmark.cli import benchmark
from benchmark.config import Config
from benchmark.differences import differences, short_digest
from benchmark.runs.completion import complete
from benchmark.runs.opening import open_source, resolve
from benchmark.runs.options import Options
from benchmark.runs.resume import options_of
from tests.conftest import make_images, refused_at_once
from tests.pedestrians import make_pickle

NUMBERS = ("--sigma", "--extent", "--temperature", "--learning-rate")
COUNTS = ("--steps", "--batch-size", "--warmup", "--max-distance", "--workers")


def config(**asked: Any) -> Any:
    options = complete(Options(**{"source": "mixing", **asked}))
    return resolve(options, open_source(options))


def test_the_paper_decides_where_nobody_else_does() -> None:
    found = config()
    assert (found.encoder, found.batch_size, found.steps) == ("mlp", 6144, 300_003)
    assert (found.learning_rate, found.schedule, found.temperature) == (1e-4, "constant", 1)
    assert found.source.factors == 10
    assert found.source.conditional.sigma == 0.05
    assert config(loss="supervised").steps == 100_001
    images = complete(Options())
    assert (images.encoder, images.batch_size, images.steps) == ("resnet18", 512, 30_000)
    assert (images.conditional, images.sigma, images.loss) == ("normal", 0.1, "l2")
    masks = complete(Options(source="kitti"))
    assert (masks.batch_size, masks.steps, masks.loss) == (32, 300_000, "l1")


def test_spaces_follow_the_loss_and_marginals_the_space() -> None:
    assert config(loss="dot").output_space == "sphere"
    assert config(loss="l1").output_space == "box"
    assert config(loss="supervised").output_space == "unbounded"
    assert config(space="sphere").source.marginal == "uniform"
    assert config(space="real").source.marginal == "normal"


@pytest.mark.parametrize(
    "options",
    [
        Options(),
        Options(source="mixing", factors=4, loss="l1.5", seeds=(0, 3), symmetric=True),
        Options(data=Path("a b"), sigma=0.25, out=Path("x"), warmup=3, schedule="cosine"),
    ],
    ids=str,
)
def test_arguments_say_the_same_options(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Options] = []
    monkeypatch.setattr("benchmark.cli.complete", lambda asked: heard.append(asked) or asked)
    monkeypatch.setattr("benchmark.cli.carry_out", lambda *_: None)
    result = CliRunner().invoke(benchmark, options.arguments())
    assert result.exit_code == 0, result.output
    assert heard == [options]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"data": Path("x")}, "--data: expected with --source nearest"),
        ({"max_distance": 2}, "--max-distance: expected with --source kitti"),
        ({"anchor": "row"}, "--anchor: expected with --source nearest"),
        ({"source": "kitti", "sigma": 1.0}, "--sigma: expected with"),
        ({"source": "rendered", "conditional": "normal"}, "nearest or mixing, found it with"),
        ({"loss": "supervised", "temperature": 1.0}, "--temperature: expected with a contrastive"),
        ({"loss": "supervised", "learned_scales": True}, "--learned-scales: expected with a"),
        ({"loss": "dot", "learned_scales": True}, "--learned-scales: expected with a --loss such"),
        ({"source": "augmented", "loss": "supervised"}, "which is about pairs"),
        ({"source": "kitti", "loss": "supervised", "max_distance": 2}, "which has no pairs"),
        ({"loss": "supervised", "space": "sphere", "output_space": "box"}, "(unbounded, sphere"),
        ({"conditional": "vmf", "loss": "dot"}, "fits latents of the box space"),
        ({"output_space": "unbounded", "extent": 2.0}, "--extent: expected with an output space"),
        ({"loss": "l1", "output_space": "sphere"}, "fits the loss l1"),
        ({"space": "sphere", "conditional": "vmf"}, "(dot, cosine), found l2"),
        ({"space": "box", "marginal": "normal"}, "fits the box space"),
        ({"steps": 10, "warmup": 10}, "fewer than the 10 steps"),
        ({"score_on": "train"}, "--score-on: expected with --source nearest"),
        ({"protocol": "published", "symmetric": True}, "--symmetric: expected with --protocol h"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match="expected") as error:
        config(**asked)
    assert words in str(error.value)


def test_a_batch_larger_than_the_data_is_refused(tmp_path: Path) -> None:
    data = make_images(tmp_path / "images", n=30, n_test=10)
    with pytest.raises(ValueError, match="--batch-size: expected at most 30"):
        config(source="nearest", data=data, batch_size=31)
    masks = make_pickle(tmp_path, [4] * 10)  # nine tracks to train on, of 36 frames in 27 pairs
    for loss, most in (("l1", "27, the pairs of an epoch"), ("supervised", "36, the images of")):
        with pytest.raises(ValueError, match=f"--batch-size: expected at most {most}"):
            config(source="kitti", loss=loss, data=masks, batch_size=37)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"factors": 4, "space": "sphere", "conditional": "vmf", "loss": "dot", "sigma": 0.2},
        {"space": "real", "marginal": "laplace", "symmetric": True, "learned_scales": True},
        {"loss": "supervised", "seeds": (3, 0), "schedule": "linear", "warmup": 7},
        {"source": "nearest", "anchor": "marginal", "precision": "bf16", "resolution": 8},
        {"source": "nearest", "loss": "supervised", "protocol": "held-out", "steps": 0},
        {"source": "augmented", "temperature": 0.5, "extent": 2.0},
        {"source": "kitti", "max_distance": 5, "output_space": "unbounded"},
        {"source": "kitti", "loss": "supervised"},
        {"source": "kitti", "score_on": "train"},
        {"source": "kitti", "protocol": "published", "encoder": "conv"},
        {"source": "nearest", "score_on": "train"},
        {"source": "nearest", "protocol": "published"},
        {"protocol": "published", "loss": "l1"},
        {"protocol": "published", "loss": "supervised", "output_space": "sphere"},
    ],
    ids=str,
)
def test_a_configuration_gives_back_the_options_that_it_came_from(
    asked: dict[str, Any], tmp_path: Path
) -> None:
    source = asked.get("source", "mixing")
    place = {}
    if source == "kitti":
        place = {"data": make_pickle(tmp_path, [12] * 40, edge=16)}
    elif source != "mixing":
        place = {"data": make_images(tmp_path, n=30), "batch_size": 8}
    found = config(**{**asked, **place})
    held = complete(options_of(found).replace(data=place.get("data")))
    assert resolve(held, open_source(held)) == found


def test_names_of_configurations_differ_where_settings_do_not_where_data_lie(
    tmp_path: Path,
) -> None:
    here, there = (make_images(tmp_path / name, n=30) for name in ("here", "there"))
    found = [config(source="nearest", data=data, batch_size=8) for data in (here, there)]
    assert short_digest(found[0]) == short_digest(found[1])
    other = make_images(tmp_path / "other", n=31)
    others = [
        config(source="nearest", data=other, batch_size=8),
        config(source="nearest", data=here, batch_size=9),
        config(source="nearest", data=here, batch_size=8, learning_rate=1e-3),
        config(),
    ]
    digests = [short_digest(each) for each in (found[0], *others)]
    assert len(set(digests)) == 5
    assert all(re.fullmatch("[0-9a-f]{6}", digest) for digest in digests)
    assert short_digest(config(factors=3)) == "f45512"  # on every machine


def test_differences_name_what_changed_at_any_depth() -> None:
    assert differences(config(), config()) == []
    [line] = differences(config(sigma=0.05), config(sigma=0.1))
    assert line == "source.conditional.sigma 0.05 where 0.1 is asked for"
    lines = differences(config(), config(loss="supervised"))
    assert "loss l2 where supervised is asked for" in lines


@pytest.mark.parametrize(
    ("option", "values"),
    [
        *((name, ("1e300", "1e39", "inf", "nan", "0", "-1")) for name in NUMBERS),
        *((name, (10**10, 2**63, 10**400, -1)) for name in COUNTS),
    ],
    ids=str,
)
def test_numbers_beyond_what_is_computed_with_are_refused(
    option: str, values: tuple[object, ...]
) -> None:
    for value in values:
        line = refused_at_once("benchmark", "--source", "mixing", f"{option}={value}")
        assert f"Invalid value for '{option}'" in line
        assert len(line) < 600


def test_configurations_have_the_bounds_of_options() -> None:
    whole = config().model_dump(mode="json")
    changed: dict[str, Any] = {
        "extent": 1e39,
        "temperature": 1e39,
        "learning_rate": 1e39,
        "steps": 10**10,
        "batch_size": 10**7,
        "warmup": 10**10,
        "seeds": [2**63],
    }
    for name, value in [*changed.items(), ("seeds", []), ("seeds", [-1])]:
        with pytest.raises(ValueError, match=name):
            Config.model_validate(whole | {name: value})


@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
@pytest.mark.parametrize(
    "command",
    [("leaderboard", "build", "--out"), ("compare", "run", "--csv"), ("traverse",)],
    ids=" ".join,
)
def test_output_replaces_no_device_or_pipe(
    tmp_path: Path, kind: str, command: tuple[str, ...]
) -> None:
    """Whoever names a device, as root, keeps the device."""
    path = tmp_path / "out.png"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(path))
    else:
        path.symlink_to("/dev/null")
    before = path.stat().st_mode
    line = refused_at_once(*command, path)
    assert "expected a plain file, or none, found another kind" in line
    assert path.stat().st_mode == before
