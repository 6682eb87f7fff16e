"""Metrics of one's own: how they are found, and what they may return."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark import plugins
from benchmark.metrics import dci, information
from benchmark.metrics.custom import find_metric, measure

Z = np.random.default_rng(0).uniform(-1, 1, (60, 3))


def spread(latents: np.ndarray, codes: np.ndarray, *, seed: int) -> dict[str, Any]:
    """The mean spread of the codes, and each spread."""
    del latents, seed
    return {"mean": codes.std(), "each": codes.std(axis=0)}


def test_numbers_and_arrays_are_kept() -> None:
    found = measure("spread", spread, Z, 2 * Z, seed=0)
    assert found.remarks == []
    assert found.numbers["mean"] == pytest.approx(2 * Z.std())
    assert found.numbers["each"] == pytest.approx((2 * Z.std(axis=0)).tolist())
    assert found.to_json() == {"values": found.numbers, "remarks": []}


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        ({"a": np.nan}, "expected finite numbers in a, found NaN"),
        ({"a": [1.0, np.inf]}, "expected finite numbers in a, found NaN or infinity"),
        (0.5, "expected numbers by name, found float"),
        ({}, "expected numbers by name, found dict"),
        (None, "expected numbers by name, found NoneType"),
        ({"a": "much"}, "expected numbers by name, found ValueError"),
        ({"a": object()}, "expected numbers by name, found TypeError"),
    ],
)
def test_anything_else_is_one_line_and_no_result(returned: object, words: str) -> None:
    found = measure("mine", lambda *_, **__: returned, Z, Z, seed=0)
    assert found.numbers == {}
    [line] = found.remarks
    assert line.startswith(f"metric mine: {words}")
    assert line.endswith("it has no result in this run")


def test_failures_are_one_line_and_change_nothing() -> None:
    def broken(latents: np.ndarray, codes: np.ndarray, *, seed: int) -> dict[str, float]:
        latents[:] = codes[:] = seed
        raise RuntimeError("no\nluck")

    before = Z.copy()
    assert measure("mine", broken, Z, Z, seed=0).remarks == [
        "metric mine: expected numbers by name, found RuntimeError: no luck; it has no result in "
        "this run"
    ]
    assert (before == Z).all()


def test_rows_and_domain_are_heeded() -> None:
    def shy(latents: np.ndarray, codes: np.ndarray, *, seed: int) -> dict[str, float]:
        return {"x": float(len(latents) + len(codes) + seed)}

    shy.least_rows = 61  # type: ignore[attr-defined]
    assert "expected at least 61 rows, found 60" in measure("shy", shy, Z, Z, seed=0).remarks[0]
    shy.least_rows = 60  # type: ignore[attr-defined]
    shy.domain = lambda *_: ["codes lie on no sphere"]  # type: ignore[attr-defined]
    found = measure("shy", shy, Z, Z, seed=1)
    assert (found.numbers, found.remarks) == ({"x": 121.0}, ["codes lie on no sphere"])
    shy.domain = lambda *_: 1 / 0  # type: ignore[attr-defined]
    assert "ZeroDivisionError" in measure("shy", shy, Z, Z, seed=1).remarks[0]


def test_paths_and_entry_points_are_found(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    assert find_metric(f"{__name__}:spread") is spread
    point = EntryPoint("spread", f"{__name__}:spread", "threedident.metrics")
    monkeypatch.setattr(plugins, "entry_points", lambda group: EntryPoints([point]))  # noqa: ARG005
    plugins.declared.cache_clear()
    request.addfinalizer(plugins.declared.cache_clear)
    assert find_metric("spread") is spread
    with pytest.raises(ValueError, match=r"one that a package offers \(spread\), found other"):
        find_metric("other")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("nowhere_at_all:f", "to be importable from .*, found ModuleNotFoundError"),
        (f"{__name__}:missing", "found AttributeError"),
        (f"{__name__}:Z", "to be a class or a function, found ndarray"),
        ("plain", "expected package.module:Name"),
    ],
)
def test_wrong_paths_are_named(path: str, words: str) -> None:
    with pytest.raises(ValueError, match=f"metric: .*{words}"):
        find_metric(path)


def test_modules_of_the_working_directory_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "metric_found_here.py").write_text("def one(z, c, *, seed): return {'one': 1}\n")
    monkeypatch.chdir(tmp_path)
    found = find_metric("metric_found_here:one")
    assert measure("one", found, Z, Z, seed=0).numbers == {"one": 1.0}


def test_the_project_offers_information_and_dci_by_trees() -> None:
    z, noise = np.random.default_rng(1).uniform(-1, 1, (2, 400, 3))
    found = {
        name: [measure(name, find_metric(name), z, codes, seed=0).numbers for codes in (z, noise)]
        for name in ("information", "dci-trees")
    }
    of_z, of_noise = found["information"]
    whole = information(z, z)
    assert of_z == {
        "MIG": whole.mig,
        "SAP": whole.sap,
        "modularity": whole.modularity,
        "InfoM": whole.info_m,
        "InfoC": whole.info_c,
        "InfoE": whole.info_e,
    }
    assert of_noise.keys() == {"InfoE"}
    of_z, of_noise = found["dci-trees"]
    assert of_z["disentanglement"] == dci(z, z, model="trees").disentanglement
    assert of_noise.keys() == {"informativeness"}
