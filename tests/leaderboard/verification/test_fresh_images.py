"""Fresh images, drawn by Blender from a secret, kept under a seal."""

from __future__ import annotations

import json
import shutil
import signal
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmark.leaderboard.submission.data import DataRecord, SplitDigests
from benchmark.leaderboard.verification import fresh
from benchmark.leaderboard.verification.secret import Secret
from tests.conftest import (
    all_ended,
    command_line,
    contents,
    descendants,
    done_at_once,
    refused_at_once,
    start,
    wait_for,
)
from tests.leaderboard.verification.verifying import (
    FRESH,
    SECRET,
    Verify,
    drawn,
    verified,
)

pytestmark = pytest.mark.slow

OTHER = "0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b"


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_the_renderer_ends_with_the_verification_at_once(
    single: Path, board: Path, secret: Path, tmp_path: Path, number: signal.Signals
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    place = ("--secret", secret, "--board", board, "--fresh", tmp_path / "season")
    process = start("leaderboard", "verify", single, *place, env={"TMPDIR": str(scratch)})
    tree: list[int] = []
    while not any(b"render.workers" in command_line(pid) for pid in tree):
        assert process.poll() is None
        tree = descendants(process.pid)
    process.send_signal(number)
    wait_for(lambda: all_ended(tree), 1.0)
    process.communicate()
    if number != signal.SIGKILL:
        assert process.returncode == 2
        assert list(scratch.iterdir()) == []


def test_secrets_of_no_season(single: Path, board: Path, tmp_path: Path) -> None:
    (tmp_path / "s").write_text(OTHER)
    line = refused_at_once(
        *("leaderboard", "verify", single, "--secret", tmp_path / "s", "--board", board)
    )
    assert "expected the secret of a season of" in line
    assert "threedident leaderboard season open begins a season" in line


def test_a_clock_before_the_opening_is_found_before_any_work(
    single: Path, board: Path, verify: Verify
) -> None:
    seasons = json.loads((board / "seasons.json").read_text())
    seasons[0]["opened"] = "2098-01-01"
    (board / "seasons.json").write_text(json.dumps(seasons))
    before = contents(board)
    line = refused_at_once(*verify(single))
    assert "clock: expected 2098-01-01 or later, when season 2026-autumn opened" in line
    assert contents(board) == before


def test_nobody_sees_the_secret_or_the_seed_of_the_split(
    single: Path, board: Path, secret: Path
) -> None:
    """Neither on a command line, nor in an environment, of any process of a verification."""
    seed = str(Secret(SECRET).number("fresh split"))
    process = start("leaderboard", "verify", single, "--secret", secret, "--board", board)
    seen = set[str]()

    def shown() -> bool:
        for pid in (process.pid, *descendants(process.pid)):
            for name in ("cmdline", "environ"):
                with suppress(OSError):
                    text = Path(f"/proc/{pid}/{name}").read_text(errors="replace")
                    seen.update(text.split("\0"))
        return "-" in seen and any("--n-test" in word for word in seen)

    try:
        wait_for(shown)
    finally:
        process.kill()
        process.communicate()
    assert [word for word in seen if SECRET in word or seed in word] == []


def test_kept_images_that_were_altered_are_drawn_again(
    single: Path, board: Path, verify: Verify, season: Path
) -> None:
    """Rotated, cut, exchanged: the scores are those of the images that the season drew."""
    first = verified(verify, board, single)
    place = drawn(season)
    whole = contents(place)
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    for row in range(FRESH):
        path = place / "test" / "images" / f"{row:06d}.png"
        with Image.open(path) as image:
            image.rotate(180).save(path)
    (place / "train" / "images" / "000003.png").write_bytes(b"")
    again = verified(verify, board, single)
    assert contents(place) == whole
    assert first.verification is not None
    assert again.verification is not None
    assert again.verification.fresh == first.verification.fresh


@pytest.mark.parametrize("change", ["nothing", "seal", "manifest", "no seal", "rows", "pack"])
def test_kept_images_with_digests_of_ones_own_are_drawn_again(
    single: Path,
    board: Path,
    verify: Verify,
    season: Path,
    record: dict[str, Any],
    change: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where a pack lies beside them, which would be read in their place."""
    if not any(season.glob("*/seal")):
        verified(verify, board, single)
    kept = tmp_path / "kept"
    place = shutil.copytree(drawn(season), kept / drawn(season).name)
    if change == "seal":
        (place / "seal").write_text("0" * 128)
    elif change == "manifest":
        manifest = json.loads((place / "test" / "dataset.json").read_text())
        manifest["digests"]["sums"] = "0" * 64
        (place / "test" / "dataset.json").write_text(json.dumps(manifest))
    elif change == "no seal":
        (place / "seal").unlink()
    elif change == "rows":
        shutil.rmtree(place / "train")
    elif change == "pack":
        done_at_once("pack", place)
    drawings: list[object] = []

    def draw(root: Path, *_: object, **__: object) -> None:
        drawings.append(list(root.iterdir()))
        raise ValueError("drawn again")

    monkeypatch.setattr(fresh, "_render", draw)
    data = DataRecord.model_validate(record | {"digests": SplitDigests(**record["digests"])})
    if change == "nothing":
        with fresh.fresh_images(data, Secret(SECRET), FRESH, kept) as found:
            assert len(found.latents) == FRESH
        assert drawings == []
    else:
        with (
            pytest.raises(ValueError, match="drawn again"),
            fresh.fresh_images(data, Secret(SECRET), FRESH, kept),
        ):
            pass
        assert drawings == [[place / "public_rows.npy"]]  # and nothing of what was there
