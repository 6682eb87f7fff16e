"""A test split of many rows made of a few rendered images: enough to score on, soon made."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from render.jobs.finish import finish
from render.workers.journal import append, open_journal, record_of
from render.workers.plan import Plan, write_plan
from threedident.storage.folder import SplitFolder
from threedident.storage.manifest import require_manifest


def grown(rendered: Path, root: Path, n_test: int) -> Path:
    """A copy of a data set whose test split repeats its images up to ``n_test`` rows.

    Its files fit each other; its images are not those of its latents.
    """
    shutil.copytree(rendered, root)
    folder = SplitFolder(root, "test")
    manifest = require_manifest(folder)
    plan = Plan(origin=manifest.origin, rendering=manifest.rendering)
    raw = manifest.origin.draw(n_test)
    write_plan(folder, plan, raw)
    contents = [folder.image(i).read_bytes() for i in range(manifest.n)]
    records = []
    for i, content in enumerate(contents):
        with Image.open(folder.image(i)) as image:
            records.append((content, record_of(i, np.asarray(image), [content])))
    with open_journal(folder, "grown") as journal:
        for row in range(manifest.n, n_test):
            content, record = records[row % manifest.n]
            folder.image(row).write_bytes(content)
            append(journal, replace(record, index=row))
    finish(folder, plan, raw, manifest)
    shutil.rmtree(folder.scratch)
    return root
