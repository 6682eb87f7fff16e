"""The leaderboard as one HTML page that needs no network. Its tables need no JavaScript."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files
from typing import Any

import jinja2
import numpy as np

from benchmark.leaderboard.board import plot
from benchmark.leaderboard.board.board import Board
from benchmark.leaderboard.board.standings import Standing, fresh_scores, standings
from benchmark.leaderboard.submission.submission import PROTOCOL_VERSION, SEEDS, TRAINER
from benchmark.leaderboard.verification.entry import LEVELS, Change, Entry
from benchmark.leaderboard.verification.statistics import FALSE_ALARMS, SUSPICIOUS, Spread
from benchmark.metrics.correlation.correlations import assign_codes

LEVEL_MEANINGS = {
    "reported": (
        "The figures are copied from a paper.",
        "Nothing was checked here, and images and renderer may differ from ours. Such rows are "
        "not ranked.",
    ),
    "recomputed": (
        "The official scorer computes the claimed scores from the submitted representations.",
        "This does not prove that an encoder computed the representations: the test latents are "
        "public, and anybody can submit them as codes. Such rows are not ranked.",
    ),
    "re-executed": (
        "We ran the submitted encoder on images that did not exist when it was trained. Their "
        "seed was committed to in advance. The encoder computes the submitted representations, "
        "and reaches these scores on the fresh images.",
        "This does not prove how the encoder was trained. An encoder that was trained with all "
        "latents, and claims supervision none, passes: the supervision column is only a claim of "
        "the submitter. Only the level retrained checks it.",
    ),
    "retrained": (
        "We trained the submitted code again, with the claimed supervision. The scores on the "
        "fresh images are not significantly lower, and not lower by more than 0.05.",
        "This does not prove that the code agrees with its paper in every respect.",
    ),
}
SUPERVISION_MEANINGS = {
    "none": "only images",
    "augmentations": "positives made from the same image",
    "pairs": "positives made from latents",
    "full": "latents as targets",
}
_DIGITS = 3
_MISSING = "\N{EN DASH}"


def page(board: Board) -> str:
    """The page of a board.

    Arguments:
        board: board returned by :func:`benchmark.leaderboard.board.board.read_board`.
    """
    tracks = standings(board)
    views = {track: [_view(s) for s in members] for track, members in tracks.items()}
    sets: dict[str, list[dict[str, Any]]] = {}
    for track, members in views.items():
        sets.setdefault(members[0]["data"], []).append(_group(track, members))
    for groups in sets.values():
        groups.sort(key=lambda group: list(SUPERVISION_MEANINGS).index(group["supervision"]))
    texts = {name: _read(f"leaderboard.{name}") for name in ("html.j2", "css", "js")}
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["percent"] = _percent
    rows = [view for members in views.values() for view in members]
    return environment.from_string(texts["html.j2"]).render(
        sets=sets,
        plots={data: _plot(groups) for data, groups in sets.items()},
        shapes=plot.SHAPES,
        supervision_meanings=SUPERVISION_MEANINGS,
        rows=rows,
        levels=[level for level in LEVELS if any(row["level"] == level for row in rows)],
        meanings={level: LEVEL_MEANINGS[level] for level in LEVELS},
        supervisions=sorted({row["supervision"] for row in rows}),
        seasons=[season.model_dump(mode="json") for season in board.seasons],
        changes=_changes(board),
        seeds=", ".join(map(str, SEEDS)),
        suspicious=SUSPICIOUS,
        false_alarms=FALSE_ALARMS,
        protocol=PROTOCOL_VERSION,
        css=texts["css"],
        js=texts["js"],
        css_hash=_source_hash(texts["css"]),
        js_hash=_source_hash(texts["js"]),
        data=_script_json({"rows": rows}),
    )


def _group(track: str, members: list[dict[str, Any]]) -> dict[str, Any]:
    """The rows of one track, which are ranked together, and facts on them."""
    ranked = [row for row in members if row["rank"] is not None]
    return {
        "track": track,
        "supervision": members[0]["supervision"],
        "rows": members,
        "ranked": len(ranked),
        "season": ranked[0]["season"] if ranked else None,
    }


def _plot(groups: list[dict[str, Any]]) -> plot.Plot | None:
    points = [plot.point(row) for group in groups for row in group["rows"]]
    return plot.plot([point for point in points if point is not None])


def _read(name: str) -> str:
    folder = files("benchmark.leaderboard.board").joinpath("template")
    return folder.joinpath(name).read_text(encoding="utf-8")


def _source_hash(text: str) -> str:
    """The hash by which a content security policy allows an inline script or style."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _script_json(values: Any) -> str:
    """JSON that cannot end the script element that contains it."""
    text = json.dumps(values, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _percent(spread: dict[str, float | None] | None) -> str:
    """A score in percent: mean and, if known, standard deviation."""
    if spread is None:
        return _MISSING
    assert spread["mean"] is not None
    mean = f"{100 * spread['mean']:.2f}"
    return mean if spread["sd"] is None else f"{mean} ± {100 * spread['sd']:.2f}"


def _view(standing: Standing) -> dict[str, Any]:
    """The data of a row for the page, its exports and its script."""
    row = standing.row
    shared: dict[str, Any] = {
        "id": row.id,
        "method": row.method if not isinstance(row, Entry) else row.submission.method,
        "track": row.track,
        "supervision": row.supervision,
        "level": row.level,
        "rank": standing.rank,
        "why": standing.why and f"not ranked: {standing.why}",
        "public": {name: _spread(standing.public(name)) for name in ("r2", "mcc")},
        "fresh": {name: _spread(standing.fresh(name)) for name in ("r2", "mcc")},
        "best": standing.rank == 1,
        "interval": _ends(standing.interval),
        "r2_interval": _ends(standing.r2_interval),
        "level_with_best": standing.level_with_best,
        "by_seeds_alone": standing.by_seeds_alone,
    }
    if not isinstance(row, Entry):
        return {
            **shared,
            "data": row.data,
            "paper": row.paper,
            "code": None,
            "seeds": str(row.seeds),
            "gap": None,
            "suspicious": False,
            "flags": [],
            "licence": None,
            "season": None,
            "rows": None,
            "protocol": None,
            "detail": None,
        }
    found = row.submission
    gaps = {} if row.verification is None else row.verification.gap
    return {
        **shared,
        "data": found.data.id,
        "paper": found.paper,
        "code": found.code,
        "seeds": str(len(row.scores)) if row.is_complete else f"{len(row.scores)} of {len(SEEDS)}",
        "gap": {name: gap.model_dump() for name, gap in gaps.items()} or None,
        "suspicious": any(gap.suspicious for gap in gaps.values()),
        "flags": _flags(row),
        "licence": found.licence,
        "season": None if row.verification is None else row.verification.season,
        "rows": None if row.verification is None else row.verification.rows,
        "protocol": found.protocol_version,
        "detail": _detail(row, standing.r2_interval),
    }


def _ends(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else [round(end, 6) for end in interval]


def _spread(found: Spread | None) -> dict[str, float | int | None] | None:
    return None if found is None else found._asdict()


def _flags(row: Entry) -> list[str]:
    submission = row.submission
    named = {
        "seeds alike": bool(row.one_training),
        "train latents": submission.uses_train_latents,
        "external data": submission.external_data,
        "pretrained": submission.pretrained,
    }
    return [name for name, value in named.items() if value]


def _detail(row: Entry, r2_interval: tuple[float, float] | None) -> dict[str, Any]:
    """The details of a row, which the page shows on request."""
    submission, fresh = row.submission, fresh_scores(row)
    per_factor = {
        f"{split} {title}": _mean_per_factor(scores, name)
        for split, scores in (("fresh", fresh), ("public", row.scores))
        for title, name in (("R²", "r2_per_factor"), ("MCC", "mcc_per_factor"))
        if scores
    }
    matrix = np.array(row.correlation)
    order, _ = assign_codes(matrix)
    return {
        "factors": list(submission.data.factors.labels),
        "per_factor": per_factor,
        "correlation": matrix[:, order].round(2).tolist(),
        "codes": [f"code {code}" for code in order],
        "facts": _facts(row) | _difference(r2_interval),
        "reproduce": submission.command,
    }


def _difference(interval: tuple[float, float] | None) -> dict[str, str]:
    if interval is None:
        return {}
    low, high = (100 * end for end in interval)
    return {"R², minus the row with the best MCC": f"{low:+.2f} to {high:+.2f} %, 95 % interval"}


def _mean_per_factor(scores: Any, name: str) -> list[float]:
    values = np.mean([getattr(each, name) for each in scores], axis=0)
    return [float(value) for value in values.round(_DIGITS)]


def _facts(row: Entry) -> dict[str, str]:
    submission = row.submission
    data = submission.data
    hardware = dict.fromkeys(r.hardware for r in submission.seeds if r.hardware is not None)
    seconds = [record.wall_time_s for record in submission.seeds if record.wall_time_s is not None]
    facts = {
        "submitted": f"{submission.date} by {submission.submitter or 'unnamed'}",
        "licence": submission.licence or "not stated",
        "data set": f"{data.id}: {data.n_train} train and {data.n_test} test images of "
        f"{data.resolution} px, quality {data.quality}, hue mode {data.hue_mode}, space "
        f"{data.space}{', fixed ' if data.fixed else ''}{', '.join(data.held)}",
        "digests": f"train {data.digests.train[:12]}, test {data.digests.test[:12]}",
        "renderer": f"Blender {data.blender} on {data.device}, fingerprint {data.fingerprint}",
        "protocol": f"version {submission.protocol_version}, schema {row.schema_version}",
        "steps": f"{submission.seeds[0].steps}, on {' and '.join(hardware) or 'unknown hardware'}",
    }
    if submission.trainer is not None:
        ours = submission.trainer == TRAINER
        facts["trained by"] = "threedident benchmark" if ours else "other code"
    if row.one_training:
        facts["seeds alike"] = "; ".join(alike.spelled() for alike in row.one_training)
    if seconds:
        facts["wall time"] = f"{np.mean(seconds) / 60:.1f} min per seed"
    if row.verification is not None:
        facts["verified"] = (
            f"{row.verification.date} on {row.verification.rows} images, season "
            f"{row.verification.season}"
        )
        facts["commitment"] = row.verification.commitment
    return facts


def _changes(board: Board) -> list[dict[str, str]]:
    """The change log, latest first: added rows, removals and corrections."""
    found = [_logged(change) for change in board.changes]
    for row in board.rows:
        if isinstance(row, Entry):
            when = row.verification.date if row.verification else row.submission.date
            found.append(_line(str(when), row.id, "added", f"as {row.level}"))
        else:
            found.append(_line(row.id[:10], row.id, "added", "as reported"))
    return sorted(found, key=lambda change: (change["date"], change["entry"]), reverse=True)


def _logged(change: Change) -> dict[str, str]:
    return _line(str(change.date), change.entry, change.change, change.reason)


def _line(date: str, entry: str, change: str, reason: str) -> dict[str, str]:
    return {"date": date, "entry": entry, "change": change, "reason": reason}
