"""Data sets as a renderer would leave them, of coloured noise: no Blender is needed."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image

from render.jobs.finish import finish
from render.workers.journal import open_journal, record_of
from render.workers.plan import Plan, write_plan
from threedident.dataset.annotations import annotation_picture
from threedident.latents.sampling import SPLITS
from threedident.storage.folder import SplitFolder
from threedident.storage.manifest import Annotation, Rendering
from threedident.storage.origin import Origin


def drawn(
    root: Path,
    n: int,
    n_test: int,
    edge: int = 16,
    *,
    conditional: str | None = None,
    annotations: tuple[Annotation, ...] = (),
) -> Path:
    """A data set with manifests whose colours are its positions.

    Arguments:
        root: its folder.
        n: rows of the train split.
        n_test: rows of the test split.
        edge: of its images in pixels.
        conditional: of positives beside every image, or None for none.
        annotations: beside every image.
    """
    rendering = Rendering(
        resolution=edge,
        quality="draft",
        hue_mode="wrapped",
        annotations=annotations,
        device="cpu",
        blender="none",
        fingerprint="noise",
    )
    for split, rows in zip(SPLITS, (n, n_test), strict=True):
        folder, origin = SplitFolder(root, split), Origin(split=split, seed=0)
        _draw(folder, Plan(origin=origin, rendering=rendering), rows)
        if conditional is not None:
            positives = origin.model_copy(update={"conditional": conditional})
            _draw(folder.positives, Plan(origin=positives, rendering=rendering), rows)
    return root


def _draw(folder: SplitFolder, plan: Plan, rows: int) -> None:
    raw = plan.origin.draw(rows)
    write_plan(folder, plan, raw)
    edge, rng = plan.rendering.resolution, np.random.default_rng(1)
    labels = np.ones((edge, edge), np.uint8)
    labels[4:8, 4:8] = 2
    with open_journal(folder, "drawn") as journal:
        for row, latents in enumerate(raw):
            noise = rng.integers(0, 60, (edge, edge, 3))
            image = (noise + (95 + 90 * latents[:3]).astype(int)).astype(np.uint8)
            pictures = [Image.fromarray(image)]
            for name in plan.rendering.annotations:
                pictures.append(annotation_picture(name, labels, labels * np.float32(5.0)))
            contents = [_png(picture) for picture in pictures]
            places = folder.pictures(row, plan.rendering.annotations)
            for place, content in zip(places, contents, strict=True):
                place.write_bytes(content)
            record = asdict(record_of(row, image, contents))
            journal.write(json.dumps(record) + "\n")  # many rows: append() would sync each
    finish(folder, plan, raw, None)
    shutil.rmtree(folder.scratch)


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
