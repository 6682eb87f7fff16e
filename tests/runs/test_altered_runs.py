"""What was altered in a run's folder is refused, or made again; it is not taken for a result."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.runs.finished import find_runs
from benchmark.training.folder import RunFolder
from tests.conftest import contents, done_at_once, refused_at_once
from tests.small_runs import results
from threedident import load_encoder

pytestmark = pytest.mark.slow

MACHINE = ("--device", "cpu", "--workers", 0)
TINY = ("--source", "mixing", "--factors", 3, "--batch-size", 16, "--steps", 4)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run; tests must not change it."""
    out = tmp_path_factory.mktemp("mixed") / "run"
    done_at_once("benchmark", *TINY, "--out", out, *MACHINE)
    return out


@pytest.fixture
def run(mixed: Path, tmp_path: Path) -> Path:
    return shutil.copytree(mixed, tmp_path / "run")


def resume(run: Path) -> str:
    return done_at_once("benchmark", "--resume", run, *MACHINE)


def refusal(run: Path) -> str:
    """The one line with which the run is not gone on with; nothing of it is changed."""
    before = contents(run)
    line = refused_at_once("benchmark", "--resume", run, *MACHINE)
    after = contents(run)
    del before["work.jsonl"], after["work.jsonl"]
    assert before == after
    return line


def flip(path: Path, place: int, bit: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << bit
    path.write_bytes(content)


def change(run: Path, **values: Any) -> None:
    """Change entries of a checkpoint."""
    path = RunFolder(run).checkpoint(0)
    torch.save({**torch.load(path), **values}, path)


def test_a_checkpoint_that_opens_is_the_one_that_was_written(run: Path) -> None:
    path = RunFolder(run).checkpoint(0)
    whole = path.read_bytes()
    weights = torch.load(path)["objective"]
    rng = np.random.default_rng(0)
    refused = 0
    for place, bit in zip(rng.integers(0, len(whole), 200), rng.integers(0, 8, 200), strict=True):
        path.write_bytes(whole)
        flip(path, place, bit)
        try:
            found = RunFolder(run).load_checkpoint(0)
        except ValueError:
            refused += 1
        else:
            assert found is not None
            assert all(torch.equal(found["objective"][name], weights[name]) for name in weights)
    assert refused > 150
    path.write_bytes(whole)
    largest = max(weights.values(), key=torch.numel)
    flip(path, whole.index(largest.numpy().tobytes()[:64]))
    assert "found a damaged file" in refusal(run)
    with pytest.raises(ValueError, match="found a damaged file"):
        load_encoder(run)


def test_a_checkpoint_behind_another_one_is_refused(run: Path) -> None:
    """Torch would read the first one's weights, and Python check the second one's."""
    path = RunFolder(run).checkpoint(0)
    whole = path.read_bytes()
    weights = torch.load(path)["objective"]
    largest = max(weights.values(), key=torch.numel)
    path.write_bytes(2 * whole)
    flip(path, whole.index(largest.numpy().tobytes()[:64]))
    with pytest.raises(ValueError, match="found a damaged file"):
        RunFolder(run).load_checkpoint(0)


def moments(**values: Any) -> dict[str, Any]:
    return {"state": {0: values}, "param_groups": [{"params": list(range(9))}]}


def with_nan(state: dict[str, Any]) -> dict[str, Any]:
    return {
        name: torch.full_like(value, torch.nan) if value.is_floating_point() else value
        for name, value in state.items()
    }


@pytest.mark.parametrize("optimizer", [None, "text", torch.nan, 3, [], {}, moments()], ids=repr)
def test_an_optimizer_of_another_kind_is_refused(run: Path, optimizer: Any) -> None:
    change(run, optimizer=optimizer)
    assert "seed-0.pt: expected a checkpoint of this run, found another" in refusal(run)


@pytest.mark.parametrize("harm", ["nan", "shape", "text", "missing"])
def test_moments_of_another_kind_are_refused(run: Path, harm: str) -> None:
    state = torch.load(RunFolder(run).checkpoint(0))["optimizer"]
    first = state["state"][0]
    first["exp_avg"] = {
        "nan": first["exp_avg"] * torch.nan,
        "shape": first["exp_avg"][:1],
        "text": "text",
    }.get(harm)
    if harm == "missing":
        del first["exp_avg"]
    change(run, optimizer=state)
    assert "expected a checkpoint of this run, found another (" in refusal(run)


def test_settings_of_the_optimizer_are_those_of_the_run(run: Path, mixed: Path) -> None:
    state = torch.load(RunFolder(run).checkpoint(0))["optimizer"]
    state["param_groups"][0] |= {"betas": None, "eps": "text", "lr": torch.nan}
    change(run, optimizer=state)
    resume(run)
    assert results(run) == results(mixed)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seed", torch.tensor(0)),
        ("seed", torch.zeros(2)),
        ("seed", False),
        ("seed", "0"),
        ("seed", None),
        ("step", torch.tensor(4)),
        ("step", True),
        ("step", 4.0),
        ("step", -1),
        ("step", 10**400),
        ("config", None),
        ("config", torch.zeros(3)),
        ("config", {"source": [[[]]]}),
        ("objective", None),
        ("objective", "text"),
        ("objective", {0: 1}),
        ("objective", {"model.1.0.weight": "text"}),
        ("objective", torch.zeros(2)),
    ],
    ids=str,
)
def test_entries_of_another_kind_are_refused(run: Path, field: str, value: Any) -> None:
    change(run, **{field: value})
    line = refusal(run)
    assert "seed-0.pt: expected a checkpoint of this run, found" in line
    assert len(line) < 500
    with pytest.raises(ValueError, match=r"seed-0\.pt: expected (a checkpoint|the weights)"):
        load_encoder(run)


