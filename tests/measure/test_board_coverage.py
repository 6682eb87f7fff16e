"""The commands that simulate seasons and honest rows, at sizes that take seconds."""

from __future__ import annotations

import numpy as np
import pytest
from click import Command
from click.testing import CliRunner

from benchmark.leaderboard.verification.statistics import SUSPICIOUS
from benchmark.measure.board import WAYS, Scenario, board_coverage, simulate
from benchmark.measure.gap import ROWS, false_alarms, ratios


def test_true_scores_are_those_of_many_images() -> None:
    scenario = Scenario(rows=4, seeds=10, own=True, equal=False, spread=0.1)
    means = np.mean(
        [
            [row.scores.mean() for row in scenario.season(np.random.default_rng(i))]
            for i in range(20)
        ],
        axis=0,
    )
    assert means == pytest.approx(scenario.truth, abs=0.01)
    assert scenario.truth[0] == scenario.truth[1] > scenario.truth[2] > scenario.truth[3]
    equal = scenario._replace(equal=True).truth
    assert np.ptp(equal) == 0


def test_equal_methods_with_errors_of_their_own_differ_by_seeds_alone_only() -> None:
    found = simulate(Scenario(rows=5, seeds=3, own=True, equal=True, spread=0.02), 30)
    assert list(found) == list(WAYS)
    assert found["seeds alone"].different > 0.5
    assert found["board"].different < 0.25
    assert found["board"].coverage == pytest.approx(1 - found["board"].different)
    assert found["board"].width > found["seeds alone"].width


def test_ratios_of_honest_rows_are_within_chance() -> None:
    found = np.abs(ratios(ROWS["1,000 public images"], 4))
    assert found.shape == (4, 2)
    assert (found < SUSPICIOUS).mean() > 0.8


@pytest.mark.parametrize(
    ("command", "words", "shown"),
    [
        (board_coverage, ("--seasons", "2"), "plain bootstrap"),
        (board_coverage, ("--seasons", "2", "--methods", "unequal"), "unequal methods"),
        (false_alarms, ("--rows", "2"), "mixed codes"),
    ],
)
def test_commands_print_a_table(command: Command, words: tuple[str, ...], shown: str) -> None:
    result = CliRunner().invoke(command, words)
    assert result.exit_code == 0, result.output
    assert shown in result.output


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (board_coverage, ("--seeds", "1")),
        (board_coverage, ("--seasons", "0")),
        (board_coverage, ("--spread", "101")),
        (false_alarms, ("--rows", "1")),
    ],
)
def test_what_does_not_fit_is_refused(command: Command, words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(command, words)
    assert result.exit_code == 2
    assert words[0] in result.output
