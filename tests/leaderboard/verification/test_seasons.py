"""Seasons and their secrets: what opens, signs and ends one, what is guessed, what is forged."""

from __future__ import annotations

import datetime
import errno
import hashlib
import io
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmark.leaderboard.verification.seasons import open_season, read_seasons, reveal_season
from benchmark.leaderboard.verification.secret import Secret, is_signed, make_secret, read_secret
from tests.conftest import contents, done_at_once, refused_at_once

TODAY = datetime.date(2026, 11, 30)
TEXT = "f3a1c2d4e5b60718293a4b5c6d7e8f90"
SECRET = Secret(TEXT)
OTHER = "0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b"


@pytest.mark.parametrize(
    "text",
    [
        *("", "a", "1234", "2027-spring", "correct horse battery staple in a barn"),
        *("a" * 32, "0" * 64, "deadbeef" * 8, "0123456789abcdef" * 2),
        *("0123456789abcdef0123456789abcdef0", "01" * 20, "abcdef" * 6 + "abc"),
        *(TEXT[:31], TEXT.upper(), TEXT + "\n", " " + TEXT, TEXT * 5),
    ],
)
def test_what_could_be_guessed_is_no_secret(text: str) -> None:
    with pytest.raises(ValueError, match="expected 32 to 128 random digits") as refused:
        Secret(text)
    assert len(text) < 8 or text not in str(refused.value)


def test_secrets_are_drawn_into_a_file_of_their_owner(tmp_path: Path) -> None:
    made = {make_secret(tmp_path / f"{i}.secret").text for i in range(20)}
    assert len(made) == 20
    for i in range(20):
        path = tmp_path / f"{i}.secret"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert read_secret(path).text == path.read_text().strip()
        assert len(path.read_text().strip()) == 64
    with pytest.raises(FileExistsError):
        make_secret(tmp_path / "0.secret")


