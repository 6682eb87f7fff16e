from __future__ import annotations

import sys
from collections import namedtuple

import pytest

from render import settings
from render.settings import BLENDERS, require_blender

Version = namedtuple("Version", "major minor micro")


@pytest.mark.parametrize("python", [(3, 11, 7), (3, 12, 1), (3, 13, 0), (3, 14, 0)])
def test_each_python_is_told_what_it_can_do(
    python: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "version_info", Version(*python))
    monkeypatch.setattr(settings.importlib.util, "find_spec", lambda _: None)  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"^bpy: expected ") as caught:
        require_blender()
    line = str(caught.value)
    if python[:2] in BLENDERS:
        assert f"pip install 'bpy=={BLENDERS[python[:2]]}.*'" in line
    else:
        assert (
            f"expected Python 3.11 or 3.13, for which Blender's module exists, found 3.{python[1]}"
            in line
        )
