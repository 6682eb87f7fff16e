"""The page of the leaderboard, driven in a real browser."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from benchmark.leaderboard.board.board import OWN, Board, read_board
from benchmark.leaderboard.board.page import page
from benchmark.leaderboard.board.plot import LETTERED
from benchmark.leaderboard.sandbox.sandbox import Limits
from benchmark.leaderboard.submission.folder import SubmissionFolder
from benchmark.leaderboard.verification.check import check
from benchmark.leaderboard.verification.entry import Change, Entry, Reported, Row
from benchmark.leaderboard.verification.findings import Alike, GapRecord
from benchmark.leaderboard.verification.seasons import Season
from tests.conftest import CHROMIUM
from tests.submissions import make_submission
from tests.test_board import SECRET, TODAY, signed

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium, as make setup installs")

DESK = {"width": 1360, "height": 900}
PHONE = {"width": 390, "height": 844}
MISSING = "\N{EN DASH}"
DATA = "3dident-draft-16px-60"
TRACK = f"{DATA} / none"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Entry:
    folder = make_submission(tmp_path_factory.mktemp("made"), seeds=(0, 1, 2))
    return check(SubmissionFolder(folder), Limits()).entry()


def dressed(
    made: Entry, name: str, method: str, mcc: Sequence[float], r2: Sequence[float], **facts: Any
) -> Entry:
    """A recomputed row of these scores by seed, the same for all factors, which fits itself."""
    scores = tuple(
        each.model_copy(
            update={"mcc": m, "r2": r, "mcc_per_factor": (m,) * 10, "r2_per_factor": (r,) * 10}
        )
        for each, m, r in zip(made.scores, mcc, r2, strict=True)
    )
    seeds = tuple(
        record.model_copy(
            update={"claim": record.claim.model_copy(update={"mcc": found.mcc, "r2": found.r2})}
        )
        for record, found in zip(made.submission.seeds, scores, strict=True)
    )
    said = {"id": f"2026-11-30_{name}", "method": method, "seeds": seeds, **facts}
    return made.model_copy(
        update={
            "scores": scores,
            "submission": made.submission.model_copy(update=said),
            "correlation": tuple(map(tuple, (mcc[0] * np.eye(10)).tolist())),
        }
    )


def variant(made: Entry, number: int, level: str, **facts: Any) -> Entry:
    """A row of its own scores."""
    rng = np.random.default_rng(number)
    centre = rng.uniform(0.3, 0.9)
    mcc, r2 = (np.round(centre + 0.01 * rng.normal(size=3), 6).tolist() for _ in range(2))
    row = dressed(made, f"method-{number}", f"Method {number}", mcc, r2, **facts)
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


@pytest.fixture(scope="module")
def rows(made: Entry) -> list[Row]:
    """Six ranked rows, one that was recomputed, and the paper's."""
    found: list[Row] = [variant(made, number, "re-executed") for number in range(6)]
    found.append(variant(made, 6, "recomputed", paper="https://arxiv.org/abs/2102.08850"))
    return [*found, *(row for row in read_board(OWN).rows if isinstance(row, Reported))]


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


@pytest.fixture
def opened(browser: Browser, rows: list[Row], tmp_path: Path) -> Iterator[Page]:
    """The page on a desk; it must not complain, nor ask for anything."""
    yield from visit(browser, rows, tmp_path)


@pytest.fixture
def phone(browser: Browser, rows: list[Row], tmp_path: Path) -> Iterator[Page]:
    yield from visit(browser, rows, tmp_path, viewport=PHONE, has_touch=True, is_mobile=True)


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


def test_all_can_be_done_by_keyboard(opened: Page) -> None:
    opened.keyboard.press("Tab")
    assert opened.evaluate("document.activeElement.className") == "skip"
    opened.keyboard.press("Enter")
    assert opened.evaluate("location.hash") == "#tables"
    reached = []
    for _ in range(80):
        opened.keyboard.press("Tab")
        reached.append(opened.evaluate("document.activeElement.textContent"))
        if reached[-1] == "details":
            break
    assert "MCC, fresh" in reached
    outline = opened.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    opened.keyboard.press("Space")
    assert opened.locator(".detail").count() == 1
    opened.locator("thead button").nth(1).focus()
    opened.keyboard.press("Enter")
    names = column(opened, 1)
    assert names == sorted(names)


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
    browser: Browser, made: Entry, tmp_path: Path
) -> None:
    alike = Alike(seeds=(0, 2), of="codes", share=0.991)
    row = signed(made.model_copy(update={"alike": (alike,)}))
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


