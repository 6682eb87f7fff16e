"""Requirements of suites on their data sets."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.suites.needs import Needs
from tests.conftest import make_images, refused_at_once
from threedident.latents.factors import NAMES


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set in the published layout, which has published hues, without z."""
    return make_images(tmp_path_factory.mktemp("held"), fixed={"z": 0.0})


def test_a_data_set_that_fits_is_accepted(held: Path) -> None:
    Needs(factors=("x", "y")).check("mine", held)
    Needs(hues=("published",), factors=("theta",)).check("mine", held)


def test_every_reason_is_named(held: Path) -> None:
    needs = Needs(space="periodic", hues=("wrapped",), factors=("x", "z"))
    words = (
        r"suite mine \(the periodic space, hue mode wrapped, the factors x, z free\), found the "
        r"box space, hue mode published, constant z in"
    )
    with pytest.raises(ValueError, match=words):
        needs.check("mine", held)


def test_a_suite_says_what_it_needs_and_refuses_other_data(held: Path, tmp_path: Path) -> None:
    asked = ("benchmark", "--suite", "table4", "--data", held, "--out", tmp_path / "suite")
    line = refused_at_once(*asked)
    assert "--data: expected a data set for the suite table4 (the box space, hue mode" in line
    assert "all ten factors free), found constant z" in line
    assert not (tmp_path / "suite").exists()


def test_all_other_factors_may_have_to_be_held(held: Path) -> None:
    needs = Needs(factors=("x", "y"), alone=True)
    words = r"factors x, y free and all others held\), found free alpha, beta, .*background_hue in"
    with pytest.raises(ValueError, match=words):
        needs.check("mine", held)
    others = ("alpha", "beta", "gamma", "theta", "object_hue", "spotlight_hue", "background_hue")
    Needs(factors=("x", "y", *others), alone=True).check("mine", held)


def test_every_group_reads_a_folder_of_its_own(tmp_path: Path) -> None:
    """The set of positions fits, and that of rotations does not: no row is trained."""
    data = tmp_path / "groups"
    fixed = dict.fromkeys(NAMES[3:], 0.0)
    make_images(data / "positions", fixed=fixed)
    make_images(data / "rotations", fixed=fixed)
    rows = "positions-supervised,rotations-nearest-box"
    where = ("--data", data, "--out", tmp_path / "suite")
    line = refused_at_once("benchmark", "--suite", "groups", "--rows", rows, *where)
    assert "alpha, beta, gamma free and all others held), found constant alpha" in line
    assert str(data / "rotations") in line
    assert not (tmp_path / "suite").exists()


def test_positives_of_another_material_are_found(rendered: Path, paired: Path) -> None:
    needs = Needs(two_materials=True)
    for data in (rendered, paired):
        with pytest.raises(ValueError, match=r"positives of another material\), found no such"):
            needs.check("mine", data)
