"""What rows keep of their codes of the fresh images: sizes, secrecy, checks, and standings."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmark.leaderboard.board.board import Board, read_board
from benchmark.leaderboard.board.kept import require_kept_codes
from benchmark.leaderboard.board.page import page
from benchmark.leaderboard.board.standings import Standing, standings
from benchmark.leaderboard.verification.entry import Entry, row_bytes
from benchmark.leaderboard.verification.findings import Kept, SeedScores
from benchmark.leaderboard.verification.seasons import reveal_season
from benchmark.leaderboard.verification.secret import Secret
from benchmark.metrics.scores import score
from tests.conftest import done_at_once, refused_at_once
from tests.leaderboard.board.pages import board_of
from tests.leaderboard.board.rows import SECRET, open_season_in, renamed, signed
from threedident.latents.sampling import sample_raw

ROWS = 512
OTHER = Secret("0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b")


def latents() -> np.ndarray:
    return sample_raw(SECRET.number("fresh split"), "test", ROWS)


def codes_of(number: int, noise: float) -> list[np.ndarray]:
    """Codes of three seeds, with errors of their own, far from zero and in large units."""
    rng = np.random.default_rng(number)
    z = latents()
    return [
        (500 * (z + noise * rng.normal(size=z.shape)) + 9000).astype(np.float32) for _ in range(3)
    ]


def nearly_in_a_plane(number: int) -> list[np.ndarray]:
    """Codes of three seeds, of which a sum hardly varies, so their readout has large weights."""
    away = np.eye(10) - 0.0999 * np.ones((10, 10))
    return [((each - 9000) @ away).astype(np.float32) for each in codes_of(number, 0.3)]


def verified(
    checked: Entry,
    number: int,
    noise: float,
    kept: bool = True,
    codes: list[np.ndarray] | None = None,
) -> Entry:
    """A row of codes of the season's fresh images."""
    name, codes = f"row-{number}", codes or codes_of(number, noise)
    row = renamed(checked, name, method=f"Row {number}")
    fresh = tuple(
        SeedScores.of(seed, score(latents=latents(), representations=each))
        for seed, each in enumerate(codes)
    )
    changes = {"kept": Kept.of(latents(), codes, SECRET, row.id)} if kept else {}
    return signed(row, fresh=fresh, **changes)


@pytest.fixture(scope="module")
def three(checked: Entry) -> list[Entry]:
    return [verified(checked, number, noise) for number, noise in enumerate((0.3, 0.3, 0.5))]


def placed(board: Board) -> list[Standing]:
    [members] = standings(board).values()
    return members


def test_codes_survive_their_file_and_fill_two_bytes_each(
    tmp_path: Path, three: list[Entry]
) -> None:
    open_season_in(tmp_path)
    place = read_board(tmp_path, new=True).put(three[0])
    assert place.stat().st_size < 70_000
    [row] = read_board(tmp_path).rows
    assert row == three[0]
    assert isinstance(row, Entry)
    assert row.verification is not None
    kept = row.verification.kept
    assert kept is not None
    found = kept.opened(SECRET, row.id, 3, 10)
    assert found.shape == (3, ROWS, 10)
    for here, codes in zip(found, codes_of(0, 0.3), strict=True):
        exact = (codes - codes.mean(axis=0, dtype=np.float64)) / codes.std(axis=0, dtype=float)
        assert np.abs(here - exact).max() < 2e-3
    assert kept.influence("mcc", 3).shape == kept.influence("r2", 3).shape == (3, ROWS)


def test_codes_are_read_with_the_secret_of_the_season_and_name_of_the_row_alone(
    three: list[Entry],
) -> None:
    """They are nearly the latents; the row shows one number for each image, seed and score."""
    assert three[0].verification is not None
    kept = three[0].verification.kept
    assert kept is not None
    for secret, name in ((OTHER, three[0].id), (SECRET, three[1].id)):
        with pytest.raises(ValueError, match="expected content that this secret encrypted"):
            kept.opened(secret, name, 3, 10)
    hidden = np.frombuffer(base64.b64decode(kept.codes), np.uint8)
    counts = np.bincount(hidden, minlength=256)
    assert counts.max() < 2 * counts.mean()  # as of random bytes
    shown = np.vstack([kept.influence(name, 3) for name in ("r2", "mcc")])
    correlation = np.corrcoef(np.vstack([shown, latents().T]))[6:, :6]
    assert np.abs(correlation).max() < 0.25


