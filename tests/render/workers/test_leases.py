"""Leases, among real processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from render.workers.leases import Fence, Holder, acquire, held, holders
from tests.conftest import DRAFT, cli, contents, done_at_once, followed, refused

pytestmark = pytest.mark.slow

HOUR = 3600.0

HOLD = """
import sys, time
from pathlib import Path
from render.workers.leases import acquire
lease = acquire(Path(sys.argv[1]), "run")
print("held", flush=True)
time.sleep(600)
"""
RACE = """
import sys, time
from pathlib import Path
import render.workers.leases
from render.workers.leases import acquire
render.workers.leases.EXPIRY_S = 0.8
time.sleep(max(0.0, float(sys.argv[2]) - time.time()))
try:
    lease = acquire(Path(sys.argv[1]), "run")
except ValueError:
    print("lost")
else:
    print("won", flush=True)
    time.sleep(3)
    lease.release()
"""


ROUNDS = """
import os, sys, time
from contextlib import suppress
from pathlib import Path
from render.workers.leases import held
root, entries, violations = Path(sys.argv[1]), 0, 0
while time.time() < float(sys.argv[2]):
    with suppress(ValueError), held(root / ".lease", "run", patience_s=3):
        try:
            os.close(os.open(root / "inside", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            violations += 1
            continue
        entries += 1
        (root / "inside").unlink()
        with suppress(OSError):
            (root / ".lease").rmdir()
print(entries, violations)
"""


def process(script: str, *arguments: object) -> subprocess.Popen[str]:
    line = [sys.executable, "-c", script, *map(str, arguments)]
    return followed(subprocess.Popen(line, stdout=subprocess.PIPE, text=True))


@pytest.fixture(autouse=True)
def _no_waiting_for_ever() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError("a lease is waited for that should have expired")

    former = signal.signal(signal.SIGALRM, stop)
    signal.alarm(120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, former)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> float:
    """Leases that expire soon: after so many seconds."""
    monkeypatch.setattr("render.workers.leases.EXPIRY_S", 0.6)
    return 0.6


def forge(folder: Path, name: str, ahead_s: float = 0, **changes: object) -> Path:
    """A lease as another machine would have left it, whose clock is ahead of ours."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.0"
    who = {"host": "node7", "place": "another boot", "pid": 77, "started": "5"}
    path.write_text(json.dumps({**who, **changes}))
    os.utime(path, (time.time() + ahead_s,) * 2)
    return path


@contextmanager
def touched(path: Path, ahead_s: float = 0) -> Iterator[None]:
    """Let another machine, whose clock is ahead of ours, be at work under its lease."""
    end = threading.Event()

    def touch() -> None:
        while not end.wait(0.1):
            os.utime(path, (time.time() + ahead_s,) * 2)

    thread = threading.Thread(target=touch)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def test_a_lease_is_held_by_one_and_free_after(tmp_path: Path) -> None:
    leases = tmp_path / "leases"
    with held(leases, "run") as lease:
        assert holders(leases) == {lease.path: Holder.me()}
        lease.check()
        fence = Fence(lease.path)
        fence.check()
        with pytest.raises(ValueError, match=f"found process {os.getpid()} on"):
            acquire(leases, "run")
        acquire(leases, "another").release()
    assert holders(leases) == {}
    assert list(leases.iterdir()) == []
    with held(leases, "run"), pytest.raises(ValueError, match="expired or taken over"):
        fence.check()


def test_a_holder_that_stood_still_sees_that_it_was_succeeded(tmp_path: Path) -> None:
    leases = tmp_path / "leases"
    lease = acquire(leases, "run")
    forged = json.loads(lease.path.read_text())
    lease.path.unlink()  # as a taker does that found it expired
    successor = forge(leases, "run", **forged)
    with pytest.raises(ValueError, match="found it taken over by another process"):
        lease.check()
    lease.release()
    assert list(holders(leases)) == [successor]


def test_holders_exclude_each_other_through_many_rounds(tmp_path: Path) -> None:
    rounds = [process(ROUNDS, tmp_path, time.time() + 6) for _ in range(6)]
    said = [each.communicate()[0].split() for each in rounds]
    assert all(violations == "0" for _, violations in said)
    assert sum(int(entries) for entries, _ in said) > 100


def test_a_dead_holder_lets_go_at_once(tmp_path: Path) -> None:
    leases = tmp_path / "leases"
    holder = process(HOLD, leases)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(ValueError, match=f"found process {holder.pid} on"):
        acquire(leases, "run")
    holder.kill()
    holder.communicate()
    acquire(leases, "run").release()


@pytest.mark.parametrize("ahead_s", [-9 * HOUR, -30.0, 0.0, 30.0, 9 * HOUR])
def test_a_lost_machines_lease_expires_whatever_its_clock_says(
    tmp_path: Path, short: float, ahead_s: float
) -> None:
    path = forge(tmp_path / "leases", "run", ahead_s)
    start = time.monotonic()
    acquire(tmp_path / "leases", "run").release()
    assert short <= time.monotonic() - start < short + 1.5
    assert not path.exists()


@pytest.mark.parametrize("ahead_s", [-9 * HOUR, 0.0, 9 * HOUR])
def test_a_living_machines_lease_is_kept_whatever_its_clock_says(
    tmp_path: Path, short: float, ahead_s: float
) -> None:
    path = forge(tmp_path / "leases", "run", ahead_s)
    with touched(path, ahead_s):
        with pytest.raises(ValueError, match="found process 77 on node7; wait for it or stop it"):
            acquire(tmp_path / "leases", "run")
        start = time.monotonic()
        with pytest.raises(ValueError, match="found process 77 on node7"):
            acquire(tmp_path / "leases", "run", patience_s=3 * short)
        assert time.monotonic() - start >= 3 * short
        assert holders(tmp_path / "leases", tmp_path / "none") == {
            path: Holder("node7", "another boot", 77, "5")
        }
    acquire(tmp_path / "leases", "run", patience_s=20).release()


@pytest.mark.usefixtures("short")
def test_who_stood_still_has_not_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a machine that sleeps beside the lease's holder, and wakes first."""
    path, calls, clock = forge(tmp_path / "leases", "run"), [0.0], time.monotonic

    def monotonic() -> float:
        calls.append(HOUR)
        return clock() + sum(calls[:8])

    monkeypatch.setattr("render.workers.leases.time.monotonic", monotonic)
    monkeypatch.setattr("render.workers.leases._GAP_S", 0.01)
    with touched(path), pytest.raises(ValueError, match="found process 77 on node7"):
        acquire(tmp_path / "leases", "run")


@pytest.mark.usefixtures("short")
def test_the_user_hears_that_a_lease_is_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("render.workers.leases._NOTICE_S", 0.1)
    path = forge(tmp_path / "leases", "run")
    acquire(tmp_path / "leases", "run").release()
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{path}: watched for up to ")
    assert line.endswith("to see whether process 77 on node7 is still at work")


def test_a_process_id_that_was_used_again_does_not_count(tmp_path: Path) -> None:
    leases, me = tmp_path / "leases", Holder.me()
    forge(leases, "run", place=me.place, pid=me.pid, started="1")
    acquire(leases, "run").release()


ME = Holder.me()
DAMAGED = {
    "empty": b"",
    "no text": b"\xff\xfe",
    "nested": b"[" * 100_000,
    "cut short": b'{"host": "node7", "pl',
    "another type": b'{"host": "a", "place": "b", "pid": "77", "started": "5"}',
    "a long number": b'{"host": "a", "place": "b", "pid": %s, "started": "5"}' % (b"9" * 3000),
    "no start": json.dumps({**vars(ME), "pid": 2**30, "started": ""}).encode(),
}


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_lease_expires_like_others(tmp_path: Path, what: str) -> None:
    path = forge(tmp_path / "leases", "run", 9 * HOUR)
    path.write_bytes(DAMAGED[what])
    if what != "no start":  # whose holder is known to be gone
        with touched(path), pytest.raises(ValueError, match="found an unknown process") as caught:
            acquire(tmp_path / "leases", "run")
        assert f"its lease {path} expires" in str(caught.value)
        assert len(str(caught.value)) < 1000
    acquire(tmp_path / "leases", "run", patience_s=20).release()
    assert not path.exists()


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("kind", ["a pipe", "a link to a device", "a link to nothing"])
def test_what_is_no_file_expires_too(tmp_path: Path, kind: str) -> None:
    (tmp_path / "leases").mkdir()
    path = tmp_path / "leases" / "run.0"
    if kind == "a pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero" if "device" in kind else "/nowhere")
    acquire(tmp_path / "leases", "run").release()
    assert list((tmp_path / "leases").iterdir()) == []


def test_a_folder_in_place_of_a_lease_is_named(tmp_path: Path) -> None:
    (tmp_path / "leases" / "run.0").mkdir(parents=True)
    with pytest.raises(
        ValueError, match=r"run\.0: expected a lease, found a folder; move it away"
    ):
        acquire(tmp_path / "leases", "run")


def test_other_files_are_no_leases(tmp_path: Path) -> None:
    folder = tmp_path / "leases"
    folder.mkdir()
    for name in ("run.\N{SUPERSCRIPT TWO}", "run." + "9" * 200, ".clock.5", "run", "run.x"):
        (folder / name).touch()
    assert holders(folder) == {}
    acquire(folder, "run").release()
    assert len(list(folder.iterdir())) == 5


@pytest.mark.usefixtures("short")
def test_patience_outlasts_a_holder(tmp_path: Path) -> None:
    path = forge(tmp_path / "leases", "run")
    with touched(path):
        time.sleep(0.2)
    acquire(tmp_path / "leases", "run", patience_s=20).release()
    assert not path.exists()


def test_of_many_takers_one_wins(tmp_path: Path) -> None:
    leases = tmp_path / "leases"
    forge(leases, "run", 9 * HOUR)
    start = time.time() + 2
    takers = [process(RACE, leases, start) for _ in range(6)]
    said = [taker.communicate()[0] for taker in takers]
    assert sorted(said) == ["lost\n"] * 5 + ["won\n"]


def test_a_second_run_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    with held(tmp_path / ".lease", "run"):
        line = refused("render", "--n", 3, "--out", tmp_path, *DRAFT)
    assert f"expected no one else at work on run, found process {os.getpid()}" in line
    assert [path.name for path in tmp_path.iterdir()] == [".lease"]


def test_a_chunk_held_by_a_live_worker_is_refused_and_named(
    rendered: Path, tmp_path: Path
) -> None:
    (tmp_path / "train" / ".render").mkdir(parents=True)
    with held(tmp_path / "train" / ".render" / "leases", "chunk-000000"):
        line = refused("render", "--n", 12, "--n-test", 6, "--out", tmp_path, *DRAFT)
        assert f"found process {os.getpid()} on" in line
        assert "at work on chunk-000000" in line
    assert not (tmp_path / "train" / "images").exists()
    assert cli("render", "--n", 12, "--n-test", 6, "--out", tmp_path, *DRAFT).returncode == 0
    assert contents(tmp_path) == contents(rendered)


def test_a_lost_nodes_leases_are_waited_for_at_once(
    rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the run and of its workers in all splits, within the time of one."""
    monkeypatch.setattr("render.workers.leases.EXPIRY_S", 4.0)
    data = shutil.copytree(rendered, tmp_path / "data")
    forge(data / ".lease", "run", HOUR)
    for split in ("train", "test"):
        forge(data / split / ".render" / "leases", "chunk-000000", -HOUR)
    start = time.monotonic()
    done_at_once("render", "--n", 12, "--n-test", 6, "--out", data, *DRAFT)
    assert time.monotonic() - start < 8
    assert contents(data) == contents(rendered)


def test_a_lost_nodes_lease_does_not_outlive_it(
    rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("render.workers.leases.EXPIRY_S", 0.6)
    forge(tmp_path / "train" / ".render" / "leases", "chunk-000000")
    done_at_once("render", "--n", 12, "--n-test", 6, "--out", tmp_path, *DRAFT)
    assert contents(tmp_path) == contents(rendered)
