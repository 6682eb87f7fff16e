"""The folder of a run, and the files in it.

OUT/config.json              the resolved configuration
OUT/metrics.jsonl            one line for each step (loss) and each score (r2, mcc), by seed
OUT/checkpoints/seed-K.pt    the last checkpoint
OUT/representations/seed-K.npy  codes of the test split, N x n; beside them seed-K-features.npy
OUT/delivered.json           requested and delivered steps of the pairs, and snap distances
OUT/work.jsonl               training time, hardware and path of the data, for each seed
OUT/scores.json              scores of each seed, untrained and trained, with mean and SD
OUT/figures/                 every figure as PNG; plots also as SVG
OUT/report.html              the report, one page that needs no network
OUT/tensorboard/seed-K/      logs for TensorBoard, if requested
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import torch

from benchmark.config import Config, numbering, with_numbering
from benchmark.differences import differences
from benchmark.training.seals import is_intact, is_sealed, seal
from threedident.pairs.epochs import NUMBERING
from threedident.runtime.errors import explain
from threedident.runtime.files import (
    MOST_ARRAY,
    MOST_JSON,
    atomic_write,
    is_leftover,
    open_appending,
    open_plain,
    read_plain,
    sha256,
    sweep,
    whole_lines,
    write_bytes,
)
from threedident.runtime.records import parse_json, parse_model


def runs_in(path: Path) -> list[Path]:
    """Folders of the runs directly below a folder, such as the rows of a suite, sorted by name."""
    return sorted(config.parent for config in path.glob("*/config.json"))


def is_run(path: Path) -> bool:
    """True if a folder is the folder of a run."""
    return RunFolder(path).config.is_file()


def is_suite(path: Path) -> bool:
    """True if a folder contains folders of runs, such as the rows of a suite."""
    return bool(runs_in(path))


def what_is(path: Path) -> str:
    """Description of a path that is not the folder of a run, for messages."""
    rows = runs_in(path)
    if rows:
        return f"a folder of {len(rows)} run{'s' * (len(rows) > 1)}, such as {rows[0].name}"
    if path.is_dir():
        return "a folder without config.json"
    return "a file" if path.exists() else "nothing"


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run, with the paths of its files."""

    path: Path

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.path / "config.json"

    @property
    def metrics(self) -> Path:
        """Losses and scores over the steps."""
        return self.path / "metrics.jsonl"

    @property
    def scores(self) -> Path:
        """Final scores. The file exists only if the run is finished."""
        return self.path / "scores.json"

    @property
    def delivered(self) -> Path:
        """Requested and delivered steps of the pairs."""
        return self.path / "delivered.json"

    @property
    def work(self) -> Path:
        """Training time and hardware of each seed."""
        return self.path / "work.jsonl"

    @property
    def report(self) -> Path:
        """The report, an HTML page."""
        return self.path / "report.html"

    @property
    def tensorboard(self) -> Path:
        """Folder of logs for TensorBoard."""
        return self.path / "tensorboard"

    @property
    def figures(self) -> Path:
        """Folder of figures."""
        return self.path / "figures"

    def checkpoint(self, seed: int) -> Path:
        """The last checkpoint of a seed."""
        return self.path / "checkpoints" / f"seed-{seed}.pt"

    def representations(self, seed: int) -> Path:
        """Codes of the test split."""
        return self.path / "representations" / f"seed-{seed}.npy"

    def holds(self, config: Config) -> bool:
        """True if the folder holds a run of this configuration.

        The version of the numbering of pairs may differ.

        Raises:
            ValueError: there is a run, and its configuration is damaged.
        """
        if not self.config.is_file():
            return False
        there = self.read_config()
        return not differences(with_numbering(there, numbering(config)), config)

    def check(self, config: Config, resume: bool) -> None:
        """Check that ``config`` can be run in this folder, without changing anything.

        Arguments:
            config: configuration of the run.
            resume: True to continue an existing run.

        Raises:
            ValueError: there is a run and ``resume`` is False, or there is a run of another
                configuration, or there are other files.
        """
        if self.config.is_file():
            if not resume:
                raise ValueError(
                    f"{self.path}: expected no run there, found one; add --resume to go on with "
                    "it, or give another --out"
                )
            there = self.read_config()
            self.require_numbering(there)
            changed = differences(there, config)
            if changed:
                raise ValueError(
                    f"{self.path}: it holds a run with {', '.join(changed)}; give its settings, "
                    "or another --out"
                )
        elif self.path.is_dir() and not all(map(is_leftover, self.path.iterdir())):
            raise ValueError(
                f"{self.path}: expected a new folder or a run, found other files; give another "
                "--out"
            )

    def require_numbering(self, config: Config) -> None:
        """Check that a run can be resumed with the current version of the numbering of pairs.

        Raises:
            ValueError: the run uses another version.
        """
        if numbering(config) not in (None, NUMBERING):
            raise ValueError(
                f"{self.path}: expected a run whose pairs are numbered as version {NUMBERING} "
                f"does, found version {numbering(config)}, which can be read and compared, but "
                "not resumed; give another --out to train it again"
            )

    def open(self, config: Config, resume: bool) -> None:
        """Prepare the folder for ``config``. The caller must hold its lock.

        The configuration of a run that goes on stays as an earlier version wrote it.

        Raises:
            ValueError: for the same reasons as :meth:`check`.
        """
        self.check(config, resume)
        if not (self.config.is_file() and self.read_config() == config):
            write_bytes(self.config, (config.model_dump_json(indent=2) + "\n").encode())
        parts = (self.figures, self.checkpoint(0).parent, self.representations(0).parent)
        for folder in parts:
            folder.mkdir(exist_ok=True)
        sweep(self.path, *parts)

    def read_config(self) -> Config:
        """The configuration that the run was started with.

        Raises:
            ValueError: the file is damaged.
        """
        try:
            return parse_model(Config, read_plain(self.config, MOST_JSON))
        except OSError as error:
            raise ValueError(explain(error)) from None
        except ValueError as error:
            raise ValueError(
                f"{self.config}: expected the configuration of a run, found a damaged file "
                f"({error}); restore it, or take another folder"
            ) from None

    def write_scores(self, scores: dict[str, Any], config: Config) -> dict[str, Any]:
        """Write the final scores with a seal, and return the content of the file."""
        sealed = seal(scores, config)
        write_bytes(self.scores, (json.dumps(sealed, indent=2) + "\n").encode())
        return sealed

    def read_scores(self) -> dict[str, Any]:
        """The final scores.

        Raises:
            ValueError: the file is damaged, or it or ``config.json`` was altered after the seal.
        """
        way_on = f"threedident benchmark --resume {self.path} writes it again"
        try:
            scores = parse_json(read_plain(self.scores, MOST_JSON))
        except OSError as error:
            raise ValueError(explain(error)) from None
        except ValueError:
            scores = None
        if not isinstance(scores, dict):
            raise ValueError(f"{self.scores}: no scores, but a damaged file; {way_on}")
        if is_sealed(scores) and not is_intact(scores, self.read_config()):
            raise ValueError(
                f"{self.scores}: expected the scores that were written there, for {self.config}, "
                f"found one of the two altered; {way_on}"
            )
        return scores

    def save_checkpoint(self, seed: int, state: dict[str, Any]) -> None:
        """Write a checkpoint atomically."""
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_bytes(self.checkpoint(seed), buffer.getvalue())

    def load_checkpoint(self, seed: int) -> dict[str, Any] | None:
        """The last checkpoint of a seed; None if there is none.

        Every part of the file is compared with the checksum that torch stored with it.

        Raises:
            ValueError: the file is damaged.
        """
        path = self.checkpoint(seed)
        if not path.is_file():
            return None
        try:
            _require_intact(path)
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # damaged files raise many kinds of errors
            raise ValueError(
                f"{path}: expected a checkpoint, found a damaged file "
                f"({type(error).__name__}); delete it to train this seed again"
            ) from None
        if not isinstance(state, dict):
            raise ValueError(
                f"{path}: expected a checkpoint, found {type(state).__name__}; delete it to train "
                "this seed again"
            )
        return state

    def records(self) -> Iterator[dict[str, Any]]:
        """The lines of ``metrics.jsonl``. Damaged or truncated lines are skipped."""
        return read_lines(self.metrics, {"seed": int, "step": int})

    def has_scored_codes(self, seed: int) -> bool:
        """True if the codes of a seed exist, and are the ones that were scored last.

        Logs of earlier versions have no digest of the codes; then existing codes are accepted.
        """
        path, scored = self.representations(seed), self.scored(seed)
        if not path.is_file() or not scored:
            return False
        return scored[-1].get("codes") in (None, sha256(read_plain(path, MOST_ARRAY)))

    def scored(self, seed: int | None = None) -> list[dict[str, Any]]:
        """The records with scores, in order, of one seed or, by default, of all seeds."""
        return [r for r in self.records() if "r2" in r and seed in (None, r["seed"])]

    def scored_until(self, seed: int, step: int) -> list[dict[str, Any]]:
        """The scores of a seed up to a step, in order."""
        return [r for r in self.scored(seed) if r["step"] <= step]

    def rewind(self, seed: int, step: int) -> TextIO:
        """Delete the lines of ``seed`` after ``step``, and open ``metrics.jsonl`` to append."""
        with atomic_write(self.metrics) as file:
            for r in self.records():
                if r["seed"] != seed or r["step"] <= step:
                    file.write((json.dumps(r) + "\n").encode())
        return open_appending(self.metrics)


