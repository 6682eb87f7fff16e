"""Checks of a source of users: whatever it does wrong becomes one line with its name.

Batches are checked one by one, because a source may fail at any step. Before a run writes a file,
its first batches are drawn twice, to find batches that depend on more than seed and step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.pages.picture import Picture
from benchmark.ranks import lost_another
from benchmark.settings import CustomSettings
from benchmark.sources.source import Batch, Machine, Source, SourceFailed
from threedident.pairs.delivered import Delivered
from threedident.pairs.loader import is_death
from threedident.runtime.errors import printable
from threedident.runtime.files import sha256

_T = TypeVar("_T")
_RELATIVE, _ABSOLUTE = 1e-4, 1e-5  # of batches drawn twice; a GPU may add in another order


class CheckedSource(Source):
    """A source of users with checks.

    Arguments:
        settings: settings of the source.
        source: the source.
        paired: True if the loss uses positive pairs.
        data: path of its data that a run names, or None.
    """

    settings: CustomSettings

    def __init__(
        self, settings: CustomSettings, source: Source, paired: bool, data: Path | None = None
    ) -> None:
        self.settings, self._source, self._paired = settings, source, paired
        self.shape, self.root = settings.observed.shape, data
        self.counted = f"the size of {settings.name}"

    @property
    def labels(self) -> Sequence[str]:
        """See :class:`Source`."""
        return self.settings.observed.labels

    @property
    def size(self) -> int | None:
        """See :class:`Source`."""
        return self._count("size", lambda: self._source.size)

    @property
    def rows(self) -> int | None:
        """See :class:`Source`."""
        return self._count("rows", lambda: self._source.rows)

    @property
    def codes(self) -> int:
        """See :class:`Source`."""
        return self.settings.observed.codes

    @property
    def sphere(self) -> int:
        """See :class:`Source`."""
        return self.settings.observed.sphere

    @property
    def circular(self) -> tuple[bool, ...] | None:
        """See :class:`Source`."""
        found = self._ask("circular", lambda: self._source.circular)
        if found is not None and [type(each) for each in found] != [bool] * len(self.labels):
            self._fail(f"a bool for each label as circular, found {found!r}", "change it")
        return found

    def identify(self) -> str:
        """The identity that the source states, or else its name, arguments and latents."""
        found = self._ask("identity", lambda: self._source.identity)
        if found is None:
            digest = sha256(self.latents(0).tobytes())
            return "\n".join((self.settings.name, *(self.settings.source_option or ()), digest))
        if not isinstance(found, str) or not found:
            self._fail(f"a text or None as identity, found {found!r}", "change it")
        return found

    def summary(self) -> str:
        """See :class:`Source`."""
        return printable(str(self._ask("summary", self._source.summary)))

    def facts(self) -> dict[str, str]:
        """See :class:`Source`."""
        return self._ask("facts", self._source.facts)

    def pictures(self, delivered: Delivered | None) -> dict[str, Picture]:
        """See :class:`Source`."""
        return self._ask("pictures", lambda: self._source.pictures(delivered))

    def examples(self, seed: int, codes: NDArray[np.float32]) -> dict[str, Picture]:
        """See :class:`Source`."""
        return self._ask("examples", lambda: self._source.examples(seed, codes))

    def delivered(self, seed: int) -> Delivered | None:
        """See :class:`Source`."""
        return self._ask("delivered", lambda: self._source.delivered(seed))

    def ceiling(self) -> NDArray[np.float64] | None:
        """See :class:`Source`."""
        return self._ask("ceiling", self._source.ceiling)

    def batches(
        self, seed: int, steps: range, batch_size: int, machine: Machine
    ) -> Iterator[Batch]:
        """See :class:`Source`.

        Raises:
            SourceFailed: the source fails, ends early, or gives a batch that does not fit.
        """
        rows = batch_size // machine.ranks.count
        drawn = self._ask(
            "batches", lambda: iter(self._source.batches(seed, steps, batch_size, machine))
        )
        for step in steps:
            batch = self._ask(f"the batch of step {step}", lambda: next(drawn, None))
            if not isinstance(batch, Batch):
                self._fail(
                    f"a Batch for every step, found {_kind(batch)} for step {step}",
                    "yield one for each of steps",
                )
            self._check(batch, f"step {step}", rows, machine.device)
            if step == steps[0] or machine.device.type == "cpu":  # a GPU would be waited for
                for observations in batch.observations:
                    self._check_finite(observations, f"observations in step {step}")
                self._check_finite(batch.latents, f"latents in step {step}")
            yield batch

    def latents(self, seed: int) -> NDArray[np.float32]:
        """See :class:`Source`.

        Raises:
            SourceFailed: they are no finite numbers of shape (N, n).
        """
        n = len(self.labels)
        found = np.asarray(self._ask("latents", lambda: self._source.latents(seed)))
        if found.ndim != 2 or found.shape[1] != n or found.dtype.kind not in "fiu":
            self._fail(
                f"numbers of shape (N, {n}), one column for each of its labels, from latents, "
                f"found {found.dtype} of shape {found.shape}",
                "change latents or labels",
            )
        if not np.isfinite(found).all():
            self._fail("finite numbers from latents, found NaN or infinity", "change latents")
        return found.astype(np.float32)

    def held_out(self, seed: int, rows: int, machine: Machine) -> Iterator[Tensor]:
        """See :class:`Source`.

        Raises:
            SourceFailed: the source fails, or gives other observations than asked for.
        """
        drawn = self._ask("held_out", lambda: iter(self._source.held_out(seed, rows, machine)))
        left = rows
        while (found := self._ask("held_out", lambda: next(drawn, None))) is not None:
            self._check_observations(found, "held_out", None, machine.device)
            self._check_finite(found, "observations in held_out")
            left -= len(found)
            if left < 0:
                break
            yield found
        if left:
            many = f"{rows - left}" if left > 0 else "more"
            self._fail(f"{rows} observations from held_out, found {many}", "give the first rows")

    def try_batches(self, seed: int, batch_size: int, machine: Machine) -> None:
        """Draw the first batches, and one of them again by its step.

        Raises:
            SourceFailed: a batch does not fit, or depends on more than seed and step.
        """
        _, second = self.batches(seed, range(2), batch_size, machine)
        [again] = self.batches(seed, range(1, 2), batch_size, machine)
        for name, one, other in zip(Batch._fields, second, again, strict=True):
            if one is not None and not (other is not None and _alike(one, other)):
                self._fail(
                    f"batches that depend on seed and step alone, found two with other {name} for "
                    "step 1",
                    "draw from a generator of (seed, step), such as "
                    "numpy.random.default_rng((seed, step))",
                )

    def _check(self, batch: Batch, what: str, rows: int, device: torch.device) -> None:
        """Check the observations, latents and row numbers of a batch."""
        if self._paired and batch.positives is None:
            self._fail(
                f"positives for the loss, found none in {what}",
                "take a --loss without pairs, such as supervised",
            )
        if not self._paired and batch.positives is not None:
            self._fail(
                f"no positives for a loss without pairs, found some in {what}",
                "take a --loss of pairs, or give the source an argument paired, then False",
            )
        for observations in batch.observations:
            self._check_observations(observations, what, rows, device)
        widths = {len(self.labels), self.codes}
        latents, numbers = batch.latents, batch.rows
        shaped = isinstance(latents, Tensor) and latents.ndim == 2 and len(latents) == rows
        if not shaped or latents.shape[1] not in widths or not latents.is_floating_point():
            self._fail(
                f"floating-point latents of shape ({rows}, {len(self.labels)}) in {what}, found "
                f"{_kind(latents)}",
                "change them",
            )
        self._check_place(latents, f"latents in {what}", device)
        if (numbers is None) != (self.rows is None):
            self._fail(
                f"row numbers in its batches if its rows are counted, found {_kind(numbers)} in "
                f"{what} for {self.rows} rows",
                "give both, or none",
            )

    def _check_observations(
        self, found: Any, what: str, rows: int | None, device: torch.device
    ) -> None:
        shape = ", ".join(map(str, self.shape))
        shaped = isinstance(found, Tensor) and tuple(found.shape[1:]) == self.shape
        if not shaped or len(found) != (rows or len(found)) or found.dtype != torch.float32:
            self._fail(
                f"float32 observations of shape ({rows or 'B'}, {shape}) in {what}, found "
                f"{_kind(found)}",
                "change them, or its shape",
            )
        self._check_place(found, f"observations in {what}", device)

    def _check_place(self, found: Tensor, what: str, device: torch.device) -> None:
        if found.device != device:
            self._fail(
                f"{what} on {device}, found them on {found.device}", "move them to machine.device"
            )

    def _check_finite(self, found: Tensor, what: str) -> None:
        if not bool(found.isfinite().all()):
            self._fail(f"finite {what}, found NaN or infinity", "change the source")

    def _count(self, what: str, answer: Callable[[], int | None]) -> int | None:
        found = self._ask(what, answer)
        if found is not None and (type(found) is not int or found < 1):
            self._fail(f"a positive integer or None as {what}, found {found!r}", "change it")
        return found

    def _ask(self, what: str, answer: Callable[[], _T]) -> _T:
        """The answer of the source.

        Raises:
            SourceFailed: the source raises an error.
        """
        try:
            return answer()
        except Exception as error:
            if isinstance(error, SourceFailed) or is_death(error) or lost_another(error):
                raise
            raise SourceFailed(
                f"source: expected {what} of {self.settings.name}, found {type(error).__name__}: "
                f"{error}; change the source"
            ) from None

    def _fail(self, expected: str, advice: str) -> NoReturn:
        raise SourceFailed(f"source {self.settings.name}: expected {expected}; {advice}")


def _alike(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape:
        return False
    largest = float(one.abs().max())
    return torch.allclose(one, other, rtol=_RELATIVE, atol=_ABSOLUTE * largest)


def _kind(value: object) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} of shape {tuple(value.shape)}"
    return "none" if value is None else type(value).__name__