def test_rows_are_cards_on_a_phone(phone: Page) -> None:
    assert phone.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    first = phone.locator("tbody[data-id]").first
    box = first.bounding_box()
    assert box is not None
    assert box["width"] <= PHONE["width"]
    label = first.locator("td").nth(2).evaluate("e => getComputedStyle(e, '::before').content")
    assert label == '"MCC, fresh"'
    phone.get_by_label("Sort by").select_option("public-r2")
    found = numbers(column(phone, 6))
    assert found == sorted(found, reverse=True)
    first.get_by_role("button").tap()
    assert phone.locator(".detail").count() == 1
    assert phone.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_screen_readers_are_told_what_is_what(opened: Page) -> None:
    assert opened.evaluate("document.documentElement.lang") == "en"
    table = opened.get_by_role("table", name=f"Data set {DATA}")
    assert table.get_by_role("columnheader").count() == 10
    assert table.get_by_role("rowheader").count() == 7 + 1  # and the heading of their supervision
    for control in opened.locator("select:visible, input:visible").all():
        assert control.evaluate("e => e.labels.length") == 1
    assert opened.get_by_role("heading", level=1).count() == 1
    plots = opened.locator("svg:not([aria-hidden=true])")
    assert plots.count() == opened.locator("section[data-set]").count()
    for drawn in plots.all():
        assert drawn.get_attribute("role") == "img"
        named = (drawn.get_attribute("aria-labelledby") or "").split()
        assert [opened.locator(f"#{name}").evaluate("e => e.tagName") for name in named] == [
            "title",
            "desc",
        ]
        about = drawn.locator("desc").evaluate("e => e.textContent")
        assert "95 % confidence interval of the mean over seeds" in about
    for note in opened.locator(".key .soft").all():
        assert "Bars: 95 % intervals over seeds; none for one seed." in note.inner_text()


