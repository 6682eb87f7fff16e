"""Other executors than this machine's own processes: a Ray cluster, submitit, a SLURM queue."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import (
    DRAFT,
    cli,
    contents,
    images_in,
    refused,
    refused_at_once,
    start,
    start_render,
    wait_for,
)
from tests.render.executors.one_node_slurm import available, one_node_slurm

pytestmark = pytest.mark.slow

ASKED = ("--n", 40, "--n-test", 0)
CLUSTER = """
import sys, time
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
node = cluster.add_node(num_cpus=1)
print(cluster.address, flush=True)
sys.stdin.readline()
cluster.remove_node(node, allow_graceful=False)
print("killed", flush=True)
sys.stdin.readline()
cluster.shutdown()
"""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a local run leaves."""
    out = tmp_path_factory.mktemp("undisturbed") / "data"
    assert cli("render", *ASKED, "--out", out, *DRAFT).returncode == 0
    return contents(out)


def pids(pattern: str) -> list[int]:
    listed = subprocess.run(["pgrep", "-f", pattern], capture_output=True, text=True)
    return [int(line) for line in listed.stdout.split()]


def test_a_ray_cluster_that_loses_a_node_renders_every_image(
    tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    out = tmp_path / "data"
    quiet = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0"}
    cluster = subprocess.Popen(
        [sys.executable, "-c", CLUSTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=quiet,
    )
    assert cluster.stdin is not None
    assert cluster.stdout is not None
    address = next(line.strip() for line in cluster.stdout if ":" in line)
    try:
        where = ("--executor", "ray", "--ray-address", address, "--threads", 1)
        process = start("render", *ASKED, "--out", out, *where, *DRAFT)
        wait_for(lambda: images_in(out) > 3)
        cluster.stdin.write("\n")
        cluster.stdin.flush()
        stdout, stderr = process.communicate()
    finally:
        cluster.communicate("\n")
    assert process.returncode == 0, stderr
    assert "40 train images (40 new)" in stdout
    assert contents(out) == undisturbed


def test_a_submitit_job_that_is_killed_costs_only_its_chunk(
    tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    out = tmp_path / "data"
    where = ("--executor", "slurm", "--slurm-cluster", "local", "--workers", 2)
    process = start_render(out, *ASKED, *where)
    wait_for(lambda: images_in(out) > 3)
    os.kill(pids(f"submitit.core._submit {out}")[0], signal.SIGKILL)
    stdout, stderr = process.communicate()
    assert process.returncode == 0, stderr
    assert "40 train images (40 new)" in stdout
    assert "was lost" in stderr
    assert contents(out) == undisturbed


def test_ctrl_c_leaves_no_submitit_job_behind(tmp_path: Path) -> None:
    out = tmp_path / "data"
    where = ("--executor", "slurm", "--slurm-cluster", "local", "--workers", 2)
    process = start_render(out, "--n", 4000, "--n-test", 0, *where)
    wait_for(lambda: images_in(out) > 3)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate()
    assert process.returncode == 2
    assert "are safe; the same command again goes on" in stderr
    wait_for(lambda: not pids(f"submitit.core._submit {out}"), 60)
    wait_for(lambda: not pids(f"render.workers .*{out}"), 60)


@pytest.mark.skipif(not available(), reason="needs root, and Debian's slurm-wlm and munge")
def test_a_slurm_queue_that_loses_jobs_renders_every_image(
    tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    out = tmp_path / "data"
    with one_node_slurm() as environment:
        where = ("--executor", "slurm", "--slurm-partition", "main", "--threads", "1")
        line = ["render", *ASKED, "--out", out, *where, "--slurm-array", 2, *DRAFT]
        process = start(*line, env=environment)
        wait_for(lambda: images_in(out) > 3)
        os.kill(pids(f"render.workers .*{out}")[0], signal.SIGKILL)
        queue = ["squeue", "--noheader", "--array", "--format=%i"]
        jobs = subprocess.run(queue, env=environment, capture_output=True, text=True).stdout
        subprocess.run(["scancel", jobs.split()[-1]], env=environment, check=True)
        stdout, stderr = process.communicate()
        assert process.returncode == 0, stderr
        assert "40 train images (40 new)" in stdout
        finished = contents(out)
        left = subprocess.run(queue, env=environment, capture_output=True, text=True).stdout
        wrong = cli(*line[:-2], "--slurm-partition", "none", "--n", 50, *DRAFT, env=environment)
        assert wrong.returncode == 2
        assert "check --slurm-partition" in wrong.stderr
    assert left == ""
    assert finished == undisturbed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--slurm-partition", "main"), "--slurm-partition: expected --executor slurm"),
        (("--ray-address", "host:1"), "--ray-address: expected --executor ray"),
        (("--executor", "ray", "--workers", "2"), "--workers: expected --executor local"),
        (("--executor", "dask"), "--executor: expected one of local, ray, slurm, found 'dask'"),
        (("--executor", "slurm", "--slurm-array", "0"), "--slurm-array"),
    ],
)
def test_misplaced_options_are_refused(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    assert words in refused_at_once("render", "--n", 3, "--out", tmp_path / "data", *arguments)
    assert not (tmp_path / "data").exists()


def test_a_gpu_that_a_cluster_lacks_is_named_by_its_worker(tmp_path: Path) -> None:
    where = ("--executor", "slurm", "--slurm-cluster", "local", *DRAFT, "--device", "metal")
    line = refused_at_once("render", "--n", 3, "--n-test", 0, "--out", tmp_path / "data", *where)
    assert "expected a metal device on this machine, found none" in line


def test_a_missing_slurm_command_is_named(tmp_path: Path) -> None:
    arguments = ("render", "--n", 3, "--out", tmp_path / "data", "--executor", "slurm", *DRAFT)
    line = refused(*arguments, env={"PATH": str(tmp_path)})
    assert "expected SLURM's command sbatch on PATH, found none" in line
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(("executor", "package"), [("ray", "ray"), ("slurm", "submitit")])
def test_a_missing_extra_is_named(tmp_path: Path, executor: str, package: str) -> None:
    script = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from threedident.cli import main\n"
        f"main(['render', '--n', '3', '--out', {str(tmp_path / 'data')!r}, '--device', 'cpu', "
        f"'--executor', {executor!r}])"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == 2, result.stderr
    assert f"expected the package {package}" in result.stderr
    assert f"pip install 'threedident[{executor}]'" in result.stderr
    assert not (tmp_path / "data").exists()


def test_an_absent_ray_cluster_is_named(tmp_path: Path) -> None:
    where = ("--executor", "ray", "--ray-address", "127.0.0.1:1", *DRAFT)
    line = refused_at_once("render", "--n", 3, "--out", tmp_path / "data", *where)
    assert "--ray-address: expected a Ray cluster there, found none" in line
    assert not (tmp_path / "data").exists()
