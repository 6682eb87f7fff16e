"""What options resolve to, and what is refused before anything is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from benchmark.cli import benchmark
from benchmark.config import differences
from benchmark.options import Options, complete, open_source, resolve
from tests.conftest import make_images


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


def test_differences_name_what_changed_at_any_depth() -> None:
    assert differences(config(), config()) == []
    [line] = differences(config(sigma=0.05), config(sigma=0.1))
    assert line == "source.conditional.sigma 0.05 where 0.1 is asked for"
    lines = differences(config(), config(loss="supervised"))
    assert "loss l2 where supervised is asked for" in lines
