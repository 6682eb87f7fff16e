"""Runs that are killed or interrupted, with real signals."""

from __future__ import annotations

import fcntl
import os
import pty
import random
import shutil
import signal
import subprocess
import sys
import termios
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import (
    DRAFT,
    all_ended,
    can_mount,
    children,
    cli,
    command,
    contents,
    descendants,
    followed,
    hear_signals,
    images_in,
    refused,
    start_render,
    wait_for,
)
from threedident.runtime.signals import interruptible

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kills", [1, 2])
def test_kill_at_any_moment_loses_nothing(rendered: Path, tmp_path: Path, kills: int) -> None:
    out = tmp_path / "data"
    for _ in range(kills):
        process = start_render(out, "--n", 12, "--n-test", 6, "--workers", 2)
        time.sleep(random.Random().uniform(0.2, 3.0))
        workers = children(process)
        process.kill()
        for worker in workers:
            try:
                os.kill(worker, signal.SIGKILL)
            except ProcessLookupError:
                continue
        process.communicate()
    result = cli("render", "--n", 12, "--n-test", 6, "--out", out, *DRAFT)
    assert result.returncode == 0, result.stderr
    assert cli("verify", out).returncode == 0
    assert contents(out) == contents(rendered)


def test_twenty_kills_in_one_run_cost_nothing_but_time(rendered: Path, tmp_path: Path) -> None:
    chance, out, kills = random.Random(), tmp_path / "data", 0
    process = start_render(out, "--n", 12, "--n-test", 6, "--workers", 2)
    while kills < 20:
        time.sleep(chance.uniform(0.1, 1.2))
        victims = [process.pid] if chance.random() < 0.4 else children(process)
        for victim in victims[:1]:
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
                kills += 1
        if victims == [process.pid] or process.poll() is not None:
            process.communicate()
            process = start_render(out, "--n", 12, "--n-test", 6, "--workers", 2)
    process.communicate()
    assert cli("render", "--n", 12, "--n-test", 6, "--out", out, *DRAFT).returncode == 0
    assert cli("verify", "--deep", out).returncode == 0
    assert contents(out) == contents(rendered)


AT_ONCE_S = 1.0
REQUESTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


