"""The command ``python -m benchmark.measure gpu``: values, rates and memory on one GPU.

It makes its own data, and needs neither Blender nor faiss nor matplotlib. Tables are Markdown.
Times are medians of passes after a few to warm up; each waits until the GPU has finished.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import click
import torch
from torch import Tensor, nn

from benchmark.encoders.model import can_compile
from benchmark.encoders.networks import build_encoder
from benchmark.losses.contrastive import info_nce
from benchmark.losses.similarities import LpSimilarity
from benchmark.measure.agreement import agreements
from benchmark.measure.steps import settle
from benchmark.measure.synthetic import noise_images
from benchmark.metrics import score
from benchmark.ranks import Ranks, find_device
from benchmark.runs.completion import complete
from benchmark.runs.opening import open_source, resolve
from benchmark.runs.options import Options
from benchmark.sources.source import Machine
from benchmark.training.objective import Objective
from threedident.dataset.packing import Packing
from threedident.dataset.split import ThreeDIdent
from threedident.options import Choice
from threedident.pairs.augmented import AugmentedPairs
from threedident.pairs.loader import ahead
from threedident.pairs.resident import ResidentPairs
from threedident.runtime.errors import printable
from threedident.runtime.files import spell_bytes
from threedident.runtime.machine import processor_name
from threedident.runtime.progress import say
from threedident.storage.folder import SplitFolder

_CODES = 10
_WARM_UP = 3
_SAID = 80


class Sizes(NamedTuple):
    """Sizes of the measurement.

    Arguments:
        edges: edges of the images in pixels.
        images: images in a pass.
        passes: passes to time.
        batches: batch sizes of the loss.
        steps: steps of the real training.
        pairs: pairs in each of its steps.
        data: noise images.
    """

    edges: tuple[int, ...] = (64, 128, 224)
    images: int = 256
    passes: int = 10
    batches: tuple[int, ...] = (512, 2048, 8192, 32_768, 65_536)
    steps: int = 2000
    pairs: int = 4096
    data: int = 4096


QUICK = Sizes((16,), 8, 2, (64, 128), 20, 64, 256)


@click.command(context_settings={"show_default": True})
@click.option("--device", type=Choice(["cpu", "cuda"]), default="cuda", help="Device to measure.")
@click.option("--minutes", type=click.FloatRange(0), default=8.0, help="Time after which to stop.")
@click.option("--quick", is_flag=True, help="Tiny sizes, to try the command on any machine.")
def gpu_report(device: str, minutes: float, quick: bool) -> None:
    """Compare a GPU with the CPU, and measure rates, waiting and memory.

    Tables are printed as Markdown. What does not agree with the CPU is named first.

    \b
    Example:
        python -m benchmark.measure gpu
        python -m benchmark.measure gpu --device cpu --quick
    """
    place, sizes = find_device(device), QUICK if quick else Sizes()
    end = time.monotonic() + 60 * minutes  # after which no new row is begun
    name = torch.cuda.get_device_name(place) if place.type == "cuda" else processor_name()
    click.echo(f"{name}, torch {torch.__version__}\n")
    with TemporaryDirectory(prefix="gpu-") as folder:
        data = _noise(Path(folder), sizes.data)
        _values(place, data)
        _training(place, sizes)
        _losses(place, sizes, end)
        _waiting(place, data, sizes)
        _rates(place, sizes, end)


def _noise(root: Path, count: int) -> Path:
    noise_images(root, count, 64)
    work = Packing(SplitFolder(root, "train"))
    work.run(lambda *_, **__: None)
    return root


def _show(title: str, columns: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> None:
    """Print a Markdown table, each row as soon as it is known."""
    click.echo(f"{title}:\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for row in rows:
        click.echo(f"| {' | '.join(row)} |")
    click.echo("")


def _values(device: torch.device, data: Path) -> None:
    say("values: losses, samplers, pairs and metrics against the CPU")
    found = list(agreements(device, data))
    for each in found:
        if not each.holds:
            click.echo(
                f"DIFFERS: {each.what}: largest gap {each.gap:.2g}, expected at most "
                f"{each.allowed:g}"
            )
    equal = sum(each.gap == 0 for each in found)
    held = sum(each.holds for each in found)
    click.echo(
        f"{held} of {len(found)} values agree with the CPU, {equal} of them to the bit; the "
        f"largest gap that rounding explains is {max(e.gap for e in found if e.holds):.1g}.\n"
    )


def _losses(device: torch.device, sizes: Sizes, end: float) -> None:
    def rows() -> Iterator[tuple[str, ...]]:
        for batch in sizes.batches:
            if time.monotonic() > end:
                return
            u = torch.rand(batch, _CODES, device=device, requires_grad=True)
            v = u.detach() + 0.1 * torch.randn(batch, _CODES, device=device)

            def step(u: Tensor = u, v: Tensor = v) -> None:
                info_nce(u, v, LpSimilarity(2), temperature=1.0).backward()  # type: ignore[no-untyped-call]

            seconds, peak = _timed(step, device, sizes.passes)
            yield f"{batch:,}", f"{1e3 * seconds:.2f}", peak

    columns = ("pairs", "ms, both passes", "peak memory")
    _show(f"InfoNCE under l2, {_CODES} codes, float32", columns, rows())


def _rates(device: torch.device, sizes: Sizes, end: float) -> None:
    def rows() -> Iterator[tuple[str, ...]]:
        for edge in sizes.edges:
            for encoder in ("conv", "resnet18"):
                for name, step in _ways(encoder, edge, sizes.images, device):
                    if time.monotonic() > end:
                        say("the time is over; what is left was not measured")
                        return
                    try:
                        seconds, peak = _timed(step, device, sizes.passes)
                    except Exception as error:  # no compiler, no memory, or an old GPU
                        yield encoder, f"{edge}", name, printable(str(error), _SAID), ""
                        continue
                    yield encoder, f"{edge}", name, f"{sizes.images / seconds:,.0f}", peak

    columns = ("encoder", "px", "way", "images/s", "peak memory")
    _show(f"Both passes of an encoder, {sizes.images} images", columns, rows())


def _ways(
    encoder: str, edge: int, count: int, device: torch.device
) -> Iterator[tuple[str, Callable[[], None]]]:
    """Ways of computing both passes, by name."""
    images = torch.rand(count, 3, edge, edge, device=device)
    last = images.contiguous(memory_format=torch.channels_last)

    def built(layout: torch.memory_format) -> nn.Module:
        net = build_encoder(encoder, (3, edge, edge), _CODES, "unbounded", seed=0).to(device)
        return net.to(memory_format=layout)

    plain, net = built(torch.contiguous_format), built(torch.channels_last)
    yield "float32", lambda: _exactly(plain, images)
    yield "float32, channels-last", lambda: _exactly(net, last)
    if device.type == "cuda":
        yield "TF32, channels-last", lambda: _exactly(net, last, tf32=True)
    yield "bf16", lambda: _pass(plain, images, low=True)
    yield "bf16, channels-last", lambda: _pass(net, last, low=True)
    if device.type == "cuda" and can_compile(device):
        compiled = built(torch.channels_last)
        compiled.compile()
        yield "bf16, channels-last, compiled", lambda: _pass(compiled, last, low=True)


def _pass(net: nn.Module, images: Tensor, low: bool = False) -> None:
    with torch.autocast(images.device.type, torch.bfloat16, enabled=low):
        codes = net(images)
    codes.float().square().mean().backward()


def _exactly(net: nn.Module, images: Tensor, tf32: bool = False) -> None:
    """A pass in float32, in which matrix products and convolutions may be of TF32 or not."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    try:
        _pass(net, images)
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def _waiting(device: torch.device, data: Path, sizes: Sizes) -> None:
    """The share of a step in which the device waits for its batch, by kind of pairs."""

    def rows() -> Iterator[tuple[str, ...]]:
        dataset = ThreeDIdent(data)
        net = build_encoder("resnet18", (3, 64, 64), _CODES, "unbounded", seed=0).to(device)
        net = net.to(memory_format=torch.channels_last)
        resident = ResidentPairs(AugmentedPairs(dataset), device)
        numbers = [range(n, n + sizes.images) for n in range(_WARM_UP + sizes.passes)]

        def step(pair: Any) -> None:
            for images in (pair.image, pair.positive_image):
                _pass(net, images.float(), low=device.type == "cuda")

        fixed = resident.batch(numbers[0])
        alone, _ = _timed(lambda: step(fixed), device, sizes.passes)
        batches = (
            map(resident.batch, numbers)
            if device.type == "cpu"
            else ahead(resident.batch, numbers, device)
        )
        whole, _ = _timed(lambda: step(next(batches)), device, sizes.passes)
        share = max(0.0, 1 - alone / whole)
        yield "augmented, resident", f"{1e3 * alone:.1f}", f"{1e3 * whole:.1f}", f"{share:.1%}"

    columns = ("pairs", "ms, a fixed batch", "ms, batches of the data", "waiting or making them")
    _show(f"A step of ResNet-18, 64 px, {sizes.images} pairs", columns, rows())


