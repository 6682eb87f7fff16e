"""From finished runs of ours to the folder of a submission."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.config import Config, ImageSettings, differences
from benchmark.image_source import ImageSource
from benchmark.leaderboard.folder import (
    CODES,
    SUBMISSION,
    config_name,
    encoder_name,
    representations_name,
)
from benchmark.leaderboard.onnx_export import onnx_bytes
from benchmark.leaderboard.reproduce import reproduce_command
from benchmark.leaderboard.sandbox import Limits, agreeing_codes
from benchmark.leaderboard.submission import (
    PROTOCOL_VERSION,
    SCHEMA_VERSION,
    SEEDS,
    Claim,
    DataRecord,
    Facts,
    FileDigests,
    SeedRecord,
    Submission,
    Supervision,
    describe_data,
)
from benchmark.metrics import score
from benchmark.objective import SUPERVISED, Objective
from benchmark.ranks import Ranks
from benchmark.run import RunFolder
from benchmark.splits import open_splits
from benchmark.work_log import read_work
from threedident.factors import LABELS
from threedident.storage import load_npy, npy_bytes, sha256, write_bytes

_TRIED_IMAGES = 64
_SAME = 1e-3


@dataclass(frozen=True)
class Trained:
    """One seed of a finished run.

    Arguments:
        folder: of the run.
        config: of the run.
        seed: of the training.
    """

    folder: RunFolder
    config: Config
    seed: int


def gather(paths: Sequence[Path]) -> list[Trained]:
    """The seeds 0, 1 and 2 of some runs, in order.

    Raises:
        ValueError: a run is not finished, not one on images by the held-out protocol, or not of
            the same configuration as the first, or a seed is there twice, or seed 0 nowhere.
    """
    found: dict[int, Trained] = {}
    first: Config | None = None
    for path in paths:
        config = _finished(path)
        alone = config.model_copy(update={"seeds": ()})
        changed = [] if first is None else differences(first, alone)
        first = first or alone
        if changed:
            raise ValueError(
                f"{path}: expected a run like {paths[0]}, found one with {', '.join(changed)}; "
                "give runs that differ in their seeds alone"
            )
        for seed in config.seeds:
            if seed in found:
                raise ValueError(
                    f"{path}: expected seeds of its own, found seed {seed}, which "
                    f"{found[seed].folder.path} has, too; give one of them"
                )
            found[seed] = Trained(RunFolder(path), config, seed)
    taken = [seed for seed in SEEDS if seed in found]
    if not taken or taken != list(SEEDS[: len(taken)]):
        raise ValueError(
            f"runs: expected the seeds {', '.join(map(str, SEEDS))} from the first on, found "
            f"{', '.join(map(str, sorted(found)))}; train those that are missing with --seeds"
        )
    return [found[seed] for seed in taken]


def _finished(path: Path) -> Config:
    folder = RunFolder(path)
    if not folder.config.is_file() or not folder.scores.is_file():
        what = "one that has not ended" if folder.config.is_file() else "none"
        raise ValueError(
            f"{path}: expected the folder of a finished run, found {what}; let threedident "
            "benchmark end there"
        )
    config = folder.read_config()
    if not isinstance(config.source, ImageSettings):
        raise ValueError(
            f"{path}: expected a run on rendered images, found one on {config.source.kind}, of "
            "which no fresh images can be drawn"
        )
    if config.protocol != "held-out":
        raise ValueError(
            f"{path}: expected a run scored by the held-out protocol, found {config.protocol}; "
            "train it without --protocol"
        )
    return config


def submit(
    trained: Sequence[Trained],
    data: Path,
    out: Path,
    facts: Facts,
    limits: Limits,
) -> Path:
    """Write the folder of a submission, whole or not at all.

    Arguments:
        trained: as :func:`gather` gives them.
        data: folder of the data set that they were trained on.
        out: where the folder is made.
        facts: what only the submitter knows.
        limits: of time and memory, when exported encoders are tried.

    Returns:
        The folder.

    Raises:
        ValueError: the runs are of another data set, or an encoder cannot be exported.
    """
    config = trained[0].config
    settings = config.source
    assert isinstance(settings, ImageSettings)
    source, record = _open(data, settings)
    name = facts.new_id()
    target = out / name
    if target.exists():
        raise ValueError(f"{target}: expected no submission there, found one; move it away")
    out.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=out))
    try:
        submission = Submission(
            schema_version=SCHEMA_VERSION,
            protocol_version=PROTOCOL_VERSION,
            id=name,
            **facts.model_dump(),
            supervision=_supervision(config),
            uses_train_latents=config.loss == SUPERVISED or settings.pairs == "nearest",
            command=reproduce_command(config, record),
            data=record,
            input_resolution=settings.resolution,
            seeds=tuple(_seed(each, source, scratch, limits) for each in trained),
        )
        write_bytes(scratch / SUBMISSION, submission.content())
        scratch.chmod(0o755)
        scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target


def _open(data: Path, settings: ImageSettings) -> tuple[ImageSource, DataRecord]:
    """The data set, checked to be the one that the runs were trained on."""
    splits = open_splits(data, settings.resolution)
    train, test = (split.manifest for split in splits)
    if train is None or test is None:
        raise ValueError(
            f"{data}: expected a data set that threedident rendered, found one without a "
            "manifest, of which no fresh images can be drawn; train on a rendered one"
        )
    for manifest in (train, test):
        expected, found = settings.data[manifest.split], manifest.digests.sums
        if found != expected:
            raise ValueError(
                f"{data}: expected the {manifest.split} split that the runs were trained on, of "
                f"digest {expected[:12]}, found {found[:12]}; give their --data"
            )
    return ImageSource(splits, None), describe_data(train, test)


def _supervision(config: Config) -> Supervision:
    assert isinstance(config.source, ImageSettings)
    if config.steps == 0:
        return "none"
    if config.loss == SUPERVISED:
        return "full"
    return "augmentations" if config.source.pairs == "augmented" else "pairs"


def _seed(trained: Trained, source: ImageSource, scratch: Path, limits: Limits) -> SeedRecord:
    """Write the files of one seed; returns its record."""
    seed, config = trained.seed, trained.config
    codes = np.ascontiguousarray(load_npy(trained.folder.representations(seed)), np.float32)
    found = score(source.test.latents, codes, labels=LABELS)
    encoder = onnx_bytes(_model(trained, source), source.test.resolution)
    _require_same(encoder, codes, source, f"{trained.folder.path}, seed {seed}", limits)
    alone = config.model_copy(update={"seeds": (seed,)})
    files = {
        representations_name(seed): npy_bytes(codes),
        config_name(seed): alone.model_dump_json(indent=2).encode() + b"\n",
        encoder_name(seed): encoder,
    }
    for name, content in files.items():
        write_bytes(scratch / name, content)
    digests = [sha256(content) for content in files.values()]
    work = read_work(trained.folder.work, seed)
    return SeedRecord(
        seed=seed,
        steps=config.steps,
        hardware=None if work is None else work.hardware,
        wall_time_s=None if work is None else round(work.seconds, 1),
        digests=FileDigests(representations=digests[0], config=digests[1], encoder=digests[2]),
        claim=Claim(r2=found.r2, mcc=found.mcc, mcc_spearman=found.mcc_spearman),
    )


def _model(trained: Trained, source: ImageSource) -> Any:
    """The trained encoder, with what comes before it."""
    place = trained.folder.checkpoint(trained.seed)
    state = trained.folder.load_checkpoint(trained.seed)
    if state is None or state.get("step") != trained.config.steps:
        raise ValueError(
            f"{place}: expected the last checkpoint of a finished run, found none; let "
            "threedident benchmark end there"
        )
    objective = Objective(trained.config, source, trained.seed, Ranks())
    try:
        objective.load_state_dict(state["objective"])
    except (KeyError, RuntimeError, TypeError) as error:
        raise ValueError(
            f"{place}: expected a checkpoint of this run, found another ({type(error).__name__})"
        ) from None
    return objective.model


def _require_same(
    encoder: bytes, codes: NDArray[np.float32], source: ImageSource, name: str, limits: Limits
) -> None:
    """Refuse an export that does not give the representations of the run."""
    rows = range(min(_TRIED_IMAGES, len(codes)))
    images = source.test.images(rows).permute(0, 2, 3, 1).numpy()
    given = agreeing_codes(encoder, np.ascontiguousarray(images), CODES, name, limits)
    scale = np.maximum(codes.std(axis=0), 1e-6)
    apart = float((np.abs(given - codes[: len(rows)]) / scale).max())
    if apart > _SAME:
        raise ValueError(
            f"{name}: expected the exported encoder to give the representations of the run, found "
            f"codes apart by {apart:.2g} standard deviations; run it again, or export by hand"
        )
