"""From runs to a submission: what is refused, and what is written of a run."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.cli import benchmark
from benchmark.config import Config
from benchmark.leaderboard.submission.data import LEAST_TEST_ROWS, DataRecord
from benchmark.leaderboard.submission.folder import SubmissionFolder
from benchmark.leaderboard.submission.reproduce import reproduce_command
from benchmark.leaderboard.submission.runs import gather
from benchmark.runs.completion import complete
from benchmark.runs.opening import open_source, resolve
from benchmark.runs.options import OPTIONS, Options
from benchmark.settings import ImageSettings
from tests.conftest import contents, done_at_once, make_images, refused_at_once
from tests.leaderboard.submission.grown import grown
from tests.leaderboard.submissions import DATA, make_submission
from tests.small_runs import run
from threedident.conditionals.law import Law

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(rendered: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of as many test rows as a submission must have; tests must not change it."""
    return grown(rendered, tmp_path_factory.mktemp("grown") / "data", LEAST_TEST_ROWS)


@pytest.fixture(scope="module")
def runs(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, and what says that it is one of other seeds or losses; tests must not change them."""
    root = tmp_path_factory.mktemp("runs")
    small = ("--encoder", "conv", "--steps", 2, "--batch-size", 4)
    run(data, root / "zero", *small, "--seeds", "0")
    for name, change in {
        "one": {"seeds": [1]},
        "others": {"seeds": [4, 2]},
        "dot": {"seeds": [1], "loss": "dot"},
        "published": {"protocol": "published"},
        "train": {"score_on": "train"},
        "mixing": {
            "source": {
                "kind": "mixing",
                "factors": 10,
                "space": "box",
                "marginal": "uniform",
                "conditional": None,
            }
        },
    }.items():
        (root / name).mkdir()
        scores = json.loads((root / "zero" / "scores.json").read_text())
        del scores["sha256"]  # it would be that of the other configuration
        (root / name / "scores.json").write_text(json.dumps(scores))
        config = json.loads((root / "zero" / "config.json").read_text())
        (root / name / "config.json").write_text(json.dumps(config | change))
    return root


def refused(runs: Path, *names: str, out: Path | None = None, data: Path | None = None) -> str:
    place = runs / "out" if out is None else out
    before = contents(runs)
    line = refused_at_once(
        *("leaderboard", "submit", *(runs / name for name in names)),
        *("--method", "Mine", "--out", place, "--data", data or runs),
    )
    assert contents(runs) == before
    assert not place.exists() or not list(place.iterdir())
    return line


def test_seeds_are_gathered_in_order(runs: Path) -> None:
    """Of other seeds than those fixed in advance there is no use."""
    found = gather([runs / "others", runs / "one", runs / "zero"])
    assert [each.seed for each in found] == [0, 1, 2]
    assert found[2].folder.path == runs / "others"


def test_runs_that_cannot_be_submitted(runs: Path, tmp_path: Path) -> None:
    assert "expected the folder of a finished run, found none" in refused(runs, "nowhere")
    assert "like" in refused(runs, "zero", "dot")
    assert "loss l2 where dot is asked for" in refused(runs, "zero", "dot")
    assert "found seed 0, which" in refused(runs, "zero", "zero")
    assert "expected the seeds 0, 1, 2 from the first on, found 1" in refused(runs, "one")
    assert "expected a run on rendered images, found one on mixing" in refused(runs, "mixing")
    assert "expected a run scored by the held-out protocol" in refused(runs, "published")
    assert "expected a run scored on the test split, found train" in refused(runs, "train")
    assert "found 0, 2, 4" in refused(runs, "zero", "others")
    copied = shutil.copytree(runs / "zero", tmp_path / "zero")
    (copied / "scores.json").unlink()
    line = refused_at_once("leaderboard", "submit", copied, "--method", "Mine", "--data", runs)
    assert "found one that has not ended" in line


def test_data_that_runs_were_not_trained_on(runs: Path, paired: Path, tmp_path: Path) -> None:
    assert "expected the train split that the runs were trained on" in refused(
        runs, "zero", data=paired
    )
    assert "found one without a manifest" in refused(
        runs, "zero", data=make_images(tmp_path / "published", edge=32)
    )


@pytest.mark.parametrize("name", ["<b>", "", "a" * 101, "two\nlines"])
def test_names_that_the_page_will_not_show(
    runs: Path, data: Path, tmp_path: Path, name: str
) -> None:
    line = refused_at_once(
        *("leaderboard", "submit", runs / "zero", "--data", data),
        *("--method", name, "--out", tmp_path / "out"),
    )
    assert "at method:" in line
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_a_checkpoint_of_something_else(runs: Path, data: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(runs / "zero", tmp_path / "zero")
    place = copied / "checkpoints" / "seed-0.pt"
    state = torch.load(place)
    torch.save({**state, "step": 1}, place)
    line = refused_at_once(
        *("leaderboard", "submit", copied, "--data", data, "--method", "Mine"),
        *("--out", tmp_path / "out"),
    )
    assert "expected the last checkpoint of a finished run" in line


def test_codes_that_were_not_scored(runs: Path, data: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(runs / "zero", tmp_path / "zero")
    place = copied / "representations" / "seed-0.npy"
    np.save(place, np.load(place)[::-1])
    line = refused_at_once(
        *("leaderboard", "submit", copied, "--data", data, "--method", "Mine"),
        *("--out", tmp_path / "out"),
    )
    assert "expected the codes that were scored, found others" in line
    assert list((tmp_path / "out").iterdir()) == []


def advice(*arguments: object) -> dict[str, str]:
    """What a command of the leaderboard prints, by the words before the colon."""
    lines = done_at_once("leaderboard", *arguments).splitlines()
    return dict(line.split(": ", 1) for line in lines if ": " in line)


def test_a_submission_of_one_seed_says_what_to_train_and_what_comes_next(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands that it prints lead to a submission that can be ranked."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(runs / "zero", "zero")
    named = ("--method", "My net", "--code", "https://example.org/net")
    found = advice("submit", "zero", *named)
    folder = Path(found["submission"])
    assert found["not ranked"].endswith("missing here: 1, 2")
    assert "--licence" in found["licence"]
    assert "code" not in found
    assert found["next"] == f"threedident leaderboard check {folder}"
    shutil.move(folder, "earlier")
    train = shlex.split(found["train them"])
    assert train[:2] == ["threedident", "benchmark"]
    assert {"--seeds=1,2", "--out=zero-seeds-1-2"} <= set(train)
    done_at_once(*train[1:], "--device", "cpu", "--workers", 0)
    again = shlex.split(found[f"then, with {folder} moved away"])
    assert again[:3] == ["threedident", "leaderboard", "submit"]
    whole = advice(*again[2:], "--licence", "MIT")
    assert set(whole) == {"submission", "next"}
    seeds = SubmissionFolder(folder).submission.seeds
    assert [record.seed for record in seeds] == [0, 1, 2]
    assert SubmissionFolder(folder).submission.code == "https://example.org/net"


def test_runs_of_an_older_numbering_are_trained_anew_with_all_seeds(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A seed trained today would be refused beside them, as the command's first advice was."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(runs / "zero", "zero")
    config = json.loads(Path("zero/config.json").read_text())
    del config["source"]["numbering"]  # as runs were before they had it
    Path("zero/config.json").write_text(json.dumps(config))
    checkpoint = Path("zero/checkpoints/seed-0.pt")
    state = torch.load(checkpoint)
    del state["config"]["source"]["numbering"]
    torch.save(state, checkpoint)
    found = advice("submit", "zero", "--method", "My net")
    assert "cannot join" in found["all seeds anew"]
    shutil.move(found["submission"], "earlier")
    train = shlex.split(found["train them"])
    assert {"--seeds=0,1,2", "--out=zero-seeds-0-1-2"} <= set(train)
    done_at_once(*train[1:], "--device", "cpu", "--workers", 0)
    again = shlex.split(found[f"then, with {found['submission']} moved away"])
    assert "zero" not in again
    assert "not ranked" not in advice(*again[2:])
    Path("zero/config.json").write_text(json.dumps(config | {"seeds": [1]}))
    line = refused_at_once("leaderboard", "submit", "zero", "--method", "My net")
    assert line.endswith("found 1; train all of them anew with --seeds")


def test_checks_say_what_keeps_a_row_from_being_ranked(tmp_path: Path) -> None:
    folder = make_submission(tmp_path, seeds=(0, 1))
    board = tmp_path / "board"
    found = advice("check", folder, "--board", board)
    assert found["not ranked"].endswith("missing here: 2")
    assert {"licence", "code"} <= set(found)
    assert found["next"].startswith(f"threedident leaderboard verify {folder} --secret FILE")
    shown = done_at_once("leaderboard", "check", folder, "--add", "--board", board)
    assert "not ranked: recomputed, not run on fresh images" in shown


BASE: dict[str, Any] = {
    "source": ImageSettings(
        pairs="nearest",
        anchor="marginal",
        conditional=Law(name="laplace", sigma=0.2),
        data={},
        resolution=32,
    ),
    "encoder": "resnet34",
    "loss": "l1.5",
    "output_space": "fixed-box",
    "extent": 2.0,
    "temperature": 0.5,
    "symmetric": True,
    "learned_scales": True,
    "steps": 300,
    "batch_size": 8,
    "learning_rate": 3e-4,
    "schedule": "cosine",
    "warmup": 7,
    "precision": "bf16",
    "eval_every": 30,
    "protocol": "held-out",
    "seeds": (0, 1, 2),
}
SUPERVISED = {
    "loss": "supervised",
    "output_space": "unbounded",
    "extent": None,
    "temperature": None,
    "symmetric": False,
    "learned_scales": False,
}


def source(**changes: Any) -> ImageSettings:
    return BASE["source"].model_copy(update=changes)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {**SUPERVISED, "source": source(pairs=None, anchor=None, conditional=None)},
        {
            "source": source(pairs="augmented", anchor=None, conditional=None),
            "loss": "cosine",
            "output_space": "sphere",
            "learned_scales": False,
        },
        {"source": source(pairs="rendered", anchor=None)},
        {"source": source(anchor="row")},
    ],
    ids=["nearest", "supervised", "augmented", "rendered", "row"],
)
def test_the_command_trains_the_same_again(
    changes: dict[str, Any], paired: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the command line makes of it is the configuration that it was made from."""
    config = Config(**{**BASE, **changes})
    record = DataRecord.model_validate(DATA | {"resolution": 32, "id": "3dident-draft-32px-60"})
    render, _, train = reproduce_command(config, record).partition(" && ")
    words = shlex.split(train)[2:]
    theirs = config.source
    assert isinstance(theirs, ImageSettings)
    assert ("--pairs laplace:0.2" in render) == (theirs.pairs == "rendered")
    asked: dict[str, Any] = {}
    monkeypatch.setattr(benchmark, "callback", lambda **given: asked.update(given))
    benchmark.main(words, standalone_mode=False)
    taken = {name: asked[name] for name in OPTIONS}
    options = complete(Options(**{**taken, "data": paired}))
    found = resolve(options, open_source(options))
    expected = config.model_dump() | {"source": None}
    assert found.model_dump() | {"source": None} == expected
    ours = found.source
    assert isinstance(ours, ImageSettings)
    assert (ours.pairs, ours.anchor) == (theirs.pairs, theirs.anchor)
    if theirs.pairs != "rendered":  # whose law is that of the data set
        assert ours.conditional == theirs.conditional


def test_render_commands_leave_out_what_is_usual() -> None:
    config = Config(**BASE)
    usual = DATA | {"quality": "standard", "id": "3dident-16px-60"}
    text = reproduce_command(config, DataRecord.model_validate(usual))
    assert "--quality" not in text
    assert "--n 60 --n-test 1000 --resolution 16" in text
    other = DATA | {"seed": 3, "hue_mode": "published", "material": "metal"}
    name = "3dident-published-hue-metal-draft-16px-60-seed3"
    text = reproduce_command(config, DataRecord.model_validate(other | {"id": name}))
    assert "--seed 3" in text
    assert "--hue published" in text
    assert "--material metal" in text
    assert f"--out data/{name}" in text