LUMINANCE = """(element) => {
  const parse = (text) => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const light = (rgb) => rgb.map((c) => c / 255)
    .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  let ground = element;
  const clear = (place) => getComputedStyle(place).backgroundColor === "rgba(0, 0, 0, 0)";
  while (clear(ground)) ground = ground.parentElement;
  const [a, b] = [getComputedStyle(element).color, getComputedStyle(ground).backgroundColor]
    .map(parse).map(light);
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(
    browser: Browser, rows: list[Row], tmp_path: Path, scheme: str
) -> None:
    for opened in visit(browser, rows, tmp_path, color_scheme=scheme):
        ground = opened.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ("rgb(255" in ground) == (scheme == "light")
        opened.locator(".more").first.click()
        texts = ("h1", ".lead", ".level", ".value", "a", ".soft", "thead button", "#count")
        for place in (*texts, ".group th", ".key h3", ".key b", ".name", ".ticks text", ".letter"):
            shown = opened.locator(place).locator("visible=true").first
            assert shown.evaluate(LUMINANCE) >= 4.5, place
        for cell in opened.locator(".heat tbody td").all():
            assert cell.evaluate(LUMINANCE) >= 4.5, cell.inner_text()


def test_five_hundred_rows(browser: Browser, made: Entry, tmp_path: Path) -> None:
    many: list[Row] = [variant(made, number, "re-executed") for number in range(500)]
    for opened in visit(browser, many, tmp_path):
        assert opened.locator("tbody[data-id]").count() == 500
        opened.locator("thead button").nth(5).click()
        found = numbers(opened.locator("td:nth-child(6) .value").all_inner_texts())
        assert len(found) == 500
        assert found == sorted(found, reverse=True)
        assert opened.locator("g[data-mark]").count() == 500
        assert opened.locator(".letter").count() == LETTERED
        opened.get_by_role("searchbox", name="Method").fill("method 49")
        expect(opened.get_by_role("status")).to_have_text("11 of 500 rows")


def test_names_that_slipped_through_stay_text(
    browser: Browser, made: Entry, tmp_path: Path
) -> None:
    """Were a name not refused, the page would still show it and not run it."""
    name = "</script><img src=x onerror=alert(1)>'\"&amp;"
    row = dressed(made, "row", name, (0.5,) * 3, (0.5,) * 3)
    for opened in visit(browser, [row], tmp_path):
        assert opened.locator(".method").inner_text() == name
        assert opened.locator(".key .name").inner_text() == name
        assert opened.locator("img").count() == 0
        opened.get_by_role("button", name="details of").click()
        assert opened.locator(".heat").count() == 2


def test_the_page_reads_without_javascript(
    browser: Browser, rows: list[Row], tmp_path: Path
) -> None:
    for opened in visit(browser, rows, tmp_path, java_script_enabled=False):
        assert opened.locator("tbody[data-id]").count() == len(rows)
        expect(opened.locator("#filters")).to_be_hidden()
        drawn = opened.locator(".plot > svg")
        assert drawn.count() == 2
        assert drawn.first.locator(".shape").count() == 7
        assert drawn.first.locator(".hollow").count() == 1  # which was only recomputed
        assert drawn.last.locator(".hollow").count() == drawn.last.locator(".shape").count() == 6
        expect(opened.locator(".key").last).to_contain_text("1 row without one of the scores")


def test_a_suspicious_fall_is_marked(browser: Browser, made: Entry, tmp_path: Path) -> None:
    fallen = {
        "r2": GapRecord(difference=0.2, standard_error=0.05),
        "mcc": GapRecord(difference=0.1, standard_error=0.05),
    }
    sound = {**fallen, "r2": GapRecord(difference=0.14, standard_error=0.05)}
    for gap, marks in ((fallen, 1), (sound, 0)):
        for opened in visit(browser, [signed(made, SECRET, gap=gap)], tmp_path):
            assert opened.get_by_text("past 3 standard errors", exact=True).count() == marks


def test_rows_level_with_the_best_are_marked(
    browser: Browser, made: Entry, tmp_path: Path
) -> None:
    def shifted(number: int, mcc: tuple[float, float, float]) -> Entry:
        return signed(dressed(made, f"row-{number}", f"Row {number}", mcc, mcc))

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


@pytest.fixture
def mixed(made: Entry) -> list[Row]:
    """Three rows of one kind of supervision and two of another, on one data set."""
    found: list[Row] = []
    for number, (supervision, mcc) in enumerate(
        [("none", 0.5), ("full", 0.9), ("none", 0.6), ("full", 0.8), ("none", 0.4)]
    ):
        values = (mcc, mcc + 0.01, mcc + 0.02)
        method = f"Row {number}"
        facts = {"supervision": supervision, "uses_train_latents": supervision == "full"}
        found.append(signed(dressed(made, f"row-{number}", method, values, values, **facts)))
    return found


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


def test_a_row_alone_is_not_called_best(browser: Browser, made: Entry, tmp_path: Path) -> None:
    for opened in visit(browser, [signed(made)], tmp_path):
        row = opened.locator("tbody[data-id]")
        assert row.get_by_text("best", exact=True).count() == 0
        expect(row).to_contain_text("the only ranked row")


BROKEN = r"""() => {
  const broken = [];
  for (const place of document.querySelectorAll(".method, .name, .level, .changes code, h2")) {
    const walker = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      for (const word of node.data.matchAll(/[^\s-]+/g)) {
        const range = document.createRange();
        range.setStart(node, word.index);
        range.setEnd(node, word.index + word[0].length);
        const lines = new Set([...range.getClientRects()].map((box) => Math.round(box.top)));
        if (lines.size > 1) broken.push(word[0]);
      }
    }
  }
  return broken;
}"""


@pytest.mark.parametrize("width", [390, 1000, 1360])
def test_names_are_never_broken_inside_a_word(
    browser: Browser, made: Entry, tmp_path: Path, width: int
) -> None:
    names = ["W" * 100, "InfoNCE " * 12 + "done", "Identifiability, generalised-normal positives"]
    scores = (0.5, 0.6, 0.7)
    shown: list[Row] = [
        signed(dressed(made, f"row-{i}-{'infonce-' * 5}x", name, scores, scores))
        for i, name in enumerate(names)
    ]
    for opened in visit(browser, shown, tmp_path, viewport={"width": width, "height": 900}):
        assert opened.evaluate(BROKEN) == []
        assert opened.evaluate("document.documentElement.scrollWidth") <= width
