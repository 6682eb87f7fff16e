"""The doctor names what a machine has and lacks."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from render import libraries
from tests.conftest import cli
from threedident import doctor
from threedident.doctor import doctor as command
from threedident.doctor import examine


def findings(*parts: str) -> dict[str, doctor.Finding]:
    """The findings of some parts of the examination, by what they are about."""
    found: dict[str, doctor.Finding] = {}
    for part in parts:
        found |= {finding.what: finding for finding in getattr(doctor, part)()}
    return found


@pytest.mark.slow
def test_this_machine_renders_and_trains(tmp_path: Path) -> None:
    result = cli("doctor", env={"XDG_CACHE_HOME": str(tmp_path / "cache")})
    assert result.returncode == 0, result.stdout + result.stderr
    lines = result.stdout.splitlines()
    for words in (
        r"^Python +3\.",
        r"^Blender +\d+\.\d+\.\d+, draws images",
        r"^Cycles +CPU",
        r"^rendering +[\d.,]+ images/s at 64 px draft on \w+, [\d.,]+ images/s at 224 px standard",
        r"^training +[\d.,]+ images/s at 64 px",
        r"^faiss +faiss-(gpu|cpu) ",
        r"^memory +[\d.]+ .B free of",
        rf"^cache +{tmp_path}",
        r"^extra leaderboard +installed",
    ):
        assert any(re.search(words, line) for line in lines), (words, result.stdout)
    assert not (tmp_path / "cache" / "threedident").exists()


def test_what_is_missing_has_a_line_that_mends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    there = importlib.util.find_spec

    def spec(name: str, *rest: Any) -> Any:
        return None if name in ("bpy", "ray") else there(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", spec)
    monkeypatch.setattr(doctor, "find_spec", spec)
    monkeypatch.setattr(libraries, "_loads", lambda name: name != "libGL.so.1")
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "threedident.index.families", None)
    found = {finding.what: finding for finding in examine()}
    for what, remedy in (
        ("libraries", "apt-get install libgl1"),
        ("Blender", "install it with pip install 'bpy=="),
        ("torch", "pip install torch torchvision"),
        ("faiss", "pip install faiss-"),
    ):
        assert found[what].fatal
        assert remedy in found[what].remedy
    assert found["extra ray"].remedy == "pip install 'threedident[ray]'"
    assert not found["extra ray"].fatal
    result = CliRunner().invoke(command)
    assert result.exit_code == 1
    assert "!! apt-get install libgl1" in result.stdout
    assert "pip install 'threedident[ray]'" in result.stdout


def test_a_blender_that_cannot_draw_is_fatal(monkeypatch: pytest.MonkeyPatch) -> None:
    from render.workers import process

    def dies() -> list[str]:
        return [sys.executable, "-c", "import sys; sys.exit('no such instruction')"]

    monkeypatch.setattr(process, "worker_command", dies)
    found = findings("_blender")
    [finding] = found.values()
    assert finding.fatal
    assert "expected Blender to draw a few images, found no such instruction" in finding.found


def test_a_disk_without_room_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: type("Use", (), {"free": 10**8}))
    monkeypatch.setattr(doctor, "memory", lambda: (10**9, 10**9))
    found = findings("_rooms")
    assert found["cache"].remedy == "free some, or set XDG_CACHE_HOME to another folder"
    assert found["disk here"].remedy.startswith("free some")
    assert "training needs about 2 GB" in found["memory"].remedy


def test_without_faiss_the_line_installs_one_that_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    from threedident.index import families

    monkeypatch.setattr(families, "faiss", None)
    monkeypatch.setattr(families, "_FOUND", "neither", raising=False)
    monkeypatch.setattr(doctor, "_version", lambda _: "")
    [finding] = findings("_faiss").values()
    assert finding.fatal
    assert finding.remedy.endswith("pip install faiss-cpu")
    assert finding.found.startswith("faiss: expected faiss-gpu or faiss-cpu")
    monkeypatch.setitem(sys.modules, "threedident.index.families", None)
    [finding] = findings("_faiss").values()
    assert finding.remedy == "pip install faiss-cpu"
