"""Table 5, and the tables by the published protocol."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.runs.completion import complete
from benchmark.runs.options import Options
from benchmark.suites.outcome import Outcome
from benchmark.suites.paper import TABLES
from benchmark.suites.report import write_suite
from threedident.latents.factors import NAMES


def test_table_5_is_table_4_on_the_train_split() -> None:
    fourth, fifth = TABLES["table4"], TABLES["table5"]
    for row, other in zip(fourth.rows, fifth.rows, strict=True):
        assert other.paper == {}
        options = complete(Options(**fourth.options(row, "paper")))
        assert complete(Options(**fifth.options(other, "paper"))) == options.replace(
            score_on="train"
        )


@pytest.mark.parametrize("name", ["table5", "table4"])
def test_a_table_without_reported_figures_has_no_columns_for_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    names = ("r2", "mcc")
    scores = {**dict.fromkeys(names, 0.9), **{f"{n}_sd": 0.1 for n in names}, "seeds": [{}]}
    found = [Outcome(row, scores, []) for row in TABLES[name].rows]
    page = write_suite(TABLES[name], "paper", "published", found, tmp_path, "the command")
    reported = sum(len(row.paper) for row in TABLES[name].rows)
    missing = 2 * len(found) - reported
    text, words = page.read_text(), " ".join(capsys.readouterr().out.split())
    for shown in (words, text):
        assert ("difference in sd" in shown) == (reported > 0)
    assert (">paper</th>" in text) == (reported > 0)
    assert text.count('<td class="n">-</td>') == (missing if reported else 0)
    assert (tmp_path / "table.tex").read_text().count("& --") == missing


def test_published_regression_goes_through_the_output_space_of_its_runs() -> None:
    spaces = {
        row.name: complete(Options(**table.options(row, "paper", "published"))).output_space
        for table in (TABLES["table1"], TABLES["table2"])
        for row in table.rows
        if "supervised" in row.name
    }
    assert spaces == {
        "sphere-supervised": "sphere",
        "box-supervised": "unbounded",
        "sphere-normal-supervised": "sphere",
        "real-laplace-supervised": "unbounded",
        "real-normal-supervised": "unbounded",
        "supervised-box": "box",
        "supervised-unbounded": "unbounded",
    }


def test_subsets_are_those_of_the_published_code() -> None:
    columns = {
        "positions": [0, 1, 2],
        "rotations": [3, 4, 5, 6],
        "hues": [7, 8, 9],
        "rotations-hues": [3, 4, 5, 6, 7, 8, 9],
        "no-spotlight": [0, 1, 2, 3, 4, 5, 7, 9],
    }
    found = {
        row.name: [NAMES.index(name) for name in row.options["factors"].split(",")]
        for row in TABLES["subsets"].rows
    }
    assert found == columns
