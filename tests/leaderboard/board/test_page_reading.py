"""Who can read the page of the board: on phones, by keyboard, without JavaScript."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from benchmark.leaderboard.board.plot import LETTERED
from benchmark.leaderboard.verification.entry import Entry, Row
from tests.conftest import CHROMIUM
from tests.leaderboard.board.pages import (
    DATA,
    column,
    dressed,
    numbers,
    variant,
    visit,
)
from tests.leaderboard.board.rows import signed

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium, as make setup installs"),
]


PHONE = {"width": 390, "height": 844}
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


@pytest.fixture
def phone(browser: Browser, rows: list[Row], tmp_path: Path) -> Iterator[Page]:
    yield from visit(browser, rows, tmp_path, viewport=PHONE, has_touch=True, is_mobile=True)


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


def test_five_hundred_rows(browser: Browser, checked: Entry, tmp_path: Path) -> None:
    many: list[Row] = [variant(checked, number, "re-executed") for number in range(500)]
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
    browser: Browser, checked: Entry, tmp_path: Path
) -> None:
    """Were a name not refused, the page would still show it and not run it."""
    name = "</script><img src=x onerror=alert(1)>'\"&amp;"
    row = dressed(checked, "row", name, (0.5,) * 3, (0.5,) * 3)
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


@pytest.mark.parametrize("width", [390, 1000, 1360])
def test_names_are_never_broken_inside_a_word(
    browser: Browser, checked: Entry, tmp_path: Path, width: int
) -> None:
    names = ["W" * 100, "InfoNCE " * 12 + "done", "Identifiability, generalised-normal positives"]
    scores = (0.5, 0.6, 0.7)
    shown: list[Row] = [
        signed(dressed(checked, f"row-{i}-{'infonce-' * 5}x", name, scores, scores))
        for i, name in enumerate(names)
    ]
    for opened in visit(browser, shown, tmp_path, viewport={"width": width, "height": 900}):
        assert opened.evaluate(BROKEN) == []
        assert opened.evaluate("document.documentElement.scrollWidth") <= width
