"""The results of a run: scores.json, figures, and one offline HTML page."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from benchmark import figures
from benchmark.config import Config
from benchmark.run import RunFolder
from benchmark.sources import build_pairs
from benchmark.training import Result
from threedident.dataset import ThreeDIdent
from threedident.factors import LABELS
from threedident.storage import load_npy, write_bytes


def summary(results: Sequence[Result]) -> dict[str, Any]:
    """Mean and sample standard deviation over seeds, and each seed's scores."""
    return {
        "r2": _mean([r.trained.r2 for r in results]),
        "mcc": _mean([r.trained.mcc for r in results]),
        "r2_sd": _sample_sd([r.trained.r2 for r in results]),
        "mcc_sd": _sample_sd([r.trained.mcc for r in results]),
        "untrained": {
            "r2": _mean([r.untrained.r2 for r in results]),
            "mcc": _mean([r.untrained.mcc for r in results]),
        },
        "split": "test",
        "mode": "eval",
        "seeds": [
            {
                "seed": r.seed,
                "untrained": r.untrained.to_json(),
                "trained": r.trained.to_json(),
            }
            for r in results
        ],
    }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _sample_sd(values: Sequence[float]) -> float | None:
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def write_results(
    folder: RunFolder,
    config: Config,
    results: Sequence[Result],
    splits: tuple[ThreeDIdent, ThreeDIdent],
    command: str,
) -> dict[str, Any]:
    """Write scores, figures and the report page; returns the scores.

    Arguments:
        folder: of the run.
        config: of the run.
        results: one for each seed; the figures show the first.
        splits: train and test.
        command: how to run it again.
    """
    first, (train_split, test_split) = results[0], splits
    codes = load_npy(folder.representations(first.seed)).astype(np.float64)
    latents = test_split.latents.astype(np.float64)
    exact = train_split.folder.root / "traversal.png"
    pictures = {
        "curves": figures.curves(folder.records()),
        "correlation": figures.correlation(first.trained),
        "scatter": figures.scatter(latents, codes, first.trained),
        "traversal": exact.read_bytes()
        if exact.is_file()
        else figures.nearest_traversal(train_split),
    }
    pairs = build_pairs(config, train_split, first.seed)
    if pairs is not None:
        delivered = pairs.delivered()
        pictures["delivered"] = figures.png(delivered.figure())
        _write_json(folder.delivered, delivered.to_json())
    for name, png in pictures.items():
        write_bytes(folder.figures / f"{name}.png", png)
    scores = summary(results)
    page = _page(config, scores, first, pictures, splits, command, exact.is_file())
    write_bytes(folder.report, page.encode())
    _write_json(folder.scores, scores)
    return scores


def _write_json(path: Path, values: dict[str, Any]) -> None:
    write_bytes(path, (json.dumps(values, indent=2) + "\n").encode())


def _settings(config: Config) -> dict[str, str]:
    """The configuration in words; digests are cut to what tells them apart."""
    fields = config.model_dump(exclude={"data", "seeds"})
    settings = {name: str(value) for name, value in fields.items() if value is not None}
    settings["seeds"] = ", ".join(map(str, config.seeds))
    settings["data"] = ", ".join(f"{split} {digest[:12]}" for split, digest in config.data.items())
    return settings


def _page(
    config: Config,
    scores: dict[str, Any],
    first: Result,
    pictures: dict[str, bytes],
    splits: tuple[ThreeDIdent, ThreeDIdent],
    command: str,
    exact_traversal: bool,
) -> str:
    source = files("benchmark").joinpath("report.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    per_factor = zip(
        LABELS,
        first.untrained.r2_per_factor,
        first.trained.r2_per_factor,
        first.trained.assignment,
        np.abs(first.trained.correlation[np.arange(len(LABELS)), first.trained.assignment]),
        strict=True,
    )
    return environment.from_string(source).render(
        config=_settings(config),
        scores=scores,
        first_seed=first.seed,
        factors=list(per_factor),
        pictures={name: base64.b64encode(png).decode() for name, png in pictures.items()},
        manifests=[split.manifest for split in splits],
        counts=[len(split) for split in splits],
        command=command,
        exact_traversal=exact_traversal,
    )
