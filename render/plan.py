"""What a split is to become, kept beside its images until it is finished."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from threedident.latents import SPLITS
from threedident.manifest import Manifest, Origin, Rendering, read_manifest, setting_differences
from threedident.storage import SplitFolder, load_npy, npy_bytes, write_bytes


class Plan(BaseModel):
    """The settings of an unfinished split; its raw latents lie beside it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    origin: Origin
    rendering: Rendering


def plan_path(folder: SplitFolder) -> Path:
    """The plan of a split that is being rendered."""
    return folder.scratch / "plan.json"


def planned_latents(folder: SplitFolder) -> Path:
    """The raw latents of a split that is being rendered."""
    return folder.scratch / "raw_latents.npy"


def write_plan(folder: SplitFolder, plan: Plan, raw: NDArray[np.float32]) -> None:
    """Open a split for workers."""
    folder.scratch.mkdir(parents=True, exist_ok=True)  # first: it marks the split as ours
    folder.images.mkdir(exist_ok=True)
    write_bytes(plan_path(folder), plan.model_dump_json(indent=2).encode())
    write_bytes(planned_latents(folder), npy_bytes(raw))


def read_plan(folder: SplitFolder) -> Plan | None:
    """The plan of an unfinished split, or None where there is none.

    Raises:
        ValueError: the plan is damaged.
    """
    path = plan_path(folder)
    try:
        return Plan.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValidationError:
        raise ValueError(
            f"{path}: expected the plan of an unfinished render, found a damaged file; delete "
            f"{folder.path} to start over"
        ) from None


def open_plan(folder: SplitFolder) -> tuple[Plan, NDArray[np.float32]]:
    """The plan and raw latents that a worker renders.

    Raises:
        ValueError: the split is not being rendered.
    """
    plan = read_plan(folder)
    if plan is None:
        raise ValueError(f"{folder.path}: expected a split that is being rendered, found none")
    return plan, load_npy(planned_latents(folder)).astype(np.float32, copy=False)


def rows_digest(raw: NDArray[np.float32]) -> str:
    """Identifies rows of latents that the user gave."""
    return hashlib.sha256(npy_bytes(raw)).hexdigest()[:16]


def check_compatible(folder: SplitFolder, plan: Plan) -> Manifest | None:
    """The manifest of what is there already, after a check that ``plan`` continues it.

    The other split of the data set must have the same settings too.

    Raises:
        ValueError: the folder holds other settings, or files that are no data set.
    """
    manifest = read_manifest(folder)
    siblings = [SplitFolder(folder.root, split) for split in SPLITS if split != folder.split]
    for place in (folder, *siblings):
        differences = _differences(place, plan, same_rows=place == folder)
        if differences:
            raise ValueError(
                f"{folder.root}: it holds a data set with {', '.join(differences)}; give its "
                "settings, or another --out"
            )
    if manifest is None and not folder.scratch.is_dir():
        strangers = [path.name for path in sorted(folder.path.glob("*"))]
        if strangers:
            raise ValueError(
                f"{folder.path}: expected an empty folder or a data set with its manifest, found "
                f"{strangers[0]} without {folder.manifest.name}; restore it, or give another --out"
            )
    return manifest


def _differences(place: SplitFolder, plan: Plan, same_rows: bool) -> list[str]:
    """What of ``plan`` differs in a split; rows given by the user may differ between splits."""
    for there in (read_manifest(place), read_plan(place)):
        if there is None:
            continue
        drawn = there.origin.seed is not None and plan.origin.seed is not None
        origin = plan.origin if same_rows or drawn else there.origin
        found = setting_differences((there.origin, there.rendering), (origin, plan.rendering))
        if found:
            return found
    return []
