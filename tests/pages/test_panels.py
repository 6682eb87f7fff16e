"""Figures: text that can be read on a phone, and legends beside what they explain."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.text import Text
from PIL import Image

from benchmark.metrics.scores import score
from benchmark.pages import panels
from benchmark.pages.panels import Plot, plotted, sheet
from benchmark.pages.picture import PHONE, Panel, Picture
from benchmark.runs.reports import figures
from benchmark.sources import figures as data_figures
from benchmark.suites import figures as suite_figures
from benchmark.suites.table import Figure
from threedident.latents.factors import LABELS, NAMES
from threedident.pairs.delivered import Delivered

LEAST = 9  # CSS pixels of text
LATENTS = np.random.default_rng(0).uniform(-1, 1, (400, 10))
CODES = LATENTS + 0.3 * np.random.default_rng(1).normal(size=LATENTS.shape)
RECORDS = [
    {"seed": seed, "step": step, "loss": 9 - 0.01 * step, "alignment": 1.0, "uniformity": 2.0}
    | ({"r2": 0.99, "mcc": 0.98} if step % 50 == 0 else {})
    for seed in (0, 1)
    for step in range(300)
]


def delivered(snaps: float = 0.5) -> Delivered:
    far = np.abs(np.random.default_rng(0).normal(snaps, 0.1, 500)) * bool(snaps)
    return Delivered(NAMES, np.full(10, 0.1), np.full(10, 0.26), 0 * far, far)


BESIDE = {
    "MCC": [(f"laplace-unbounded-l{i}", Figure(5.0 * i, 3), Figure(95, 4)) for i in range(14)]
}
OVER = [
    (f"laplace-unbounded-l{i}", [{"seed": 0, "step": s, "r2": 0.9} for s in (0, 9)])
    for i in range(14)
]
DRAWN: dict[str, Callable[[], Picture | None]] = {
    "curves": lambda: figures.curves(RECORDS),
    "scatter": lambda: figures.scatter(LATENTS, CODES, score(LATENTS, CODES), LABELS),
    "correlation": lambda: figures.correlation(score(LATENTS, CODES), LABELS),
    "delivered": lambda: data_figures.delivered(delivered()),
    "exact": lambda: data_figures.delivered(delivered(0.0)),
    "beside": lambda: suite_figures.beside(BESIDE),
    "over steps": lambda: suite_figures.over_steps(OVER, {"r2": "R²"}),
}


@pytest.fixture(params=DRAWN, scope="module")
def drawn(request: Any) -> Iterator[tuple[Picture, list[Plot]]]:
    """A picture, and the plots that it is made of."""
    plots: list[Plot] = []

    def keep(found: list[Plot], *arguments: Any, **options: Any) -> Picture:
        plots.extend(found)
        return plotted(found, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        for module in (figures, panels, suite_figures):
            patch.setattr(module, "plotted", keep)
        picture = DRAWN[request.param]()
        assert picture is not None
        yield picture, plots


def ready(figure: Canvas) -> Any:
    """What measures the figure, which is laid out."""
    figure.draw_without_rendering()
    return FigureCanvasAgg(figure).get_renderer()


def test_text_is_legible_on_a_phone(drawn: tuple[Picture, list[Plot]]) -> None:
    picture, plots = drawn
    for panel, plot in zip(picture.panels, plots, strict=True):
        assert not panel.wide
        scale = min(1.0, PHONE / panel.width)
        texts = [text for text in sheet([plot]).findobj(Text) if text.get_text().strip()]
        assert min(text.get_fontsize() for text in texts) * 96 / 72 * scale >= LEAST


def test_nothing_is_cut_off(drawn: tuple[Picture, list[Plot]]) -> None:
    for plot in drawn[1]:
        figure = sheet([plot])
        drawn_box = figure.get_tightbbox(ready(figure))  # inches
        assert min(drawn_box.min) >= -0.01
        assert drawn_box.x1 <= plot.width + 0.01
        assert drawn_box.y1 <= plot.height + 0.01


def test_legends_lie_beside_the_axes(drawn: tuple[Picture, list[Plot]]) -> None:
    for plot in drawn[1]:
        check_legends(sheet([plot]))
    check_legends(sheet(drawn[1], len(drawn[1])))


@pytest.mark.parametrize("snaps", [0.0, 0.5])
def test_legends_of_what_was_delivered_lie_above_the_bars(snaps: float) -> None:
    check_legends(delivered(snaps).figure())


def test_exact_positives_are_not_called_wider() -> None:
    captions = [data_figures.delivered(delivered(snaps)).caption for snaps in (0.5, 0.0)]
    assert ["wider than requested" in caption for caption in captions] == [True, False]
    assert "the steps are the requested ones" in captions[1]


def check_legends(figure: Canvas) -> None:
    renderer = ready(figure)
    for axis in figure.axes:
        legend = axis.get_legend()
        if legend is None or not axis.axison:
            continue
        box, inside = legend.get_window_extent(renderer), axis.get_window_extent(renderer)
        assert box.y0 >= inside.y1 or box.x0 >= inside.x1
        for title in (axis.title, axis._left_title):  # type: ignore[attr-defined]
            if title.get_text():
                assert not box.overlaps(title.get_window_extent(renderer))


def test_a_picture_is_one_panel_for_each_plot_and_one_file_for_papers() -> None:
    def draw(axis: Axes) -> None:
        axis.plot([0, 1], [0, 1])

    picture = plotted([Plot(draw, "a line")] * 3, "Lines", "Three of them.")
    assert [panel.kind for panel in picture.panels] == ["svg+xml"] * 3
    assert picture.panels[0].content.startswith(b"<?xml")
    assert picture.panels[0].source.startswith("data:image/svg+xml;base64,")
    assert set(picture.files) == {".png", ".svg"}
    with Image.open(io.BytesIO(picture.files[".png"])) as png:
        assert png.width >= 2 * sum(panel.width for panel in picture.panels)


def test_the_same_figure_is_the_same_bytes() -> None:
    [first, second] = (figures.curves(RECORDS) for _ in range(2))
    assert first == second
    assert b"http" not in first.panels[0].content.split(b"</metadata>")[1].replace(
        b"http://www.w3.org", b""
    )


def test_wide_matrices_are_scrolled_not_shrunk() -> None:
    rng = np.random.default_rng(0)
    latents = rng.normal(size=(400, 20))
    found = figures.correlation(score(latents, latents), [f"z{i}" for i in range(20)])
    assert found.panels[0].wide
    assert Panel(b"", "png", PHONE, 10, "").wide is False
