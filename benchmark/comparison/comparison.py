"""Comparison of finished runs: the settings in which they differ, and their ranks.

Only runs that were scored on the same test split with the same protocol are ranked together,
because scores on other images or other latents are not comparable. The train split may differ; it
is then shown as a setting.

Each interval compares one run with the best run. There is no correction for many runs: of twenty
equal runs, one interval is expected to exclude 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from benchmark.config import Config
from benchmark.differences import flat
from benchmark.leaderboard.verification.statistics import difference_interval
from benchmark.protocol import label
from benchmark.runs.finished import Finished
from benchmark.settings import CustomSettings, ImageSettings, MaskSettings
from threedident.runtime.errors import printable, unknown

DASH = "-"
_DIGITS = 8
_SHOWN_ELSEWHERE = ("seeds", "steps", "eval_every", "protocol")
_IDENTITY = ("source.kind", "source.data", "source.data.test", "source.conditional")
_SHORT = {
    "conditional.name": "conditional",
    "conditional.sigma": "sigma",
    "data.train": "train data",
    "data.positives": "positives",
}


class ScoredOn(NamedTuple):
    """The test split and the protocol of runs that can be ranked together.

    Arguments:
        kind: kind of the source.
        parts: digest of the scored split, or the law of its latents.
        protocol: protocol of training and scoring, with its version if that is an earlier one.
    """

    kind: str
    parts: tuple[str, ...]
    protocol: str

    @property
    def name(self) -> str:
        """A short name, such as ``images-38ccda85`` or ``mixing-10-box-uniform-published``."""
        protocol = [] if self.protocol == "held-out" else [self.protocol]
        return "-".join([self.kind, *(part[:_DIGITS] for part in self.parts), *protocol])


@dataclass(frozen=True)
class Place:
    """A run and its rank.

    Arguments:
        run: the run.
        rank: rank from 1; equal scores share a rank. None if the run does not have the score.
        interval: 95 % confidence interval of its score minus the score of the best run, by
            Welch's t over seeds. None for the best run, or if one of the two has one seed.
    """

    run: Finished
    rank: int | None
    interval: tuple[float, float] | None = None

    @property
    def level_with_best(self) -> bool:
        """True if the interval includes 0."""
        return self.interval is not None and self.interval[0] <= 0.0 <= self.interval[1]


def scored_on(config: Config) -> ScoredOn:
    """The test split and the protocol that a run was scored on."""
    source = config.source
    parts: tuple[str, ...]
    if isinstance(source, ImageSettings):
        parts = (source.data[config.score_on],)
    elif isinstance(source, MaskSettings | CustomSettings):
        parts = (source.data,)
    else:
        parts = (str(source.factors), source.space, source.marginal)
    if config.score_on == "train":
        parts += ("train",)
    return ScoredOn(source.kind, parts, label(config))


def on_one_split(runs: Sequence[Finished], name: str | None = None) -> list[Finished]:
    """The runs of one test split.

    Arguments:
        runs: finished runs.
        name: name of the test split; None if all runs have the same.

    Raises:
        ValueError: the runs have several test splits and ``name`` is None, or no run has the
            named one.
    """
    groups: dict[ScoredOn, list[Finished]] = {}
    for run in runs:
        groups.setdefault(scored_on(run.config), []).append(run)
    named = {split.name: members for split, members in groups.items()}
    if name is not None and name not in named:
        raise ValueError(unknown("--on", name, named, "name one of these"))
    if name is not None:
        return named[name]
    if len(groups) > 1:
        listed = ", ".join(f"{split} ({len(members)})" for split, members in named.items())
        raise ValueError(
            f"runs: expected all on one test split and protocol, found {len(groups)}: {listed}; "
            f"compare each group separately: add --on {next(iter(named))}, and so on"
        )
    return list(runs)


def ranked(runs: Sequence[Finished], by: str) -> list[Place]:
    """The runs sorted by the mean of a score over seeds, best first, those without it last.

    Arguments:
        runs: runs of one test split.
        by: ``mcc`` or ``r2``.
    """
    means = {run: mean for run in runs if (mean := run.mean(by)) is not None}
    scored = sorted(means, key=lambda run: (-means[run], str(run.path)))
    places = [
        Place(
            run,
            1 + sum(mean > means[run] for mean in means.values()),
            None if run is scored[0] else difference_interval(run.by_seed(by), best),
        )
        for best in [scored[0].by_seed(by) if scored else []]
        for run in scored
    ]
    return places + [Place(run, None) for run in runs if run not in means]


def differing_settings(runs: Sequence[Finished]) -> dict[str, list[str]]:
    """The settings in which runs differ, by name, with the value of each run in words.

    Seeds and steps are left out.
    """
    settings = [flat(run.config) for run in runs]
    names = dict.fromkeys(name for each in settings for name in each)
    found = {}
    for name in names:
        values = [each.get(name) for each in settings]
        known = name in (*_SHOWN_ELSEWHERE, *_IDENTITY)
        if not known and any(value != values[0] for value in values):
            short = name.removeprefix("source.")
            digest = short.startswith("data.")
            spelled = _SHORT.get(short, short.replace("_", " "))
            found[spelled] = [_spell(value, digest) for value in values]
    return found


def _spell(value: object, digest: bool) -> str:
    if value is None:
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return printable(str(value)[:_DIGITS] if digest else str(value))
