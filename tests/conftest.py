from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext, redirect_stderr, redirect_stdout, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from tests.prepared import Prepared, abridged
from threedident.cli import main
from threedident.latents.sampling import sample_raw, to_physical
from threedident.runtime.files import locked

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
LONGEST = (  # modules, which take from a minute down to some ten seconds
    "test_ranks",
    "test_resume",
    "test_kills",
    "test_suites",
    "test_engine",
    "test_leases",
    "test_packages",
    "test_fresh_images",
    "test_from_runs_to_rows",
    "test_re_execution",
    "test_retrained",
    "test_variants",
    "test_reference",
    "test_run_refusals",
    "test_experiments",
    "test_layers",
    "test_job",
    "test_submit",
    "test_run",
    "test_loss_speed",
    "test_step_speed",
    "test_qualities",
    "test_executors",
)
LONG_TO_MAKE = {
    "rendered",
    "paired",
    "periodic",
    "finished",
    "shots",
    "browser",
}  # names of fixtures
DRAFT = ("--resolution", "32", "--quality", "draft", "--device", "cpu")


def cli(
    *arguments: object,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    drawn: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own; see :class:`tests.prepared.Prepared`."""
    process = start(*arguments, env=env, cwd=cwd, drawn=drawn)
    stdout, stderr = process.communicate()
    return subprocess.CompletedProcess(arguments, process.returncode, stdout, stderr)


def start(
    *arguments: object,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    drawn: bool = False,
) -> subprocess.Popen[str]:
    """The command line, running in a process of its own."""
    if sys.platform != "linux":  # where no other process can fork a child for this one
        return start_anew(*arguments, env=env, cwd=cwd)
    both = {**os.environ, **(env or {})}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return followed(Prepared(arguments, drawn=drawn, env=both, cwd=cwd, text=True, **pipes))


def command(*arguments: object) -> list[str]:
    """The words that start Python and the command line anew."""
    return [sys.executable, "-m", "threedident", *map(str, arguments)]


def start_anew(
    *arguments: object, env: dict[str, str] | None = None, cwd: Path | None = None
) -> subprocess.Popen[str]:
    """The command line, running in a new Python, with Ctrl-C as a terminal would deliver it."""
    return followed(
        subprocess.Popen(
            command(*arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            preexec_fn=hear_signals,
        )
    )


def hear_signals() -> None:
    """In a process of a test's own: undo that a shell or ``nohup`` has signals ignored."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


_followed: list[subprocess.Popen[Any]] = []


def followed(process: subprocess.Popen[Any]) -> subprocess.Popen[Any]:
    """The same process, which ends with the test, whatever becomes of that."""
    _followed.append(process)
    return process


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests of what takes long to make as slow."""
    for item in items:
        if LONG_TO_MAKE.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(specname="pytest_collection_modifyitems", trylast=True)
def pytest_collection_modifyitems_long_ones_first(items: list[pytest.Item]) -> None:
    """Let no worker begin the longest modules when the others are nearly done."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    yield
    while _followed:
        process = _followed.pop()
        if process.poll() is None:
            process.kill()
        with suppress(ValueError):  # it was read to its end and closed
            process.communicate()


def refused(*arguments: object, env: dict[str, str] | None = None) -> str:
    """The one line with which the command line refuses a user's mistake."""
    result = cli(*arguments, env=env)
    assert result.returncode == 2, result
    assert "Traceback" not in result.stderr
    return only_line(result.stderr)


def refused_at_once(*arguments: object) -> str:
    """The same in this process, for mistakes that are found before any work: torch is loaded."""
    with redirect_stderr(io.StringIO()) as stderr, pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    assert ended.value.code == 2
    assert "Traceback" not in stderr.getvalue(), stderr.getvalue()
    return only_line(stderr.getvalue())


def done_at_once(*arguments: object, drawn: bool = False) -> str:
    """What the command line prints when it is run to its end in this process."""
    with (
        nullcontext() if drawn or arguments[0] != "benchmark" else abridged(),
        redirect_stdout(io.StringIO()) as stdout,
        redirect_stderr(io.StringIO()) as stderr,
        pytest.raises(SystemExit) as ended,
    ):
        main([str(argument) for argument in arguments])
    assert ended.value.code == 0, stderr.getvalue()
    return stdout.getvalue()


def only_line(stderr: str) -> str:
    lines = [line for line in stderr.splitlines() if line.startswith("threedident: ")]
    assert len(lines) == 1, stderr
    return lines[0]


def pixels(path: Path) -> np.ndarray:
    """The RGB image in a file, shape (H, W, 3)."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def can_mount() -> bool:
    """Whether a test may mount a small disk of its own."""
    tried = subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"])
    return tried.returncode == 0


def make_images(
    root: Path,
    n: int = 24,
    n_test: int = 8,
    edge: int = 16,
    digits: int | None = None,
    fixed: dict[str, float] | None = None,
) -> Path:
    """A data set in the published layout whose images are coloured noise around their latents."""
    for split, count in (("train", n), ("test", n_test)):
        raw = sample_raw(0, split, count, fixed=fixed)
        folder = root / split
        (folder / "images").mkdir(parents=True)
        np.save(folder / "raw_latents.npy", raw)
        np.save(folder / "latents.npy", to_physical(raw))
        width = digits if digits is not None else len(str(count - 1))
        noise = np.random.default_rng(1).integers(0, 60, (count, edge, edge, 3))
        for i, latents in enumerate(raw):
            color = (95 + 90 * latents[:3]).astype(int)
            image = (noise[i] + color).astype(np.uint8)
            Image.fromarray(image).save(folder / "images" / f"{i:0{width}d}.png")
    return root


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, for modules that are skipped where there is none."""
    from playwright.sync_api import sync_playwright  # slow to import, and of use to few modules

    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Indexes are kept in a folder that goes with the tests, for their processes as well."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


def shared(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """What ``make`` puts under a path; made once, by the worker that comes first.

    Tests must not change it.
    """
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared" / name
    with locked(folder, wait=True):
        if not (folder / "made").exists():
            make(folder / "it")
            (folder / "made").touch()
    return folder / "it"


def succeeded(result: subprocess.CompletedProcess[str]) -> str:
    """What a command printed that ended well."""
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set drawn by Blender; tests must not change it."""
    line = ("render", "--n", 12, "--n-test", 6, *DRAFT)
    return shared(tmp_path_factory, "rendered", lambda out: succeeded(cli(*line, "--out", out)))


@pytest.fixture(scope="session")
def paired(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set with positives, drawn by Blender; tests must not change it."""
    line = ("render", "--n", 10, "--n-test", 4, "--pairs", "normal:0.1", *DRAFT)
    return shared(tmp_path_factory, "paired", lambda out: succeeded(cli(*line, "--out", out)))


@pytest.fixture(scope="session")
def periodic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set of the periodic space, drawn by Blender; tests must not change it."""
    line = ("render", "--n", 40, "--n-test", 24, "--space", "periodic", *DRAFT)
    return shared(tmp_path_factory, "periodic", lambda out: succeeded(cli(*line, "--out", out)))


@pytest.fixture(scope="session")
def coloured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures to train on, whose colours are their positions; tests must not change them."""
    return shared(tmp_path_factory, "coloured", partial(make_images, n=400, n_test=120))


@pytest.fixture(scope="session")
def finished(coloured: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of two seeds; tests must not change it."""
    from tests.small_runs import run

    line = ("--steps", 40, "--seeds", "0,3")
    return shared(tmp_path_factory, "finished", lambda out: run(coloured, out, *line, drawn=True))


def children(process: subprocess.Popen[str]) -> list[int]:
    listed = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True)
    return [int(line) for line in listed.stdout.split()]


def descendants(pid: int) -> list[int]:
    """All processes below one."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True).stdout
    pairs = [tuple(map(int, line.split())) for line in listed.splitlines()]
    found = [pid]
    for parent in found:  # which grows meanwhile
        found += [child for child, above in pairs if above == parent]
    return found[1:]


def command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has ended
        return b""


def all_ended(pids: Iterable[int]) -> bool:
    return not any(Path(f"/proc/{pid}/exe").exists() for pid in pids)


def wait_for(condition: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


def start_render(
    out: Path, *arguments: object, env: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    return start_anew("render", "--out", out, *arguments, *DRAFT, env=env)


def images_in(out: Path) -> int:
    return len(list(out.glob("train/images/0*.png")))