def _training(device: torch.device, sizes: Sizes) -> None:
    """A short training on mixed latents, scored on fresh ones."""
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
    source, machine = open_source(options), Machine(device)
    objective = Objective(resolve(options, source), source, 0, Ranks()).to(device)
    adam = torch.optim.Adam(objective.parameters(), 1e-3)
    start = time.perf_counter()
    for batch in source.batches(0, range(sizes.steps), sizes.pairs, machine):
        adam.zero_grad(set_to_none=True)
        objective(batch)["loss"].backward()
        adam.step()
    settle(device)
    seconds = time.perf_counter() - start
    objective.eval()
    with torch.no_grad():
        codes = [objective.model(rows) for rows in source.held_out(0, 8192, machine)]
    found = score(latents=source.latents(0), representations=torch.cat(codes))
    click.echo(
        f"Trained on five mixed latents, {sizes.steps:,} steps of {sizes.pairs:,} pairs: "
        f"{sizes.steps / seconds:,.1f} steps/s, R2 {found.r2:.4f}, MCC {found.mcc:.4f} on fresh "
        "ones.\n"
    )


def _timed(step: Callable[[], None], device: torch.device, passes: int) -> tuple[float, str]:
    """Median seconds of a step that follows others, and the peak memory as text."""
    for _ in range(_WARM_UP):
        step()
    settle(device)
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(device)
    seconds = []
    for _ in range(passes):
        start = time.perf_counter()
        step()
        settle(device)
        seconds.append(time.perf_counter() - start)
    peak = spell_bytes(torch.cuda.max_memory_allocated(device)) if on_gpu else "not measured"
    return median(seconds), peak
