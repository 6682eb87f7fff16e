"""Rows on data sets with fixed factors, beside rows on data sets without."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pydantic import ValidationError

from benchmark.leaderboard.board.board import OWN, read_board
from benchmark.leaderboard.board.kept import require_kept_codes
from benchmark.leaderboard.board.page import page
from benchmark.leaderboard.board.pins import read_pins, write_pins
from benchmark.leaderboard.board.standings import standings
from benchmark.leaderboard.sandbox.sandbox import Limits
from benchmark.leaderboard.submission.folder import SubmissionFolder
from benchmark.leaderboard.verification.check import check
from benchmark.leaderboard.verification.entry import Entry, row_bytes
from benchmark.leaderboard.verification.findings import Kept, SeedScores
from benchmark.leaderboard.verification.seasons import reveal_season
from benchmark.metrics.scores import score
from tests.conftest import CHROMIUM
from tests.leaderboard.board.pages import board_of, visit
from tests.leaderboard.board.rows import SECRET, open_season_in, signed
from tests.leaderboard.submissions import DATA, EDGE, make_submission
from threedident.latents.factors import LABELS, NAMES
from threedident.latents.sampling import sample_raw

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROWS = 512
FIXED = {"x": 0.5, "theta": 0.0, "object_hue": -1.0}
FREE = [column for column, name in enumerate(NAMES) if name not in FIXED]
HELD = {
    **DATA,
    "id": f"3dident-x=0.5-theta=0-object_hue=-1-draft-{EDGE}px-60",
    "fixed": FIXED,
}


def latents() -> np.ndarray:
    """The factors that vary of the season's fresh images."""
    return sample_raw(SECRET.number("fresh split"), "test", ROWS, fixed=FIXED)[:, FREE]


def codes() -> list[np.ndarray]:
    """Codes of three seeds, with errors of their own."""
    rng, z = np.random.default_rng(0), latents()
    return [(z + 0.3 * rng.normal(size=z.shape)).astype(np.float32) for _ in range(3)]


@pytest.fixture(scope="module")
def row(tmp_path_factory: pytest.TempPathFactory) -> Entry:
    """A verified row on images with three fixed factors."""
    folder = make_submission(
        tmp_path_factory.mktemp("made"), seeds=(0, 1, 2), data=HELD, name="2026-11-30_held"
    )
    recomputed = check(SubmissionFolder(folder), Limits()).entry()
    fresh = tuple(
        SeedScores.of(seed, score(latents=latents(), representations=each))
        for seed, each in enumerate(codes())
    )
    kept = Kept.of(latents(), codes(), SECRET, recomputed.id)
    return signed(recomputed, fresh=fresh, kept=kept)


def test_own_rows_and_pins_are_written_again_byte_for_byte(tmp_path: Path) -> None:
    """Of data sets without fixed factors, whose records do not name any."""
    own = read_board(OWN)
    for there in own.rows:
        assert row_bytes(there) == (OWN / "entries" / f"{there.id}.json").read_bytes()
    write_pins(tmp_path / "data.json", [*own.pins.values()])
    assert (tmp_path / "data.json").read_bytes() == (OWN / "data.json").read_bytes()


def test_a_row_is_ranked_in_the_track_of_its_own_data_set(
    tmp_path: Path, row: Entry, checked: Entry
) -> None:
    open_season_in(tmp_path)
    write_pins(tmp_path / "data.json", [row.submission.data, checked.submission.data])
    assert read_pins(tmp_path / "data.json")[str(HELD["id"])] == row.submission.data
    for each in (row, signed(checked)):
        read_board(tmp_path, new=True).put(each)
    board = read_board(tmp_path)
    assert row in board.rows
    placed = standings(board)
    assert {track: members[0].rank for track, members in placed.items()} == {
        f"{HELD['id']} / none": 1,
        f"{DATA['id']} / none": 1,
    }


def test_kept_codes_of_the_factors_that_vary_are_scored_again(tmp_path: Path, row: Entry) -> None:
    assert row.verification is not None
    kept = row.verification.kept
    assert kept is not None
    assert kept.opened(SECRET, row.id, 3, 7).shape == (3, ROWS, 7)
    open_season_in(tmp_path)
    board = replace(read_board(tmp_path, new=True), rows=(row,))
    signatures = {row.id: row.signature or ""}
    season = reveal_season(tmp_path / "seasons.json", "2026-autumn", SECRET, signatures)
    assert require_kept_codes(replace(board, seasons=(season,))) == 1


def test_what_a_row_keeps_must_fit_its_factors(row: Entry) -> None:
    assert row.verification is not None
    fresh = tuple(
        each.model_copy(
            update={"r2_per_factor": (each.r2,) * 10, "mcc_per_factor": (each.mcc,) * 10}
        )
        for each in row.verification.fresh
    )
    with pytest.raises(ValidationError, match="bytes of encrypted codes"):
        signed(row, fresh=fresh, kept=row.verification.kept)
    with pytest.raises(ValidationError, match="expected scores of the 7 factors that vary"):
        signed(row, fresh=fresh)
    with pytest.raises(ValidationError, match="at least 1 item"):
        signed(row, fresh=(), kept=row.verification.kept)


def test_the_page_names_the_factors_of_each_row(row: Entry, checked: Entry) -> None:
    text = page(board_of([row, signed(checked)]))
    data = text.split('<script type="application/json" id="board">')[1].split("</script>")[0]
    details = {found["id"]: found["detail"] for found in json.loads(data)["rows"]}
    assert details[checked.id]["factors"] == list(LABELS)
    held = details[row.id]
    assert held["factors"] == [LABELS[column] for column in FREE]
    assert np.shape(held["correlation"]) == (7, 7)
    assert {len(values) for values in held["per_factor"].values()} == {7}
    assert held["facts"]["data set"].endswith("space box, fixed x=0.5, theta=0, object_hue=-1")
    assert details[checked.id]["facts"]["data set"].endswith("space box")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium, as make setup installs")
def test_details_of_each_row_have_the_factors_of_its_data_set(
    browser: Browser, row: Entry, checked: Entry, tmp_path: Path
) -> None:
    other = checked.model_copy(
        update={"submission": checked.submission.model_copy(update={"method": "All ten"})}
    )
    for opened in visit(browser, [row, signed(other)], tmp_path):
        for method, factors in (("By hand", [LABELS[i] for i in FREE]), ("All ten", [*LABELS])):
            button = opened.get_by_role("button", name=f"details of {method}")
            button.click()
            heat = opened.locator(".detail .heat")
            assert heat.nth(0).locator("tbody td").count() == len(factors) * 4
            assert heat.nth(1).locator("tbody td").count() == len(factors) ** 2
            assert heat.nth(1).get_by_role("rowheader").all_inner_texts() == factors
            button.click()
