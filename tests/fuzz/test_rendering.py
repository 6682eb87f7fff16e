"""What workers leave while they render: plans, journals and leases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from render.workers import leases
from render.workers.journal import RowRecord, Tail, read_journals
from render.workers.leases import acquire, holders
from render.workers.plan import Plan, open_plan, plan_path, planned_latents
from tests.fuzz.damage.arrays import array_damage
from tests.fuzz.damage.edits import edited, line_edits, text_damage
from tests.fuzz.damage.json_texts import json_damage, log_damage, log_edits
from tests.fuzz.damage.specimens import RENDERING, draw
from tests.fuzz.hunting import hunt
from threedident.latents.sampling import check_raw
from threedident.runtime.files import load_npy
from threedident.storage.folder import SplitFolder
from threedident.storage.origin import Origin


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> SplitFolder:
    folder = SplitFolder(tmp_path_factory.mktemp("w"), "train")
    origin = Origin(split="train", seed=0)
    draw(folder, Plan(origin=origin, rendering=RENDERING), origin.draw(6))
    return folder


def test_plans(begun: SplitFolder) -> None:
    def judge(found: tuple[Plan, np.ndarray], _sound: object) -> None:
        plan, _ = found
        assert Plan.model_validate_json(plan.model_dump_json()) == plan

    hunt("plan", plan_path(begun), json_damage, lambda: open_plan(begun), judge)


def test_latents_of_a_plan(begun: SplitFolder) -> None:
    def judge(found: tuple[Plan, np.ndarray], sound: tuple[Plan, np.ndarray]) -> None:
        assert found[1].dtype == sound[1].dtype

    hunt(
        "latents of a plan", planned_latents(begun), array_damage, lambda: open_plan(begun), judge
    )


def test_latents_that_a_user_gives(tmp_path: Path) -> None:
    def judge(found: np.ndarray, _sound: object) -> None:
        assert found.dtype == np.float32
        assert found.shape == (len(found), 10)
        assert (np.abs(found) <= 1).all()

    path = tmp_path / "latents.npy"
    np.save(path, np.linspace(-1, 1, 40, dtype=np.float32).reshape(4, 10))
    read = lambda: check_raw(load_npy(path), str(path))  # noqa: E731
    hunt("--latents", path, array_damage, read, judge)


def test_journals(begun: SplitFolder) -> None:
    names = RENDERING.annotations

    def read() -> dict[int, RowRecord]:
        return read_journals(begun, names)

    def judge(found: dict[int, RowRecord], _sound: object) -> None:
        assert all(0 <= row == record.index for row, record in found.items())
        assert all(len(r.digests) == len(r.sizes) == 1 + len(names) for r in found.values())
        assert all(min(record.sizes) > 0 for record in found.values())

    [file] = begun.scratch.glob("journal-*")
    hunt("journal", file, log_damage, read, judge)


def test_journals_that_grow(begun: SplitFolder) -> None:
    [file] = begun.scratch.glob("journal-*")

    def read() -> list[RowRecord]:
        grown = file.read_bytes()
        file.write_bytes(grown[: len(grown) // 3])
        tail = Tail(begun)
        file.write_bytes(grown)
        return tail.read()

    def judge(found: list[RowRecord], _sound: object) -> None:
        assert all(asdict(record)["index"] >= 0 for record in found)

    hunt("journal as it grows", file, edited(log_edits, line_edits), read, judge)


@pytest.fixture
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases of other machines are watched for a moment, and not for a minute."""
    monkeypatch.setattr(leases, "EXPIRY_S", 0.004)
    monkeypatch.setattr(leases, "_pause", lambda: leases.time.sleep(0.002))


@pytest.fixture
def lease(tmp_path: Path, _hasty: None) -> Iterator[Path]:
    held = acquire(tmp_path / "leases", "chunk-3")
    yield held.path
    held.path.touch()
    held.release()


def test_leases(lease: Path) -> None:
    def judge(found: dict[Path, leases.Holder], _sound: object) -> None:
        assert all(str(holder).isprintable() for holder in found.values())

    read = lambda: holders(lease.parent)  # noqa: E731
    hunt("lease", lease, json_damage, read, judge, examples=60)


def test_leases_to_be_taken_over(lease: Path) -> None:
    def read() -> str:
        try:
            acquire(lease.parent, "chunk-3").release()
        except ValueError as error:
            assert str(error).isprintable()  # noqa: PT017
            return "held"
        return "taken"

    def judge(found: str, sound: str) -> None:
        assert sound == "held"
        assert found in ("held", "taken")

    hunt("lease to be taken over", lease, text_damage, read, judge, examples=60)
