"""Requirements of suites on their data sets."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.suites.needs import Needs
from tests.conftest import make_images, refused


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
    line = refused(*asked)
    assert "--data: expected a data set for the suite table4 (the box space, hue mode" in line
    assert "all ten factors free), found constant z" in line
    assert not (tmp_path / "suite").exists()


def test_positives_of_another_material_are_found(rendered: Path, paired: Path) -> None:
    needs = Needs(two_materials=True)
    for data in (rendered, paired):
        with pytest.raises(ValueError, match=r"positives of another material\), found no such"):
            needs.check("mine", data)
