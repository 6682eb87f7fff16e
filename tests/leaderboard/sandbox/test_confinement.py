"""What the process of strangers' encoders gives up, seen from outside it and tried from within."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ctypes.util import find_library
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from benchmark.leaderboard.sandbox import sandbox
from benchmark.leaderboard.sandbox.sandbox import PROTECTIONS, Limits, Pass, execute, protections
from tests.conftest import wait_for
from tests.leaderboard.sandbox.test_hostile_encoders import hog
from tests.leaderboard.submissions import EDGE, encoder

EDGE_OF_HOG = 12_000  # whose first array is more memory than a process has before its model
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="Linux alone grants these"),
]


@pytest.fixture(scope="module")
def held() -> dict[str, bool]:
    return protections()


def require(held: dict[str, bool], *names: str) -> None:
    for name in names:
        if not held[name]:
            pytest.skip(f"this system does not grant {PROTECTIONS[name]}")


def done(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result


def words(path: Path) -> dict[str, str]:
    lines = path.read_text().splitlines()
    return {name: rest.strip() for name, _, rest in (line.partition(":") for line in lines)}


@contextmanager
def at_work() -> Iterator[Path]:
    """The folder below /proc of an executor that runs a model, which ends with the block."""
    images = np.zeros((1, EDGE, EDGE, 3), np.uint8)
    asked = (hog(EDGE_OF_HOG).SerializeToString(), images, 10, [Pass(1)], "busy", Limits(60))
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(execute, *asked)
        wait_for(lambda: bool(executors()), 60)
        [pid] = executors()
        place = Path("/proc", str(pid))
        try:
            wait_for(lambda: kibibytes(place) > 4 * EDGE_OF_HOG**2 / 1024, 60)
            yield place
        finally:
            os.kill(pid, signal.SIGKILL)
            with pytest.raises(ValueError, match="found its process ended"):
                answer.result()


def executors() -> list[int]:
    command = ["pgrep", "--parent", str(os.getpid()), "--full", "benchmark.leaderboard.sandbox"]
    return [int(line) for line in subprocess.run(command, capture_output=True).stdout.split()]


def kibibytes(place: Path) -> int:
    return int(words(place / "status")["VmRSS"].split()[0])


def test_a_process_at_work_has_given_up_all_that_the_system_grants(held: dict[str, bool]) -> None:
    """Every thread is where the first one is, and every descriptor is one of three pipes."""
    with at_work() as place:
        tasks = list((place / "task").iterdir())
        networks = {task: (task / "ns/net").readlink() for task in tasks}
        interfaces = [
            {line.partition(":")[0].strip() for line in lines[2:]}
            for lines in ((task / "net/dev").read_text().splitlines() for task in tasks)
        ]
        statuses = [words(task / "status") for task in tasks]
        roots = {(task / "root").readlink() for task in tasks}
        opened = {entry.name: str(entry.readlink()) for entry in (place / "fd").iterdir()}
    assert sorted(opened) == ["0", "1", "2"]
    assert all(target.startswith("pipe:") for target in opened.values()), opened
    if held["network"]:
        assert Path("/proc/self/ns/net").readlink() not in networks.values()
        assert len(set(networks.values())) == 1
        assert all(names == {"lo"} for names in interfaces)
    if held["files"]:
        assert {str(root) for root in roots} == {f"/proc/{place.name}/fdinfo"}
    if held["rights"]:
        assert all("0" not in status["Uid"].split() for status in statuses)
    if held["calls"]:
        assert {(status["Seccomp"], status["NoNewPrivs"]) for status in statuses} == {("2", "1")}


def test_what_the_system_has_is_taken(held: dict[str, bool]) -> None:
    """Found out in other ways than the sandbox's own."""
    assert set(held) == set(PROTECTIONS)
    may = subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode == 0
    assert held["network"] or not may
    assert held["rights"] or os.geteuid() == 0
    free = words(Path("/proc/self/status")).get("Seccomp") == "0"
    there = find_library("seccomp") and find_spec("pyseccomp")
    assert held["calls"] or not (free and there)


LEAVING = """
import json, sys
before = set(sys.modules)
from benchmark.leaderboard.sandbox import __main__ as executor
def leave():
    print(json.dumps(sorted(set(sys.modules) - before)))
    sys.exit()
executor.leave_network = leave
executor.main()
"""


