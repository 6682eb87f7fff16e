"""Packs of small images."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.conftest import contents, done_at_once


def copied(root: Path, to: Path) -> Path:
    return shutil.copytree(root, to)


def pack(root: Path, *arguments: object) -> str:
    return done_at_once("pack", root, *arguments)


def packs(root: Path) -> dict[str, bytes]:
    return {name: data for name, data in contents(root).items() if "/packed/" in name}


def truncated(root: Path) -> None:
    os.truncate(root / "train/packed/20.npy", 5000)


def missing(root: Path) -> None:
    (root / "train/packed/20.npy").unlink()
