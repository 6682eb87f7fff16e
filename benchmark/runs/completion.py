"""Completion of options: the paper's values for those not given, and checks of all of them."""

from __future__ import annotations

from benchmark.encoders.networks import require_known
from benchmark.encoders.output_spaces import find_extent
from benchmark.losses.catalogue import (
    SIMILARITIES,
    SUPERVISED,
    checked_options,
    find_loss,
    is_paired,
    is_supervised,
)
from benchmark.losses.match import fitting_space
from benchmark.losses.similarities import LpSimilarity, SumSimilarity, parse_similarity
from benchmark.option import IMAGE_PAIRS, SOURCES
from benchmark.protocol import procedure
from benchmark.runs.options import OPTIONS, Options, flag
from benchmark.settings import MOST_LATENTS
from benchmark.sources.custom.made import checked_options as checked_source_options
from benchmark.sources.custom.made import require_known as require_known_source
from benchmark.sources.usual_loss import usual_loss
from benchmark.zoo.cards import is_zoo, read_card
from threedident.conditionals.marginal import MARGINALS
from threedident.latents.factor_set import parse_factors
from threedident.runtime.errors import printable

_SUPERVISED_MIXING_STEPS = 100_001
_ON_CARD = ("output_space", "extent", "features", "projector")  # of an encoder of the zoo


def complete(options: Options) -> Options:
    """The options, with the paper's values for those that were not given.

    Raises:
        ValueError: a given option has no meaning for the source or the loss, or the output space
            does not fit the loss.
    """
    source, values = options.source, {}
    require_known_source(source)
    in_zoo = options.encoder is not None and is_zoo(options.encoder)
    if in_zoo:
        options = _as_on_card(options)
    if source not in SOURCES and options.protocol == "published":
        raise ValueError(
            f"--protocol: expected held-out with a source of your own, found published with "
            f"{source}, which the published code does not have; leave it out"
        )
    for name, (_, option) in OPTIONS.items():
        given = getattr(options, name)
        if given is not None and not option.fits(source):
            raise ValueError(
                f"{flag(name)}: expected with --source {' or '.join(option.sources)}, found it "
                f"with {source}; leave it out"
            )
        values[name] = option.paper_value(source) if given is None else given
    if values["factors"] is not None:
        values["factors"] = _factors(values["factors"], source)
    if options.pairs is not None:
        values |= _without_conditional(options)
    require_known(values["encoder"])
    if options.loss is None and source in ("nearest", "rendered"):
        values["loss"] = usual_loss(values["data"], values["factors"])
    loss, followed = values["loss"], procedure(options.protocol)
    find_loss(loss)
    similarity = parse_similarity(loss)
    if followed.replacement and source == "nearest" and options.anchor is None:
        values["anchor"] = "marginal"
    if followed.all_tracks and source == "kitti":
        values |= {"score_on": options.score_on or "train"}
        values |= {"encoder": options.encoder or "kitti-conv"}
    if followed.anchor_as_negative and options.symmetric:
        raise ValueError(
            "--symmetric: expected with --protocol held-out, found it with published, in which "
            "only first views are anchors; leave it out"
        )
    if followed.anchor_as_negative and not _is_published(loss, values["estimator"]):
        raise ValueError(
            f"--loss: expected a similarity under info-nce, or supervised, with --protocol "
            f"published, found {values['estimator'] or loss}; take --protocol held-out"
        )
    if not is_paired(loss):
        _refuse_pairs(options, loss)
        values |= {name: o.default for name, (_, o) in OPTIONS.items() if o.contrastive}
    if similarity is None:
        _refuse_similarity(options, loss)
        values |= {name: o.default for name, (_, o) in OPTIONS.items() if o.similarity}
    elif options.learned_scales and not isinstance(similarity, LpSimilarity | SumSimilarity):
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
    if isinstance(similarity, SumSimilarity) and options.codes is not None:
        raise ValueError(
            f"--codes: expected with a loss of one similarity, found it with {loss}, whose codes "
            "are those of the positions and of the sphere; leave it out"
        )
    if loss == SUPERVISED and options.codes is not None:
        raise ValueError(
            "--codes: expected with a loss that predicts no latents, found it with supervised, "
            "which has one code for each factor; leave it out"
        )
    values["loss_option"] = (
        checked_options(loss, values["estimator"], options.loss_option or ()) or None
    )
    if options.source_option is not None:
        values["source_option"] = checked_source_options(source, options.source_option)
    if source == "mixing" and values["marginal"] is None:
        values["marginal"] = MARGINALS[values["space"]][0]
    space = values["space"] or "real"  # latents of images and masks may be negative
    reach = "unit-box" if space == "box" else space
    anywhere = followed.supervised_anywhere and is_supervised(loss)
    if not (anywhere and values["output_space"]):
        values["output_space"] = fitting_space(
            loss, values["output_space"], reach, values["estimator"]
        )
    linear = followed.linear_extents
    values["extent"] = find_extent(values["output_space"], options.extent, linear)
    if in_zoo:
        values["codes"] = read_card(values["encoder"]).codes
    return Options(**values)


def _as_on_card(options: Options) -> Options:
    """The options of a run that scores an encoder of the zoo, with those that its card fixes.

    Raises:
        ValueError: a given option differs from the card, or the source has no images.
    """
    name = options.encoder
    card = read_card(name)
    if options.source not in IMAGE_PAIRS:
        raise ValueError(
            f"--encoder: expected a source of rendered images for {name}, found "
            f"{options.source}; give --data of such images"
        )
    fixed = {field: getattr(card.config, field) for field in _ON_CARD}
    fixed |= {"steps": 0, "resolution": card.images.resolution, "codes": card.codes}
    for field, value in fixed.items():
        given = getattr(options, field)
        if given not in (None, value):
            wanted = "none" if value is None else value
            raise ValueError(
                f"{flag(field)}: expected {wanted} for {name}, which is trained, found {given}; "
                "leave it out"
            )
    return options.replace(**fixed | {"loss": options.loss or card.config.loss, "codes": None})


def _is_published(loss: str, estimator: str | None) -> bool:
    """True if the published code has the loss."""
    by_similarity = parse_similarity(loss) is not None and estimator in (None, "info-nce")
    return loss == SUPERVISED or by_similarity


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


def _without_conditional(options: Options) -> dict[str, None]:
    names = ("conditional", "sigma")
    for name in names:
        if getattr(options, name) is not None:
            raise ValueError(
                f"--pairs: expected a rule or {flag(name)}, found both; leave one of them out"
            )
    return dict.fromkeys(names)


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