def _require_intact(path: Path) -> None:
    """Check the CRC-32 of every part of a file written by torch, which is a ZIP archive.

    The reader of torch does not check them. It also counts positions from the beginning of the
    file, while Python counts from the beginning of the archive. So the file must not contain
    anything before the archive.

    Raises:
        ValueError: a part was changed, or is compressed, which torch never does.
        zipfile.BadZipFile: the file is not an archive, or its table is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        stored = all(part.compress_type == zipfile.ZIP_STORED for part in parts)
        begin = min((part.header_offset for part in parts), default=0)
        if not stored or begin != 0 or archive.testzip() is not None:
            raise ValueError("a part is not what was written")


def read_lines(
    path: Path, needed: Mapping[str, type | tuple[type, ...]]
) -> Iterator[dict[str, Any]]:
    """The objects of a log that have all needed entries, in order; none without a file.

    Damaged, truncated and overlong lines are skipped.

    Arguments:
        path: path of the log.
        needed: type of each needed entry by name. Booleans do not count as numbers.
    """
    if not path.is_file():
        return
    with open_plain(path) as file:
        for line in whole_lines(file, MOST_JSON):
            try:
                found = parse_json(line.decode(errors="replace"))
            except ValueError:
                continue
            if isinstance(found, dict) and all(_is(found.get(n), needed[n]) for n in needed):
                yield found


def _is(value: object, kind: type | tuple[type, ...]) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)
