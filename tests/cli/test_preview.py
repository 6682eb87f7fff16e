from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import DRAFT, cli, make_images, pixels, refused
from threedident import ThreeDIdent
from threedident.preview import heights

pytestmark = pytest.mark.slow


def test_a_sheet_shows_samples_of_any_data_set(rendered: Path, tmp_path: Path) -> None:
    published = make_images(tmp_path / "published")
    for data, split in ((rendered, "test"), (published, "train")):
        out = tmp_path / "sheet.png"
        result = cli("preview", data, "--out", out, "--split", split, "--count", 7)
        assert result.returncode == 0, result.stderr
        assert "samples of" in result.stdout
        assert pixels(out).std() > 10
        out.unlink()


def test_the_seed_picks_the_samples(rendered: Path, tmp_path: Path) -> None:
    sheets = []
    for number, seed in enumerate((0, 0, 1)):
        out = tmp_path / f"{number}.png"
        assert cli("preview", rendered, "--out", out, "--count", 3, "--seed", seed).returncode == 0
        sheets.append(out.read_bytes())
    assert sheets[0] == sheets[1] != sheets[2]


def test_positives_stand_beside_their_anchors(tmp_path: Path) -> None:
    arguments = ("--n", 3, "--n-test", 0, "--pairs", "normal:0.1", "--out", tmp_path, *DRAFT)
    assert cli("render", *arguments).returncode == 0
    assert cli("preview", tmp_path).returncode == 0
    assert pixels(tmp_path / "preview.png").shape[1] > 400
    assert cli("verify", tmp_path).returncode == 0


def test_bars_are_places_in_each_factors_range(rendered: Path) -> None:
    dataset = ThreeDIdent(rendered)
    assert heights(dataset, [0, 5]) == pytest.approx(dataset.latents[[0, 5]], abs=1e-6)
    assert np.abs(heights(dataset, list(range(12)))).max() <= 1


def test_what_cannot_be_drawn_is_refused(rendered: Path, tmp_path: Path) -> None:
    assert "ends in .png" in refused("preview", rendered, "--out", tmp_path / "sheet.jpg")
    assert "no folder" in refused("preview", tmp_path / "nothing")
    assert "--count" in refused("preview", rendered, "--count", 0)
