from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis.configuration import set_hypothesis_home_dir

from tests.fuzz.damage.specimens import make_packed, make_published
from tests.fuzz.hunting import TALLIES, hunts_to_come


@pytest.fixture(scope="session", autouse=True)
def _no_files_of_hypothesis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What Hypothesis keeps between runs goes with the tests."""
    set_hypothesis_home_dir(tmp_path_factory.mktemp("hypothesis"))
    yield
    set_hypothesis_home_dir(None)


@pytest.fixture(scope="module", autouse=True)
def _no_waiting_for_disks() -> Iterator[None]:
    """No power fails here, so nothing need reach the disk itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set with a pack, made without a renderer."""
    return make_packed(tmp_path_factory.mktemp("r") / "set")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same laid out as the published archive."""
    return make_published(tmp_path_factory.mktemp("p") / "set")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    hunts = [item for item in items if here in item.path.parents]
    hunts_to_come[:] = [1] * len(hunts)
    for hunt in hunts:
        hunt.add_marker(pytest.mark.slow)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How often each reader was tried, where ``make fuzz`` asks for it."""
    if "FUZZ_SECONDS" not in os.environ:
        return
    terminalreporter.section("fuzzed readers", sep="=")
    for name, tally in sorted(TALLIES.items()):
        terminalreporter.line(
            f"{name:32} {tally.examples:8} read {tally.refused:8} refused {tally.seconds:8.1f} s"
        )
    count = sum(tally.examples for tally in TALLIES.values())
    seconds = sum(tally.seconds for tally in TALLIES.values())
    terminalreporter.line(f"{'in all':32} {count:8} read {'':16} {seconds:8.1f} s")
