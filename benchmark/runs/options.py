"""The options of one run, and what they resolve to: a source and a configuration."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from benchmark.config import Config, MixingSettings
from benchmark.encoders.networks import require_known
from benchmark.encoders.output_spaces import find_extent
from benchmark.losses.match import SUPERVISED, check_fit, fitting_space, parse_loss
from benchmark.losses.similarities import LpSimilarity
from benchmark.sources.mixing import MARGINALS
from benchmark.sources.source import Source
from threedident.conditionals.law import Law

IMAGE_PAIRS = ("nearest", "rendered", "augmented")
SOURCES = (*IMAGE_PAIRS, "mixing", "kitti")
_SCORES_PER_RUN = 10
_SUPERVISED_MIXING_STEPS = 100_001
# What the paper took, by source; where a source has no such thing, an option for it is refused.
_PAPER: dict[str, dict[str, Any]] = {
    "nearest": {"conditional": "normal", "sigma": 0.1, "anchor": "row"},
    "rendered": {},
    "augmented": {"loss": "dot"},
    "mixing": {
        "conditional": "normal",
        "sigma": 0.05,
        "factors": 10,
        "space": "box",
        "encoder": "mlp",
        "batch_size": 6144,
        "steps": 3 * _SUPERVISED_MIXING_STEPS,
    },
    "kitti": {
        "data": Path("data/kitti_peds_v2.pickle"),
        "max_distance": 1,
        "encoder": "conv",
        "loss": "l1",
        "batch_size": 32,  # the published 64 counts both images of a pair
        "steps": 300_000,
    },
}
_IMAGES = {"data": Path("data/3dident"), "encoder": "resnet18", "batch_size": 512, "steps": 30_000}
_EVERY = {"loss": "l2", "learning_rate": 1e-4, "seeds": (0,)}
_OWN = {
    "anchor": ("nearest",),
    "conditional": ("nearest", "mixing"),
    "sigma": ("nearest", "mixing"),
    "resolution": IMAGE_PAIRS,
    "data": (*IMAGE_PAIRS, "kitti"),
    "factors": ("mixing",),
    "space": ("mixing",),
    "marginal": ("mixing",),
    "max_distance": ("kitti",),
}
_CONTRASTIVE = ("conditional", "sigma", "anchor", "temperature", "max_distance")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a user asked for; None takes the paper's value for the source.

    Each field is the option of ``threedident benchmark`` of that name.
    """

    source: str = "nearest"
    data: Path | None = None
    resolution: int | None = None
    anchor: str | None = None
    conditional: str | None = None
    sigma: float | None = None
    factors: int | None = None
    space: str | None = None
    marginal: str | None = None
    max_distance: int | None = None
    encoder: str | None = None
    loss: str | None = None
    output_space: str | None = None
    extent: float | None = None
    temperature: float | None = None
    symmetric: bool = False
    learned_scales: bool = False
    steps: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    schedule: str = "constant"
    warmup: int = 0
    precision: str = "float32"
    protocol: str = "held-out"
    seeds: tuple[int, ...] | None = None
    out: Path | None = None

    def arguments(self) -> list[str]:
        """The options as command-line arguments, without those left at their defaults."""
        found = []
        for entry in fields(self):
            value, name = getattr(self, entry.name), entry.name.replace("_", "-")
            if value == entry.default:
                continue
            if value is True:
                found.append(f"--{name}")
            else:
                text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
                found.append(f"--{name}={text}")
        return found

    def command(self) -> str:
        """The command that runs them, or goes on with the run."""
        return shlex.join(["threedident", "benchmark", *self.arguments(), "--resume"])


