"""The commands ``render`` and ``traverse``."""

from __future__ import annotations

import time
from pathlib import Path

import click

from render.jobs import Request, render_dataset
from render.launch import crew, devices
from render.scene import HueMode
from render.settings import DEVICES, QUALITIES, rendering, require_blender
from threedident.errors import Interrupted
from threedident.latents import check_raw
from threedident.manifest import MOST_PIXELS, Rendering
from threedident.storage import MOST_ROWS, load_npy

_RESOLUTION = click.option(
    "--resolution",
    type=click.IntRange(16, MOST_PIXELS),
    default=224,
    help="Edge of an image in pixels.",
)
_QUALITY = click.option(
    "--quality",
    type=click.Choice(list(QUALITIES)),
    default="standard",
    help="paper as published, standard to train on, draft for previews.",
)
_HUE = click.option(
    "--hue",
    type=click.Choice(["wrapped", "published"]),
    default="wrapped",
    help="How negative hue angles become colours; published is not injective.",
)
_DEVICE = click.option(
    "--device", type=click.Choice(DEVICES), default="auto", help="What Cycles computes on."
)
_WORKERS = click.option(
    "--workers",
    type=click.IntRange(1),
    default=None,
    help="Processes; by default one per 2 cores.",
)


def _settings(resolution: int, quality: str, hue: HueMode, device: str) -> Rendering:
    require_blender()
    return rendering(resolution, quality, hue, _resolve(device))


def _resolve(device: str) -> str:
    """The device to use.

    Raises:
        ValueError: it is not there.
    """
    if device == "cpu":
        return device
    found = devices()
    if device == "auto":
        return found[0]
    if device not in found:
        raise ValueError(f"--device: expected one of {', '.join(found)} here, found {device}")
    return device


@click.command()
@click.option(
    "--n", type=click.IntRange(1, MOST_ROWS), default=None, help="Images of the train split."
)
@click.option(
    "--n-test",
    type=click.IntRange(0, MOST_ROWS),
    default=None,
    help="Test images [default: N//10].",
)
@click.option(
    "--latents", type=click.Path(path_type=Path), help="Train rows to render (npy, N x 10)."
)
@click.option("--out", type=click.Path(path_type=Path), default=Path("data/3dident"))
@click.option(
    "--seed", type=click.IntRange(0), default=None, help="Seed of the latents [default: 0]."
)
@_RESOLUTION
@_QUALITY
@_HUE
@_DEVICE
@_WORKERS
def render(
    n: int | None,
    n_test: int | None,
    latents: Path | None,
    out: Path,
    seed: int | None,
    resolution: int,
    quality: str,
    hue: HueMode,
    device: str,
    workers: int | None,
) -> None:
    """Render a data set, or what is missing or damaged in one.

    \b
    Examples:
        threedident render --n 250000
        threedident render --n 1000 --resolution 64 --quality draft --out data/small
        threedident render --latents raw.npy --out data/mine
    """
    requests = _requests(n, n_test, latents, seed)
    start = time.monotonic()
    try:
        settings = _settings(resolution, quality, hue, device)
        outcomes = render_dataset(out, requests, settings, crew(workers, settings.device))
    except KeyboardInterrupt:
        raise Interrupted("interrupted; the same command again goes on from there") from None
    seconds = time.monotonic() - start
    new = sum(outcome.rendered for outcome in outcomes)
    holds = ", ".join(f"{o.n} {o.split} images ({o.rendered} new)" for o in outcomes)
    rate = f"; {new / seconds:.2f} images/s on {settings.device}" if new else ""
    click.echo(f"{out}: {holds}{rate}")


def _requests(
    n: int | None, n_test: int | None, latents: Path | None, seed: int | None
) -> list[Request]:
    if latents is not None:
        if n is not None:
            raise ValueError(f"--n: expected none beside --latents, found {n}; drop it")
        if seed is not None and not n_test:
            raise ValueError("--seed: expected --n-test beside it, since --latents gives the rest")
        rows = check_raw(load_npy(latents), str(latents))
        train, n_test = Request("train", len(rows), rows=rows), n_test or 0
    elif n is None:
        raise ValueError("--n: expected a number of images or --latents FILE, found neither")
    else:
        train = Request("train", n, seed=seed or 0)
        n_test = n // 10 if n_test is None else n_test
    return [train, Request("test", n_test, seed=seed or 0)][: 2 if n_test else 1]


@click.command()
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
@_RESOLUTION
@_QUALITY
@_HUE
@_DEVICE
@_WORKERS
def traverse(
    out: Path, resolution: int, quality: str, hue: HueMode, device: str, workers: int | None
) -> None:
    """Draw the traversal figure: one column a factor, one row a value.

    \b
    Example:
        threedident traverse traversal.png --resolution 128
    """
    from render.figures import traversal

    settings = _settings(resolution, quality, hue, device)
    traversal(out, settings, crew(workers, settings.device))
    click.echo(f"{out}: ten factors, one column each")
