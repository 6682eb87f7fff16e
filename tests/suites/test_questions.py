"""Tables of our own: their scores, and their rows of mixing beside rows of images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.runs.options import Options
from benchmark.suites.outcome import Outcome
from benchmark.suites.questions import QUESTIONS
from benchmark.suites.report import _needs, say_outcome
from benchmark.suites.suite import _plan
from benchmark.suites.table import Row


def test_scores_beside_mcc_and_of_groups_come_from_the_seeds() -> None:
    def seed(ica: float | None, content: float) -> dict[str, Any]:
        return {
            "mcc_context": {"ica_mcc": ica, "null_level": 0.1},
            "blocks": {"groups": ["content", "style"], "nonlinear": [[content, 0], [0.2, 0]]},
            "probe": {"nonlinear_r2_per_factor": [0.5, 0.7, 0.1]},
        }

    factors = ["object x", "object y", "object hue"]
    both = Outcome(
        Row("a", {}, {}), {"factors": factors, "seeds": [seed(0.9, 1), seed(0.7, 1)]}, []
    )
    assert both.ours("ica_mcc") == pytest.approx((80, np.std([90, 70], ddof=1)))
    assert both.ours("r2:content") == (100, 0)
    assert both.ours("r2:position") == pytest.approx((60, 0))
    assert both.ours("r2:private") is None
    withheld = Outcome(both.row, {"factors": factors, "seeds": [seed(0.9, 1), seed(None, 1)]}, [])
    assert withheld.ours("ica_mcc") is None


def test_rows_of_mixing_leave_the_data_set_to_the_others(tmp_path: Path) -> None:
    table = QUESTIONS["content-style"]
    asked = Options(data=tmp_path)
    plans = {row.name: _plan(table, row, "small", asked, tmp_path) for row in table.rows}
    assert plans["mixing-every"].options.data is None
    assert plans["mixing-every"].options.codes == 3
    paper = table.options(table.rows[0], "paper")
    assert (paper["codes"], paper["pairs"]) == (5, "z1..z5=keep;rest=normal:1")
    assert plans["images-hues"].options.data == tmp_path


def test_every_folder_of_a_suite_is_named_with_what_it_needs() -> None:
    groups = _needs(QUESTIONS["groups"])
    assert list(groups) == ["positions", "rotations", "spotlight-hues"]
    assert "factors alpha, beta, gamma free and all others held" in groups["rotations"]
    assert list(_needs(QUESTIONS["two-materials"])) == [""]
    assert _needs(QUESTIONS["estimators"]) == {}


def test_a_row_without_reported_figures_tells_its_scores() -> None:
    scores = {"r2": 0.98, "r2_sd": 0.01, "mcc": 0.9, "mcc_sd": None, "seeds": []}
    assert say_outcome(Outcome(Row("a", {}, {}), scores, [])) == "a: R² 98.00 ± 1.00, MCC 90.00"
