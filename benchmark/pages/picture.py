"""Pictures of a page, in panels that it places side by side or below each other.

Pages are read on phones, 390 pixels wide, and on large screens. On a page, a figure with several
axes is therefore split into panels, each with its own size. For papers, the same axes are drawn
side by side into one file.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import NamedTuple

PHONE = 350  # CSS pixels, width of the content of a page on a phone


class Panel(NamedTuple):
    """A picture that a page never splits.

    Arguments:
        content: content of an SVG or a PNG file.
        kind: ``svg+xml`` or ``png``.
        width: width in CSS pixels.
        height: height in CSS pixels.
        text: alternative text for readers who cannot see the picture.
        label: text that the page shows above it.
    """

    content: bytes
    kind: str
    width: int
    height: int
    text: str
    label: str = ""

    @property
    def source(self) -> str:
        """The picture as a data URL for an image on a page."""
        return f"data:image/{self.kind};base64,{base64.b64encode(self.content).decode()}"

    @property
    def wide(self) -> bool:
        """True if the picture is wider than a phone."""
        return self.width > PHONE


class Picture(NamedTuple):
    """A section of a page: a title, panels and a caption.

    Arguments:
        title: title of the section.
        caption: text below the panels.
        panels: panels in order.
        files: files for the folder of figures, content by suffix.
    """

    title: str
    caption: str
    panels: tuple[Panel, ...]
    files: Mapping[str, bytes]
