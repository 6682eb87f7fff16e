"""The command ``python -m benchmark.measure engine``: speed and memory of the data engine.

Each table shows a measured value, a reference value and their ratio, all from the same run on the
same machine. Where two ways are compared directly, they take turns, so that changes in the speed
of the machine affect both.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import click
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from benchmark.measure.memory import loader_footprint
from benchmark.measure.steps import step_cost
from benchmark.measure.synthetic import OneAtATime, noise_images, sparse_pairs
from threedident.conditionals.steps import Normal
from threedident.dataset.packing import Packing
from threedident.dataset.split import ThreeDIdent
from threedident.index.nearest import NearestLatents
from threedident.index.neighbors import Points
from threedident.pairs.augmented import AugmentedPairs
from threedident.pairs.core import Pairs
from threedident.pairs.nearest import PositivePairs
from threedident.pairs.rendered import RenderedPairs
from threedident.pairs.resident import ResidentPairs
from threedident.runtime.files import require_room, spell_bytes
from threedident.runtime.progress import progress, say
from threedident.storage.folder import SplitFolder

_BATCH = 512
_WORKERS = 2
_EDGE, _LARGE_EDGE = 64, 224
_ROUNDS = 5
_SCALE = 0.1
_DELIVERED = 20_000
_SLOW_BATCH, _SLOW_BATCHES = 64, 12
_FAST_BATCHES = 80
_VIEWED = 128
_CPU = torch.device("cpu")

Row = tuple[str, str, str, str]
T = TypeVar("T")


@click.command(context_settings={"show_default": True})
@click.option("--rows", type=click.IntRange(1000), default=250_000, help="Images of the data set.")
@click.option(
    "--scratch",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Folder for the temporary data set [default: the folder for temporary files].",
)
@click.option("--steps", type=click.IntRange(1), default=12, help="Training steps to time.")
def throughput(rows: int, scratch: Path | None, steps: int) -> None:
    """Measure the index, pairs per second, waiting time, memory and delivered steps.

    \b
    Example:
        python -m benchmark.measure engine --rows 20000
    """
    with TemporaryDirectory(dir=scratch, prefix="throughput-") as folder:
        root = Path(folder)
        os.environ["XDG_CACHE_HOME"] = str(root)  # the index is built here, and removed at the end
        needed = 1.5 * rows * 3 * _EDGE**2
        require_room(root, needed, "for noise to measure on", "give another --scratch")
        say(f"{rows} noise images of {_EDGE} pixels into {root}, {spell_bytes(needed)}")
        noise_images(root / "noise", rows, _EDGE)
        plain = ThreeDIdent(root / "noise")
        work = Packing(SplitFolder(root / "noise", "train"))
        with progress("pack", work.n, "images") as advance:
            work.run(advance)
        sparse_pairs(root / "sparse", rows, _LARGE_EDGE, f"normal:{_SCALE}")
        packed, sparse = ThreeDIdent(root / "noise"), ThreeDIdent(root / "sparse")
        _show("Index: the two nearest latents, 512 queries at once", _index(packed))
        _show(f"Pairs: {_WORKERS} loader processes, batches of {_BATCH}", _pairs(plain, packed))
        _show(f"Augmented pairs, this process, batches of {_VIEWED}", _views(packed))
        _show("Training steps: ResNet-18, 64 px, 64 pairs", _waiting(plain, packed, steps))
        _show(
            "Memory of loader processes beyond torch: 224 px, batches of 512", _memory(root, rows)
        )
        _show(
            "Delivered steps: root mean square, mean over the factors", _delivered(packed, sparse)
        )


def _show(title: str, rows: Iterable[Row]) -> None:
    table = Table(title=title, title_justify="left")
    for name in ("", "measured", "reference", "ratio"):
        table.add_column(name)
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _index(dataset: ThreeDIdent) -> Iterator[Row]:
    exact = NearestLatents(dataset.latents, kind="exact")
    start = time.perf_counter()
    fast = NearestLatents(dataset.latents)
    built = time.perf_counter() - start
    start = time.perf_counter()
    NearestLatents(dataset.latents)
    opened = time.perf_counter() - start
    rng = np.random.default_rng(1)
    queries = [
        rng.uniform(-1.0, 1.0, (_BATCH, dataset.latents.shape[1])).astype(np.float32)
        for _ in range(_ROUNDS)
    ]
    fast_s, exact_s = _in_turns(partial(fast.search, k=2), partial(exact.search, k=2), queries)
    found, true = (
        np.stack([index.search(q, k=2).indices for q in queries]) for index in (fast, exact)
    )
    recall = np.mean(
        [
            np.isin(f, t).mean()
            for f, t in zip(found.reshape(-1, 2), true.reshape(-1, 2), strict=True)
        ]
    )
    single_s = _seconds_a_query(exact, queries[0])
    for name, seconds in (("at once", exact_s / _BATCH), ("one by one", single_s)):
        yield (
            f"queries/s, auto ({fast.kind}), against exact {name}",
            f"{_BATCH / fast_s:.0f}",
            f"{1 / seconds:.0f}",
            f"{seconds * _BATCH / fast_s:.1f}",
        )
    yield "recall, uniform queries", f"{recall:.5f}", f"{fast.recall:.5f} at the build", ""
    yield "seconds to build", f"{built:.1f}", f"{opened:.2f} to open again", ""


def _in_turns(
    first: Callable[[T], Any], second: Callable[[T], Any], arguments: Sequence[T]
) -> tuple[float, float]:
    """Median seconds of two functions that take turns, after one warm-up call of each."""
    times: list[list[float]] = [[], []]
    for function in (first, second):
        function(arguments[0])
    for some in arguments:
        for place, function in enumerate((first, second)):
            start = time.perf_counter()
            function(some)
            times[place].append(time.perf_counter() - start)
    return median(times[0]), median(times[1])


def _seconds_a_query(index: NearestLatents, queries: Points) -> float:
    """Median seconds of a search with one query."""
    times = []
    for query in queries[:100]:
        start = time.perf_counter()
        index.search(query[None], k=2)
        times.append(time.perf_counter() - start)
    return median(times)


def _pairs(plain: ThreeDIdent, packed: ThreeDIdent) -> Iterator[Row]:
    index = NearestLatents(packed.latents)
    exact = NearestLatents(packed.latents, kind="exact")
    conditional = Normal(_SCALE)
    pairs = PositivePairs(packed, conditional, index=index)
    slow = OneAtATime(plain.folder, exact, conditional, length=_SLOW_BATCHES * _SLOW_BATCH)
    base = _rate(DataLoader(slow, _SLOW_BATCH, num_workers=_WORKERS), _SLOW_BATCHES)
    alone = _rate(DataLoader(slow, _SLOW_BATCH), _SLOW_BATCHES)
    ways: dict[str, Callable[[], Iterable[Any]]] = {
        "pairs.loader": lambda: pairs.loader(_BATCH, workers=_WORKERS),
        "torch's DataLoader(pairs)": lambda: DataLoader(pairs, _BATCH, num_workers=_WORKERS),
        "ResidentPairs, no processes": lambda: ResidentPairs(pairs, _CPU).batches(_BATCH),
        "pairs.loader, PNG files": lambda: PositivePairs(plain, conditional, index=index).loader(
            _BATCH, workers=_WORKERS
        ),
    }
    yield (
        "one at a time, in this process",
        f"{alone:.0f} pairs/s",
        f"{base:.0f}",
        f"{alone / base:.1f}",
    )
    for name, way in ways.items():
        rate = _rate(way(), min(_FAST_BATCHES, len(packed) // _BATCH))
        yield name, f"{rate:.0f} pairs/s", f"{base:.0f} one at a time", f"{rate / base:.1f}"


def _rate(batches: Iterable[Any], count: int) -> float:
    """Pairs per second over ``count`` batches, without the first quarter, which is a warm-up."""
    pairs, start = 0, 0.0
    for number, batch in enumerate(islice(batches, count), start=-count // 4):
        if number == 0:
            start = time.perf_counter()
        elif number > 0:
            pairs += len(batch[0])
    return pairs / (time.perf_counter() - start)


def _views(packed: ThreeDIdent) -> Iterator[Row]:
    size = packed.resolution
    torchvisions = v2.Compose(
        [
            v2.RandomResizedCrop(size, antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandomApply([v2.ColorJitter(0.8, 0.8, 0.8, 0.2)], 0.8),
            v2.RandomGrayscale(0.2),
            v2.RandomApply([v2.GaussianBlur(max(3, size // 10 | 1), (0.1, 2.0))], 0.5),
        ]
    )
    ours, theirs = AugmentedPairs(packed), AugmentedPairs(packed, torchvisions)
    batches = [range(n * _VIEWED, (n + 1) * _VIEWED) for n in range(_ROUNDS)]
    ours_s, theirs_s = _in_turns(ours.batch, theirs.batch, batches)
    fast, slow = _VIEWED / ours_s, _VIEWED / theirs_s
    yield "SimCLR", f"{fast:.0f} pairs/s", f"{slow:.0f} by torchvision", f"{fast / slow:.1f}"


def _waiting(plain: ThreeDIdent, packed: ThreeDIdent, steps: int) -> Iterator[Row]:
    for name, dataset, workers in (
        ("packed, gathered here", packed, 0),
        ("PNG files, one loader process", plain, 1),
        ("PNG files, none", plain, 0),
    ):
        cost = step_cost(dataset, workers, steps)
        yield (
            name,
            f"{100 * cost.waiting:.2f} % of a step spent waiting",
            f"{cost.step_s:.2f} s a step",
            f"{1 + cost.overhead:.3f} of the encoder alone",
        )


def _memory(root: Path, rows: int) -> Iterator[Row]:
    sparse_pairs(root / "tenth", rows // 10, _LARGE_EDGE, f"normal:{_SCALE}")
    for name, count in (("tenth", rows // 10), ("sparse", rows)):
        peaks = loader_footprint(root / name, _BATCH, _WORKERS)
        each = ", ".join(map(spell_bytes, peaks))
        yield f"{count} images", each, f"{spell_bytes(sum(peaks))} together", ""


def _delivered(packed: ThreeDIdent, sparse: ThreeDIdent) -> Iterator[Row]:
    ways: dict[str, Pairs] = {
        'anchor="marginal"': PositivePairs(packed, Normal(_SCALE), anchor="marginal"),
        'anchor="row"': PositivePairs(packed, Normal(_SCALE)),
        "rendered exactly": RenderedPairs(sparse),
    }
    for name, pairs in ways.items():
        found = pairs.delivered(_DELIVERED)
        asked, got = found.requested.mean(), found.delivered.mean()
        snap = median(found.positive_snaps.tolist())
        yield name, f"{got:.4f}, snap {snap:.3f}", f"{asked:.4f} requested", f"{got / asked:.3f}"
