"""Scores as they print: in a terminal and in a notebook, of this version and of earlier ones."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmark.metrics.disentanglement.dci import Dci, dci
from benchmark.metrics.probes import Probe, probe
from benchmark.metrics.results import NONE
from benchmark.metrics.scores import Scores, score

LABELS = ["x", "spotlight hue", "<b>z</b>"]
NEW = ("labels", "rows", "readout", "strength_per_factor")


def case(n: int = 3, rows: int = 400) -> tuple[np.ndarray, np.ndarray]:
    z = np.random.default_rng(0).uniform(-1, 1, (rows, n))
    return z, z[:, ::-1] ** 3


def numbers(line: str) -> list[str]:
    """The cells behind the name, which may hold blanks."""
    return line.split()[-4:]


def test_scores_print_a_line_and_a_table_of_factors() -> None:
    found = score(*case(), labels=LABELS)
    headline, names, *rows = str(found).splitlines()
    for part in (f"R² {found.r2:.3f}", f"MCC {found.mcc:.3f}", "rows 400", "codes 3"):
        assert part in headline
    assert f"Spearman MCC {found.mcc_spearman:.3f}" in headline
    assert headline.endswith("fitted by least squares")
    assert names.split() == ["factor", "R²", "|Pearson|", "|Spearman|", "assigned", "code"]
    assert len({len(line) for line in (names, *rows)}) == 1  # columns are aligned
    for i, (row, label) in enumerate(zip(rows, LABELS, strict=True)):
        assert row.startswith(label)
        per_factor = found.r2_per_factor, found.mcc_per_factor, found.mcc_spearman_per_factor
        scores = [f"{values[i]:.3f}" for values in per_factor]
        assert numbers(row) == [*scores, str(2 - i)]


def test_without_labels_factors_are_the_numbers_of_their_columns() -> None:
    _, _, *rows = str(score(*case(10))).splitlines()
    assert [row.split()[0] for row in rows] == [str(i) for i in range(10)]


def test_probe_and_dci_print_as_scores_do() -> None:
    found = probe(*case(), labels=LABELS)
    headline, names, *rows = str(found).splitlines()
    assert headline.startswith(f"Probe: nonlinear R² {found.nonlinear_r2:.3f}, disentanglement")
    assert names.split()[:4] == ["factor", "nonlinear", "R²", "informativeness"]
    assert [row[: len(label)] for row, label in zip(rows, LABELS, strict=True)] == LABELS
    headline, _, *rows = str(found.dci).splitlines()
    assert headline.startswith(f"DCI: disentanglement {found.dci.disentanglement:.3f}")
    assert [row.split()[-1] for row in rows] == ["2", "1", "0"]


@pytest.mark.parametrize("scorer", [score, probe, dci])
def test_notebooks_show_tables_with_escaped_names(scorer: type) -> None:
    page = scorer(*case(), labels=LABELS)._repr_html_()
    assert page.count("<table>") == page.count("</table>") == 2
    assert "spotlight hue" in page
    assert "&lt;b&gt;z&lt;/b&gt;" in page
    assert "<b>" not in page


def test_withheld_scores_print_as_dashes() -> None:
    z, _ = case()
    found = dci(z, np.random.default_rng(1).normal(size=z.shape))
    headline, _, *rows, note = str(found).splitlines()
    assert headline.startswith(f"DCI: disentanglement {NONE}, completeness {NONE}, ")
    assert all(NONE in row for row in rows)
    assert note.startswith("note: disentanglement and completeness are withheld")


def test_names_and_fit_survive_json() -> None:
    z, codes = case()
    many = np.hstack([codes, np.random.default_rng(2).normal(size=(400, 50))])
    with pytest.warns(UserWarning, match="few"):
        found = score(z, many, labels=LABELS, spare_codes=True)
    again = Scores.from_json(json.loads(json.dumps(found.to_json())))
    assert str(again) == str(found)
    assert again.labels == tuple(LABELS)
    assert again.readout == "ridge"
    assert again.strength_per_factor == pytest.approx(found.strength_per_factor)
    probed = probe(z, codes, labels=LABELS)
    assert str(Probe.from_json(json.loads(json.dumps(probed.to_json())))) == str(probed)
    withheld = dci(z, np.random.default_rng(1).normal(size=z.shape))
    record = json.dumps(withheld.to_json(), allow_nan=False)
    assert json.loads(record)["disentanglement"] is None
    assert str(Dci.from_json(json.loads(record))) == str(withheld)


def test_records_of_earlier_versions_load_and_print() -> None:
    z, codes = case()
    record = {k: v for k, v in score(z, codes).to_json().items() if k not in NEW}
    old = Scores.from_json(record)
    assert (old.labels, old.rows, old.readout, old.remark) == (None, None, "least squares", None)
    assert f"rows {NONE}" in str(old)
    probed = probe(z, codes).to_json()
    before = {k: v for k, v in probed["dci"].items() if k not in NEW}
    assert Probe.from_json({**probed, "dci": before}).dci.completeness is not None
    missing = {k: v for k, v in record.items() if k != "r2"}
    with pytest.raises(ValueError, match="at r2: expected a value"):
        Scores.from_json(missing)
