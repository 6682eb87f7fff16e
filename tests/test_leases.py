"""Leases, among real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from render.leases import EXPIRY_S, Fence, Holder, acquire, held, holders
from tests.conftest import DRAFT, cli, contents, refused

HOLD = """
import sys, time
from pathlib import Path
from render.leases import acquire
lease = acquire(Path(sys.argv[1]), "run")
print("held", flush=True)
time.sleep(600)
"""
RACE = """
import sys, time
from pathlib import Path
from render.leases import acquire
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
from render.leases import held
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
    return subprocess.Popen(line, stdout=subprocess.PIPE, text=True)


def forge(folder: Path, name: str, age_s: float, **changes: object) -> Path:
    """A lease as another machine would have left it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.0"
    who = {"host": "node7", "place": "another boot", "pid": 77, "started": "5"}
    path.write_text(json.dumps({**who, **changes}))
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def test_a_lease_is_held_by_one_and_free_after(tmp_path: Path) -> None:
    leases = tmp_path / "leases"
    with held(leases, "run") as lease:
        assert holders(leases) == {"run": Holder.me()}
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
    forge(leases, "run", age_s=0, **forged)
    with pytest.raises(ValueError, match="found it taken over by another process"):
        lease.check()
    lease.release()
    assert "run" in holders(leases)


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


def test_another_machines_lease_expires(tmp_path: Path) -> None:
    leases = tmp_path / "leases"
    forge(leases, "run", age_s=EXPIRY_S / 2)
    with pytest.raises(ValueError, match="found process 77 on node7; wait for it or stop it"):
        acquire(leases, "run")
    forge(leases, "run", age_s=EXPIRY_S + 5)
    assert holders(leases) == {}
    acquire(leases, "run").release()


def test_a_process_id_that_was_used_again_does_not_count(tmp_path: Path) -> None:
    leases, me = tmp_path / "leases", Holder.me()
    forge(leases, "run", age_s=0, place=me.place, pid=me.pid, started="1")
    acquire(leases, "run").release()


def test_a_lease_half_written_counts_until_it_expires(tmp_path: Path) -> None:
    path = forge(tmp_path / "leases", "run", age_s=0)
    path.write_text("")
    with pytest.raises(ValueError, match="an unknown host"):
        acquire(tmp_path / "leases", "run")
    os.utime(path, (time.time() - EXPIRY_S - 5,) * 2)
    acquire(tmp_path / "leases", "run").release()


def test_patience_outlasts_a_holder(tmp_path: Path) -> None:
    path = forge(tmp_path / "leases", "run", age_s=EXPIRY_S - 1.5)
    acquire(tmp_path / "leases", "run", patience_s=20).release()
    assert not path.exists()


def test_of_many_takers_one_wins(tmp_path: Path) -> None:
    leases = tmp_path / "leases"
    forge(leases, "run", age_s=EXPIRY_S + 5)
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


def test_a_lost_nodes_lease_does_not_outlive_it(rendered: Path, tmp_path: Path) -> None:
    forge(tmp_path / "train" / ".render" / "leases", "chunk-000000", age_s=EXPIRY_S + 5)
    forge(tmp_path / ".lease", "run", age_s=EXPIRY_S + 5)
    assert cli("render", "--n", 12, "--n-test", 6, "--out", tmp_path, *DRAFT).returncode == 0
    assert contents(tmp_path) == contents(rendered)
