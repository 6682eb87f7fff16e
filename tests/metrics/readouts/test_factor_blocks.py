"""Readouts of groups from blocks of codes, and logistic regression."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from benchmark.metrics.readouts.blocks import Blocks, blocks, usual_groups
from benchmark.metrics.readouts.logistic import accuracies
from benchmark.metrics.scores import linear_r2
from threedident.latents.factors import LABELS, NAMES


def uniform(seed: int, rows: int = 1000, n: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (rows, n))


GROUPS = {"content": [0, 1, 2], "style": [3, 4, 5]}


def test_groups_of_3dident_are_the_usual_ones() -> None:
    for names in (NAMES, LABELS):
        found = usual_groups(names)
        assert {k: len(v) for k, v in found.items()} == {
            "position": 3,
            "rotation": 3,
            "spotlight": 1,
            "hue": 3,
        }
    assert usual_groups(["a", "b"]) == {"a": [0], "b": [1]}


def test_a_permutation_leaks_nothing() -> None:
    z = uniform(0)
    found = blocks(z, z[:, ::-1] ** 3, groups=GROUPS)
    assert found.blocks == ("content", "style")
    assert found.nonlinear[:, 0] == pytest.approx(1, abs=0.01)
    assert found.nonlinear[0, 1] == pytest.approx(1, abs=0.01)
    assert found.nonlinear[0, 2] == pytest.approx(0, abs=0.03)
    assert found.leakage == pytest.approx(0, abs=0.02)


def test_copies_in_the_other_block_leak_all() -> None:
    z = uniform(1)
    codes = np.hstack([z, z[:, :3]])
    parts = {"content": [0, 1, 2], "style": [3, 4, 5, 6, 7, 8]}
    found = blocks(z, codes, groups=GROUPS, code_blocks=parts)
    assert found.leakage == pytest.approx([1, 0], abs=0.03)
    by_assignment = blocks(z, codes, groups=GROUPS)
    assert by_assignment.blocks == ("content", "style", "spare")
    assert by_assignment.leakage[0] == pytest.approx(1, abs=0.03)


def test_linear_r2_is_that_of_the_scores() -> None:
    z = uniform(2)
    codes = z @ np.random.default_rng(3).normal(size=(6, 4))
    found = blocks(z, codes, groups=GROUPS, code_blocks={"content": [0, 2]})
    assert found.linear[0, 0] == pytest.approx(linear_r2(z, codes)[:3].mean())
    assert found.linear[1, 1] == pytest.approx(linear_r2(z, codes[:, [0, 2]])[3:].mean())


def test_codes_that_lack_a_group_have_no_block_for_it() -> None:
    z = uniform(4)
    found = blocks(z, z[:, :3], groups=GROUPS)
    assert found.blocks == ("content",)
    assert found.nonlinear[1, 0] == pytest.approx(0, abs=0.03)
    assert found.leakage == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("classes", [2, 5])
def test_logistic_regression_is_scikit_learns(classes: int) -> None:
    x = np.random.default_rng(5).normal(size=(1200, 4)) * [1, 10, 0.1, 1] + 3
    noisy = x @ np.random.default_rng(6).normal(size=(4, classes))
    y = (noisy + np.random.default_rng(7).gumbel(size=noisy.shape)).argmax(axis=1)
    found, majority = accuracies(y, x)
    standard = (x - x[:600].mean(axis=0)) / x[:600].std(axis=0)
    fit = LogisticRegression(max_iter=1000, tol=1e-8).fit(standard[:600], y[:600])
    assert found == pytest.approx(fit.score(standard[600:], y[600:]), abs=0.01)
    assert majority == pytest.approx((y[600:] == np.bincount(y[:600]).argmax()).mean())


def test_categories_have_accuracies_beside_the_majority() -> None:
    z = uniform(8)
    z[:, 5] = np.digitize(z[:, 5], [-0.5, 0.2])
    found = blocks(z, z, groups=GROUPS, categories=[False] * 5 + [True], labels=list("abcdef"))
    assert found.categories == ("f",)
    assert found.accuracy is not None
    assert found.majority is not None
    assert found.accuracy[0, 0] > 0.97
    most = np.bincount(z[:500, 5].astype(int)).argmax()
    assert found.majority[0] == pytest.approx((z[500:, 5] == most).mean())
    assert "f: accuracy" in str(found)
    again = Blocks.from_json(json.loads(json.dumps(found.to_json())))
    assert str(again) == str(found)


def test_angles_are_read() -> None:
    angle = np.random.default_rng(9).uniform(-np.pi, np.pi, (1000, 2))
    codes = np.hstack([np.cos(angle), np.sin(angle)])
    parts = {"0": [0, 2], "1": [1, 3]}
    found = blocks(angle, codes, code_blocks=parts, circular=[True, True])
    assert found.linear[:, 0] == pytest.approx(1, abs=0.01)
    assert found.leakage == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"groups": {"content": []}}, "groups: expected numbers of factors"),
        ({"groups": {"content": [6]}}, "groups: expected numbers of factors"),
        ({"code_blocks": {"content": [0.5]}}, "code_blocks: expected numbers of codes"),
        ({"categories": [True]}, "categories: expected 6 bools"),
    ],
)
def test_wrong_groups_are_refused(given: dict[str, Any], words: str) -> None:
    z = uniform(10, 200)
    with pytest.raises(ValueError, match=words):
        blocks(z, z, **given)
