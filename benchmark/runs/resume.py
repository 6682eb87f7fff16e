"""Options of a resumed run, read from its folder.

The results of a run do not depend on device, loader processes, TensorBoard, compiler or the path
of the data. These may change when a run is resumed.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from benchmark.config import Config
from benchmark.differences import changes
from benchmark.losses import catalogue as losses
from benchmark.losses.similarities import parse_similarity
from benchmark.protocol import require_current
from benchmark.runs.options import OPTIONS, Options
from benchmark.settings import CustomSettings, ImageSettings, MaskSettings, MixingSettings
from benchmark.sources.custom import made as sources
from benchmark.training.folder import RunFolder, is_run, is_suite, what_is
from benchmark.training.log import last_data
from threedident.conditionals.law import Law
from threedident.conditionals.rules.spelling import parse_rule
from threedident.latents.factors import NAMES
from threedident.latents.layout import layout_of, numbered_layout
from threedident.runtime.errors import RUNS, advise

_FREE = ("data", "out")


def take_up(asked: Options, given: Collection[str], required: bool) -> Options:
    """The options of the run in ``asked.out``, or ``asked`` if there is no run yet.

    Arguments:
        asked: options of the command line.
        given: names of the options that the user gave; only these are compared with the run.
        required: True to raise an error if the folder does not contain a run.

    Raises:
        ValueError: the folder contains something else than a run, the run has other options than
            the given ones, or its data have been moved.
    """
    if asked.out is None:
        return asked
    folder = RunFolder(asked.out)
    if not folder.config.is_file():
        _require_new(folder.path, required)
        return asked
    config = folder.read_config()
    folder.require_numbering(config)
    require_current(folder.path, config)
    held = options_of(config)
    arguments = _arguments(asked, held) | _law_of_pairs(asked, config)
    names = [n for n in OPTIONS if (n in given or n in arguments) and n not in _FREE]
    spelled = asked.replace(**arguments)
    changed = changes(*({name: getattr(each, name) for name in names} for each in (held, spelled)))
    if changed:
        raise ValueError(
            f"{folder.path}: it holds a run with {', '.join(changed)}; leave that out to go on "
            "with it, or give another --out for a new run"
        )
    return held.replace(out=asked.out, data=asked.data or _recorded_data(folder))


def _arguments(asked: Options, held: Options) -> dict[str, tuple[str, ...]]:
    """The given arguments of the loss and the source of a run, in the spelling of its folder.

    Raises:
        ValueError: the loss or the source does not take them.
    """
    found = {}
    if asked.loss_option is not None and asked.loss in (None, held.loss):
        found["loss_option"] = losses.checked_options(
            held.loss or "", held.estimator, asked.loss_option
        )
    if asked.source_option is not None and sources.is_custom(held.source):
        found["source_option"] = sources.checked_options(held.source, asked.source_option)
    return found


def _law_of_pairs(asked: Options, config: Config) -> dict[str, Any]:
    """The law that ``--pairs`` gives all factors, as runs record it; nothing if it is a rule.

    Raises:
        ValueError: it spells no rule.
    """
    source = config.source
    if asked.pairs is None or not isinstance(source, ImageSettings | MixingSettings):
        return {}
    if isinstance(source, ImageSettings):
        layout = layout_of(source.space)
    else:
        layout = numbered_layout(source.space, source.factors)
    law = parse_rule(asked.pairs, layout).law
    return {} if law is None else {"pairs": None, "conditional": law.name, "sigma": law.sigma}


def require_suite(path: Path) -> None:
    """Check that a folder is the folder of a suite.

    Raises:
        ValueError: it contains no row of a suite.
    """
    if not is_suite(path):
        otherwise = f"check the name, or give --out {path} to start one"
        raise ValueError(
            f"{path}: expected the folder of a suite to go on with, found no rows; "
            f"{advise(path, is_suite, otherwise, RUNS)}"
        )


def options_of(config: Config) -> Options:
    """The options that resolve to a configuration, except the path of the data."""
    names = OPTIONS.keys() & Config.model_fields.keys() - {"source"}
    values: dict[str, Any] = {name: getattr(config, name) for name in names}
    if parse_similarity(config.loss) is not None:
        values["estimator"] = config.estimator or "info-nce"
    source = config.source
    match source:
        case ImageSettings():
            # the law of rendered pairs comes from the data
            law = source.conditional if source.pairs == "nearest" else None
            values |= {"source": source.pairs or "nearest", "anchor": source.anchor}
            values |= {"resolution": source.resolution, **_law(law)}
            values |= {"pairs": source.rule if source.pairs == "nearest" else None}
            every = source.factors == NAMES
            values |= {"factors": None if every else ",".join(source.factors)}
        case MixingSettings():
            values |= {
                name: getattr(source, name)
                for name in ("factors", "space", "marginal", "anchor_rows")
            }
            values |= {"source": "mixing", "pairs": source.rule, "score_on": None}
            values |= _law(source.conditional)
        case MaskSettings():
            distance = source.max_distance if source.paired else None
            values |= {"source": "kitti", "max_distance": distance}
        case CustomSettings():
            values |= {"source": source.name, "source_option": source.source_option}
            values |= {"score_on": None}
    return Options(**values)


def _law(law: Law | None) -> dict[str, Any]:
    return {} if law is None else {"conditional": law.name, "sigma": law.sigma}


def _recorded_data(folder: RunFolder) -> Path | None:
    """The recorded path of the data of a run; None if there is no record.

    Raises:
        ValueError: the path no longer exists.
    """
    data = last_data(folder.work)
    if data is not None and not data.exists():
        raise ValueError(
            f"{data}: expected the data of {folder.path} there, found nothing; say with --data "
            "where they are now"
        )
    return data


def _require_new(path: Path, required: bool) -> None:
    """Check that a new run may begin in a folder without a run.

    Raises:
        ValueError: ``path`` is the folder of a suite, or ``required`` is True.
    """
    several = is_suite(path)
    if several or required:
        otherwise = f"check the name, or give --out {path} and all options to start one"
        advice = (
            "give one of them, or add --suite with its name to go on with a suite"
            if several
            else advise(path, is_run, otherwise, RUNS)
        )
        raise ValueError(
            f"{path}: expected the folder of a run to go on with, found {what_is(path)}; {advice}"
        )
