"""The command ``python -m benchmark.measure gpu``: values, rates and memory on one GPU.

It makes its own data, and needs neither Blender nor faiss nor matplotlib. Tables are Markdown.
Times are medians of passes after a few to warm up; each waits until the GPU has finished. Peak
memory is that of the passes alone: weights, gradients and inputs are not counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import click
import torch
from torch import Tensor, nn

from benchmark.encoders.networks import build_encoder
from benchmark.losses.contrastive import info_nce
from benchmark.losses.similarities import LpSimilarity
from benchmark.measure.agreement import agreements
from benchmark.measure.steps import settle
from benchmark.measure.synthetic import noise_images, sparse_pairs
from benchmark.ranks import find_device
from benchmark.runs.completion import complete
from benchmark.runs.opening import open_source, resolve
from benchmark.runs.options import Options
from benchmark.sources.source import Machine
from benchmark.training.folder import RunFolder
from benchmark.training.task import Task
from benchmark.training.trainer import train
from threedident.dataset.packing import Packing
from threedident.dataset.split import ThreeDIdent
from threedident.options import Choice
from threedident.pairs.augmented import AugmentedPairs
from threedident.pairs.core import Pairs
from threedident.pairs.loader import ahead
from threedident.pairs.rendered import RenderedPairs
from threedident.pairs.resident import ResidentPairs
from threedident.runtime.errors import printable
from threedident.runtime.files import spell_bytes
from threedident.runtime.machine import processor_name
from threedident.runtime.progress import say
from threedident.storage.folder import SplitFolder

_CODES = 10
_WARM_UP = 3
_SAID = 80
_LOSSES = ("pairs", "ms, both passes", "peak memory")
_RATES = ("encoder", "px", "way", "images/s", "peak memory")
_WAITING = (
    *("pairs, resident", "encoder", "px"),
    *("ms, a fixed batch", "ms, batches of the data", "waiting or making them"),
)

Row = tuple[tuple[str, ...], Callable[[], tuple[str, ...]]]  # names, and what measures the rest


class Sizes(NamedTuple):
    """Sizes of the measurement.

    Arguments:
        encoders: encoders to time.
        edges: edges of the images in pixels.
        images: images in a pass.
        passes: passes to time.
        batches: batch sizes of the loss.
        steps: steps of the real training.
        pairs: pairs in each of its steps.
        data: noise images.
    """

    encoders: tuple[str, ...] = ("conv", "resnet18")
    edges: tuple[int, ...] = (64, 128, 224)
    images: int = 256
    passes: int = 10
    batches: tuple[int, ...] = (512, 2048, 8192, 32_768, 65_536)
    steps: int = 2000
    pairs: int = 4096
    data: int = 4096


QUICK = Sizes(("conv",), (16,), 8, 2, (64, 128), 20, 64, 256)


@click.command(context_settings={"show_default": True})
@click.option("--device", type=Choice(["cpu", "cuda"]), default="cuda", help="Device to measure.")
@click.option("--minutes", type=click.FloatRange(0), default=8.0, help="No row begins later.")
@click.option("--quick", is_flag=True, help="Tiny sizes, to try the command on any machine.")
def gpu_report(device: str, minutes: float, quick: bool) -> None:
    """Compare a GPU with the CPU, and measure rates, waiting and memory.

    Tables are printed as Markdown. Lines before and after them name what does not agree with the
    CPU.

    \b
    Example:
        python -m benchmark.measure gpu
        python -m benchmark.measure gpu --device cpu --quick
    """
    place, sizes = find_device(device), QUICK if quick else Sizes()
    end = time.monotonic() + 60 * minutes
    name = torch.cuda.get_device_name(place) if place.type == "cuda" else processor_name()
    click.echo(f"{name}, torch {torch.__version__}\n")
    with TemporaryDirectory(prefix="gpu-") as folder:
        data = Path(folder)
        _pack_noise(data / "noise", sizes.data, sizes.edges[0])
        different = _values(place, data / "noise")
        click.echo("\n".join(different))
        _train(place, data / "run", sizes, end)
        _show("InfoNCE under l2, float32", _LOSSES, _losses(place, sizes), end)
        _show("Both passes of an encoder", _RATES, _rates(place, sizes), end)
        _show("A step with batches of pairs", _WAITING, _waiting(place, data, sizes), end)
    click.echo("\n".join(different))


def _pack_noise(root: Path, count: int, edge: int) -> None:
    noise_images(root, count, edge)
    work = Packing(SplitFolder(root, "train"))
    work.run(lambda *_, **__: None)


def _show(title: str, columns: tuple[str, ...], rows: Iterator[Row], end: float) -> None:
    """Print a Markdown table, each row as soon as it is known, until the time is over."""
    click.echo(f"{title}:\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for names, measure in rows:
        if time.monotonic() > end:
            say("the time is over; what is left was not measured")
            break
        try:
            found = measure()
        except Exception as error:  # no compiler, no memory, or an old GPU
            found = (printable(str(error), _SAID),) + ("",) * (len(columns) - len(names) - 1)
        click.echo(f"| {' | '.join((*names, *found))} |")
    click.echo("")


def _values(device: torch.device, data: Path) -> list[str]:
    """Compare the device with the CPU, and return a line for everything that differs."""
    say("values: losses, samplers, pairs and metrics against the CPU")
    found = list(agreements(device, data))
    equal = sum(each.gap == 0 for each in found)
    held = sum(each.holds for each in found)
    largest = max((each.gap for each in found if each.holds), default=0.0)
    click.echo(
        f"{held} of {len(found)} values agree with the CPU, {equal} of them to the bit; the "
        f"largest gap that rounding explains is {largest:.1g}.\n"
    )
    return [
        f"DIFFERS: {each.what}: largest gap {each.gap:.2g}, expected at most {each.allowed:g}"
        for each in found
        if not each.holds
    ]


def _losses(device: torch.device, sizes: Sizes) -> Iterator[Row]:
    for batch in sizes.batches:

        def measure(batch: int = batch) -> tuple[str, ...]:
            def step() -> None:
                info_nce(u, v, LpSimilarity(2), temperature=1.0).backward()  # type: ignore[no-untyped-call]

            u = torch.rand(batch, _CODES, device=device, requires_grad=True)
            v = u.detach() + 0.1 * torch.randn(batch, _CODES, device=device)
            seconds, peak = _timed(step, device, sizes.passes)
            return f"{1e3 * seconds:.2f}", peak

        yield (f"{batch:,}",), measure


def _rates(device: torch.device, sizes: Sizes) -> Iterator[Row]:
    on_gpu = device.type == "cuda"
    ways = [
        Way("float32"),
        Way("float32, channels-last", last=True),
        *([Way("TF32, channels-last", last=True, tf32=True)] if on_gpu else []),
        Way("bf16", low=True),
        Way("bf16, channels-last", last=True, low=True),
        *([Way("bf16, channels-last, compiled", True, low=True, compiled=True)] if on_gpu else []),
    ]
    for edge in sizes.edges:
        for encoder in sizes.encoders:
            for way in ways:

                def measure(
                    edge: int = edge, encoder: str = encoder, way: Way = way
                ) -> tuple[str, ...]:
                    net = way.build(encoder, edge, device)
                    images = torch.rand(sizes.images, 3, edge, edge, device=device)
                    images = images.contiguous(memory_format=way.layout)
                    step = partial(way.take, net, images)
                    seconds, peak = _timed(step, device, sizes.passes)
                    return f"{sizes.images / seconds:,.0f}", peak

                yield (encoder, f"{edge}", way.name), measure


class Way(NamedTuple):
    """A way of computing both passes of an encoder.

    Arguments:
        name: for the table.
        last: True for images and weights in channels-last order.
        tf32: True if matrix products and convolutions may be of TF32.
        low: True for autocast to bf16.
        compiled: True if torch compiles the encoder.
    """

    name: str
    last: bool = False
    tf32: bool = False
    low: bool = False
    compiled: bool = False

    @property
    def layout(self) -> torch.memory_format:
        """Order of images and weights in memory."""
        return torch.channels_last if self.last else torch.contiguous_format

    def build(self, encoder: str, edge: int, device: torch.device) -> nn.Module:
        """The encoder."""
        net = build_encoder(encoder, (3, edge, edge), _CODES, "unbounded", seed=0).to(device)
        net = net.to(memory_format=self.layout)
        if self.compiled:
            net.compile(dynamic=False)  # as in a run, whose images have one size
        return net

    def take(self, net: nn.Module, images: Tensor) -> None:
        """Both passes."""
        before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = self.tf32
        try:
            with torch.autocast(images.device.type, torch.bfloat16, enabled=self.low):
                codes = net(images)
            codes.float().square().mean().backward()
        finally:
            torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def _waiting(device: torch.device, data: Path, sizes: Sizes) -> Iterator[Row]:
    """The share of a step in which the device waits for its batch, by encoder and pairs.

    Black images in sparse files cost as much as others, and nothing to make.
    """
    way = Way("", last=True, low=device.type == "cuda")
    pairs: list[tuple[str, int, Callable[[], Pairs]]] = []
    for edge in sizes.edges:
        black = data / f"black-{edge}"
        sparse_pairs(black, sizes.data, edge, "normal:0.1")
        pairs.append(("exact", edge, lambda root=black: RenderedPairs(ThreeDIdent(root))))  # type: ignore[misc]
    noise = data / "noise"
    pairs.append(("augmented", sizes.edges[0], lambda: AugmentedPairs(ThreeDIdent(noise))))
    for name, edge, opened in pairs:
        for encoder in sizes.encoders:

            def measure(
                edge: int = edge, encoder: str = encoder, opened: Callable[[], Pairs] = opened
            ) -> tuple[str, ...]:
                net, resident = way.build(encoder, edge, device), ResidentPairs(opened(), device)

                def step(pair: Any) -> None:
                    for images in (pair.image, pair.positive_image):
                        way.take(net, images.float())

                numbers = [range(n, n + sizes.images) for n in range(_WARM_UP + sizes.passes)]
                fixed = resident.batch(numbers[0])
                alone, _ = _timed(lambda: step(fixed), device, sizes.passes)
                batches = iter(
                    map(resident.batch, numbers)
                    if device.type == "cpu"
                    else ahead(resident.batch, numbers, device)
                )
                whole, _ = _timed(lambda: step(next(batches)), device, sizes.passes)
                share = max(0.0, 1 - alone / whole)
                return f"{1e3 * alone:.1f}", f"{1e3 * whole:.1f}", f"{share:.1%}"

            yield (name, encoder, f"{edge}"), measure


def _train(device: torch.device, folder: Path, sizes: Sizes, end: float) -> None:
    """A short run on mixed latents, with all that a run does, scored on fresh ones."""
    if time.monotonic() > end:
        return
    options = complete(
        Options(
            source="mixing",
            factors=5,
            conditional="laplace",
            sigma=0.1,
            loss="l1",
            output_space="box",
            extent=3.0,
            batch_size=sizes.pairs,
            steps=sizes.steps,
            learning_rate=1e-3,
        )
    )
    source = open_source(options)
    config, run = resolve(options, source), RunFolder(folder)
    folder.mkdir()
    run.open(config, resume=False)
    start = time.perf_counter()
    try:
        found = train(Task(config, 0, source, run, Machine(device))).trained
    except Exception as error:  # as in a table
        click.echo(f"A run on five mixed latents: {printable(str(error), _SAID)}\n")
        return
    seconds = time.perf_counter() - start
    click.echo(
        f"A run on five mixed latents, {sizes.steps:,} steps of {sizes.pairs:,} pairs: "
        f"{sizes.steps / seconds:,.1f} steps/s with scoring and saving, R2 {found.r2:.4f}, MCC "
        f"{found.mcc:.4f} on fresh ones.\n"
    )


def _timed(step: Callable[[], None], device: torch.device, passes: int) -> tuple[float, str]:
    """Median seconds of a step that follows others, and the peak memory as text."""
    for _ in range(_WARM_UP):
        step()
    settle(device)
    on_gpu = device.type == "cuda"
    before = torch.cuda.memory_allocated(device) if on_gpu else 0
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(device)
    seconds = []
    for _ in range(passes):
        start = time.perf_counter()
        step()
        settle(device)
        seconds.append(time.perf_counter() - start)
    if not on_gpu:
        return median(seconds), "not measured"
    return median(seconds), spell_bytes(torch.cuda.max_memory_allocated(device) - before)
