"""Where the numbers of a training go: JSON lines always, TensorBoard where asked for."""

from __future__ import annotations

import json
import os
from contextlib import AbstractContextManager
from importlib.util import find_spec
from typing import Any

from benchmark.run import RunFolder


def require_tensorboard() -> None:
    """Refuse early where TensorBoard is not installed.

    Raises:
        ValueError: it is not.
    """
    if find_spec("tensorboard") is None:
        raise ValueError(
            "--tensorboard: expected the package tensorboard, found none; "
            'pip install "threedident[tensorboard]"'
        )


class Tracker(AbstractContextManager["Tracker"]):
    """The log of one seed, from a step on; later lines of an earlier try are dropped.

    Arguments:
        folder: of the run.
        seed: whose log it is.
        step: steps that were taken before.
        tensorboard: whether to write for TensorBoard, too.
        silent: whether to write nothing, as all ranks but one do.
    """

    def __init__(
        self, folder: RunFolder, seed: int, step: int, tensorboard: bool, silent: bool
    ) -> None:
        self._seed = seed
        self._file = None if silent else folder.rewind(seed, step)
        self._board: Any = None
        if tensorboard and not silent:
            from torch.utils.tensorboard import SummaryWriter

            place = folder.tensorboard / f"seed-{seed}"
            self._board = SummaryWriter(str(place), purge_step=step + 1)

    def record(self, step: int, values: dict[str, Any]) -> None:
        """Log values of a step."""
        if self._file is not None:
            line = {"seed": self._seed, "step": step, **values}
            self._file.write(json.dumps(line) + "\n")
        if self._board is not None:
            for name, value in values.items():
                if isinstance(value, float):
                    self._board.add_scalar(name, value, step)

    def flush(self) -> None:
        """Hand all lines over to the disk."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())  # a checkpoint knows the scores in it
        if self._board is not None:
            self._board.flush()

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
        if self._board is not None:
            self._board.close()
