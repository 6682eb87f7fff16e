"""The paper's tables as suites: what they hold, how they run and stop, and what they show."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from benchmark.runs.completion import complete
from benchmark.runs.options import Options
from benchmark.suites.departures import DEPARTURES
from benchmark.suites.figures import over_steps
from benchmark.suites.outcome import Outcome, read_outcome
from benchmark.suites.paper import TABLES
from benchmark.suites.questions import QUESTIONS
from benchmark.suites.report import write_suite
from benchmark.suites.suite import TABLES as EVERY
from benchmark.suites.table import Figure, Row
from benchmark.training.folder import RunFolder
from tests.conftest import (
    children,
    cli,
    command_line,
    make_images,
    refused_at_once,
    start,
    succeeded,
)

IMAGES = ("table4", "table5", "subsets", "pairs")
ROWS = [(table, row) for table in EVERY.values() for row in table.rows]


@pytest.mark.parametrize("scale", ["paper", "small"])
@pytest.mark.parametrize(
    ("table", "row", "protocol"),
    [(*each, protocol) for each in ROWS for protocol in DEPARTURES if each[0].name in TABLES]
    + [(*each, "held-out") for each in ROWS if each[0].name in QUESTIONS],
    ids=lambda x: getattr(x, "name", x),
)
def test_every_row_is_a_run_that_fits_together(
    table: Any, row: Row, protocol: str, scale: str
) -> None:
    options = complete(Options(**table.options(row, scale, protocol)))
    assert complete(options) == options
    assert options.seeds is not None
    assert len(options.seeds) >= 3
    assert (options.steps == 0) == (row.name.endswith(("identity", "untrained")))


def test_tables_hold_the_papers_rows() -> None:
    contrastive = {
        name: [row for row in table.rows if row.options.get("loss") != "supervised"]
        for name, table in TABLES.items()
    }
    counts = {name: len(rows) for name, rows in contrastive.items()}
    assert counts == {
        "table1": 12,
        "table2": 10,
        "table4": 5,
        "table5": 5,
        "subsets": 5,
        "pairs": 3,
        "kitti": 3,
    }
    theory = {name: sum(row.matches for row in rows) for name, rows in contrastive.items()}
    assert theory == {
        "table1": 1,
        "table2": 2,
        "table4": 1,
        "table5": 1,
        "subsets": 5,
        "pairs": 3,
        "kitti": 0,
    }
    for table in TABLES.values():
        names = [row.name for row in table.rows]
        assert len(set(names)) == len(names)


def test_the_papers_scale_is_the_papers() -> None:
    table = TABLES["table2"]
    row = next(row for row in table.rows if row.name == "laplace-box-l1")
    options = complete(Options(**table.options(row, "paper")))
    assert (options.factors, options.batch_size, options.steps) == (10, 6144, 300_003)
    assert (options.learning_rate, options.schedule, options.sigma) == (1e-4, "constant", 0.05)
    assert options.seeds == (0, 1, 2, 3, 4)
    assert row.paper["mcc"] == Figure(98.62, 0.05)


@pytest.mark.parametrize(("table", "row"), ROWS, ids=lambda x: x.name)
def test_the_small_scale_replaces_options_of_the_papers(table: Any, row: Row) -> None:
    options = table.options(row, "small")
    for name, value in {**table.small, **row.small}.items():
        own = row.small.get(name, row.options.get(name, value))
        assert options[name] == own
    assert not table.small or any(table.paper.get(k) != v for k, v in table.small.items())
    for name, value in table.paper.items():
        assert table.options(row, "paper")[name] == row.options.get(name, value)


def outcome(ours: tuple[float, float | None], paper: Figure | None) -> Outcome:
    row = Row("some-row", {}, {} if paper is None else {"mcc": paper})
    scores = {"mcc": ours[0], "mcc_sd": ours[1], "seeds": [{}, {}, {}]}
    records = [{"seed": 0, "step": step, "mcc": ours[0] * step / 10} for step in (0, 5, 10)]
    return Outcome(row, scores, records)


def test_differences_are_in_standard_deviations_of_both() -> None:
    assert outcome((0.90, 0.03), Figure(95, 4)).distance("mcc") == pytest.approx(-1)
    assert outcome((0.90, None), Figure(95, 4)).distance("mcc") is None
    assert outcome((0.90, 0.03), Figure(95)).distance("mcc") is None
    assert outcome((0.90, 0.03), None).distance("mcc") is None


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.images.append(dict(attrs))
        self.links += [v for k, v in attrs if k in ("href", "src") and v and "data:" not in v]

    def handle_data(self, data: str) -> None:
        self.words += data


def test_a_suite_is_shown_as_text_csv_latex_and_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = [outcome((0.90, 0.03), Figure(95, 4)), outcome((0.5, 0.01), None)]
    page = write_suite(TABLES["table2"], "small", "held-out", outcomes, tmp_path, "the command")
    shown = capsys.readouterr().out
    assert "90.00 ± 3.00" in shown
    assert "-1.0" in shown
    [first, second] = csv.DictReader((tmp_path / "table.csv").read_text().splitlines())
    assert float(first["ours"]) == pytest.approx(90)
    assert float(first["paper"]) == 95
    assert float(first["difference in sd"]) == pytest.approx(-1)
    assert second["paper"] == second["difference in sd"] == ""
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {
        f"{name}{suffix}" for name in ("scores", "over_steps") for suffix in (".png", ".svg")
    }
    latex = (tmp_path / "table.tex").read_text()
    assert r"$90.00 \pm 3.00$ & $95.00 \pm 4.00$ & $-1.0$ \\" in latex
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 1
    content = Page(page.read_text())
    assert content.links == ["some-row/report.html"] * 2
    assert content.words.count("some-row") == 2
    assert len(content.images) == 3
    assert all(image["alt"] for image in content.images)
    assert "90.00 ± 3.00" in content.words
    assert "the command" in content.words


@pytest.mark.parametrize("protocol", DEPARTURES)
@pytest.mark.parametrize("name", TABLES)
def test_a_page_says_what_differs_from_the_published_code(
    tmp_path: Path, name: str, protocol: str
) -> None:
    for scale in ("paper", "small"):
        page = write_suite(TABLES[name], scale, protocol, [], tmp_path, "the command")
        words = " ".join(Page(page.read_text()).words.split())
        assert "The settings are the published ones" not in words
        assert all(" ".join(line.split()) in words for line in DEPARTURES[protocol][name])
    left, ours = " ".join(DEPARTURES[protocol][name]), protocol == "held-out"
    assert ("normalisation differs" in left) == (ours and name in IMAGES)
    assert ("augmentation differs" in left) == (ours and name in ("table4", "table5"))
    assert ("Supervised rows differ" in left) == (ours and name in ("table1", "table2"))
    assert ("figures of table 5 are not in our sources" in left) == (name == "table5")


def test_curves_are_of_rows_that_were_trained() -> None:
    untrained = ("untrained", [{"seed": 0, "step": 0, "r2": 0.1, "mcc": 0.2}])
    trained = ("trained", [{"seed": 0, "step": s, "r2": 0.1, "mcc": 0.2} for s in (0, 5)])
    scores = {"r2": "R²", "mcc": "MCC"}
    assert over_steps([untrained], scores) is None
    for shown in (scores, {"r2": "R²"}):
        found = over_steps([untrained, trained], shown)
        assert found is not None
        assert len(found.panels) == len(shown) + 1  # a panel for each, and the names
        assert found.panels[-1].text == "Names of the lines: trained"


SMALL = ("benchmark", "--suite", "table2", "--scale", "small", "--device", "cpu", "--seeds", 0)


@pytest.fixture(scope="module")
def one_row(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished suite of one row; tests must not change it."""
    out = tmp_path_factory.mktemp("suite") / "suite"
    succeeded(cli(*SMALL, "--rows", "identity", "--out", out, drawn=True))
    return out