def test_a_mask_that_opens_all_files_does_not_open_a_secret(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_secret(tmp_path / "a.secret")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.secret").stat().st_mode) == 0o600


def test_what_follows_from_a_secret_tells_nothing_of_the_rest() -> None:
    numbers = {SECRET.number(purpose) for purpose in ("fresh split", "public rows", "")}
    assert len(numbers) == 3
    assert all(0 <= number < 2**63 for number in numbers)
    assert SECRET.number("fresh split") == Secret(TEXT).number("fresh split")
    assert is_signed(b"row", SECRET.sign(b"row"), SECRET.public_key)
    assert not is_signed(b"row", Secret(OTHER).sign(b"row"), SECRET.public_key)


def test_what_a_secret_encrypts_it_alone_reads_and_no_byte_changes_unseen() -> None:
    hidden = SECRET.encrypt(b"codes", "row")
    assert len(hidden) == len(b"codes") + Secret.OVERHEAD
    assert hidden != SECRET.encrypt(b"codes", "row")
    assert Secret(TEXT).decrypt(hidden, "row") == b"codes"
    changed = [hidden[:i] + bytes([hidden[i] ^ 1]) + hidden[i + 1 :] for i in range(len(hidden))]
    for content in (*changed, hidden[:-1], b""):
        with pytest.raises(ValueError, match="row: expected content that this secret encrypted"):
            SECRET.decrypt(content, "row")
    with pytest.raises(ValueError, match="expected content that this secret encrypted"):
        Secret(OTHER).decrypt(hidden, "row")


def opened(board: Path, name: str, *more: object) -> str:
    return done_at_once("leaderboard", "season", "open", name, "--board", board, *more)


def test_opening_draws_the_secret_and_publishes_its_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = opened(tmp_path / "board", "2027-spring", "--n", 300)
    text = (tmp_path / "2027-spring.secret").read_text().strip()
    [season] = read_seasons(tmp_path / "board" / "seasons.json")
    assert season.commitment == hashlib.sha256(text.encode()).hexdigest()
    assert (season.name, season.rows, season.ended) == ("2027-spring", 300, False)
    assert text not in said
    assert text not in (tmp_path / "board" / "seasons.json").read_text()
    assert stat.S_IMODE((tmp_path / "2027-spring.secret").stat().st_mode) == 0o600


@pytest.mark.parametrize("n", [255, 100_001])
def test_a_fresh_split_has_as_many_rows_as_can_be_scored_and_kept(tmp_path: Path, n: int) -> None:
    place = ("--board", tmp_path / "board", "--secret", tmp_path / "a.secret")
    line = refused_at_once("leaderboard", "season", "open", "2027-spring", "--n", n, *place)
    assert "256<=x<=100000" in line
    assert list(tmp_path.iterdir()) == []


def test_an_opening_that_was_killed_goes_on_with_its_secret(tmp_path: Path) -> None:
    secret = make_secret(tmp_path / "a.secret")
    opened(tmp_path / "board", "2027-spring", "--secret", tmp_path / "a.secret")
    [season] = read_seasons(tmp_path / "board" / "seasons.json")
    assert season.commitment == secret.commitment


def test_a_secret_that_lies_there_is_not_taken_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder of many it may be another's, who would know the split."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "2027-spring.secret").write_text(TEXT)
    line = refused_at_once(
        *("leaderboard", "season", "open", "2027-spring", "--board", tmp_path / "board")
    )
    assert "2027-spring.secret: expected no file, because a new secret is written there" in line
    assert not (tmp_path / "board").exists()


def test_a_full_disk_leaves_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    line = refused_at_once(
        *("leaderboard", "season", "open", "a", "--secret", tmp_path / "s", "--board", tmp_path)
    )
    assert f"{tmp_path / 's'}: expected room on the disk" in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", "../up", "a/b", "[/] x", "a\nb", "x" * 51, ".hidden"])
def test_names_that_are_none_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    line = refused_at_once("leaderboard", "season", "open", name, "--board", tmp_path / "board")
    assert "season: expected a name of letters" in line
    assert not list(tmp_path.iterdir())


def test_a_name_or_secret_that_was_used_leaves_all_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    opened(tmp_path / "board", "2027-spring")
    before = contents(tmp_path)
    for name, more in (
        ("2027-spring", ()),
        ("2027-autumn", ("--secret", "2027-spring.secret")),
    ):
        line = refused_at_once(
            *("leaderboard", "season", "open", name, "--board", tmp_path / "board", *more)
        )
        assert "expected a new name and secret, found season 2027-spring" in line
        assert contents(tmp_path) == before


def test_a_secret_comes_from_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def say(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text.encode())))

    say(f"{TEXT}\n")
    opened(tmp_path, "2027-spring", "--secret", "-")
    say(f"{OTHER}\n")
    given = ("season", "reveal", "2027-spring", "--secret", "-", "--board", tmp_path)
    line = refused_at_once("leaderboard", *given)
    assert "--secret: expected the secret of season 2027-spring, found another" in line
    say(f"{TEXT}\n")
    done_at_once("leaderboard", *given)
    [season] = read_seasons(tmp_path / "seasons.json")
    assert (season.secret, season.signatures) == (TEXT, {})


