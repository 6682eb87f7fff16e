"""A data set drawn by Blender, submissions on it, and a season to verify them in."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.leaderboard.submission.data import describe_data
from tests.conftest import (
    cli,
    done_at_once,
    shared,
    succeeded,
)
from tests.leaderboard.submissions import (
    encode,
    make_submission,
)
from tests.leaderboard.verification.verifying import (
    FRESH,
    PUBLIC,
    SECRET,
    SMALL,
    Verify,
)
from threedident import ThreeDIdent
from threedident.storage.folder import SplitFolder
from threedident.storage.manifest import require_manifest


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set drawn by Blender, with enough test images to score on."""
    line = ("render", "--n", 60, "--n-test", PUBLIC, *SMALL)
    return shared(tmp_path_factory, "scored", lambda out: succeeded(cli(*line, "--out", out)))


@pytest.fixture(scope="session")
def season(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the images of the season are kept, so that they are drawn once."""
    return tmp_path_factory.mktemp("season")


@pytest.fixture(scope="session")
def record(data: Path) -> dict[str, Any]:
    splits = (require_manifest(SplitFolder(data, split)) for split in ("train", "test"))
    return describe_data(*splits).model_dump(mode="json")


@pytest.fixture(scope="session")
def images(data: Path) -> np.ndarray:
    return ThreeDIdent(data, "test").images(range(PUBLIC)).permute(0, 2, 3, 1).numpy()


@pytest.fixture(scope="session")
def sums(data: Path) -> bytes:
    return (data / "test" / "SHA256SUMS").read_bytes()


@pytest.fixture(scope="session")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the season's secret."""
    path = tmp_path_factory.mktemp("kept") / "2026-autumn.secret"
    path.touch(0o600)
    path.write_text(SECRET)
    return path


@pytest.fixture
def board(tmp_path: Path, secret: Path) -> Path:
    place = tmp_path / "board"
    named = ("season", "open", "2026-autumn", "--secret", secret, "--n", FRESH)
    done_at_once("leaderboard", *named, "--board", place)
    return place


@pytest.fixture
def linear(tmp_path: Path, record: dict[str, Any], images: np.ndarray, sums: bytes) -> Path:
    """A sound submission of three linear encoders."""
    codes = partial(encode, images)
    return make_submission(tmp_path, codes, seeds=(0, 1, 2), data=record, sums=sums)


@pytest.fixture
def single(tmp_path: Path, record: dict[str, Any], images: np.ndarray, sums: bytes) -> Path:
    """A sound submission of one linear encoder, which is soon verified."""
    return make_submission(tmp_path, partial(encode, images), data=record, sums=sums)


@pytest.fixture
def verify(board: Path, season: Path, secret: Path) -> Verify:
    """What verifies a folder in the season."""
    place = ("--secret", secret, "--fresh", season, "--board", board)
    return lambda folder, *more: ("leaderboard", "verify", folder, *place, *more)
