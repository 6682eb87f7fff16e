"""The documentation as a site: it is built strictly, and no page asks for anything outside."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest

from tests.conftest import CHROMIUM
from tests.docs.blocks import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
NARROW, WIDE = 400, 1280


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    folder = tmp_path_factory.mktemp("site")
    result = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


@pytest.fixture
def page(browser: Browser) -> Page:
    """An empty page that remembers what it asked for."""
    context = browser.new_context(viewport={"width": WIDE, "height": 900})
    return context.new_page()


def pages(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


def test_every_page_is_there(site: Path) -> None:
    there = {str(path.relative_to(site)) for path in pages(site)}
    written = (path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*"))
    wanted = {str(p.with_suffix(".html")) for p in written if p.suffix in (".md", ".ipynb")}
    assert wanted | {"contributing.html", "changes.html"} <= there


def test_scripts_are_no_pages(site: Path) -> None:
    assert not list(site.rglob("*.py"))


@needs_browser
@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_pages_ask_for_nothing_outside_and_fit_the_screen(
    site: Path, page: Page, width: int
) -> None:
    asked, errors = list[str](), list[str]()
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_viewport_size({"width": width, "height": 900})
    for path in pages(site):
        if path.name == "404.html":  # its addresses count from the root of a server
            continue
        page.goto(path.as_uri())
        over = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert over <= 0, f"{path.name}: {over} pixels wider than the screen"
        broken = "[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"
        assert page.evaluate(broken) == [], path.name
    inside = (site.as_uri() + "/", "data:", "blob:")
    assert [url for url in asked if not url.startswith(inside)] == []
    assert [url for url in asked if url.startswith("file:") and not is_file(url)] == []
    assert errors == []


def is_file(url: str) -> bool:
    return Path(unquote(urlsplit(url).path)).is_file()


@needs_browser
def test_search_finds_a_page_that_was_opened_as_a_file(site: Path, page: Page) -> None:
    page.goto((site / "index.html").as_uri())
    page.click("input[name=query]")
    page.keyboard.type("von Mises")
    page.wait_for_selector(".md-search-result__item")
    found = page.eval_on_selector_all(
        "a.md-search-result__link", "links => links.map(link => link.href)"
    )
    assert any("data-set.html" in link or "pairs.html" in link for link in found)
