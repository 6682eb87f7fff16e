"""Import paths and entry points of users."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from benchmark import plugins
from benchmark.encoders.networks import build_encoder, is_custom
from benchmark.losses.catalogue import find_loss
from benchmark.plugins import Kind, imported, is_plugin

KINDS: tuple[Kind, ...] = ("encoder", "loss", "metric", "source")


@pytest.fixture
def declared(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package that declares the name ``mine`` in every group."""
    paths = {"encoder": "torch.nn:LazyLinear", "loss": "torch.nn:Identity"}
    points = {
        kind: {"mine": EntryPoint("mine", paths.get(kind, "math:sqrt"), f"threedident.{kind}s")}
        for kind in KINDS
    }
    monkeypatch.setattr(plugins, "declared", lambda kind: points[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_import_paths_of_every_kind_are_found(kind: Kind) -> None:
    import math

    assert imported("math:sqrt", kind) is math.sqrt
    assert is_plugin("math:sqrt", kind)
    assert not is_plugin("sqrt", kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("declared")
def test_names_of_entry_points_are_found(kind: Kind) -> None:
    assert is_plugin("mine", kind)
    assert callable(imported("mine", kind))


@pytest.mark.usefixtures("declared")
def test_declared_encoders_and_losses_are_options() -> None:
    assert is_custom("mine")
    assert build_encoder("mine", (3,), 5, "unbounded", seed=0)[0].network.out_features == 5
    assert find_loss("mine").__name__ == "Identity"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("no_such_package:Name", "ModuleNotFoundError"),
        ("math:no_such_name", "AttributeError"),
        ("math:pi", "to be a class or a function, found float; name one"),
        ("math:", "to be importable"),
    ],
)
def test_what_cannot_be_imported_is_named_by_its_kind(kind: Kind, path: str, words: str) -> None:
    with pytest.raises(ValueError, match=f"^{kind}: expected {path}.*{words}"):
        imported(path, kind)


def test_an_error_within_the_module_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "breaks_at_once.py").write_text("raise OSError('no weights')\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="found OSError: no weights"):
        imported("breaks_at_once:Net", "loss")


def test_only_the_group_of_metrics_has_entries_of_our_own() -> None:
    found = {kind: set(plugins.declared(kind)) for kind in KINDS}
    own = {"information", "dci-trees"}
    assert found == {"encoder": set(), "loss": set(), "metric": own, "source": set()}
