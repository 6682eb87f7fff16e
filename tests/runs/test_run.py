"""Training, scoring and reporting, on small pictures whose colours are their positions."""

from __future__ import annotations

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.metrics.scores import score
from benchmark.training.log import read_work
from tests.small_runs import run
from threedident import Normal, PositivePairs, ThreeDIdent

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "arguments",
    [
        ("--loss", "l2", "--encoder", "resnet18"),
        ("--loss", "l1", "--output-space", "unbounded", "--conditional", "laplace"),
        ("--loss", "dot"),
        ("--loss", "supervised"),
    ],
    ids=str,
)
def test_training_recovers_what_the_images_show(
    coloured: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    scores = run(coloured, tmp_path / "run", "--steps", 90, *arguments)
    [seed] = scores["seeds"]
    shown = [np.mean(seed[stage]["r2_per_factor"][:3]) for stage in ("untrained", "trained")]
    hidden = np.mean(seed["trained"]["r2_per_factor"][3:])
    assert shown[1] > shown[0] + 0.05
    assert shown[1] > 0.6
    assert hidden < 0.1


@pytest.mark.filterwarnings("ignore::benchmark.metrics.remarks.FewRowsWarning")
def test_scores_are_those_of_the_representations(coloured: Path, finished: Path) -> None:
    scores = json.loads((finished / "scores.json").read_text())
    latents = np.load(coloured / "test" / "raw_latents.npy")
    for entry in scores["seeds"]:
        codes = np.load(finished / "representations" / f"seed-{entry['seed']}.npy")
        assert score(latents, codes).r2 == pytest.approx(entry["trained"]["r2"], abs=1e-12)
        assert score(latents, codes).mcc == pytest.approx(entry["trained"]["mcc"], abs=1e-12)
    values = [entry["trained"]["mcc"] for entry in scores["seeds"]]
    assert [entry["seed"] for entry in scores["seeds"]] == [0, 3]
    assert scores["mcc"] == pytest.approx(np.mean(values))
    assert scores["mcc_sd"] == pytest.approx(np.std(values, ddof=1))


def test_scores_are_taken_in_eval_mode_and_in_the_order_of_rows(
    coloured: Path, finished: Path
) -> None:
    from benchmark.config import Config
    from benchmark.ranks import Ranks
    from benchmark.sources.images import ImageSource
    from benchmark.sources.source import Machine
    from benchmark.training.evaluation import represent
    from benchmark.training.objective import Objective
    from threedident.conditionals.law import Law

    config = Config.model_validate_json((finished / "config.json").read_bytes())
    split = ThreeDIdent(coloured, "test")
    source = ImageSource((ThreeDIdent(coloured), split), "nearest", Law(name="normal", sigma=0.1))
    objective = Objective(config, source, 0, Ranks())
    state = torch.load(finished / "checkpoints" / "seed-0.pt")["objective"]
    objective.load_state_dict(state)
    model = objective.model
    codes = represent(model, config, source, 0, Machine(torch.device("cpu")))
    assert model.training
    assert codes == pytest.approx(np.load(finished / "representations" / "seed-0.npy"), abs=1e-6)
    with torch.no_grad():
        alone = torch.cat([model.eval()(split[i][0][None]) for i in (5, 0)])
    assert alone.numpy() == pytest.approx(codes[[5, 0]], abs=1e-4)


def test_run_folder_is_complete(coloured: Path, finished: Path) -> None:
    config = json.loads((finished / "config.json").read_text())
    assert config["seeds"] == [0, 3]
    assert (config["loss"], config["output_space"], config["steps"]) == ("l2", "box", 40)
    records = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    for seed in (0, 3):
        steps = [r["step"] for r in records if r["seed"] == seed and "loss" in r]
        assert steps == list(range(1, 41))
        scored = [r["step"] for r in records if r["seed"] == seed and "r2" in r]
        assert scored[0] == 0
        assert scored[-1] == 40
        work = read_work(finished / "work.jsonl", seed)
        assert work is not None
        assert 0 < work.seconds < 600
        assert "1 thread" in work.hardware
        assert work.data == coloured.resolve()
    assert read_work(finished / "work.jsonl", 1) is None
    figures = {path.name for path in (finished / "figures").iterdir()}
    drawn = ("curves", "correlation", "scatter", "delivered")
    shown = ("pairs", "neighbours", "traversal")
    assert figures == {f"{name}.png" for name in drawn + shown} | {f"{name}.svg" for name in drawn}


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]


def test_report_needs_no_network(finished: Path) -> None:
    page = (finished / "report.html").read_text()
    links = Links()
    links.feed(page)
    assert len(links.sources) == 3 + 10 + 1 + 2 + 4 + 4 + 10  # panels of seven figures
    kinds = ("data:image/png;base64,", "data:image/svg+xml;base64,")
    assert all(source.startswith(kinds) for source in links.sources)
    assert not links.tags & {"script", "link", "iframe"}
    scores = json.loads((finished / "scores.json").read_text())
    for value in (scores["r2"], scores["mcc"], scores["untrained"]["r2"]):
        assert f"{value:.3f}" in page


def test_report_shows_the_rendered_traversal_where_there_is_one(
    coloured: Path, finished: Path, tmp_path: Path
) -> None:
    drawn = shutil.copytree(coloured, tmp_path / "data")
    shutil.copy(finished / "figures" / "curves.png", drawn / "traversal.png")
    run(drawn, tmp_path / "run", "--steps", 1, drawn=True)
    shown = (tmp_path / "run" / "figures" / "traversal.png").read_bytes()
    assert shown == (drawn / "traversal.png").read_bytes()
    assert "Rendered traversal" in (tmp_path / "run" / "report.html").read_text()


def test_a_run_says_what_its_pairs_delivered(coloured: Path, finished: Path) -> None:
    delivered = json.loads((finished / "delivered.json").read_text())
    expected = PositivePairs(ThreeDIdent(coloured), Normal(0.1), seed=0).delivered()
    assert delivered == expected.to_json()
    assert all(delivered["delivered"][name] > 0.1 for name in delivered["requested"])
