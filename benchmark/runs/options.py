"""Options of a run, and the source and configuration that they resolve to."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import BaseModel

from benchmark.config import (
    MOST_LATENTS,
    Config,
    ImageSettings,
    MaskSettings,
    MixingSettings,
    Positive,
)
from benchmark.encoders.networks import require_known
from benchmark.encoders.output_spaces import find_extent
from benchmark.losses.catalogue import (
    SIMILARITIES,
    SUPERVISED,
    checked_options,
    find_loss,
    is_custom,
    is_paired,
    is_supervised,
)
from benchmark.losses.match import check_fit, fitting_space
from benchmark.losses.similarities import LpSimilarity, parse_similarity
from benchmark.option import Option, of_images
from benchmark.sources.mixing import MARGINALS
from benchmark.sources.source import Source
from threedident.conditionals.law import Law
from threedident.latents.factor_set import parse_factors
from threedident.runtime.errors import printable

_SCORES_PER_RUN = 10
_SUPERVISED_MIXING_STEPS = 100_001


class Data(BaseModel):
    """Declarations of the options on data and pairs that are not settings of one source."""

    source: Annotated[
        Literal["nearest", "rendered", "augmented", "mixing", "kitti"],
        Option(
            "Data",
            "Positive pairs: images by nearest latent, rendered exactly or augmented; mixed "
            "latents; KITTI Masks.",
            default="nearest",
        ),
    ]
    data: Annotated[
        Path | None,
        Option(
            "Data",
            "Data set [default: data/3dident; KITTI data/kitti_peds_v2.pickle].",
            {**of_images(Path("data/3dident")), "kitti": Path("data/kitti_peds_v2.pickle")},
        ),
    ]
    factors: Annotated[
        str | int | None,
        Option(
            "Data",
            "Images: factors to encode and score, such as x,y,hue [default: all that vary]. "
            "Mixing: number of latents n [default: 10].",
            {**of_images(None), "mixing": 10},
        ),
    ]
    conditional: Annotated[
        str | None,
        Option(
            "Pairs",
            "p(z~ | z) of positives: {names} [default: normal].",
            {"nearest": "normal", "mixing": "normal"},
            contrastive=True,
        ),
    ]
    sigma: Annotated[
        Positive | None,
        Option(
            "Pairs",
            "Scale of the conditional; for vmf 1 / kappa [default: 0.1; mixing 0.05].",
            {"nearest": 0.1, "mixing": 0.05},
            contrastive=True,
        ),
    ]
    out: Annotated[Path | None, Option("Run", "Run folder [default: in runs/].")]


def _options() -> Iterator[tuple[str, tuple[Any, Option]]]:
    """The declarations of all options by name, with the types of their fields."""
    for record in (Data, ImageSettings, MixingSettings, MaskSettings, Config):
        for name, hint in get_type_hints(record, include_extras=True).items():
            for option in getattr(hint, "__metadata__", ()):
                if isinstance(option, Option):
                    yield name, (hint, option)


OPTIONS = dict(_options())


class Options:
    """The options of a run, by the names of :data:`OPTIONS`. None stands for the paper's value.

    Each attribute is the option of ``threedident benchmark`` with the same name.

    Raises:
        TypeError: a name is not the name of an option.
    """

    def __init__(self, **asked: Any) -> None:
        if unknown := asked.keys() - OPTIONS.keys():
            raise TypeError(f"expected options of a run, found {', '.join(sorted(unknown))}")
        defaults = {name: option.default for name, (_, option) in OPTIONS.items()}
        self.__dict__.update(defaults | asked)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"no option {name!r}")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{name}: options are frozen; take replace()")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Options) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(tuple(vars(self).items()))

    def __repr__(self) -> str:
        return f"Options({', '.join(self.arguments())})"

    def replace(self, **asked: Any) -> Options:
        """The same options, with new values for those given."""
        return Options(**vars(self) | asked)

    def arguments(self) -> list[str]:
        """The options as command-line arguments, without those that have their default value."""
        found = []
        for name, (_, option) in OPTIONS.items():
            value = getattr(self, name)
            if value == option.default:
                continue
            text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            found.append(flag(name) if value is True else f"{flag(name)}={text}")
        return found

    def command(self) -> str:
        """The command that starts a run with these options, or resumes it."""
        return shlex.join(["threedident", "benchmark", *self.arguments(), "--resume"])


def flag(name: str) -> str:
    """The name of an option on the command line, such as ``--batch-size``."""
    return f"--{name.replace('_', '-')}"


def complete(options: Options) -> Options:
    """The options, with the paper's values for those that were not given.

    Raises:
        ValueError: a given option has no meaning for the source or the loss, or the output space
            does not fit the loss.
    """
    source, values = options.source, {}
    for name, (_, option) in OPTIONS.items():
        given = getattr(options, name)
        if given is not None and source not in option.sources:
            raise ValueError(
                f"{flag(name)}: expected with --source {' or '.join(option.sources)}, found it "
                f"with {source}; leave it out"
            )
        values[name] = option.paper_value(source) if given is None else given
    if values["factors"] is not None:
        values["factors"] = _factors(values["factors"], source)
    require_known(values["encoder"])
    loss = values["loss"]
    find_loss(loss)
    similarity = parse_similarity(loss)
    if not is_paired(loss):
        _refuse_pairs(options, loss)
        values |= {name: o.default for name, (_, o) in OPTIONS.items() if o.contrastive}
    if similarity is None:
        _refuse_similarity(options, loss)
        values |= {name: o.default for name, (_, o) in OPTIONS.items() if o.similarity}
    elif options.learned_scales and not isinstance(similarity, LpSimilarity):
        raise ValueError(
            f"--learned-scales: expected with a --loss such as l1 or l2, found it with {loss}; "
            "leave it out"
        )
    elif values["temperature"] is None:
        values["temperature"] = 1.0
    if is_supervised(loss) and source == "mixing" and options.steps is None:
        values["steps"] = _SUPERVISED_MIXING_STEPS
    if values["estimator"] == "info-nce":
        values["estimator"] = None
    if loss == SUPERVISED and options.codes is not None:
        raise ValueError(
            "--codes: expected with a loss that predicts no latents, found it with supervised, "
            "which has one code for each factor; leave it out"
        )
    values["loss_option"] = (
        checked_options(loss, values["estimator"], options.loss_option or ()) or None
    )
    if source == "mixing" and values["marginal"] is None:
        values["marginal"] = MARGINALS[values["space"]][0]
    space = values["space"] or "real"  # latents of images and masks may be negative
    reach = "unit-box" if space == "box" else space
    values["output_space"] = fitting_space(
        loss, values["output_space"], reach, values["estimator"]
    )
    values["extent"] = find_extent(values["output_space"], options.extent)
    return Options(**values)


def _factors(asked: int | str, source: str) -> int | str:
    """The number of mixed latents, or the names of factors of images, separated by commas."""
    digits = str(asked)
    if source != "mixing" and digits.isdecimal():
        raise ValueError(
            f"--factors: expected names of factors such as x,y,hue, found {printable(digits)}; a "
            "number of latents fits --source mixing"
        )
    if source != "mixing":
        return ",".join(parse_factors(digits))
    if not digits.isdecimal() or not 1 < int(digits) <= MOST_LATENTS:
        raise ValueError(
            f"--factors: expected a number of latents from 2 to {MOST_LATENTS} for mixing, found "
            f"{printable(digits)}; give one"
        )
    return int(digits)


def _refuse_pairs(options: Options, loss: str) -> None:
    if options.source in ("rendered", "augmented"):
        raise ValueError(
            f"--source: expected nearest, mixing or kitti for {loss} training, found "
            f"{options.source}, which is about pairs; leave it out"
        )
    for name, (_, option) in OPTIONS.items():
        if option.contrastive and getattr(options, name):
            raise ValueError(
                f"{flag(name)}: expected with a contrastive --loss, found it with "
                f"{loss}, which has no pairs; leave it out"
            )


def _refuse_similarity(options: Options, loss: str) -> None:
    for name, (_, option) in OPTIONS.items():
        if option.similarity and getattr(options, name):
            raise ValueError(
                f"{flag(name)}: expected with a contrastive --loss ({', '.join(SIMILARITIES)}), "
                f"found it with {loss}, which has no similarity; leave it out"
            )


def open_source(options: Options) -> Source:
    """The source of completed options.

    Raises:
        ValueError: the data cannot be read, or do not fit the options, or the conditional does
            not fit the loss.
    """
    law = None
    assert options.loss is not None
    if options.conditional is not None and options.sigma is not None:
        law = Law(name=options.conditional, sigma=options.sigma)
        law.conditional(options.space or "box")
        check_fit(options.loss, law)
    paired = is_paired(options.loss)
    if options.source == "mixing":
        from benchmark.sources.mixing import MixingSource

        settings = MixingSettings(
            factors=options.factors,
            space=options.space,
            marginal=options.marginal,
            conditional=law,
            anchor_rows=options.anchor_rows,
        )
        return MixingSource(settings)
    assert options.data is not None
    if options.source == "kitti":
        from benchmark.sources.masks import MaskSource

        return MaskSource(options.data, options.max_distance or 1, paired=paired)
    from benchmark.sources.images import ImageSource
    from benchmark.sources.splits import open_splits

    splits = open_splits(options.data, options.resolution)
    pairs = options.source if paired else None
    chosen = None if options.factors is None else options.factors.split(",")
    return ImageSource(splits, pairs, law, options.anchor or "row", chosen)


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
    if options.codes is not None and options.codes < len(source.labels):
        raise ValueError(
            f"--codes: expected at least {len(source.labels)}, one for each factor, found "
            f"{options.codes}; raise it, or leave it out"
        )
    asked = vars(options) | {
        "source": source.settings,
        "eval_every": max(1, steps // _SCORES_PER_RUN),
        "supervised": is_custom(options.loss) and is_supervised(options.loss),
    }
    return Config(**{name: asked[name] for name in Config.model_fields})