def test_what_does_not_fit_seeds_and_images_is_refused(checked: Entry) -> None:
    row = verified(checked, 0, 0.3)
    assert row.verification is not None
    kept = row.verification.kept
    assert kept is not None
    short = kept.influences["mcc"][:800]
    nan = base64.b64encode(np.full(3 * ROWS, np.nan, "<f2").tobytes()).decode()
    for changes, reason in (
        ({"influences": {**kept.influences, "mcc": short}}, "expected influences on mcc of 3"),
        ({"influences": {**kept.influences, "r2": nan}}, "expected finite numbers"),
        ({"influences": {"mcc": kept.influences["mcc"]}}, "expected influences on r2 and mcc"),
        ({"influences": {**kept.influences, "mcc": ""}}, "numbers of two bytes"),
        ({"influences": {**kept.influences, "mcc": short[:-1]}}, "padding"),
        ({"codes": kept.codes[:400]}, "bytes of encrypted codes"),
    ):
        with pytest.raises(ValueError, match=reason):
            signed(row, fresh=row.verification.fresh, kept=kept.model_copy(update=changes))
    with pytest.raises(ValueError, match="pattern"):
        Kept(influences=kept.influences, codes="<script>")


def test_after_the_season_everybody_scores_the_codes_again(
    tmp_path: Path, three: list[Entry], checked: Entry
) -> None:
    open_season_in(tmp_path)
    others = verified(checked, 7, 0.6)
    assert three[0].verification is not None
    assert others.verification is not None
    swapped = Kept.of(latents(), codes_of(8, 0.6), SECRET, others.id)
    influenced = others.verification.kept
    assert influenced is not None
    forged = {
        "other codes": swapped.model_copy(update={"influences": influenced.influences}),
        "other influences": influenced.model_copy(update={"influences": swapped.influences}),
    }
    board = replace(read_board(tmp_path, new=True), rows=(three[0],))
    assert require_kept_codes(board) == 0  # the season is open
    signatures = {three[0].id: three[0].signature or ""}
    season = reveal_season(tmp_path / "seasons.json", "2026-autumn", SECRET, signatures)
    ended = replace(board, seasons=(season,))
    assert require_kept_codes(ended) == 1
    for kept in forged.values():
        row = signed(others, fresh=others.verification.fresh, kept=kept)
        with pytest.raises(ValueError, match=r"expected (kept codes|influences)"):
            require_kept_codes(replace(ended, rows=(row,)))
    (tmp_path / "entries").mkdir()
    place = tmp_path / "entries" / f"{three[0].id}.json"
    place.write_bytes(row_bytes(three[0]))
    said = done_at_once("leaderboard", "entries", "--board", tmp_path)
    assert "all sound, kept codes of 1 scored again" in said
    place.write_text(place.read_text().replace('"codes": "', '"codes": "AAAA', 1))
    line = refused_at_once("leaderboard", "entries", "--board", tmp_path)
    assert "bytes of encrypted codes" in line


def test_the_rounding_of_codes_nearly_in_a_plane_is_no_forgery(
    tmp_path: Path, checked: Entry
) -> None:
    open_season_in(tmp_path)
    row = verified(checked, 3, 0.3, codes=nearly_in_a_plane(3))
    assert row.verification is not None
    kept = row.verification.kept
    assert kept is not None
    conditions = [np.linalg.cond(each) for each in kept.opened(SECRET, row.id, 3, 10)]
    assert min(conditions) > 500
    season = reveal_season(
        tmp_path / "seasons.json", "2026-autumn", SECRET, {row.id: row.signature or ""}
    )
    board = replace(read_board(tmp_path, new=True), rows=(row,), seasons=(season,))
    assert require_kept_codes(board) == 1
    other = Kept.of(latents(), nearly_in_a_plane(4), SECRET, row.id)
    forged = kept.model_copy(update={"influences": other.influences})
    again = signed(row, fresh=row.verification.fresh, kept=forged)
    with pytest.raises(ValueError, match="expected influences"):
        require_kept_codes(replace(board, rows=(again,)))


def test_rows_that_kept_codes_are_paired_by_image(three: list[Entry]) -> None:
    first, second, third = placed(board_of([*three]))
    assert first.interval is None
    assert not any(each.by_seeds_alone for each in (first, second, third))
    assert second.level_with_best
    assert third.row == three[2]
    assert not third.level_with_best
    assert first.r2_interval is None
    assert second.r2_interval is not None
    assert third.r2_interval is not None
    assert second.r2_interval[0] < 0 < second.r2_interval[1]
    assert third.r2_interval[1] < 0
    assert page(board_of([*three])) == page(board_of([*three]))
    assert "minus the row with the best MCC" in page(board_of([*three]))
    assert "over seeds alone" not in page(board_of([*three]))


@pytest.mark.parametrize("without", [0, 2], ids=["the best", "the last"])
def test_rows_without_codes_are_compared_over_seeds_alone(checked: Entry, without: int) -> None:
    noise = (0.2, 0.3, 0.5)
    rows = [verified(checked, i, each, kept=i != without) for i, each in enumerate(noise)]
    found = placed(board_of([*rows]))
    assert [each.row.id for each in found] == [row.id for row in rows]
    expected = [False, True, True] if without == 0 else [False, False, True]
    assert [each.by_seeds_alone for each in found] == expected
    assert all(each.interval is not None for each in found[1:])
    assert [each.r2_interval is None for each in found] == [True, *expected[1:]]
    assert page(board_of([*rows])).count("over seeds alone</span>") == sum(expected)
