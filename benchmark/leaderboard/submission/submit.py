"""Creation of the folder of a submission from finished runs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from warnings import catch_warnings

import numpy as np
from numpy.typing import NDArray

from benchmark.config import Config
from benchmark.leaderboard.sandbox.agreement import agreeing_codes, require_spread
from benchmark.leaderboard.sandbox.sandbox import Limits
from benchmark.leaderboard.submission.data import DataRecord, describe_data
from benchmark.leaderboard.submission.export import onnx_bytes
from benchmark.leaderboard.submission.folder import (
    SUBMISSION,
    SUMS,
    config_name,
    encoder_name,
    representations_name,
)
from benchmark.leaderboard.submission.reproduce import reproduce_command
from benchmark.leaderboard.submission.runs import Trained, supervision_of, uses_train_latents
from benchmark.leaderboard.submission.submission import (
    PROTOCOL_VERSION,
    SCHEMA_VERSION,
    TRAINER,
    Claim,
    Facts,
    FileDigests,
    SeedRecord,
    Submission,
)
from benchmark.metrics.remarks import ScoreWarning
from benchmark.metrics.scores import score
from benchmark.settings import ImageSettings
from benchmark.sources.images import ImageSource
from benchmark.sources.splits import open_splits
from benchmark.training.checkpoint import own_checkpoint, restored_model
from benchmark.training.log import read_work
from threedident.runtime.files import load_npy, npy_bytes, sha256, write_bytes
from threedident.storage.folder import SplitFolder

_TRIED_IMAGES = 64
_SAME = 1e-3


def submit(
    trained: Sequence[Trained],
    data: Path,
    out: Path,
    facts: Facts,
    limits: Limits,
) -> Path:
    """Write the folder of a submission atomically.

    Arguments:
        trained: seeds returned by :func:`benchmark.leaderboard.submission.runs.gather`.
        data: folder of the data set that they were trained on.
        out: parent folder of the new folder.
        facts: facts that only the submitter knows.
        limits: limits of time and memory for tests of the exported encoders.

    Returns:
        The path of the folder.

    Raises:
        ValueError: the runs were trained on another data set or have other codes than one for
            each factor that varies in it, or an encoder cannot be exported.
    """
    config = trained[0].config
    settings = config.source
    assert isinstance(settings, ImageSettings)
    source, record = _open(data, settings)
    _require_codes(config, record)
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
            trainer=TRAINER,
            supervision=supervision_of(config),
            uses_train_latents=uses_train_latents(config),
            command=reproduce_command(config, record),
            data=record,
            input_resolution=settings.resolution,
            seeds=tuple(_seed(each, source, record, scratch, limits) for each in trained),
        )
        write_bytes(scratch / SUMS, _sums(data, record))
        write_bytes(scratch / SUBMISSION, submission.content())
        scratch.chmod(0o755)
        scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target


def _open(data: Path, settings: ImageSettings) -> tuple[ImageSource, DataRecord]:
    """The data set and its record, after a check that the runs were trained on it.

    Raises:
        ValueError: it is another data set, or it has no manifest.
    """
    splits = open_splits(data, settings.resolution)
    train, test = (split.manifest for split in splits)
    if train is None or test is None:
        raise ValueError(
            f"{data}: expected a data set that threedident rendered, found one without a "
            "manifest, for which no fresh images can be rendered; train on a rendered one"
        )
    for manifest in (train, test):
        expected, found = settings.data[manifest.split], manifest.digests.sums
        if found != expected:
            raise ValueError(
                f"{data}: expected the {manifest.split} split that the runs were trained on, of "
                f"digest {expected[:12]}, found {found[:12]}; give their --data"
            )
    return ImageSource(splits, None), describe_data(train, test)


def _require_codes(config: Config, record: DataRecord) -> None:
    """Check that a run has one code for each factor that varies.

    Raises:
        ValueError: it encodes others, or has more codes.
    """
    assert isinstance(config.source, ImageSettings)
    factors, names = config.source.factors, record.factors.names
    if factors != names:
        raise ValueError(
            f"--factors: expected a run that encodes all factors that vary in {record.id}, "
            f"{', '.join(names)}, found one that encodes {', '.join(factors)}; train it without "
            "--factors"
        )
    if config.codes not in (None, len(names)):
        raise ValueError(
            f"--codes: expected a run of {len(names)} codes, one for each factor that varies in "
            f"{record.id}, found {config.codes}; train it without --codes"
        )


def _sums(data: Path, record: DataRecord) -> bytes:
    """The content of ``SHA256SUMS`` of the test split, compared with its manifest.

    Raises:
        ValueError: the digests are not those of the manifest.
    """
    path = SplitFolder(data, "test").sums
    content = path.read_bytes() if path.is_file() else b""
    if sha256(content) != record.digests.test:
        raise ValueError(
            f"{path}: expected the digests that the manifest names, found others; the render "
            "command of the data set writes them again"
        )
    return content


def _seed(
    trained: Trained, source: ImageSource, data: DataRecord, scratch: Path, limits: Limits
) -> SeedRecord:
    """Write the files of one seed, and return its record."""
    seed, config = trained.seed, trained.config
    if not trained.folder.has_scored_codes(seed):
        raise ValueError(
            f"{trained.folder.representations(seed)}: expected the codes that were scored, found "
            f"others, or none; threedident benchmark --resume {trained.folder.path} writes them"
        )
    codes = np.ascontiguousarray(load_npy(trained.folder.representations(seed)), np.float32)
    with catch_warnings(action="ignore", category=ScoreWarning):
        latents = data.factors.values(source.test.latents)
        found = score(latents=latents, representations=codes, labels=data.factors.labels)
    require_spread(codes, str(trained.folder.representations(seed)))
    encoder = onnx_bytes(_model(trained), source.test.resolution)
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


def _model(trained: Trained) -> Any:
    """The trained encoder with its preprocessing."""
    place = trained.folder.checkpoint(trained.seed)
    state = own_checkpoint(trained.folder, trained.config, trained.seed)
    if state is None or state.get("step") != trained.config.steps:
        raise ValueError(
            f"{place}: expected the last checkpoint of a finished run, found none; let "
            "threedident benchmark end there"
        )
    return restored_model(trained.folder, trained.config, trained.seed, state)


def _require_same(
    encoder: bytes, codes: NDArray[np.float32], source: ImageSource, name: str, limits: Limits
) -> None:
    """Check that an exported encoder computes the representations of the run.

    Raises:
        ValueError: its codes differ.
    """
    rows = range(min(_TRIED_IMAGES, len(codes)))
    images = source.test.images(rows).permute(0, 2, 3, 1).numpy()
    given = agreeing_codes(encoder, np.ascontiguousarray(images), codes, name, limits)
    scale = np.maximum(codes.std(axis=0), 1e-6)
    apart = float((np.abs(given - codes[: len(rows)]) / scale).max())
    if apart > _SAME:
        raise ValueError(
            f"{name}: expected the exported encoder to compute the representations of the run, "
            f"found codes that differ by {apart:.2g} standard deviations; run it again, or export "
            "by hand"
        )
