"""What docstrings mean to the site: links in place of roles, and examples as code."""

from __future__ import annotations

import re
from typing import Any

import griffe

_ROLE = re.compile(r":[a-z]+:`~?([\w.]+)`")
_LINK = r'<autoref optional identifier="\1"><code>\1</code></autoref>'
_EXAMPLE = re.compile(r"^( *)Example:$", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Rewrites every docstring before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Turn ``:class:`x.y` `` into a link where the site shows x.y, and Example into code."""
        if obj.docstring is not None:
            text = _EXAMPLE.sub(r"\1Examples:", obj.docstring.value)
            obj.docstring.value = _ROLE.sub(_LINK, text)
