"""The page of a run: what it says first, and how it reads on a phone."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page

from benchmark.metrics.disentanglement.dci import least_informativeness
from benchmark.metrics.scores import Scores
from benchmark.runs.reports import report
from benchmark.runs.reports.headline import levels, sentence
from benchmark.sources.examples import SHOWN, nearest, neighbours
from benchmark.sources.images import ImageSource
from benchmark.sources.kitti_masks.masks import MaskSource
from benchmark.suites.outcome import Outcome
from benchmark.suites.paper import TABLES
from benchmark.suites.report import write_suite
from benchmark.suites.table import Figure, Row
from benchmark.training.folder import RunFolder
from benchmark.training.trainer import Result
from tests.conftest import CHROMIUM
from tests.pedestrians import make_pickle
from threedident import ThreeDIdent
from threedident.conditionals.law import Law

PHONE = 390
MISSING = "\N{EN DASH}"
RESULT = ("seed", "untrained", "trained")
in_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium, as make setup installs")


def visit(browser: Browser, path: Path, width: int, scheme: Any = "light") -> Page:
    context = browser.new_context(
        viewport={"width": width, "height": 844}, color_scheme=scheme, java_script_enabled=True
    )
    page = context.new_page()
    page.on("request", lambda request: request.url.startswith("data:") or found.append(request))
    found: list[Any] = []
    page.goto(path.as_uri())
    assert [request.url for request in found] == [path.as_uri()]
    return page


def test_levels_are_shares_of_what_the_data_allow() -> None:
    linear = np.array([0.95, 0.90, 0.89, 0.5, 0.2, 0.2, -0.1])
    curved = np.array([0.95, 0.95, 0.99, 0.6, 0.9, 0.3, -0.1])
    names = list("abcdefg")
    whole = levels(names, linear, curved, None)
    found = {level.name: [name for name, _ in level.factors] for level in whole}
    assert found == {
        "Recovered": ["a", "b"],
        "In part": ["c", "d"],
        "Encoded, but not linearly": ["e"],
        "Not recovered": ["f", "g"],
    }
    halved = levels(names, linear / 2, curved / 2, np.full(7, 0.5))
    assert [[name for name, _ in level.factors] for level in halved] == list(found.values())
    assert halved[0].meaning == "share of the best R² ≥ 0.9"


@pytest.mark.parametrize(
    ("values", "said"),
    [((0.99, 0.95), "all 2"), ((0.99, 0.1), "1 of 2"), ((0.1, 0.1), "none of the 2")],
)
def test_the_headline_counts_what_is_recovered(values: tuple[float, ...], said: str) -> None:
    scores = np.array(values)
    found = levels(["x", "y"], scores, scores, None)
    assert sentence(found) == f"The encoder recovers {said} factors"
    assert sum(len(level.factors) for level in found) == 2
    assert all(level.factors for level in found)


def test_neighbours_do_not_depend_on_the_unit_of_a_code() -> None:
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(50, 3)).astype(np.float32)
    alone = np.arange(50)
    rows, distances = neighbours(codes, alone[:5], alone)
    scaled, _ = neighbours(codes * np.float32([1, 100, 0.01]), alone[:5], alone)
    assert (rows == scaled).all()
    assert (np.diff(distances) >= 0).all()
    assert (rows != alone[:5, None]).all()
    dead = np.concatenate([codes, np.full((50, 1), 3, np.float32)], axis=1)
    assert (neighbours(dead, alone[:5], alone)[0] == rows).all()
    standard = codes / codes.std(axis=0)
    exact = np.linalg.norm(standard[:, None] - standard[:5], axis=2).T
    exact[alone[:5], alone[:5]] = np.inf
    assert (exact.argsort(axis=1)[:, :SHOWN] == rows).all()


def test_rows_of_one_group_are_no_neighbours() -> None:
    groups = np.array([0, 0, 0, 1, 1, 2])
    rows, _ = neighbours(np.arange(6, dtype=np.float32)[:, None], np.array([0, 3, 5]), groups)
    assert rows.shape == (3, 3)  # as many as the first has
    assert rows[0].tolist() == [3, 4, 5]
    assert rows[1].tolist() == [2, 1, 5]


def test_examples_are_images_of_the_test_split_and_pairs_of_the_train_split(
    coloured: Path,
) -> None:
    splits = ThreeDIdent(coloured), ThreeDIdent(coloured, "test")
    seen: list[list[int]] = []

    def images(rows: Any) -> torch.Tensor:
        seen.append(list(rows))
        return splits[1].images(rows)

    codes = splits[1].latents[:, :3]
    found = nearest(codes, images)
    assert [rows[0] for rows in seen] == list(range(SHOWN))
    rows, _ = neighbours(codes, np.arange(SHOWN), np.arange(len(codes)))
    assert [rows[1:] for rows in seen] == rows.tolist()
    assert "standard deviation 1" in found.caption
    assert len(found.panels) == SHOWN
    paired = ImageSource(splits, "augmented").examples(0, codes)
    assert list(paired) == ["pairs", "neighbours"]
    assert list(ImageSource(splits, None).examples(0, codes)) == ["neighbours"]
    for picture in paired.values():
        assert all(panel.text and panel.label and not panel.wide for panel in picture.panels)


@pytest.mark.parametrize("lengths", [[6] * 40, [9, 8]], ids=["many-tracks", "one-test-track"])
def test_masks_have_neighbours_of_other_tracks(tmp_path: Path, lengths: list[int]) -> None:
    source = MaskSource(make_pickle(tmp_path, lengths), 1)
    codes = np.random.default_rng(0).normal(size=(len(source.scored), 10)).astype(np.float32)
    found = source.examples(0, codes)
    assert list(found) == ["pairs", "neighbours"]
    texts = [panel.text for panel in found["neighbours"].panels]
    assert len(texts) == SHOWN
    if len(lengths) > 2:
        for text in texts:
            query, *others = (int(row) for row in re.findall(r"\d+", text))
            assert all(row // 6 != query // 6 for row in others)


@pytest.mark.slow
def test_the_page_begins_with_its_findings_and_a_picture(finished: Path) -> None:
    page = (finished / "report.html").read_text()
    scores = json.loads((finished / "scores.json").read_text())
    linear = np.mean([seed["trained"]["r2_per_factor"] for seed in scores["seeds"]], axis=0)
    heading = re.search("<h1>(.*?)</h1>", page)
    assert heading is not None
    count = int((linear >= 0.9).sum())
    assert heading[1].startswith(f"The encoder recovers {count or 'none'} of")
    head = page[: page.index("</dl>")]
    lost = head[head.index("Not recovered") :]
    assert "R² &lt; 0.5" in lost
    for name, value in zip(scores["factors"], linear, strict=True):
        assert (f"<span>{name}<b>" in lost) == (value < 0.5)
    places = [page.index(text) for text in ("</dl>", "<img", 'class="card"', "<table", "Curves")]
    assert places == sorted(places)


@pytest.mark.slow
def test_withheld_scores_are_a_dash(
    finished: Path, coloured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(shutil.copytree(finished, tmp_path / "run"))
    splits = ThreeDIdent(coloured), ThreeDIdent(coloured, "test")
    source = ImageSource(splits, "nearest", Law(name="normal", sigma=0.1))
    config = folder.read_config()
    results = [
        Result(*(seed[k] if k == "seed" else Scores.from_json(seed[k]) for k in RESULT))
        for seed in json.loads(folder.scores.read_text())["seeds"]
    ]
    withheld = report._probe(folder, config, source, results[0].seed)
    dci = replace(withheld.dci, disentanglement=None, completeness=None)  # type: ignore[arg-type]
    monkeypatch.setattr(report, "_probe", lambda *_: replace(withheld, dci=dci))
    scores = report.write_results(folder, config, results, source, "the command")
    assert scores["dci"]["disentanglement"] is scores["dci"]["completeness"] is None
    page = folder.report.read_text()
    level = least_informativeness(scores["rows"])
    assert f"withheld for 2 of 2 seeds, mean informativeness below {level:.3f}" in page
    for name in ("Disentanglement", "Completeness"):
        assert f"{name}</span><b>{MISSING}</b>" in page


@pytest.mark.slow
@in_browser
@pytest.mark.parametrize("width", [PHONE, 360, 1280])
def test_the_report_reads_at_every_width(finished: Path, browser: Browser, width: int) -> None:
    page = visit(browser, finished / "report.html", width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    images = page.locator("img").all()
    assert len(images) > 20
    for image in images:
        shown = image.evaluate("e => [e.clientWidth, +e.getAttribute('width'), e.naturalWidth]")
        assert shown[0] >= 0.99 * min(shown[1], width - 2.4 * 16)
        assert shown[0] <= shown[1]
        assert shown[2] > 0
        assert image.get_attribute("alt")
    page.context.close()


@pytest.mark.slow
@in_browser
def test_panels_stack_on_a_phone_and_stand_in_a_row_on_a_desk(
    finished: Path, browser: Browser
) -> None:
    found = {}
    for width in (PHONE, 1280):
        page = visit(browser, finished / "report.html", width)
        section = page.locator("section", has=page.get_by_role("heading", name="Curves"))
        boxes = [panel.bounding_box() for panel in section.locator("img").all()]
        found[width] = len({round(box["y"]) for box in boxes if box})
        page.context.close()
    assert found == {PHONE: 3, 1280: 1}


def test_a_suite_names_the_rows_whose_test_rows_are_few(tmp_path: Path) -> None:
    scores = {f"{name}{end}": 0.5 for name in ("mcc", "r2") for end in ("", "_sd")}
    outcomes = [
        Outcome(
            Row(f"row{codes}", {}, {"mcc": Figure(95, 4)}),
            {**scores, "rows": 120, "seeds": [{"trained": {"correlation": [[0.1] * codes]}}]},
            [{"seed": 0, "step": 0, "mcc": 0.1, "r2": 0.1}],
        )
        for codes in (6, 7)
    ]
    path = write_suite(TABLES["table2"], "small", "held-out", outcomes, tmp_path, "the command")
    page = path.read_text()
    assert page.count("rows are few") == 1
    assert "Note: row7: 120 rows are few for 7 codes" in page


@pytest.mark.slow
@in_browser
def test_a_suite_reads_on_a_phone(tmp_path: Path, browser: Browser) -> None:
    outcomes = [
        Outcome(
            Row(f"laplace-unbounded-l{i}", {}, {"mcc": Figure(95, 4)}),
            {"mcc": 0.9, "mcc_sd": 0.03, "r2": 0.9, "r2_sd": 0.1, "seeds": [{}, {}]},
            [{"seed": 0, "step": s, "mcc": s / 10, "r2": s / 10} for s in (0, 5, 10)],
        )
        for i in range(12)
    ]
    path = write_suite(TABLES["table2"], "small", "held-out", outcomes, tmp_path, "the command")
    page = visit(browser, path, PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
    for image in page.locator("img").all():
        shown = image.evaluate("e => [e.clientWidth, +e.getAttribute('width')]")
        assert shown[0] >= 0.99 * shown[1]
    page.context.close()
