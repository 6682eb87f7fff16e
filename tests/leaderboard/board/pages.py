"""Pages of made-up rows, opened in Chromium."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Page

from benchmark.leaderboard.board.board import OWN, Board
from benchmark.leaderboard.board.page import page
from benchmark.leaderboard.verification.entry import Change, Entry, Row
from benchmark.leaderboard.verification.seasons import Season
from tests.leaderboard.board.rows import SECRET, TODAY, signed

DESK = {"width": 1360, "height": 900}
DATA = "3dident-draft-16px-60"
TRACK = f"{DATA} / none"


def dressed(
    checked: Entry, name: str, method: str, mcc: Sequence[float], r2: Sequence[float], **facts: Any
) -> Entry:
    """A recomputed row of these scores by seed, the same for all factors, which fits itself."""
    scores = tuple(
        each.model_copy(
            update={"mcc": m, "r2": r, "mcc_per_factor": (m,) * 10, "r2_per_factor": (r,) * 10}
        )
        for each, m, r in zip(checked.scores, mcc, r2, strict=True)
    )
    seeds = tuple(
        record.model_copy(
            update={"claim": record.claim.model_copy(update={"mcc": found.mcc, "r2": found.r2})}
        )
        for record, found in zip(checked.submission.seeds, scores, strict=True)
    )
    said = {"id": f"2026-11-30_{name}", "method": method, "seeds": seeds, **facts}
    return checked.model_copy(
        update={
            "scores": scores,
            "submission": checked.submission.model_copy(update=said),
            "correlation": tuple(map(tuple, (mcc[0] * np.eye(10)).tolist())),
        }
    )


def variant(checked: Entry, number: int, level: str, **facts: Any) -> Entry:
    """A row of its own scores."""
    rng = np.random.default_rng(number)
    centre = rng.uniform(0.3, 0.9)
    mcc, r2 = (np.round(centre + 0.01 * rng.normal(size=3), 6).tolist() for _ in range(2))
    row = dressed(checked, f"method-{number}", f"Method {number}", mcc, r2, **facts)
    return row if level == "recomputed" else signed(row)


def board_of(rows: list[Row]) -> Board:
    change = Change(
        date=TODAY, entry="2026-01-01_gone", change="removed", reason="It copied codes."
    )
    season = Season(
        name="2026-autumn",
        opened=TODAY,
        commitment=SECRET.commitment,
        public_key=SECRET.public_key,
        rows=512,
    )
    return Board(OWN, tuple(rows), (season,), (change,), pins={})


class Opened:
    """A page, and what it did that it should not."""

    def __init__(self, browser: Browser, path: Path, **settings: Any) -> None:
        self.context = browser.new_context(**{"viewport": DESK, **settings})
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", lambda request: self.complaints.append(request.url))
        self.requests: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())


def visit(browser: Browser, rows: list[Row], folder: Path, **settings: Any) -> Iterator[Page]:
    path = folder / "page.html"
    path.write_text(page(board_of(rows)), encoding="utf-8")
    visited = Opened(browser, path, **settings)
    yield visited.page
    assert visited.complaints == []
    assert visited.requests == [path.as_uri()]
    visited.context.close()


def column(opened: Page, number: int, track: str = TRACK) -> list[str]:
    """Texts of a column, in the order shown."""
    cells = opened.locator(f'tbody[data-id][data-track="{track}"] > tr:first-child')
    return [
        cells.nth(i).locator("> *").nth(number).locator(".value, .method").first.inner_text()
        for i in range(cells.count())
    ]


def numbers(texts: list[str]) -> list[float]:
    return [float(text.split()[0]) for text in texts if text[0].isdigit()]
