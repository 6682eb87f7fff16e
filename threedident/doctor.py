"""The command ``threedident doctor``: what this machine can do, and what it lacks."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from threedident.runtime.errors import explain, printable
from threedident.runtime.files import spell_bytes
from threedident.runtime.machine import memory, processor_name, processors
from threedident.runtime.progress import say

_EXTRAS = {
    "leaderboard": (
        *("cryptography", "onnx", "onnxruntime", "onnxscript"),
        *(("pyseccomp",) if sys.platform == "linux" else ()),
    ),
    "ray": ("ray",),
    "slurm": ("submitit",),
    "tensorboard": ("tensorboard",),
    "measure": ("skimage",),
    "docs": ("mkdocs", "material", "mkdocstrings"),
}
_IMAGES, _EDGE, _PASSES = 64, 64, 3
_LEAST_DISK, _LEAST_MEMORY = 1e9, 2e9
_NVIDIA = Path("/proc/driver/nvidia/version")
_HIDDEN = "a driver is here, but no GPU: give the container its GPUs, and see CUDA_VISIBLE_DEVICES"
_SAID = 300
_LONGEST = 200  # columns of a table that is not shown in a terminal


@dataclass(frozen=True)
class Finding:
    """A line of the table.

    Arguments:
        what: what was looked at.
        found: what is there.
        remedy: what to do; empty if nothing is missing.
        fatal: True if rendering or training cannot work without the remedy.
    """

    what: str
    found: str
    remedy: str = ""
    fatal: bool = False


@click.command()
def doctor() -> None:
    """Check Python, Blender, GPUs, torch, faiss, memory and disk.

    Draws a few images and trains a few steps, which takes seconds. Each line that lacks something
    says what to do. The exit status is 1 if rendering or training cannot work here.

    \b
    Example:
        threedident doctor
    """
    say("doctor: draws a few images and trains a few steps")
    findings = list(examine())
    table = Table(box=None, pad_edge=False)
    for name in ("", "found", "to do"):
        table.add_column(name, overflow="fold")
    for finding in findings:
        mark = "!! " if finding.fatal else ""
        cells = (finding.what, finding.found, mark + finding.remedy)
        table.add_row(*map(Text, cells))  # which print brackets as they are
    console = Console()
    if not console.is_terminal:
        console.width = _LONGEST
    console.print(table)
    if any(finding.fatal for finding in findings):
        sys.exit(1)


def examine() -> Iterator[Finding]:
    """All findings, in the order of the table."""
    yield Finding("Python", f"{platform.python_version()}, {sys.executable}")
    yield Finding("processor", f"{processors()} threads, {processor_name()}")
    yield from _rooms()
    yield from _blender()
    yield from _torch()
    yield from _faiss()
    for extra, modules in _EXTRAS.items():
        missing = [name for name in modules if find_spec(name) is None]
        found = "not installed, optional" if missing else "installed"
        remedy = f"pip install 'threedident[{extra}]'" if missing else ""
        yield Finding(f"extra {extra}", found, remedy)


def _rooms() -> Iterator[Finding]:
    """Memory, and the disk of the working folder and of the cache."""
    room = memory()
    if room is not None:
        whole, free = room
        little = "free some; training needs about 2 GB" if free < _LEAST_MEMORY else ""
        yield Finding("memory", f"{spell_bytes(free)} free of {spell_bytes(whole)}", little)
    try:
        cache = import_module("threedident.index.cache").cache_folder()
    except RuntimeError:
        yield Finding("cache", "no home folder", "set XDG_CACHE_HOME to a folder of yours")
        cache = None
    for what, folder in (("disk here", Path.cwd()), ("cache", cache)):
        if folder is None:
            continue
        place = ", or set XDG_CACHE_HOME to another folder" if folder == cache else ""
        try:
            there = next(each for each in (folder, *folder.parents) if each.is_dir())
            left = shutil.disk_usage(there).free
        except OSError as error:
            yield Finding(what, explain(error), f"make {folder} readable{place}")
            continue
        remedy = f"free some{place}" if left < _LEAST_DISK else ""
        if not os.access(there, os.W_OK):
            remedy = f"make {there} writable{place}"
        yield Finding(what, f"{folder}, {spell_bytes(left)} free", remedy)


def _blender() -> Iterator[Finding]:
    """Blender, its shared libraries, the devices of Cycles, and its speed."""
    settings, libraries = import_module("render.settings"), import_module("render.libraries")
    missing = libraries.missing_packages() if sys.version_info[:2] in settings.BLENDERS else []
    if missing:
        yield Finding(
            "libraries",
            f"{len(missing)} that Blender loads are missing",
            f"apt-get install {' '.join(missing)}",
            fatal=True,
        )
    try:
        found = settings.require_blender()
    except ValueError as error:
        if not missing or find_spec("bpy") is None:
            yield _failure("Blender", error)
        return
    try:
        trial = import_module("render.workers.process").trial()
    except ValueError as error:
        yield _failure(f"Blender {found}", error)
        return
    yield Finding("Blender", f"{found}, draws images")
    gpus = [f"{count} {kind}" for kind, count in trial.devices.items() if kind != "cpu"]
    remedy = ""
    if _NVIDIA.is_file() and not gpus:
        remedy = f"{_HIDDEN}; else update the driver"
    yield Finding("Cycles", ", ".join(["CPU", *gpus]), remedy)
    rates = [f"{_rate(rate)} images/s at {what}" for what, rate in trial.rates.items()]
    yield Finding("rendering", ", ".join(rates))


def _torch() -> Iterator[Finding]:
    """Torch, its GPUs, and its speed."""
    try:
        import torch

        release, built = torch.__version__, torch.version.cuda
        cuda = torch.cuda.is_available()
        names = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    except Exception as error:  # a broken installation raises errors of many kinds
        yield Finding("torch", _spelled(error), "pip install torch torchvision", fatal=True)
        return
    yield Finding(
        "torch", f"{release}, " + (f"built for CUDA {built}" if built else "without CUDA")
    )
    found = ", ".join(f"{gpu.name} ({spell_bytes(gpu.total_memory)})" for gpu in names)
    remedy = ""
    if _NVIDIA.is_file() and not cuda:
        remedy = f"{_HIDDEN}; else install a torch built for this driver"
    yield Finding("torch's GPUs", found or "none", remedy)
    for kind in ("cuda", "cpu") if cuda else ("cpu",):
        try:
            rate = _training_rate(torch.device(kind))
        except Exception as error:  # as above
            last = kind == "cpu"
            remedy = "pip install threedident again" if last else "train with --device cpu"
            yield Finding(f"training on {kind}", _spelled(error), remedy, fatal=last)
        else:
            yield Finding(
                "training", f"{_rate(rate)} images/s at {_EDGE} px, encoder conv, on {kind}"
            )
            return


def _rate(number: float) -> str:
    return f"{number:.3g}" if number < 100 else f"{number:,.0f}"


def _training_rate(device: Any) -> float:
    """Images per second of both passes of the light encoder."""
    import torch

    networks = import_module("benchmark.encoders.networks")
    encoder = networks.build_encoder("conv", (3, _EDGE, _EDGE), 10, "unbounded", seed=0).to(device)
    images, seconds = torch.rand(_IMAGES, 3, _EDGE, _EDGE, device=device), []
    for _ in range(1 + _PASSES):
        start = time.perf_counter()
        encoder(images).square().mean().backward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    return _IMAGES / min(seconds[1:])


def _faiss() -> Iterator[Finding]:
    """The library faiss, and its GPUs."""
    package = next((name for name in ("faiss-gpu", "faiss-cpu") if _version(name)), "faiss-cpu")
    try:
        families = import_module("threedident.index.families")
        gpus = families.gpus()
    except ValueError as error:  # which says what to install
        yield _failure("faiss", error)
        return
    except Exception as error:  # as above
        yield Finding("faiss", _spelled(error), f"pip install {package}", fatal=True)
        return
    yield Finding("faiss", f"{package} {_version(package)}, {gpus or 'no'} GPUs")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _failure(what: str, error: ValueError) -> Finding:
    """A fatal finding from an error whose text ends with what to do."""
    found, _, remedy = str(error).partition("; ")
    remedy = remedy or "see Troubleshooting in the documentation"
    return Finding(what, printable(found, _SAID), printable(remedy, _SAID), fatal=True)


def _spelled(error: Exception) -> str:
    said = explain(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
    return printable(said, _SAID)
