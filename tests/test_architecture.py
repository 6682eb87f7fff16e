"""Which room may import which, and what stays out of the command line's start."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import threedident

ROOT = Path(threedident.__file__).parents[1]
ROOMS = ("threedident", "render", "benchmark")


def modules(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            yield node.module


def packages(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


@pytest.mark.parametrize(
    ("room", "forbidden"),
    [
        ("threedident", {"render", "benchmark"}),
        ("render", {"benchmark"}),
        ("benchmark", {"render"}),
    ],
)
def test_data_flows_one_way(room: str, forbidden: set[str]) -> None:
    for path in modules(room):
        assert not packages(path) & forbidden, path


@pytest.mark.parametrize(
    ("package", "home"),
    [("bpy", "render/blender/stage.py"), ("faiss", "threedident/index/nearest.py")],
)
def test_one_module_owns_each_heavy_package(package: str, home: str) -> None:
    owners = [path for room in ROOMS for path in modules(room) if package in packages(path)]
    assert owners == [ROOT / home]


def test_assets_are_data_alone() -> None:
    assert not list((ROOT / "assets").rglob("*.py"))


def test_no_module_outgrows_its_concept() -> None:
    for room in ROOMS:
        for path in modules(room):
            assert len(path.read_text().splitlines()) <= 350, path


def loaded_after(code: str) -> set[str]:
    script = f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return set(json.loads(result.stdout.splitlines()[-1]))


def test_help_loads_nothing_heavy() -> None:
    lines = (
        "from threedident.cli import main",
        "try: main(['--help'])",
        "except SystemExit: pass",
    )
    run_help = "\n".join(lines)
    assert not loaded_after(run_help) & {"torch", "bpy", "faiss", "scipy", "matplotlib", "numpy"}


def test_import_needs_neither_blender_nor_torch() -> None:
    assert not loaded_after("import threedident") & {"bpy", "torch", "faiss"}
    names = ", ".join(threedident._HOMES)
    assert "bpy" not in loaded_after(f"from threedident import {names}")


def test_the_parent_of_a_render_never_loads_blender() -> None:
    assert "bpy" not in loaded_after("import render.cli, render.workers")
