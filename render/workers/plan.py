"""The plan of a split: its settings and latents, kept beside its images until it is finished."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from threedident.latents.sampling import SPLITS, check_raw
from threedident.runtime.files import MOST_JSON, load_npy, npy_bytes, read_plain, write_bytes
from threedident.runtime.records import Frozen, parse_model
from threedident.storage.folder import SplitFolder
from threedident.storage.manifest import Manifest, Rendering, read_manifest, setting_differences
from threedident.storage.origin import Origin


class Plan(Frozen):
    """The settings of an unfinished split. Its raw latents lie in a file beside the plan."""

    origin: Origin
    rendering: Rendering


def plan_path(folder: SplitFolder) -> Path:
    """Path of the plan of a split that is being rendered."""
    return folder.scratch / "plan.json"


def planned_latents(folder: SplitFolder) -> Path:
    """Path of the raw latents of a split that is being rendered."""
    return folder.scratch / "raw_latents.npy"


def write_plan(folder: SplitFolder, plan: Plan, raw: NDArray[np.float32]) -> None:
    """Create the folders and files that workers of a split need."""
    folder.scratch.mkdir(parents=True, exist_ok=True)  # first, because it marks the split as ours
    for place in folder.picture_folders(plan.rendering.annotations):
        place.mkdir(exist_ok=True)
    write_bytes(plan_path(folder), plan.model_dump_json(indent=2).encode())
    write_bytes(planned_latents(folder), npy_bytes(raw))


def read_plan(folder: SplitFolder) -> Plan | None:
    """The plan of an unfinished split, or None if there is none.

    Raises:
        ValueError: the plan is damaged.
    """
    path = plan_path(folder)
    try:
        return parse_model(Plan, read_plain(path, MOST_JSON))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        raise ValueError(
            f"{path}: expected the plan of an unfinished render, found a damaged file; delete it "
            "and give the render command again"
        ) from None


def open_plan(folder: SplitFolder) -> tuple[Plan, NDArray[np.float32]]:
    """The plan and the raw latents of a split that is being rendered.

    Raises:
        ValueError: the split is not being rendered, or its latents are damaged.
    """
    plan = read_plan(folder)
    if plan is None:
        raise ValueError(f"{folder.path}: expected a split that is being rendered, found none")
    path = planned_latents(folder)
    return plan, check_raw(load_npy(path), str(path), plan.origin.space)


def check_compatible(root: Path, folder: SplitFolder, plan: Plan) -> Manifest | None:
    """Check that ``plan`` can continue the existing files, and return their manifest or None.

    All splits of a data set have the same settings.

    Arguments:
        root: folder of the data set.
        folder: the split, or the positives of a split.
        plan: the requested settings.

    Raises:
        ValueError: the existing files have other settings, or are not a data set.
    """
    for place in (
        folder.path,
        folder.scratch,
        *folder.picture_folders(plan.rendering.annotations),
    ):
        if place.exists() and not place.is_dir():
            raise ValueError(f"{place}: expected a folder there, found a file; move it away")
    manifest = read_manifest(folder)
    for split in (folder, *_others(root, folder)):
        differences = _differences(split, plan, same=split == folder)
        if differences:
            raise ValueError(
                f"{root}: it holds a data set with {', '.join(differences)}; give its "
                "settings, or another --out"
            )
    if manifest is None and not folder.scratch.is_dir():
        strangers = [path.name for path in sorted(folder.path.glob("*"))]
        if [name for name in strangers if name != folder.positives.split]:
            raise ValueError(
                f"{folder.path}: expected an empty folder or a data set with its manifest, found "
                f"{strangers[0]} without {folder.manifest.name}; restore it, or give another --out"
            )
    return manifest


def _others(root: Path, folder: SplitFolder) -> Iterator[SplitFolder]:
    for split in SPLITS:
        anchors = SplitFolder(root, split)
        yield from (place for place in (anchors, anchors.positives) if place != folder)


def _differences(place: SplitFolder, plan: Plan, same: bool) -> list[str]:
    """Differences between ``plan`` and the settings of a split.

    If ``same`` is False, the split is another one of the data set. It may then differ in the
    settings that each split has for itself, such as its rows or the conditional of positives.
    """
    for there in (read_manifest(place), read_plan(place)):
        if there is None:
            continue
        asked = plan if same else _as_there(plan, there)
        found = setting_differences(
            (there.origin, there.rendering), (asked.origin, asked.rendering)
        )
        if found:
            return found
    return []


def _as_there(plan: Plan, place: Manifest | Plan) -> Plan:
    """The plan with the settings that another split has for itself."""
    origin, there, rendering = plan.origin, place.origin, plan.rendering
    apart: dict[str, object] = {"split": there.split, "rows": there.rows}
    if origin.rows is not None or there.rows is not None:
        apart |= {"seed": there.seed, "fixed": there.fixed}
    if origin.conditional is None or there.conditional is None:
        apart |= {"conditional": there.conditional}
    if (origin.conditional is None) != (there.conditional is None):
        rendering = rendering.model_copy(update={"material": place.rendering.material})
    return Plan(origin=origin.model_copy(update=apart), rendering=rendering)
