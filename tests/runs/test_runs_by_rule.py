"""Runs whose pairs follow a rule: options, configuration, report, and the command that repeats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.config import Config
from benchmark.differences import short_digest
from benchmark.leaderboard.submission.reproduce import _positives
from benchmark.measure.synthetic import sparse_pairs
from benchmark.runs.completion import complete
from benchmark.runs.opening import open_source, resolve
from benchmark.runs.options import Options
from benchmark.runs.resume import options_of
from benchmark.settings import ImageSettings
from benchmark.sources.images import ImageSource
from tests.conftest import cli, make_images, succeeded
from tests.small_runs import ONE_THREAD, run
from threedident import ThreeDIdent
from threedident.latents.sampling import to_physical

RULE = "hue,position=keep;rest=normal:0.3"
SPELLED = "position,hue=keep;rotation,theta=normal:0.3"


def config(**asked: Any) -> Config:
    options = complete(Options(**{"source": "mixing", "factors": 4, **asked}))
    return resolve(options, open_source(options))


@pytest.fixture(scope="module")
def hues(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images whose hues take two values."""
    root = make_images(tmp_path_factory.mktemp("hues"), n=120, n_test=40)
    for split in ("train", "test"):
        raw = np.load(root / split / "raw_latents.npy")
        raw[:, 7:] = np.sign(raw[:, 7:]) / 2
        np.save(root / split / "raw_latents.npy", raw)
        np.save(root / split / "latents.npy", to_physical(raw))
    return root


def test_a_rule_is_stored_in_its_one_spelling(hues: Path) -> None:
    for asked, spelled in [
        ({"pairs": "z4,z3=keep;rest=normal:.1"}, "z1,z2=normal:0.1;z3,z4=keep"),
        ({"pairs": "rest=marginal/2", "space": "real"}, "rest=marginal/2"),
        ({"pairs": "sphere=normal:1@0.5", "space": "sphere"}, "rest=normal:1.0@0.5"),
        ({"pairs": RULE, "source": "nearest", "data": hues, "factors": None}, SPELLED),
    ]:
        found = config(**asked, batch_size=20)
        assert found.source.rule == spelled  # type: ignore[union-attr]
        assert found.source.conditional is None  # type: ignore[union-attr]
        assert Config.model_validate_json(found.model_dump_json()) == found
        held = complete(options_of(found).replace(data=asked.get("data")))
        assert resolve(held, open_source(held)) == found


@pytest.mark.parametrize("text", ["normal:0.2", "rest=normal:0.2", "z1..z4=normal:.2"])
def test_a_law_of_all_factors_is_the_conditional(text: str) -> None:
    by_name = config(conditional="normal", sigma=0.2)
    assert config(pairs=text) == by_name
    assert "rule" not in by_name.model_dump(exclude_defaults=True)["source"]
    assert short_digest(config(pairs=text)) == short_digest(by_name)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"conditional": "normal"}, "--pairs: expected a rule or --conditional, found both"),
        ({"sigma": 0.1}, "--pairs: expected a rule or --sigma, found both"),
        ({"source": "rendered", "factors": None}, "--pairs: expected with --source nearest or mi"),
        ({"source": "kitti", "factors": None}, "--pairs: expected with --source nearest or mixin"),
        ({"loss": "supervised"}, "--pairs: expected with a contrastive --loss"),
        ({"factors": 3}, "--pairs: expected FACTORS=ACTION"),
        ({"pairs": "rest=normal"}, "found 'rest=normal'; expected an action among keep"),
        ({"pairs": "z1=keep"}, "none for z2, z3, z4"),
        ({"pairs": "rest=vmf:1@0.5", "space": "sphere"}, "fits the conditional vmf (dot, cosine)"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match="expected") as error:
        config(**{"pairs": "z4=keep;rest=normal:0.1", **asked})
    assert words in str(error.value)


@pytest.mark.parametrize("text", [SPELLED, "normal:0.1", "rest=marginal/2"])
def test_rendered_pairs_name_what_renders_them_again(tmp_path: Path, text: str) -> None:
    sparse_pairs(tmp_path, 30, 8, text)
    train = ThreeDIdent(tmp_path)
    settings = ImageSource((train, train), "rendered").settings
    assert isinstance(settings, ImageSettings)
    assert (settings.rule is None) == (settings.conditional is not None) == (text == "normal:0.1")
    found = config().model_copy(update={"source": settings})
    assert _positives(found) == text


@pytest.mark.slow
def test_a_report_says_what_pairs_by_a_rule_delivered(hues: Path, tmp_path: Path) -> None:
    rule = "hue=keep;rest=normal:0.3"
    run(hues, tmp_path / "run", "--steps", 2, "--pairs", rule)
    settings = json.loads((tmp_path / "run/config.json").read_text())["source"]
    assert settings["rule"] == "position,rotation,theta=normal:0.3;hue=keep"
    delivered = json.loads((tmp_path / "run/delivered.json").read_text())
    assert delivered["agreeing"] > 0.95
    assert delivered["requested"]["object_hue"] == 0
    assert delivered["delivered"]["object_hue"] < 0.1 < delivered["delivered"]["x"]
    page = (tmp_path / "run/report.html").read_text()
    assert "of pairs agree exactly in all that the rule keeps" in page
    assert settings["rule"] in page


@pytest.mark.slow
def test_contrastive_learning_finds_what_is_kept_and_drops_what_is_redrawn(
    tmp_path: Path,
) -> None:
    line = ("--source", "mixing", "--factors", 4, "--pairs", "z1,z2=keep;rest=marginal")
    short = ("--steps", 300, "--batch-size", 256, "--learning-rate", "1e-3", "--device", "cpu")
    succeeded(cli("benchmark", *line, *short, "--out", tmp_path / "run", env=ONE_THREAD))
    [seed] = json.loads((tmp_path / "run/scores.json").read_text())["seeds"]
    found = seed["trained"]["r2_per_factor"]
    assert min(found[:2]) > 0.95
    assert max(map(abs, found[2:])) < 0.05


@pytest.mark.parametrize("source", ["nearest", "mixing"])
def test_pairs_in_which_nothing_changes_are_refused(hues: Path, source: str) -> None:
    data = {"data": hues} if source == "nearest" else {"factors": 4}
    options = complete(Options(source=source, pairs="rest=keep", batch_size=20, **data))
    with pytest.raises(ValueError, match=r"expected a factor that changes, found rest=keep"):
        open_source(options)
