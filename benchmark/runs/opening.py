"""The source and the configuration that completed options resolve to."""

from __future__ import annotations

from benchmark.config import Config
from benchmark.losses.catalogue import is_custom, is_paired, is_supervised
from benchmark.losses.match import check_fit
from benchmark.option import SOURCES
from benchmark.protocol import procedure, version_of
from benchmark.runs.options import Options
from benchmark.settings import MixingSettings
from benchmark.sources.source import Source
from threedident.conditionals.law import Law
from threedident.conditionals.rules.spelling import parse_rule, require_change, spell_rule
from threedident.latents.layout import Layout, numbered_layout

_SCORES_PER_RUN = 10


def open_source(options: Options) -> Source:
    """The source of completed options.

    Raises:
        ValueError: the data cannot be read, or do not fit the options, or the conditional does
            not fit the loss.
    """
    law, rule = None, None
    assert options.loss is not None
    if options.conditional is not None and options.sigma is not None:
        law = Law(name=options.conditional, sigma=options.sigma)
        law.conditional(options.space or "box")
        check_fit(options.loss, law)
    paired, followed = is_paired(options.loss), procedure(options.protocol)
    if options.source == "mixing":
        from benchmark.sources.mixing import MixingSource

        if options.pairs is not None:
            assert options.space is not None
            assert options.factors is not None
            law, rule = _law_or_rule(options, numbered_layout(options.space, options.factors))
        settings = MixingSettings(
            factors=options.factors,
            space=options.space,
            marginal=options.marginal,
            conditional=law,
            rule=rule,
            anchor_rows=options.anchor_rows,
        )
        return MixingSource(settings, followed)
    if options.source not in SOURCES:
        from benchmark.sources.custom.made import open_custom

        return open_custom(options.source, options.source_option or (), options.data, paired)
    assert options.data is not None
    if options.source == "kitti":
        from benchmark.sources.kitti_masks.masks import MaskSource

        distance = options.max_distance or 1
        return MaskSource(options.data, distance, paired, followed, options.score_on)
    from benchmark.sources.images import ImageSource
    from benchmark.sources.splits import open_splits

    splits = open_splits(options.data, options.resolution)
    if options.pairs is not None:
        law, rule = _law_or_rule(options, splits[0].layout)
    pairs = options.source if paired else None
    chosen = None if options.factors is None else options.factors.split(",")
    on = options.score_on
    return ImageSource(splits, pairs, law, options.anchor or "row", rule, chosen, followed, on)


def _law_or_rule(options: Options, layout: Layout) -> tuple[Law | None, str | None]:
    """The law that ``--pairs`` gives all factors, or else its rule in the one spelling.

    Raises:
        ValueError: it spells no rule of these latents, or the loss does not fit its laws.
    """
    assert options.loss is not None
    rule = require_change(parse_rule(options.pairs or "", layout))
    for clause in rule.clauses:
        check_fit(options.loss, clause.action if isinstance(clause.action, Law) else None)
    return (rule.law, None) if rule.law is not None else (None, spell_rule(rule))


def resolve(options: Options, source: Source) -> Config:
    """The configuration of completed options.

    Raises:
        ValueError: the batch is larger than the data, or the warm-up longer than the run.
    """
    steps, batch_size = options.steps, options.batch_size
    assert steps is not None
    assert batch_size is not None
    if steps and source.size is not None and batch_size > source.size:
        raise ValueError(
            f"--batch-size: expected at most {source.size}, {source.counted}, found "
            f"{batch_size}; lower it, or take more data"
        )
    if 0 < steps <= options.warmup:
        raise ValueError(
            f"--warmup: expected fewer than the {steps} steps of the run, found "
            f"{options.warmup}; lower it"
        )
    if options.codes == 1 and "sphere" in (options.output_space or ""):
        raise ValueError(
            f"--codes: expected at least 2 in the output space {options.output_space}, found 1, "
            "which would be 1 or -1; raise it"
        )
    asked = vars(options) | {
        "source": source.settings,
        "eval_every": max(1, steps // _SCORES_PER_RUN),
        "supervised": is_custom(options.loss) and is_supervised(options.loss),
        "score_on": options.score_on or "test",
        "protocol_version": version_of(options.protocol),
    }
    return Config(**{name: asked[name] for name in Config.model_fields})
