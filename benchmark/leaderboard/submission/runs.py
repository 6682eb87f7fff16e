"""Finished runs of ``threedident benchmark``, collected by seed for a submission."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.config import Config, numbering
from benchmark.differences import differences
from benchmark.leaderboard.submission.submission import SEEDS, Supervision
from benchmark.losses.catalogue import reads_latents
from benchmark.settings import ImageSettings
from benchmark.training.folder import RunFolder, is_run
from benchmark.training.log import read_work
from threedident.pairs.epochs import NUMBERING
from threedident.runtime.errors import RUNS, advise


@dataclass(frozen=True)
class Trained:
    """One seed of a finished run.

    Arguments:
        folder: folder of the run.
        config: configuration of the run.
        seed: seed of the training.
    """

    folder: RunFolder
    config: Config
    seed: int


def trained_on(trained: Sequence[Trained]) -> Path:
    """The recorded path of the data set of some runs, or else the default path."""
    for each in trained:
        work = read_work(each.folder.work, each.seed)
        if work is not None and work.data is not None:
            return work.data
    return Path("data/3dident")


def gather(paths: Sequence[Path]) -> list[Trained]:
    """The seeds 0, 1 and 2 of some runs, in order. Later seeds may be missing.

    Raises:
        ValueError: a run is not finished, is not on rendered images, was not scored with the
            held-out protocol, or has another configuration than the first run; or a seed occurs
            twice, or an earlier seed is missing.
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
                "give runs that differ only in their seeds"
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
        which = "all of them anew" if first and is_of_old_numbering(first) else "those missing"
        raise ValueError(
            f"runs: expected the seeds {', '.join(map(str, SEEDS))} from the first on, found "
            f"{', '.join(map(str, sorted(found)))}; train {which} with --seeds"
        )
    return [found[seed] for seed in taken]


def is_of_old_numbering(config: Config) -> bool:
    """True if the numbering of pairs has changed since the run, so new seeds cannot join it."""
    return numbering(config) != NUMBERING


def supervision_of(config: Config) -> Supervision:
    """The kind of supervision of a run."""
    assert isinstance(config.source, ImageSettings)
    if config.steps == 0:
        return "none"
    if reads_latents(config):
        return "full"
    if config.source.pairs is None:
        return "none"
    return "augmentations" if config.source.pairs == "augmented" else "pairs"


def uses_train_latents(config: Config) -> bool:
    """True if training read latents, as targets or to find pairs."""
    assert isinstance(config.source, ImageSettings)
    return config.steps > 0 and (reads_latents(config) or config.source.pairs == "nearest")


def _finished(path: Path) -> Config:
    folder = RunFolder(path)
    if not folder.config.is_file() or not folder.scores.is_file():
        what = "one that has not ended" if folder.config.is_file() else "none"
        advice = advise(path, is_run, "let threedident benchmark end there", RUNS)
        raise ValueError(f"{path}: expected the folder of a finished run, found {what}; {advice}")
    config = folder.read_config()
    if not isinstance(config.source, ImageSettings):
        raise ValueError(
            f"{path}: expected a run on rendered images, found one on "
            f"{getattr(config.source, 'name', config.source.kind)}, for which no fresh images can "
            "be rendered"
        )
    if config.protocol != "held-out":
        raise ValueError(
            f"{path}: expected a run scored by the held-out protocol, found {config.protocol}; "
            "train it without --protocol"
        )
    if config.score_on != "test":
        raise ValueError(
            f"{path}: expected a run scored on the test split, found {config.score_on}; train it "
            "without --score-on"
        )
    return config
