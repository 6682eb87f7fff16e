"""The renderer against renders of the published scene file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from render.measure.fidelity import psnr
from tests.conftest import cli, pixels

pytestmark = pytest.mark.slow

REFERENCE = Path(__file__).parent / "reference"
ROWS = np.load(REFERENCE / "raw_latents.npy")


def reference_psnr(tmp_path: Path, rows: list[int], hue: str, quality: str) -> list[float]:
    latents, out = tmp_path / "rows.npy", tmp_path / hue
    np.save(latents, ROWS[rows])
    settings = ("--hue", hue, "--quality", quality, "--device", "cpu")
    result = cli("render", "--latents", latents, "--out", out, *settings)
    assert result.returncode == 0, result.stderr
    images, suffix = out / "train" / "images", "" if hue == "wrapped" else "_published"
    return [
        psnr(pixels(images / f"{i:06d}.png"), pixels(REFERENCE / f"{row:02d}{suffix}.png"))
        for i, row in enumerate(rows)
    ]


def test_standard_quality_matches_the_published_scene(tmp_path: Path) -> None:
    wrapped = reference_psnr(tmp_path, list(range(10)), "wrapped", "standard")
    published = reference_psnr(tmp_path, [1, 5], "published", "standard")
    assert np.mean(wrapped + published) >= 43
    assert min(wrapped + published) >= 41


def test_paper_quality_matches_the_published_scene(tmp_path: Path) -> None:
    [found] = reference_psnr(tmp_path, [5], "wrapped", "paper")
    assert found >= 50


def test_hue_modes_differ_where_hues_are_negative(tmp_path: Path) -> None:
    crossed = psnr(pixels(REFERENCE / "01.png"), pixels(REFERENCE / "01_published.png"))
    [same] = reference_psnr(tmp_path, [1], "published", "draft")
    assert same > crossed + 3