@pytest.mark.slow
def test_a_row_that_needs_no_training_runs_and_is_not_run_again(
    one_row: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(one_row, tmp_path / "suite")
    line = (*SMALL, "--rows", "identity", "--out", out)
    scores = json.loads((out / "identity" / "scores.json").read_text())
    assert 0.3 < scores["mcc"] < 0.9
    assert scores["mcc"] == scores["untrained"]["mcc"]
    assert "expected no suite there" in refused_at_once(*line)
    log = (out / "logs" / "identity.log").read_text()
    assert cli(*line[:-2], "--resume", out).returncode == 0
    assert (out / "logs" / "identity.log").read_text() == log
    assert "seeds" in refused_at_once(
        *line[:-4], "--rows", "identity", "--resume", "--out", out, "--seeds", 1
    )


@pytest.mark.slow
def test_a_suite_stops_with_its_rows_saved_and_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "suite"
    rows = "laplace-box-l1,normal-box-l2"
    line = (*SMALL, "--rows", rows, "--jobs", 2, "--out", out)
    process = start(*line, env={"OMP_NUM_THREADS": "1"})
    folders = [RunFolder(out / name) for name in rows.split(",")]
    end = time.monotonic() + 300
    while not all(any("loss" in record for record in folder.records()) for folder in folders):
        assert time.monotonic() < end, "waited too long"
        assert process.poll() is None
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "SIGTERM: every running row is saved" in stderr
    for name, folder in zip(rows.split(","), folders, strict=True):
        state = folder.load_checkpoint(0)
        assert state is not None
        assert 0 < state["step"] < 3000
        assert "with --resume goes on" in (out / "logs" / f"{name}.log").read_text()
        assert read_outcome(Row(name, {}, {}), folder) is None


@pytest.mark.slow
def test_rows_of_other_settings_are_not_taken_into_the_table(
    one_row: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(one_row, tmp_path / "suite")
    line = (*SMALL[:-2], "--out", out)
    found = refused_at_once(*line, "--seeds", 1, "--rows", "supervised-box", "--resume")
    assert "identity: it holds a run with seeds (0,) where (1,) is asked for" in found


@pytest.mark.slow
def test_a_row_that_is_killed_is_named(tmp_path: Path) -> None:
    out = tmp_path / "suite"
    process = start(*SMALL, "--rows", "laplace-box-l1", "--out", out)
    end = time.monotonic() + 300
    while not (out / "laplace-box-l1" / "config.json").is_file():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.1)
    [row] = [pid for pid in children(process) if b"laplace-box-l1" in command_line(pid)]
    os.kill(row, signal.SIGKILL)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "laplace-box-l1: killed by SIGKILL" in stderr


def test_damaged_scores_are_named(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    names = ("r2", "mcc", "mcc_spearman")
    scores = {**dict.fromkeys(names, 0.5), **{f"{name}_sd": None for name in names}}
    whole = {**scores, "seeds": [{}]}
    wrong = ({"mcc": "x"}, {"seeds": []}, {"seeds": None}, {"r2_sd": [1]})
    folder.scores.write_text(json.dumps(whole))
    assert read_outcome(Row("row", {}, {}), folder) is not None
    damaged = [json.dumps({**whole, **part}) for part in wrong]
    for content in ("{", "{}", "[]", "[" * 100_000, *damaged):
        folder.scores.write_text(content)
        with pytest.raises(ValueError, match=r"scores\.json: expected the scores .*; delete it"):
            read_outcome(Row("row", {}, {}), folder)


@pytest.mark.slow
def test_the_published_protocol_is_a_suites_too(tmp_path: Path) -> None:
    out = tmp_path / "suite"
    line = (*SMALL, "--rows", "identity", "--out", out, "--protocol", "published")
    assert cli(*line).returncode == 0
    assert json.loads((out / "identity" / "scores.json").read_text())["rows"] == 61_440
    command = "--rows identity --protocol=published"
    assert all(part in (out / "report.html").read_text() for part in command.split())


@pytest.mark.slow
def test_a_row_that_fails_is_named_and_the_others_finish(one_row: Path, tmp_path: Path) -> None:
    out = shutil.copytree(one_row, tmp_path / "suite")
    line = (*SMALL, "--rows", "identity", "--out", out)
    folder = RunFolder(out / "identity")
    folder.scores.unlink()
    folder.checkpoint(0).write_bytes(b"no checkpoint")
    found = refused_at_once(*line, "--resume")
    assert "table2: expected every row to finish, but identity: " in found
    assert "expected a checkpoint, found a damaged file" in found


@pytest.mark.slow
def test_data_that_do_not_fit_are_refused_before_any_row(tmp_path: Path) -> None:
    data = make_images(tmp_path / "images", n=20, n_test=20)
    line = ("benchmark", "--suite", "table4", "--data", data, "--device", "cpu")
    found = refused_at_once(*line, "--out", tmp_path / "suite")
    assert "resolution: expected 1 to 16" in found
    assert not (tmp_path / "suite").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("--suite", "table3"),
            "expected one of table1, table2, table4, table5, subsets, pairs, kitti",
        ),
        (("--suite", "table2", "--rows", "identity,nothing"), "found 'nothing'"),
        (("--suite", "table2", "--loss", "l1"), "expected no such option beside --suite"),
        (("--suite", "table2", "--data", "x"), "whose latents are drawn"),
        (("--suite", "table4", "--data", "no_such_folder"), "no_such_folder"),
        (("--suite", "kitti", "--data", "no_such.pickle"), "no_such.pickle"),
        (("--suite", "table2", "--compile"), "--compile: expected no such option"),
        (("--scale", "small"), "expected beside --suite"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    assert words in refused_at_once("benchmark", *arguments, "--out", tmp_path / "suite")
    assert not (tmp_path / "suite").exists()
