"""Results of a run: ``scores.json``, figures, and an HTML report that needs no network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from warnings import catch_warnings

import numpy as np

from benchmark.config import Config
from benchmark.metrics.disentanglement.dci import least_informativeness
from benchmark.metrics.probes import Probe, probe
from benchmark.metrics.remarks import ScoreWarning
from benchmark.pages.picture import Picture
from benchmark.pages.template import page_template
from benchmark.runs.reports import figures
from benchmark.runs.reports.features import feature_scores
from benchmark.runs.reports.headline import levels, sentence
from benchmark.runs.reports.scoring import Beside, means, scores_beside
from benchmark.sources.source import Source
from benchmark.training.evaluation import fits_scored_rows, scored_latents
from benchmark.training.folder import RunFolder
from benchmark.training.loop import UNTRAINED_BY_BATCH
from benchmark.training.trainer import Result
from threedident.runtime.files import load_npy, write_bytes


def summary(
    config: Config,
    results: Sequence[Result],
    probes: Sequence[Probe],
    besides: Sequence[Beside],
    source: Source,
    features: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Content of ``scores.json``: mean and sample SD over seeds, and the scores of each seed.

    Arguments:
        config: configuration of the run.
        results: results of all seeds.
        probes: probes of all seeds.
        besides: what stands beside the scores of all seeds.
        source: source of the observations.
        features: scores of the layer before the last, see
            :func:`benchmark.runs.reports.features.feature_scores`.
    """
    found: dict[str, Any] = {}
    for name in ("r2", "mcc", "mcc_spearman"):
        values = [getattr(result.trained, name) for result in results]
        found |= {name: _mean(values), f"{name}_sd": _sample_sd(values)}
    values = [probe.nonlinear_r2 for probe in probes]
    found |= {"nonlinear_r2": _mean(values), "nonlinear_r2_sd": _sample_sd(values)}
    ceiling = source.ceiling()
    if features is not None:
        found["features"] = features
    return found | {
        "dci": {
            **{
                name: _mean_of_given([getattr(probe.dci, name) for probe in probes])
                for name in ("disentanglement", "completeness", "informativeness")
            },
            "withheld": sum(probe.dci.disentanglement is None for probe in probes),
        },
        "untrained": {
            name: _mean([getattr(result.untrained, name) for result in results])
            for name in ("r2", "mcc", "mcc_spearman")
        },
        UNTRAINED_BY_BATCH: _mean_by_batch(results),
        "beside_mcc": means(besides),
        "split": config.score_on,
        "rows": len(scored_latents(config, source, results[0].seed)),
        "protocol": config.protocol,
        "factors": list(source.labels),
        "r2_ceiling": None if ceiling is None else ceiling.tolist(),
        "seeds": [
            {
                "seed": result.seed,
                "untrained": result.untrained.to_json(),
                "trained": result.trained.to_json(),
                "probe": probe.to_json(),
                **beside.to_json(),
            }
            for result, probe, beside in zip(results, probes, besides, strict=True)
        ],
    }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _mean_by_batch(results: Sequence[Result]) -> dict[str, float] | None:
    """Means over seeds of the untrained scores with batch statistics; None if a seed has none."""
    found = [result.untrained_by_batch for result in results]
    given = [scores for scores in found if scores is not None]
    if len(given) < len(found):
        return None
    return {name: _mean([scores[name] for scores in given]) for name in given[0]}


def _mean_of_given(values: Sequence[float | None]) -> float | None:
    """The mean over the values that are not withheld; None if all are withheld."""
    given = [value for value in values if value is not None]
    return _mean(given) if given else None