@pytest.mark.parametrize("number", [*REQUESTS, signal.SIGKILL])
def test_every_signal_ends_the_whole_tree_at_once(tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "data"
    process = start_render(out, "--n", 400, "--n-test", 0, "--workers", 2)
    wait_for(lambda: images_in(out) > 2)
    tree = descendants(process.pid)
    assert len(tree) >= 2
    process.send_signal(number)
    wait_for(lambda: all_ended(tree), AT_ONCE_S)
    _, stderr = process.communicate()
    if number != signal.SIGKILL:
        assert process.returncode == 2
        assert "the same command again goes on from there" in stderr
        assert not (out / ".lease").exists()
        left = {path.name.partition("-")[0] for path in (out / "train" / ".render").iterdir()}
        assert left == {"plan.json", "raw_latents.npy", "journal", "leases"}
        assert list((out / "train" / ".render" / "leases").iterdir()) == []


def test_a_terminal_that_closes_ends_the_whole_tree_at_once(tmp_path: Path) -> None:
    out = tmp_path / "data"
    master, terminal = pty.openpty()
    line = command("render", "--out", out, "--n", 400, "--n-test", 0, "--workers", 2, *DRAFT)
    process = followed(
        subprocess.Popen(
            line,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
            preexec_fn=lambda: (hear_signals(), fcntl.ioctl(0, termios.TIOCSCTTY, 0)),
        )
    )
    os.close(terminal)
    while images_in(out) < 3:
        os.read(master, 4096)
    tree = descendants(process.pid)
    os.close(master)
    wait_for(lambda: all_ended(tree), AT_ONCE_S)
    assert process.wait() == 2
    assert not (out / ".lease").exists()


def test_what_is_told_to_ignore_its_terminal_outlives_it(tmp_path: Path) -> None:
    """As ``nohup`` does."""
    out = tmp_path / "data"
    line = command("render", "--out", out, "--n", 12, "--n-test", 0, *DRAFT)
    process = followed(
        subprocess.Popen(
            line,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
        )
    )
    wait_for(lambda: images_in(out) > 0)
    process.send_signal(signal.SIGHUP)
    assert process.wait() == 0


CHILD = """
import os, signal, subprocess, sys
from threedident.runtime.machine import child
with child(["sleep", "600"], stdout=subprocess.DEVNULL) as process:
    print(process.pid, flush=True)
    if sys.argv[1] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    raise KeyboardInterrupt
"""


@pytest.mark.parametrize("how", ["kill", "interrupt"])
def test_a_child_does_not_outlive_its_parent_by_a_moment(how: str) -> None:
    line = [sys.executable, "-c", CHILD, how]
    done = subprocess.run(line, capture_output=True, text=True)
    wait_for(lambda: all_ended([int(done.stdout)]), AT_ONCE_S)


def test_a_signal_is_heard_once_and_handlers_come_back() -> None:
    former = {number: signal.signal(number, signal.SIG_DFL) for number in REQUESTS[1:]}
    try:
        heard_once()
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def heard_once() -> None:
    before = [signal.getsignal(number) for number in REQUESTS]
    for number in REQUESTS[1:]:
        with pytest.raises(KeyboardInterrupt), interruptible():  # noqa: PT012
            try:
                os.kill(os.getpid(), number)
                time.sleep(5)
            finally:
                os.kill(os.getpid(), number)
    assert [signal.getsignal(number) for number in REQUESTS] == before


def test_a_killed_worker_costs_only_its_images_in_flight(tmp_path: Path) -> None:
    out = tmp_path / "data"
    process = start_render(out, "--n", 60, "--n-test", 0, "--workers", 1)
    wait_for(lambda: images_in(out) > 2)
    os.kill(children(process)[0], signal.SIGKILL)
    stdout, stderr = process.communicate()
    assert process.returncode == 0, stderr
    assert "60 train images (60 new)" in stdout
    assert cli("verify", out).returncode == 0


def test_what_a_killed_writer_leaves_is_gone_at_the_end(rendered: Path, tmp_path: Path) -> None:
    process = start_render(tmp_path, "--n", 12, "--n-test", 6)
    wait_for(lambda: images_in(tmp_path) > 2)
    (tmp_path / "train" / "images" / ".000004.png.9b40c39fbd0f.tmp").write_bytes(b"half")
    _, stderr = process.communicate()
    assert process.returncode == 0, stderr
    assert contents(tmp_path) == contents(rendered)


def test_interrupt_ends_quickly_and_says_how_to_go_on(tmp_path: Path) -> None:
    process = start_render(tmp_path / "data", "--n", 400, "--n-test", 0)
    wait_for(lambda: images_in(tmp_path / "data") > 2)
    workers = children(process)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "of 400 train images are safe; the same command again goes on" in stderr
    assert "Traceback" not in stderr
    assert all_ended(workers)
    assert "interrupted; give the same render command" in refused("info", tmp_path / "data")


def test_an_interrupted_growth_can_be_given_up(rendered: Path, tmp_path: Path) -> None:
    data = shutil.copytree(rendered, tmp_path / "data")
    process = start_render(data, "--n", 400, "--n-test", 6)
    wait_for(lambda: images_in(data) > 14)
    process.send_signal(signal.SIGINT)
    process.communicate()
    result = cli("render", "--n", 12, "--n-test", 6, "--out", data, *DRAFT)
    assert "12 train images (0 new)" in result.stdout
    assert contents(data) == contents(rendered)


def test_an_unfinished_run_refuses_other_settings_too(tmp_path: Path) -> None:
    out = tmp_path / "data"
    process = start_render(out, "--n", 400, "--n-test", 0)
    wait_for(lambda: images_in(out) > 2)
    process.send_signal(signal.SIGINT)
    process.communicate()
    line = refused("render", "--n", 400, "--n-test", 0, "--out", out, *DRAFT, "--seed", 5)
    assert "seed 0 where 5 is asked for" in line


def render_on_a_small_disk(folder: Path, size: str, *beside: str) -> tuple[str, str]:
    """What a render of 200 images leaves on a disk of that size, and its last line."""
    line = " ".join(command("render", "--n", 200, "--out", folder / "data", *DRAFT))
    script = f"""
set -u
mount -t tmpfs -o size={size} tmpfs {folder}
{chr(10).join(beside)}
{line}
echo "status $?"
cd {folder}
find . -name "*.tmp" -o -name dataset.json -o -name "0*.png" -size 0
"""
    result = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True)
    [said] = [line for line in result.stderr.splitlines() if line.startswith("threedident: ")]
    return result.stdout, said


@pytest.mark.skipif(not can_mount(), reason="this machine lets no test mount a small disk")
def test_a_disk_that_fills_up_is_named_and_nothing_is_half_written(tmp_path: Path) -> None:
    image = tmp_path / "data" / "train" / "images" / "000005.png"
    filler = f"(while [ ! -e {image} ]; do sleep 0.02; done; cat /dev/zero > {tmp_path}/fill) &"
    stdout, line = render_on_a_small_disk(tmp_path, "8m", filler)
    assert stdout == "status 2\n"
    assert "expected room on the disk, found it full" in line
    assert "the same command again goes on" in line


@pytest.mark.skipif(not can_mount(), reason="this machine lets no test mount a small disk")
def test_a_disk_that_cannot_hold_the_images_is_refused(tmp_path: Path) -> None:
    stdout, line = render_on_a_small_disk(tmp_path, "64k")
    assert stdout == "status 2\n"
    assert "expected room for about" in line
    assert "free some space, or give fewer images" in line
