"""What a split is to become, kept beside its images until it is finished."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from threedident.manifest import Manifest, Origin, Rendering, read_manifest
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
    folder.images.mkdir(parents=True, exist_ok=True)
    folder.scratch.mkdir(exist_ok=True)
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

    Raises:
        ValueError: the folder holds other settings, or files that are no data set.
    """
    manifest = read_manifest(folder)
    for there in (manifest, read_plan(folder)):
        differences = [] if there is None else _differences(there, plan)
        if differences:
            raise ValueError(
                f"{folder.path}: it holds a data set with {', '.join(differences)}; give its "
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


def _differences(there: Manifest | Plan, asked: Plan) -> list[str]:
    """Each setting that differs, as ``name found where asked is asked for``."""
    found = {**there.origin.model_dump(), **there.rendering.model_dump()}
    wanted = {**asked.origin.model_dump(), **asked.rendering.model_dump()}
    names = [name for name in wanted if found[name] != wanted[name]]
    if len(names) > 1 and "fingerprint" in names:
        names.remove("fingerprint")  # it follows from the settings already named
    return [f"{name} {found[name]} where {wanted[name]} is asked for" for name in names]
