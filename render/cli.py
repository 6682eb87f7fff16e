"""The commands ``render`` and ``traverse``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from render.executors.executor import Local, crew
from render.jobs.forecast import folder_bytes
from render.jobs.job import Outcome, Request, render_dataset
from render.options import (
    DEVICE,
    HUE,
    MATERIAL,
    POSITIVE_MATERIAL,
    QUALITY,
    RESOLUTION,
    SEED,
    WORKERS,
    executor_options,
    machines,
    resolve,
)
from render.settings import rendering, require_blender
from threedident.conditionals.rules.spelling import canonical, parse_rule, require_change
from threedident.latents.layout import layout_of
from threedident.latents.sampling import check_raw
from threedident.latents.spaces import SPACES, parse_fixed
from threedident.options import Choice, NewFile
from threedident.runtime.errors import Interrupted, unknown
from threedident.runtime.files import load_npy, spell_bytes
from threedident.runtime.machine import peak_bytes
from threedident.runtime.progress import spell_time
from threedident.storage.folder import ANNOTATIONS, MOST_ROWS, SplitFolder
from threedident.storage.manifest import Annotation, Rendering
from threedident.storage.origin import Origin, rows_digest


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
    "--latents", type=click.Path(path_type=Path), help="Train rows to render (npy, raw latents)."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("data/3dident"),
    help="Folder of the data set.",
)
@SEED
@click.option(
    "--space",
    type=Choice(list(SPACES)),
    default="box",
    help="Latent space; periodic has angles without ends.",
)
@click.option(
    "--fix",
    multiple=True,
    metavar="FACTOR=VALUE",
    help="Hold a factor at a raw value in [-1, 1]; may be given again.",
)
@click.option(
    "--pairs",
    metavar="RULE",
    help="Beside every image its positive: a law of all factors such as normal:0.1, or a rule "
    "such as 'position=keep;hue=marginal;rest=normal:0.3'.",
)
@click.option("--annotate", metavar="mask,depth", help="Beside every image its mask, depth.")
@RESOLUTION
@QUALITY
@HUE
@MATERIAL
@POSITIVE_MATERIAL
@DEVICE
@executor_options
def render(**given: Any) -> None:
    """Render a data set, or the missing and damaged files of one.

    \b
    Examples:
        threedident render --n 250000
        threedident render --n 1000 --resolution 64 --quality draft --out data/small
        threedident render --n 1000 --pairs laplace:0.1 --annotate mask,depth --out data/pairs
        threedident render --n 1000 --pairs 'hue=keep;rest=marginal' --out data/subset
        threedident render --n 1000 --pairs rest=keep --positive-material metal --out data/two
        threedident render --n 1000 --fix alpha=0,beta=0,gamma=0 --out data/upright
        threedident render --latents raw.npy --out data/mine
        threedident render --n 250000 --executor slurm --slurm-partition cpu
    """
    out, start = given.pop("out"), time.monotonic()
    where = machines(given)
    annotations = _annotations(given.pop("annotate"))
    requests = _requests(out, given)
    try:
        require_blender()
        device, gpus = resolve(given["device"], elsewhere=where.executor != "local")
        settings = _settings(given, device, annotations)
        outcomes = render_dataset(out, requests, settings, where.starter(gpus))
    except KeyboardInterrupt:
        raise Interrupted("interrupted; the same command again goes on from there") from None
    click.echo(_summary(out, outcomes, time.monotonic() - start, device))


def _settings(
    given: dict[str, Any], device: str, annotations: tuple[Annotation, ...] = ()
) -> Rendering:
    return rendering(
        given["resolution"],
        given["quality"],
        device,
        hue_mode=given["hue"],
        material=given["material"],
        annotations=annotations,
    )


def _annotations(text: str | None) -> tuple[Annotation, ...]:
    """The requested annotations, in a fixed order."""
    asked = [] if text is None else text.split(",")
    for name in asked:
        if name not in ANNOTATIONS:
            raise ValueError(unknown("--annotate", name, ANNOTATIONS))
    order: tuple[Annotation, ...] = ("mask", "depth")
    return tuple(name for name in order if name in asked)


def _requests(out: Path, given: dict[str, Any]) -> list[Request]:
    """The requested splits, each followed by its positives if pairs are requested."""
    space, pairs, material = given["space"], given["pairs"], given["positive_material"]
    fixed = parse_fixed(given["fix"], space) if given["fix"] else {}
    if pairs is not None:
        layout = layout_of(space, fixed)
        pairs = canonical(pairs, layout)
        if material in (None, given["material"]):
            require_change(parse_rule(pairs, layout))
    elif material is not None:
        raise ValueError(
            f"--positive-material: expected --pairs beside it, found none; leave {material} out"
        )
    found = []
    for request in _anchors(out, given, fixed):
        found.append(request)
        if pairs is not None:
            origin = request.origin.model_copy(
                update={"conditional": pairs, "seed": given["seed"] or 0}
            )
            folder = request.folder.positives
            found.append(Request(folder, request.n, origin, request.rows, material))
        elif request.folder.positives.path.is_dir():
            raise ValueError(
                f"{request.folder.positives.path}: expected --pairs for a data set that holds "
                "positives, found none; give the --pairs that it was rendered with"
            )
    return found


def _anchors(out: Path, given: dict[str, Any], fixed: dict[str, float]) -> list[Request]:
    n, n_test, latents, seed = (given[name] for name in ("n", "n_test", "latents", "seed"))
    train, test = SplitFolder(out, "train"), SplitFolder(out, "test")
    drawn = {"seed": seed or 0, "space": given["space"], "fixed": fixed}
    if latents is not None:
        n_test = n_test or 0
        _check_beside_latents(given, n_test)
        rows = check_raw(load_npy(latents), str(latents), given["space"])
        origin = Origin(split="train", space=given["space"], rows=rows_digest(rows))
        first = Request(train, len(rows), origin, rows)
    elif n is None:
        raise ValueError("--n: expected a number of images or --latents FILE, found neither")
    else:
        n_test = n // 10 if n_test is None else n_test
        first = Request(train, n, Origin(split="train", **drawn))
    second = Request(test, n_test, Origin(split="test", **drawn))
    return [first, second] if n_test else [first]


def _check_beside_latents(given: dict[str, Any], n_test: int) -> None:
    if given["n"] is not None:
        raise ValueError(f"--n: expected none beside --latents, found {given['n']}; drop it")
    if given["fix"] and (given["pairs"] or not n_test):
        raise ValueError(
            "--fix: expected beside --latents only with --n-test, whose rows it holds, and no "
            f"--pairs, found {given['fix'][0]}; set those columns in the file"
        )
    if given["seed"] is not None and not (n_test or given["pairs"]):
        raise ValueError(
            "--seed: expected --n-test or --pairs beside it, since --latents gives the rest"
        )


def _summary(out: Path, outcomes: list[Outcome], seconds: float, device: str) -> str:
    new = sum(outcome.rendered for outcome in outcomes)
    holds = ", ".join(f"{o.n} {o.split} images ({o.rendered} new)" for o in outcomes)
    if not new:
        return f"{out}: {holds}"
    peaks = [report.peak_bytes for outcome in outcomes for report in outcome.reports]
    worker = spell_bytes(max(peaks, default=0))
    return (
        f"{out}: {holds}; {new / seconds:.2f} images/s on {device}\n"
        f"{spell_time(seconds)}; peak memory {worker} a worker, {spell_bytes(peak_bytes())} here; "
        f"{spell_bytes(folder_bytes(out))} on disk"
    )


@click.command()
@click.argument("out", type=NewFile())
@RESOLUTION
@QUALITY
@HUE
@MATERIAL
@DEVICE
@WORKERS
def traverse(out: Path, workers: int | None, **given: Any) -> None:
    """Draw the traversal figure: one column a factor, one row a value.

    \b
    Example:
        threedident traverse traversal.png --resolution 128
    """
    from render.traversal import traversal

    require_blender()
    device, gpus = resolve(given["device"])
    settings = _settings(given, device)
    traversal(out, settings, lambda _: Local(crew(workers, gpus)))
    click.echo(f"{out}: ten factors, one column each")
