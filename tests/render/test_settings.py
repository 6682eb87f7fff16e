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


@pytest.mark.parametrize(
    ("python", "system", "machine", "told"),
    [
        ((3, 11, 7), "linux", "aarch64", True),
        ((3, 13, 0), "linux", "aarch64", True),
        ((3, 13, 0), "darwin", "x86_64", True),
        ((3, 11, 7), "darwin", "x86_64", False),
        ((3, 13, 0), "darwin", "arm64", False),
    ],
)
def test_processors_without_a_module_are_told_so(
    python: tuple[int, int, int],
    system: str,
    machine: str,
    told: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "version_info", Version(*python))
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(settings.platform, "machine", lambda: machine)
    monkeypatch.setattr(settings.importlib.util, "find_spec", lambda _: None)  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"^bpy: expected ") as caught:
        require_blender()
    assert (f"found {machine}; render on another machine" in str(caught.value)) == told
    assert ("pip install" in str(caught.value)) != told