def test_weights_that_are_no_numbers_are_refused(run: Path) -> None:
    change(run, objective=with_nan(torch.load(RunFolder(run).checkpoint(0))["objective"]))
    assert "found another (ValueError)" in refusal(run)
    with pytest.raises(ValueError, match="expected the weights of mlp, found others"):
        load_encoder(run)


def test_runs_without_digests_are_read_and_gone_on_with(run: Path, mixed: Path) -> None:
    """As earlier versions wrote them."""
    folder = RunFolder(run)
    state = torch.load(folder.checkpoint(0))
    del state["scores"]
    torch.save(state, folder.checkpoint(0))
    lines = [json.loads(line) for line in folder.metrics.read_text().splitlines()]
    for line in lines:
        line.pop("codes", None)
    folder.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    scores = json.loads(folder.scores.read_text())
    del scores["sha256"]
    folder.scores.write_text(json.dumps(scores))
    before = folder.representations(0).stat().st_mtime_ns
    assert folder.read_scores() == scores
    assert load_encoder(run).scores is not None
    assert "run" in done_at_once("compare", run)
    resume(run)
    assert folder.representations(0).stat().st_mtime_ns == before
    assert folder.read_scores() == RunFolder(mixed).read_scores()


@pytest.mark.parametrize("harm", ["altered", "lost", "line lost"])
def test_scores_in_the_log_are_those_of_the_checkpoint(run: Path, harm: str) -> None:
    log = RunFolder(run).metrics
    lines = log.read_text().splitlines(keepends=True)
    last = max(number for number, line in enumerate(lines) if '"mcc"' in line)
    value = json.loads(lines[last])["mcc"]
    lines[last] = lines[last].replace(str(value), str(value / 2)) if harm == "altered" else ""
    log.write_text("" if harm == "lost" else "".join(lines))
    assert "metrics.jsonl: expected the scores of seed 0 up to step 4 as they" in refusal(run)
    if harm == "lost":
        assert load_encoder(run).scores is None
    else:
        with pytest.raises(ValueError, match=r"metrics\.jsonl: expected the scores of seed 0"):
            load_encoder(run)


def shuffled(path: Path) -> None:
    np.save(path, np.load(path)[::-1])


@pytest.mark.parametrize(
    "harm", [Path.unlink, shuffled, lambda path: path.write_bytes(b"no array")]
)
def test_codes_that_are_lost_or_altered_are_made_again(
    run: Path, mixed: Path, harm: Callable[[Path], object]
) -> None:
    harm(RunFolder(run).representations(0))
    resume(run)
    name = "representations/seed-0.npy"
    assert (run / name).read_bytes() == (mixed / name).read_bytes()
    assert RunFolder(run).read_scores() == RunFolder(mixed).read_scores()


@pytest.mark.parametrize("name", ["scores.json", "config.json"])
def test_scores_are_shown_with_the_settings_they_are_of(run: Path, mixed: Path, name: str) -> None:
    changes = {
        "scores.json": ('"mcc": 0.', '"mcc": 0.5'),
        "config.json": ('"temperature": 1.0', '"temperature": 0.5'),
    }
    value, other = changes[name]
    text = (run / name).read_text()
    assert value in text
    (run / name).write_text(text.replace(value, other))
    with pytest.raises(ValueError, match=r"scores\.json: expected the scores that were written"):
        RunFolder(run).read_scores()
    found, [remark] = find_runs([run, mixed])
    assert [each.path for each in found] == [mixed]
    assert "found one of the two altered; threedident benchmark --resume" in remark
    if name == "scores.json":
        resume(run)
        assert (run / name).read_bytes() == (mixed / name).read_bytes()
    else:
        assert "found one with temperature" in refusal(run)


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("mcc", "text"),
        ("mcc", None),
        ("mcc_spearman", ...),
        ("correlation", [["a"]]),
        ("correlation", [[1.0], []]),
        ("correlation", 3),
        ("assignment", [0.5, 1, 2]),
        ("r2_per_factor", {}),
    ],
    ids=str,
)
def test_scores_of_another_kind_in_an_early_log_are_refused(
    run: Path, entry: str, value: Any
) -> None:
    """Its checkpoints know no scores."""
    change(run, scores=None)
    log = RunFolder(run).metrics
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    last = [line for line in lines if "mcc" in line][-1]
    last[entry] = value
    if value is ...:
        del last[entry]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(ValueError, match=rf"metrics\.jsonl: .*{entry}"):
        load_encoder(run)
    assert f"metrics.jsonl: expected the scores of seed 0, but at {entry}:" in refusal(run)