def _sample_sd(values: Sequence[float]) -> float | None:
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def write_results(
    folder: RunFolder,
    config: Config,
    results: Sequence[Result],
    source: Source,
    command: str,
) -> dict[str, Any]:
    """Write scores, figures and the report, and return the scores.

    Arguments:
        folder: folder of the run.
        config: configuration of the run.
        results: results of all seeds; the figures show the first.
        source: source of the observations.
        command: command that runs it again.
    """
    first, labels = results[0], source.labels
    probes = [_probe(folder, config, source, result.seed) for result in results]
    besides = [scores_beside(folder, config, source, result.seed) for result in results]
    latents = scored_latents(config, source, first.seed).astype(np.float64)
    codes = load_npy(folder.representations(first.seed)).astype(np.float32)
    delivered = source.delivered(first.seed)
    examples = source.examples(first.seed, codes)
    others = {
        "curves": figures.curves(folder.records()),
        "scatter": figures.scatter(latents, codes.astype(np.float64), first.trained, labels),
        "correlation": figures.correlation(first.trained, labels),
        **source.pictures(delivered),
    }
    if not examples:
        examples = {"scatter": others.pop("scatter")}
    if delivered is not None:
        _write_json(folder.delivered, delivered.to_json())
    for name, picture in {**examples, **others}.items():
        for suffix, content in picture.files.items():
            write_bytes(folder.figures / f"{name}{suffix}", content)
    features = feature_scores(folder, config, source)
    scores = summary(config, results, probes, besides, source, features)
    shown = examples, others
    page = _page(config, scores, results, probes, besides[0], source, shown, command)
    write_bytes(folder.report, page.encode())
    return folder.write_scores(scores, config)


def _probe(folder: RunFolder, config: Config, source: Source, seed: int) -> Probe:
    codes = load_npy(folder.representations(seed))
    latents = scored_latents(config, source, seed)
    with catch_warnings(action="ignore", category=ScoreWarning):  # printed once per run
        return probe(
            latents=latents,
            representations=codes,
            labels=source.labels,
            circular=source.circular,
        )


def _write_json(path: Path, values: dict[str, Any]) -> None:
    write_bytes(path, (json.dumps(values, indent=2) + "\n").encode())


def _settings(config: Config) -> dict[str, str]:
    """The settings in words, for the report. Digests are shortened."""
    fields = config.model_dump(exclude={"source", "seeds"}) | config.source.model_dump()
    data = fields.pop("data", None)
    settings = {
        name: _spell(value) for name, value in fields.items() if value not in (None, {}, ())
    }
    settings["seeds"] = ", ".join(map(str, config.seeds))
    if isinstance(data, dict):
        settings["data"] = ", ".join(f"{split} {digest[:12]}" for split, digest in data.items())
    elif data is not None:
        settings["data"] = data[:12]
    return settings


def _spell(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {part}" for name, part in value.items())
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def _page(
    config: Config,
    scores: dict[str, Any],
    results: Sequence[Result],
    probes: Sequence[Probe],
    beside: Beside,
    source: Source,
    shown: tuple[dict[str, Picture], dict[str, Picture]],
    command: str,
) -> str:
    first, trained, probe = results[0], results[0].trained, probes[0]
    per_factor = zip(
        source.labels,
        first.untrained.r2_per_factor,
        trained.r2_per_factor,
        probe.nonlinear_r2_per_factor,
        trained.assigned(),
        trained.mcc_per_factor,
        trained.mcc_spearman_per_factor,
        strict=True,
    )
    ceiling = source.ceiling()
    found = levels(
        source.labels,
        np.mean([result.trained.r2_per_factor for result in results], axis=0),
        np.mean([each.nonlinear_r2_per_factor for each in probes], axis=0),
        ceiling,
    )
    examples, others = shown
    groups = {} if beside.blocks is None else beside.blocks.columns()
    return page_template("benchmark.runs.reports", "report.html.j2").render(
        config=_settings(config),
        scores=scores,
        headline=sentence(found),
        levels=found,
        remark=trained.remark,
        readout=trained.readout,
        rows="held-out rows" if config.score_on == "test" else "rows of the train split",
        fitted="the rows that it was fitted on" if fits_scored_rows(config) else "held-out rows",
        first_seed=first.seed,
        factors=list(per_factor),
        context=beside.context,
        groups=groups,
        group_rows=list(zip(*groups.values(), strict=True)),
        own=beside.own,
        by_batch=scores[UNTRAINED_BY_BATCH],
        least_informativeness=least_informativeness(scores["rows"]),
        ceiling=None if ceiling is None or (ceiling == 1).all() else ceiling.tolist(),
        examples=list(examples.values()),
        pictures=list(others.values()),
        facts=source.facts(),
        summary=source.summary(),
        command=command,
    )
