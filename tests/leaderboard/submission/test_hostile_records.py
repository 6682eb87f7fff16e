"""Records and configurations that claim what cannot be."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from benchmark.config import Config
from benchmark.leaderboard.sandbox.sandbox import Limits
from benchmark.leaderboard.submission.folder import SubmissionFolder
from benchmark.leaderboard.verification.check import check
from tests.conftest import done_at_once
from tests.leaderboard.submissions import (
    DATA,
    EDGE,
    change_file,
    change_record,
    read_record,
    refusal,
    write_record,
)


def changed(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    record = read_record(folder)
    change(record)
    write_record(folder, record)


RECORDS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "climbs out by its id": (lambda r: r.update(id="../../etc"), "at id:"),
    "another id than its folder": (
        lambda r: r.update(id="2026-11-30_other"),
        "expected a folder named as its id 2026-11-30_other",
    ),
    "another date than its id": (lambda r: r.update(date="2026-12-01"), "begins with the date"),
    "a schema of the future": (
        lambda r: r.update(schema_version=2),
        "expected schema version 1, found 2, which is newer; upgrade",
    ),
    "a schema that never was": (lambda r: r.update(schema_version=0), "at schema_version:"),
    "another protocol": (lambda r: r.update(protocol_version=2), "at protocol_version:"),
    "markup": (lambda r: r.update(method="<b>Best</b>"), "at method: expected plain text"),
    "a script": (
        lambda r: r.update(method="<script>alert(1)</script>"),
        "at method: expected plain text, found < or >",
    ),
    "letters that run backwards": (
        lambda r: r.update(method="Best \N{RIGHT-TO-LEFT OVERRIDE}ever"),
        "found the invisible character U+202E",
    ),
    "a name of two lines": (lambda r: r.update(method="a\nb"), "U+000A"),
    "an invisible name": (
        lambda r: r.update(method="\N{HANGUL FILLER}"),
        "found no visible letter",
    ),
    "a pile of accents": (
        lambda r: r.update(method="A" + "\N{COMBINING RING ABOVE}" * 9),
        "found a pile of accents",
    ),
    "a number in quotes": (lambda r: r["seeds"][0].update(steps="12"), "at seeds.0.steps:"),
    "a truth in words": (lambda r: r.update(external_data="off"), "at external_data:"),
    "a truth for a number": (lambda r: r["seeds"][0].update(seed=False), "at seeds.0.seed:"),
    "an endless number": (lambda r: r["data"].update(seed=2**200), "at data.seed:"),
    "years without end": (lambda r: r["seeds"][0].update(wall_time_s=1e308), "at seeds.0.wall"),
    "images that take days to draw": (
        lambda r: r["data"].update(resolution=4096),
        "at data.resolution:",
    ),
    "an endless name": (lambda r: r.update(method="a" * 101), "at most 100 characters"),
    "no name": (lambda r: r.update(method=""), "at method:"),
    "a link that runs code": (
        lambda r: r.update(paper="javascript:alert(1)"),
        "at paper: expected a link that begins with https://",
    ),
    "a link with quotes": (lambda r: r.update(code='https://a.org/"onclick'), "at code:"),
    "unknown supervision": (lambda r: r.update(supervision="some"), "at supervision:"),
    "latents that it says it never saw": (
        lambda r: r.update(supervision="full"),
        "expected uses_train_latents true with supervision full",
    ),
    "a field too many": (lambda r: r.update(rank=1), "at rank:"),
    "a field too few": (lambda r: r.pop("external_data"), "at external_data:"),
    "no seed": (lambda r: r.update(seeds=[]), "at seeds:"),
    "a seed of its own choice": (
        lambda r: r["seeds"][0].update(seed=7),
        "expected the seeds 0, 1, 2 from the first on, found 7",
    ),
    "a seed twice": (lambda r: r["seeds"].append(r["seeds"][0]), "found 0, 0"),
    "a perfect score that is none": (
        lambda r: r["seeds"][0]["claim"].update(mcc=1.5),
        "at seeds.0.claim.mcc:",
    ),
    "a data set by another name": (
        lambda r: r["data"].update(id="3dident-64px-20k"),
        "expected the id 3dident-draft-16px-60, which follows from the settings",
    ),
    "another latent space": (lambda r: r["data"].update(space="periodic"), "at data.space:"),
    "images larger than they are": (
        lambda r: r.update(input_resolution=EDGE + 1),
        "expected an input_resolution of at most 16",
    ),
    "r2 edited by 0.001": (
        lambda r: r["seeds"][0]["claim"].update(r2=r["seeds"][0]["claim"]["r2"] + 0.001),
        "that is claimed, found",
    ),
    "mcc edited by 0.001": (
        lambda r: r["seeds"][0]["claim"].update(mcc=r["seeds"][0]["claim"]["mcc"] - 0.001),
        "expected the mcc",
    ),
}


OURS: dict[str, Any] = {
    "source": {
        "kind": "images",
        "pairs": "nearest",
        "anchor": "row",
        "conditional": None,
        "data": DATA["digests"],
        "resolution": EDGE,
    },
    "encoder": "conv",
    "loss": "l2",
    "output_space": "box",
    "extent": 1.0,
    "temperature": 1.0,
    "symmetric": False,
    "learned_scales": False,
    "steps": 0,
    "batch_size": 8,
    "warmup": 0,
    "learning_rate": 1e-3,
    "schedule": "constant",
    "precision": "float32",
    "eval_every": 1,
    "protocol": "held-out",
    "seeds": [0],
}


def mutations(value: Any) -> Iterator[Any]:
    """Every change of one value, somewhere in a configuration, that none of ours would have."""
    if isinstance(value, dict):
        for name in value:
            yield {key: part for key, part in value.items() if key != name}
            yield value | {f"{name} ": 0}
            yield from (value | {name: changed} for changed in mutations(value[name]))
    elif isinstance(value, list):
        yield [*value, "x"]
    else:
        yield from ([], {}, "\N{SNOWMAN}", -1.5)


def is_valid(config: Any) -> bool:
    try:
        Config.model_validate(config)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("name", RECORDS)
def test_records(folder: Path, board: Path, name: str) -> None:
    change, reason = RECORDS[name]
    changed(folder, change)
    assert reason in refusal(folder, board)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"[" * 100_000, b'{"schema_version": NaN}', b"\xff\xfe", b"[]"),
        b'{"schema_version": 1, "schema_version": 1}',
        b'{"schema_version": ' + b"1" * 10_000 + b"}",
    ],
    ids=len,
)
def test_records_that_are_no_json(folder: Path, board: Path, content: bytes) -> None:
    (folder / "submission.json").write_bytes(content)
    assert "submission.json: expected" in refusal(folder, board)


def test_a_configuration_that_is_no_json(folder: Path, board: Path) -> None:
    change_file(folder, "config_seed0.json", b"[" * 100_000)
    assert "config_seed0.json: expected JSON, found none" in refusal(folder, board)


@pytest.mark.parametrize("depth", [100, 500, 900])
def test_a_configuration_that_is_nested_deeply(folder: Path, board: Path, depth: int) -> None:
    change_record(folder, trainer="threedident")
    nested = b"[" * depth + b"]" * depth
    content = (
        json.dumps(OURS | {"encoder": 0})
        .encode()
        .replace(b'"encoder": 0', b'"encoder": ' + nested)
    )
    change_file(folder, "config_seed0.json", content)
    assert "config_seed0.json: expected" in refusal(folder, board)


def test_a_trainer_must_be_named(folder: Path, board: Path) -> None:
    """Whether a configuration is one of ours is said, and not guessed from its look."""
    record = read_record(folder)
    del record["trainer"]
    write_record(folder, record)
    assert 'expected a trainer, "threedident" if its benchmark' in refusal(folder, board)
    change_record(folder, trainer="somebody")
    assert "at trainer:" in refusal(folder, board)


def test_no_mutation_of_a_configuration_of_ours_passes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An invalid one is not somebody else's."""
    change_record(folder, trainer="threedident")
    opened = SubmissionFolder(folder)
    changes = [change for change in mutations(OURS) if not is_valid(change)]
    assert len(changes) > 100
    for change in changes:
        monkeypatch.setattr(SubmissionFolder, "read_config", lambda *_, given=change: given)
        with pytest.raises(ValueError, match="expected a configuration of threedident benchmark"):
            check(opened, Limits())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"source": {**OURS["source"], "data": {"test": "c" * 64}}}, "the digest of train images"),
        ({"source": {**OURS["source"], "resolution": 8}}, "expected the resolution 16"),
        (
            {"steps": 100},
            "expected the supervision 'none' that the submission names, found 'pairs'",
        ),
        ({"seeds": [1]}, "expected the seeds (0,)"),
    ],
)
def test_a_configuration_of_ours_that_says_otherwise(
    folder: Path, board: Path, change: dict[str, Any], reason: str
) -> None:
    change_record(folder, trainer="threedident")
    change_file(folder, "config_seed0.json", json.dumps(OURS).encode())
    done_at_once("leaderboard", "check", folder, "--board", board)
    change_file(folder, "config_seed0.json", json.dumps(OURS | change).encode())
    assert reason in refusal(folder, board)