def test_nothing_is_imported_before_the_network_is_left() -> None:
    """But Python's own modules: a library that starts a thread would leave it in the network."""
    loaded = json.loads(done(LEAVING, os.getpid()).stdout)
    names = {name.partition(".")[0] for name in loaded}
    assert names - {"benchmark", "threedident"} <= sys.stdlib_module_names


def test_no_library_writes_into_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not where it could, and the home that it is given is none."""
    images = np.zeros((1, EDGE, EDGE, 3), np.uint8)
    model = encoder().SerializeToString()
    given = sandbox._ENVIRONMENT
    for name in ("HOME", "XDG_CACHE_HOME"):
        with pytest.raises(NotADirectoryError):
            (Path(given[name]) / "made").mkdir()
    open_home = {**given, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    monkeypatch.setattr(sandbox, "_ENVIRONMENT", open_home)
    execute(model, images, 10, [Pass(1)], "mine")
    assert list(tmp_path.iterdir()) == []


def steps(target: Path, *, calls: bool) -> dict[str, list[int]]:
    """What each hostile step within gave: the error's number, or 0, of two threads."""
    name = "all" if calls else "without calls"
    command = [sys.executable, "-m", "tests.leaderboard.sandbox.hostile_steps", name, str(target)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    found: dict[str, list[int]] = json.loads(result.stdout)
    return found


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Path]:
    """A file that must stay as it is, alone in its folder."""
    path = tmp_path / "there"
    path.write_text("there")
    before = path.stat()
    yield path
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "there"
    assert path.stat().st_mode == before.st_mode


def test_no_hostile_step_succeeds(held: dict[str, bool], target: Path) -> None:
    """Nor in a thread that was there before: the system knows none of these calls any more."""
    require(held, "calls")
    found = steps(target, calls=True)
    assert found.pop("read on") == [errno.EBADF] * 2  # a file that was left open
    assert len(found) > 30
    assert found == dict.fromkeys(found, [errno.ENOSYS] * 2)


def test_no_path_leads_to_a_file_where_calls_cannot_be_taken(
    held: dict[str, bool], target: Path
) -> None:
    require(held, "files", "rights")
    found = steps(target, calls=False)
    assert len(found) > 15
    assert all(all(numbers) for numbers in found.values()), found


REFUSING = """
import errno, sys
import numpy as np
import pyseccomp
from benchmark.leaderboard.sandbox.sandbox import Pass, execute, protections
from tests.leaderboard.submissions import EDGE, encoder
rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
for name in ("unshare", "chroot", "setresuid", "seccomp"):
    rules.add_rule(pyseccomp.ERRNO(errno.EPERM), name)
model, images = encoder().SerializeToString(), np.zeros((3, EDGE, EDGE, 3), np.uint8)
[granted] = execute(model, images, 10, [Pass(2)], "mine")
rules.load()
found = protections()
assert not any(found[name] for name in ("network", "files", "calls")), found
assert found["rights"] == (sys.argv[1] != "0"), found
[refused] = execute(model, images, 10, [Pass(2)], "mine")
assert granted.tobytes() == refused.tobytes()
"""


def test_a_system_that_refuses_all_still_gives_the_codes(held: dict[str, bool]) -> None:
    """As containers may: and what does not hold is said."""
    require(held, "calls")
    done(REFUSING, os.geteuid())


UNCONFINED = """
import sys
import numpy as np
from benchmark.leaderboard.sandbox.inference import answer
images = np.random.default_rng(0).integers(0, 256, (70, 16, 16, 3), dtype=np.uint8)
with open(sys.argv[1], "rb") as file:
    model = file.read()
request = {"resolution": 16, "codes": 10, "passes": [{"batch": 64, "order": None}]}
[codes] = answer(request, model, images)
sys.stdout.buffer.write(codes.tobytes())
"""


def test_confinement_changes_no_bit_of_a_code(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (70, EDGE, EDGE, 3), dtype=np.uint8)
    model = encoder().SerializeToString()
    path = tmp_path / "encoder.onnx"
    path.write_bytes(model)
    [codes] = execute(model, images, 10, [Pass(64)], "mine")
    free = subprocess.run(
        [sys.executable, "-c", UNCONFINED, str(path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "ORT_DISABLE_TELEMETRY": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    assert free.stdout == codes.tobytes()
