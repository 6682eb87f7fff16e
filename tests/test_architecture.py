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
    ("package", "home"), [("bpy", "render/blender"), ("faiss", "threedident/index/families.py")]
)
def test_one_place_owns_each_heavy_package(package: str, home: str) -> None:
    owners = [path for room in ROOMS for path in modules(room) if package in packages(path)]
    assert owners
    assert all((ROOT / home) in (path, path.parent) for path in owners)


def test_assets_are_data_alone() -> None:
    assert not list((ROOT / "assets").rglob("*.py"))


def test_a_folder_holds_at_most_ten_modules() -> None:
    for room in ROOMS:
        for folder in {path.parent for path in modules(room)}:
            found = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
            assert len(found) <= 10, folder


BESIDE = {
    "cli",
    "compatibility",
    "devices",
    "docs",
    "fuzz",
}  # tests of what lies in no folder of its own


def test_tests_lie_in_the_folders_of_the_code() -> None:
    rooms = {path.parent.relative_to(ROOT) for room in ROOMS for path in modules(room)}
    inside = {Path(*room.parts[1:]) if room.parts[0] != "render" else room for room in rooms}
    inside -= {Path(), *(Path(name) for name in BESIDE)}
    tests = ROOT / "tests"
    places = {path.parent.relative_to(tests) for path in tests.rglob("test_*.py")} - {Path()}
    assert inside <= places | {Path("leaderboard")}
    assert {place for place in places if place.parts[0] not in BESIDE} <= inside


def test_names_of_test_modules_are_unique_and_files_no_longer_than_a_concept() -> None:
    tests = [path for path in (ROOT / "tests").rglob("*.py") if path.name != "__init__.py"]
    names = [path.name for path in tests if path.name != "conftest.py"]
    assert len(names) == len(set(names)), sorted(names)
    for path in tests:
        assert len(path.read_text().splitlines()) <= 350, path
    for folder in {path.parent for path in tests}:
        assert len(list(folder.glob("test_*.py"))) <= 10, folder


def test_no_imports_go_round_in_a_circle() -> None:
    known = {name_of(path): path for room in ROOMS for path in modules(room)}
    arrows = {name: {m for m in imported(path) if m in known} for name, path in known.items()}
    while arrows:
        ends = {name for name, targets in arrows.items() if not targets & arrows.keys()}
        assert ends, f"circle among {sorted(arrows)}"
        arrows = {name: targets for name, targets in arrows.items() if name not in ends}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_no_module_outgrows_its_concept() -> None:
    for room in ROOMS:
        for path in modules(room):
            assert len(path.read_text().splitlines()) <= 350, path


def test_faces_hold_a_docstring_alone_except_those_with_public_names() -> None:
    public = {"threedident", "threedident.conditionals", "benchmark.losses", "benchmark.metrics"}
    for room in ROOMS:
        for path in modules(room):
            if path.name == "__init__.py" and name_of(path) not in public:
                [statement] = ast.parse(path.read_text()).body
                assert isinstance(statement, ast.Expr), path


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
