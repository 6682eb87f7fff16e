"""Pairs of two materials: both views show one latent, or a rule moves it as well."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import DRAFT, cli, contents, done_at_once, refused_at_once, succeeded
from threedident import RenderedPairs, ThreeDIdent
from threedident.storage.folder import SplitFolder
from threedident.storage.manifest import require_manifest

pytestmark = pytest.mark.slow

TWO = ("--pairs", "rest=keep", "--positive-material", "metal")


def test_views_of_one_latent_in_two_materials(tmp_path: Path) -> None:
    out = tmp_path / "two"
    succeeded(cli("render", "--n", 3, "--n-test", 2, *TWO, *DRAFT, "--out", out))
    train = ThreeDIdent(out)
    pairs = RenderedPairs(train)
    assert pairs.positives.latents.tobytes() == train.latents.tobytes()
    folder = SplitFolder(out, "train")
    materials = [require_manifest(f).rendering.material for f in (folder, folder.positives)]
    assert materials == ["rubber", "metal"]
    image, positive, z, z_positive = pairs[1]
    assert np.array_equal(z, z_positive)
    assert not np.array_equal(image, positive)
    assert not pairs.changed(np.arange(3)).any()
    assert "intact" in done_at_once("verify", "--deep", out)
    before = contents(folder.positives.images)
    succeeded(cli("render", "--n", 4, "--n-test", 2, *TWO, *DRAFT, "--out", out))
    after = contents(folder.positives.images)
    assert len(after) == 4
    assert before.items() <= after.items()
    line = refused_at_once("render", "--n", 5, "--pairs", "rest=keep", *DRAFT, "--out", out)
    assert "expected a factor that changes, found rest=keep" in line
    other = ("--pairs", "normal:0.1", "--positive-material", "metal")
    line = refused_at_once("render", "--n", 5, "--n-test", 2, *other, *DRAFT, "--out", out)
    assert "conditional rest=keep where normal:0.1 is asked for" in line
    assert len(contents(folder.positives.images)) == 4


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    out = ("--n", 2, "--out", tmp_path / "data")
    line = refused_at_once("render", *out, "--positive-material", "metal")
    assert "--positive-material: expected --pairs beside it, found none" in line
    line = refused_at_once("render", *out, "--pairs", "rest=keep", "--positive-material", "rubber")
    assert "expected a factor that changes" in line
    assert not (tmp_path / "data").exists()