def complete(options: Options) -> Options:
    """The options with the paper's values where none were given.

    Raises:
        ValueError: an option was given that the source or the loss has no use for, or loss,
            output space and conditional do not fit each other.
    """
    source = options.source
    for name, sources in _OWN.items():
        if getattr(options, name) is not None and source not in sources:
            raise ValueError(
                f"--{name.replace('_', '-')}: expected with --source {' or '.join(sources)}, "
                f"found it with {source}; leave it out"
            )
    images = _IMAGES if source in IMAGE_PAIRS else {}
    values = {**_EVERY, **images, **_PAPER[source]}
    given = {f.name: getattr(options, f.name) for f in fields(options)}
    values |= {name: value for name, value in given.items() if value is not None}
    require_known(values["encoder"])
    similarity = parse_loss(values["loss"])
    if similarity is None:
        _refuse_contrastive(options)
        values |= dict.fromkeys(_CONTRASTIVE)
        if source == "mixing" and options.steps is None:
            values["steps"] = _SUPERVISED_MIXING_STEPS
    else:
        values.setdefault("temperature", 1.0)
        if options.learned_scales and not isinstance(similarity, LpSimilarity):
            raise ValueError(
                f"--learned-scales: expected with a --loss such as l1 or l2, found it with "
                f"{values['loss']}; leave it out"
            )
    if source == "mixing":
        values.setdefault("marginal", MARGINALS[values["space"]][0])
    space = values.get("space") or "real"  # images and masks have latents of either sign
    reach = "unit-box" if space == "box" else space
    values["output_space"] = fitting_space(values["loss"], values.get("output_space"), reach)
    values["extent"] = find_extent(values["output_space"], options.extent)
    return replace(options, **values)


def _refuse_contrastive(options: Options) -> None:
    if options.source in ("rendered", "augmented"):
        raise ValueError(
            f"--source: expected nearest, mixing or kitti for supervised training, found "
            f"{options.source}, which is about pairs; leave it out"
        )
    for name in (*_CONTRASTIVE, "symmetric", "learned_scales"):
        if getattr(options, name):
            raise ValueError(
                f"--{name.replace('_', '-')}: expected with a contrastive --loss, found it with "
                "supervised, which has no pairs; leave it out"
            )


def open_source(options: Options) -> Source:
    """The source of completed options.

    Raises:
        ValueError: the data cannot be read, or is unfit for what was asked.
    """
    law = None
    if options.conditional is not None and options.sigma is not None:
        law = Law(name=options.conditional, sigma=options.sigma)
        law.conditional(options.space or "box")
        assert options.loss is not None
        check_fit(options.loss, law)
    supervised = options.loss == SUPERVISED
    if options.source == "mixing":
        from benchmark.sources.mixing import MixingSource

        settings = MixingSettings(
            factors=options.factors,  # type: ignore[arg-type]
            space=options.space,  # type: ignore[arg-type]
            marginal=options.marginal,  # type: ignore[arg-type]
            conditional=law,
        )
        return MixingSource(settings)
    assert options.data is not None
    if options.source == "kitti":
        from benchmark.sources.masks import MaskSource

        return MaskSource(options.data, options.max_distance or 1, paired=not supervised)
    from benchmark.sources.images import ImageSource
    from benchmark.sources.splits import open_splits

    splits = open_splits(options.data, options.resolution)
    pairs = None if supervised else options.source
    return ImageSource(splits, pairs, law, options.anchor or "row")  # type: ignore[arg-type]


def resolve(options: Options, source: Source) -> Config:
    """The configuration of completed options.

    Raises:
        ValueError: the batch is larger than the data, or the warm-up longer than the run.
    """
    steps, batch_size = options.steps, options.batch_size
    assert steps is not None
    assert batch_size is not None
    if source.size is not None and batch_size > source.size:
        raise ValueError(
            f"--batch-size: expected at most {source.size}, {source.counted}, found "
            f"{batch_size}; lower it, or take more data"
        )
    if 0 < steps <= options.warmup:
        raise ValueError(
            f"--warmup: expected fewer than the {steps} steps of the run, found "
            f"{options.warmup}; lower it"
        )
    return Config(
        source=source.settings,
        encoder=options.encoder,  # type: ignore[arg-type]
        loss=options.loss,  # type: ignore[arg-type]
        output_space=options.output_space,  # type: ignore[arg-type]
        extent=options.extent,
        temperature=options.temperature,
        symmetric=options.symmetric,
        learned_scales=options.learned_scales,
        steps=steps,
        batch_size=batch_size,
        learning_rate=options.learning_rate,  # type: ignore[arg-type]
        schedule=options.schedule,  # type: ignore[arg-type]
        warmup=options.warmup,
        precision=options.precision,  # type: ignore[arg-type]
        eval_every=max(1, steps // _SCORES_PER_RUN),
        protocol=options.protocol,  # type: ignore[arg-type]
        seeds=options.seeds,  # type: ignore[arg-type]
    )
