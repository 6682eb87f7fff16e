"""What the page of the board ranks, marks, sorts, filters and exports."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from benchmark.leaderboard.verification.entry import Entry, Row
from benchmark.leaderboard.verification.findings import Alike, GapRecord
from tests.conftest import CHROMIUM
from tests.leaderboard.board.pages import (
    DATA,
    TRACK,
    column,
    dressed,
    numbers,
    visit,
)
from tests.leaderboard.board.rows import SECRET, signed

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium, as make setup installs"),
]


MISSING = "\N{EN DASH}"


@pytest.fixture
def mixed(checked: Entry) -> list[Row]:
    """Three rows of one kind of supervision and two of another, on one data set."""
    found: list[Row] = []
    for number, (supervision, mcc) in enumerate(
        [("none", 0.5), ("full", 0.9), ("none", 0.6), ("full", 0.8), ("none", 0.4)]
    ):
        values = (mcc, mcc + 0.01, mcc + 0.02)
        method = f"Row {number}"
        facts = {"supervision": supervision, "uses_train_latents": supervision == "full"}
        found.append(signed(dressed(checked, f"row-{number}", method, values, values, **facts)))
    return found


def test_ranks_follow_the_fresh_mcc(opened: Page) -> None:
    found = column(opened, 3)
    assert len(found) == 7
    assert numbers(found) == sorted(numbers(found), reverse=True)
    assert found[-1] == MISSING
    ranks = opened.locator(f'tbody[data-track="{TRACK}"] td.rank').all_inner_texts()
    assert ranks[:6] == ["1", "2", "3", "4", "5", "6"]
    assert "not ranked: recomputed" in ranks[6]


@pytest.mark.parametrize("number", [3, 4, 5, 6])
def test_a_click_sorts_and_another_turns_it_round(opened: Page, number: int) -> None:
    head = opened.locator(f'section[data-set="{DATA}"] thead th').nth(number)
    head.get_by_role("button").click()
    down = column(opened, number)
    assert numbers(down) == sorted(numbers(down), reverse=True)
    assert head.get_attribute("aria-sort") == "descending"
    head.get_by_role("button").click()
    up = column(opened, number)
    assert numbers(up) == sorted(numbers(up))
    assert head.get_attribute("aria-sort") == "ascending"
    assert [text for text in up if not text[0].isdigit()] == [MISSING] * (number in (3, 4))
    assert up[-1] == MISSING or number in (5, 6)  # what is missing stays last


def test_filters_narrow_what_is_shown(opened: Page) -> None:
    total = opened.locator("tbody[data-id]").count()
    status = opened.get_by_role("status")
    expect(status).to_have_text(f"{total} of {total} rows")
    opened.get_by_label("Level").select_option("re-executed")
    expect(status).to_have_text(f"6 of {total} rows")
    assert opened.locator("section[data-set]:visible").count() == 1
    assert opened.locator("tbody.group:visible").count() == 1
    assert opened.locator("g[data-mark]:visible").count() == 6
    opened.get_by_label("Level").select_option("")
    opened.get_by_label("Supervision").select_option("pairs")
    expect(status).to_have_text(f"4 of {total} rows")
    opened.get_by_label("Supervision").select_option("")
    opened.get_by_label("Data set").select_option(DATA)
    expect(status).to_have_text(f"7 of {total} rows")
    opened.get_by_role("searchbox", name="Method").fill("method 3")
    expect(status).to_have_text(f"1 of {total} rows")
    opened.get_by_role("searchbox", name="Method").fill("nobody")
    expect(opened.get_by_text("No row fits these filters.")).to_be_visible()


def test_details_show_heat_maps_facts_and_the_command(opened: Page) -> None:
    button = opened.get_by_role("button", name="details of Method 2")
    assert button.get_attribute("aria-expanded") == "false"
    button.click()
    assert button.get_attribute("aria-expanded") == "true"
    shown = opened.locator(".detail")
    assert shown.locator(".heat").count() == 2
    assert shown.locator(".heat").nth(0).locator("tbody td").count() == 10 * 4
    assert shown.locator(".heat").nth(1).locator("tbody td").count() == 10 * 10
    assert shown.locator(".heat").nth(1).get_by_role("rowheader").first.inner_text() == "object x"
    colours = {
        cell.evaluate("e => getComputedStyle(e).backgroundColor")
        for cell in shown.locator(".heat").nth(1).locator("tbody td").all()[:20]
    }
    assert len(colours) == 2  # of codes that match, and those that do not
    expect(shown.locator("pre")).to_have_text("python train.py")
    expect(shown).to_contain_text("3dident-draft-16px-60: 60 train and 1000 test images")
    expect(shown).to_contain_text("on 512 images, season 2026-autumn")
    button.click()
    assert opened.locator(".detail").count() == 0


def test_exports_hold_what_is_shown(opened: Page, tmp_path: Path) -> None:
    opened.get_by_label("Data set").select_option(DATA)
    with opened.expect_download() as csv_file:
        opened.get_by_role("button", name="CSV").click()
    with opened.expect_download() as json_file:
        opened.get_by_role("button", name="JSON").click()
    csv_file.value.save_as(tmp_path / "rows.csv")
    json_file.value.save_as(tmp_path / "rows.json")
    lines = list(csv.DictReader((tmp_path / "rows.csv").read_text().splitlines()))
    found = json.loads((tmp_path / "rows.json").read_text())
    assert len(lines) == len(found) == 7
    assert [line["rank"] for line in lines] == ["1", "2", "3", "4", "5", "6", ""]
    for line, row in zip(lines, found, strict=True):
        assert line["method"] == row["method"]
        assert line["track"] == TRACK
        assert float(line["public_mcc"]) == pytest.approx(row["public"]["mcc"]["mean"])
        assert (line["fresh_mcc"] == "") == (row["fresh"]["mcc"] is None)
    for name in ("rows.csv", "rows.json"):
        (tmp_path / name).unlink()


def test_exports_follow_the_order_of_the_page(opened: Page, tmp_path: Path) -> None:
    opened.locator(f'section[data-set="{DATA}"] thead button').nth(1).click()
    opened.get_by_label("Data set").select_option(DATA)
    with opened.expect_download() as file:
        opened.get_by_role("button", name="CSV").click()
    file.value.save_as(tmp_path / "rows.csv")
    lines = csv.DictReader((tmp_path / "rows.csv").read_text().splitlines())
    assert [line["method"] for line in lines] == [f"Method {number}" for number in range(7)]


def test_seeds_that_are_one_training_are_marked_and_not_ranked(
    browser: Browser, checked: Entry, tmp_path: Path
) -> None:
    alike = Alike(seeds=(0, 2), of="codes", share=0.991)
    row = signed(checked.model_copy(update={"alike": (alike,)}))
    for opened in visit(browser, [row], tmp_path):
        expect(opened.locator(".flag").first).to_have_text("seeds alike")
        expect(opened.locator("td.rank")).to_contain_text(
            "not ranked: seeds are not independent trainings: seeds 0 and 2 share 99.1% of their "
            "codes"
        )


def test_the_change_log_tells_of_removals(opened: Page) -> None:
    log = opened.locator(".changes")
    expect(log).to_contain_text("2026-01-01_gone removed: It copied codes.")
    expect(log).to_contain_text("2026-11-30_method-6 added: as recomputed")
    expect(log).to_contain_text("2026-11-30_method-1 added: as re-executed")


def test_a_suspicious_fall_is_marked(browser: Browser, checked: Entry, tmp_path: Path) -> None:
    fallen = {
        "r2": GapRecord(difference=0.2, standard_error=0.05),
        "mcc": GapRecord(difference=0.1, standard_error=0.05),
    }
    sound = {**fallen, "r2": GapRecord(difference=0.13, standard_error=0.05)}
    for gap, marks in ((fallen, 1), (sound, 0)):
        for opened in visit(browser, [signed(checked, SECRET, gap=gap)], tmp_path):
            assert opened.get_by_text("past 2.8 standard errors", exact=True).count() == marks


def test_rows_level_with_the_best_are_marked(
    browser: Browser, checked: Entry, tmp_path: Path
) -> None:
    def shifted(number: int, mcc: tuple[float, float, float]) -> Entry:
        return signed(dressed(checked, f"row-{number}", f"Row {number}", mcc, mcc))

    shown: list[Row] = [
        shifted(0, (0.80, 0.82, 0.84)),
        shifted(1, (0.79, 0.81, 0.83)),
        shifted(2, (0.50, 0.52, 0.54)),
    ]
    for opened in visit(browser, shown, tmp_path):
        cells = opened.locator("tbody[data-id]")
        assert cells.nth(0).get_by_text("best", exact=True).count() == 1
        assert cells.nth(1).get_by_text("not significantly different").count() == 1
        assert cells.nth(2).get_by_text("not significantly different").count() == 0
        expect(cells.nth(2)).to_contain_text("-34.53 to -25.47")


def test_ranks_and_best_are_of_one_supervision_alone(
    browser: Browser, mixed: list[Row], tmp_path: Path
) -> None:
    for opened in visit(browser, mixed, tmp_path):
        assert opened.locator("table[role=table]").count() == 1
        headings = opened.locator("tbody.group").all_inner_texts()
        assert [heading.split(":")[0] for heading in headings] == [
            "Supervision none",
            "Supervision full",
        ]
        assert "3 of 3 ranked, season 2026-autumn" in headings[0]
        for supervision, ranked in (("none", ["2", "0", "4"]), ("full", ["1", "3"])):
            rows = opened.locator(f'tbody[data-id][data-track="{DATA} / {supervision}"]')
            names = rows.locator(".method").all_inner_texts()
            assert names == [f"Row {number}" for number in ranked]
            ranks = [rank.strip() for rank in rows.locator("td.rank").all_inner_texts()]
            assert ranks == [str(i + 1) for i in range(len(ranked))]
            assert rows.get_by_text("best", exact=True).count() == 1
            assert rows.first.get_by_text("best", exact=True).count() == 1
            expect(rows.first).to_contain_text(f"of {len(ranked)}")


@pytest.mark.parametrize("number", range(10))
def test_sorting_keeps_rows_below_their_supervision(
    browser: Browser, mixed: list[Row], tmp_path: Path, number: int
) -> None:
    for opened in visit(browser, mixed, tmp_path):
        for _ in range(2):
            opened.locator("thead button").nth(number).click()
            found = opened.locator("table[role=table] > tbody").evaluate_all(
                "all => all.map((e) => [e.dataset.track, e.className])"
            )
            assert [kind for _, kind in found] == ["group", "", "", "", "group", "", ""]
            assert [track for track, _ in found] == [f"{DATA} / none"] * 4 + [f"{DATA} / full"] * 3


def test_a_row_alone_is_not_called_best(browser: Browser, checked: Entry, tmp_path: Path) -> None:
    for opened in visit(browser, [signed(checked)], tmp_path):
        row = opened.locator("tbody[data-id]")
        assert row.get_by_text("best", exact=True).count() == 0
        expect(row).to_contain_text("the only ranked row")