@pytest.mark.parametrize("content", [b"", b"a", b"\xff" * 40, b"x" * 4000, TEXT.encode() + b"!"])
def test_files_that_hold_no_secret(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s").write_bytes(content)
    line = refused_at_once(
        *("leaderboard", "season", "open", "a", "--secret", tmp_path / "s", "--board", tmp_path)
    )
    assert "secret: expected" in line
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_a_secret_on_the_command_line_is_refused_and_not_repeated(tmp_path: Path) -> None:
    opened(tmp_path / "board", "2027-spring", "--secret", tmp_path / "a")
    line = refused_at_once(
        *("leaderboard", "season", "reveal", "2027-spring", "--secret", TEXT),
        *("--board", tmp_path / "board"),
    )
    assert "the secret itself does not go on a command line" in line
    assert TEXT not in line
    os.mkfifo(tmp_path / "pipe")
    line = refused_at_once(
        *("leaderboard", "season", "reveal", "2027-spring", "--secret", tmp_path / "pipe"),
        *("--board", tmp_path / "board"),
    )
    assert "expected a plain file" in line


@pytest.mark.slow
def test_a_file_that_others_can_read_is_remarked_on(tmp_path: Path) -> None:
    (tmp_path / "s").write_text(TEXT)
    (tmp_path / "s").chmod(0o644)
    result = subprocess.run(
        [
            *(sys.executable, "-m", "threedident", "leaderboard", "season", "open", "a"),
            *("--secret", str(tmp_path / "s"), "--board", str(tmp_path / "board")),
        ],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0
    assert f"note: other users own or can read {tmp_path / 's'}; make it yours" in result.stderr


def test_seasons_commit_before_they_are_revealed(tmp_path: Path) -> None:
    path = tmp_path / "seasons.json"
    season = open_season(path, "2026-autumn", SECRET, 512, TODAY)
    assert season.commitment == hashlib.sha256(TEXT.encode()).hexdigest()
    with pytest.raises(ValueError, match="expected the secret of season 2026-autumn"):
        reveal_season(path, "2026-autumn", Secret(OTHER), {})
    with pytest.raises(ValueError, match="expected a new name and secret"):
        open_season(path, "2026-autumn", Secret(OTHER), 512, TODAY)
    with pytest.raises(ValueError, match="expected a new name and secret"):
        open_season(path, "2027-spring", SECRET, 512, TODAY)
    with pytest.raises(ValueError, match="found 'none'"):
        reveal_season(path, "none", SECRET, {})
    reveal_season(path, "2026-autumn", SECRET, {})
    [revealed] = read_seasons(path)
    assert (revealed.secret, revealed.signatures) == (TEXT, {})
    with pytest.raises(ValueError, match="found 2026-autumn ended"):
        reveal_season(path, "2026-autumn", SECRET, {})


def published(of: Secret, /, **changes: Any) -> dict[str, Any]:
    return {
        "name": "2026-autumn",
        "opened": "2026-11-30",
        "commitment": of.commitment,
        "public_key": of.public_key,
        "rows": 512,
        **changes,
    }


SEASONS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "a secret without signatures": (
        [published(SECRET, secret=TEXT)],
        "together with the signatures",
    ),
    "signatures without a secret": ([published(SECRET, signatures={})], "one without the other"),
    "another secret": ([published(SECRET, secret=OTHER, signatures={})], "found another"),
    "a weak secret": (
        [
            published(SECRET)
            | {"commitment": hashlib.sha256(b"a").hexdigest(), "secret": "a", "signatures": {}}
        ],
        "expected 32 to 128 random digits",
    ),
    "two of one name": (
        [published(SECRET), published(Secret(OTHER))],
        "found those of 2026-autumn twice",
    ),
    "two of one commitment": (
        [published(SECRET), published(SECRET, name="2027-spring")],
        "found those of 2026-autumn twice",
    ),
    "two of one key": (
        [published(SECRET), published(SECRET, name="2027-spring", commitment="0" * 64)],
        "found those of 2026-autumn twice",
    ),
    "a year that is none": ([published(SECRET, opened="0001-01-01")], "at 0.opened:"),
    "a year too far": ([published(SECRET, opened="9999-12-31")], "at 0.opened:"),
    "rows without end": ([published(SECRET, rows=10**30)], "at 0.rows:"),
    "a signature that is none": (
        [published(SECRET, secret=TEXT, signatures={"2026-11-30_a": "00"})],
        "at 0.signatures",
    ),
}


@pytest.mark.parametrize("name", SEASONS)
def test_seasons_that_contradict_themselves_are_refused_by_every_reader(
    tmp_path: Path, name: str
) -> None:
    seasons, reason = SEASONS[name]
    (tmp_path / "seasons.json").write_text(json.dumps(seasons))
    for command in (
        ("entries",),
        ("build", "--out", tmp_path / "page.html"),
        ("season", "open", "new", "--secret", tmp_path / "s"),
        ("season", "reveal", "2026-autumn", "--secret", tmp_path / "s"),
    ):
        line = refused_at_once("leaderboard", *command, "--board", tmp_path)
        assert "seasons.json: expected" in line
        assert reason in line
    assert [path.name for path in tmp_path.iterdir()] == ["seasons.json"]
