"""A real SLURM of one node, for as long as a context lasts.

Needs Debian's packages slurm-wlm and munge, and to be root:

    apt-get install --no-install-recommends slurm-wlm munge
    python -m pytest tests/render/executors

Everything lies in a folder of its own; neither /etc nor a SLURM that runs already is touched.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

COMMANDS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")
CONFIGURATION = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={next_port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmUser=root
SlurmdSpoolDir={folder}/spool
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ReturnToService=2
MailProg=/bin/true
JobAcctGatherType=jobacct_gather/none
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def available() -> bool:
    """Whether it can be started here."""
    return os.geteuid() == 0 and all(map(shutil.which, COMMANDS))


@contextmanager
def one_node_slurm() -> Iterator[dict[str, str]]:
    """Start the queue; yields the environment in which its commands find it."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    daemons: list[subprocess.Popen[bytes]] = []
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
    try:
        for line in _prepare(folder):
            daemons.append(_start(line, folder, environment))
        _wait_until_idle(environment)
        yield environment
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait()
        shutil.rmtree(folder)


def _prepare(folder: Path) -> list[list[str]]:
    """Write keys and configuration; the command lines of the daemons, in order."""
    folder.chmod(0o755)
    for name in ("spool", "state", "munge"):
        (folder / name).mkdir()
    key = folder / "munge" / "key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = CONFIGURATION.format(
        host=socket.gethostname(), folder=folder, port=port, next_port=port + 1
    )
    (folder / "slurm.conf").write_text(text)
    files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "seed-file": "seed"}
    places = [f"--{option}={folder}/munge/{name}" for option, name in files.items()]
    munge = ["munged", "--force", "--foreground", *places, f"--log-file={folder}/munge/log"]
    return [munge, ["slurmctld", "-D"], ["slurmd", "-D"]]


def _start(line: list[str], folder: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    with (folder / f"{line[0]}.log").open("wb") as log:
        daemon = subprocess.Popen(line, env=environment, stdout=log, stderr=log)
    if line[0] == "munged":
        _wait(lambda: (folder / "munge" / "socket").exists())
        (folder / "munge").chmod(0o711)
    return daemon


def _wait(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("SLURM did not start; see the logs in its folder")
        time.sleep(0.2)


def _wait_until_idle(environment: dict[str, str]) -> None:
    line = ["sinfo", "--noheader", "--format=%t"]
    _wait(
        lambda: (
            subprocess.run(line, env=environment, capture_output=True, text=True).stdout
            == "idle\n"
        )
    )
