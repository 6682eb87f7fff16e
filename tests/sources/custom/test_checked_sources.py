"""Sources of users: what they may state and give, and the line for anything else."""

from __future__ import annotations

import re
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark import plugins
from benchmark.ranks import Ranks
from benchmark.runs.completion import complete
from benchmark.runs.opening import open_source, resolve
from benchmark.runs.options import Options
from benchmark.runs.resume import options_of
from benchmark.settings import CustomSettings
from benchmark.sources.custom.checked import CheckedSource
from benchmark.sources.custom.made import open_custom
from benchmark.sources.source import Machine
from tests.sources.custom.spirals import N_TEST, PATH

HERE = PATH.rpartition(":")[0]
CPU = Machine(torch.device("cpu"))


def opened(name: str, *options: str, paired: bool = True, **asked: Any) -> CheckedSource:
    return open_custom(f"{HERE}:{name}", options, asked.get("data"), paired)


def test_a_source_is_made_with_typed_arguments_and_identified_by_what_it_states() -> None:
    source = opened("Spirals", "turns=2", "sigma=3", "name=x", "mirrored=true")
    own = source._source
    values = [vars(own)[name] for name in ("turns", "sigma", "name", "sign")]
    assert values == [2, 3.0, "x", -1.0]
    assert [type(value) for value in values[:2]] == [int, float]
    settings = source.settings
    assert settings.source_option == ("mirrored=True", "name=x", "sigma=3.0", "turns=2")
    assert settings.observed.shape == (3,)
    assert (settings.observed.codes, settings.observed.labels) == (2, ("radius", "angle"))
    same = opened("Spirals", "turns=2", "mirrored=true")
    assert same.settings.data == settings.data
    assert opened("Spirals", "turns=3").settings.data != settings.data
    assert CustomSettings.model_validate_json(settings.model_dump_json()) == settings


def test_without_a_stated_identity_name_arguments_and_latents_are_one() -> None:
    digests = {opened("Unstated", f"turns={turns}").settings.data for turns in (1, 1, 2)}
    assert len(digests) == 2
    assert opened("Unstated").settings.data == opened("Unstated").settings.data


def test_checks_change_nothing_of_what_a_source_gives() -> None:
    source = opened("Spirals")
    source.try_batches(0, 8, CPU)
    direct = source._source
    both = [s.batches(1, range(3, 5), 8, CPU) for s in (source, direct)]
    for found, expected in zip(*both, strict=True):
        assert found.anchors is not expected.anchors
        assert torch.equal(found.anchors, expected.anchors)
        assert torch.equal(found.positives, expected.positives)
    rows = torch.cat(list(source.held_out(0, 400, CPU)))
    assert torch.equal(rows, torch.cat(list(direct.held_out(0, 400, CPU))))
    assert len(rows) == 400
    np.testing.assert_array_equal(source.latents(2), direct.latents(2))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("raises", "expected the batch of step 0 of .*:Faulty, found RuntimeError: no"),
        ("early end", "expected a Batch for every step, found none for step 1"),
        ("tuple", "expected a Batch for every step, found tuple for step 0"),
        ("wide", r"float32 observations of shape \(8, 3\) in step 0, found .* \(8, 4\)"),
        ("few", r"float32 observations of shape \(8, 3\) in step 0, found .* \(7, 3\)"),
        ("double", r"float32 observations .* found float64 of shape \(8, 3\)"),
        ("device", "expected observations in step 0 on cpu, found them on meta; move them"),
        ("nan", "expected finite observations in step 0, found NaN"),
        ("nan latents", "expected finite latents in step 0, found NaN or infinity"),
        ("wide latents", r"latents of shape \(8, 2\) in step 0, found float32 of shape \(8, 5\)"),
        ("no latents", r"latents of shape \(8, 2\) in step 0, found none"),
        ("rows", "row numbers .* found int64 of shape .* in step 0 for None rows"),
        ("no positives", "expected positives for the loss, found none in step 0; take a --loss"),
        ("order", "batches that depend on seed and step alone, found two with other anchors"),
    ],
)
def test_each_fault_of_a_batch_is_one_line(fault: str, words: str) -> None:
    source = opened("Faulty", f"fault={fault}")
    with pytest.raises(ValueError, match=words) as raised:
        source.try_batches(0, 8, CPU)
    assert f"{HERE}:Faulty" in str(raised.value)


def test_a_loss_without_pairs_takes_a_source_that_leaves_them_out() -> None:
    with pytest.raises(ValueError, match="expected no positives for a loss without pairs"):
        opened("Faulty", paired=False).try_batches(0, 8, CPU)
    source = opened("Spirals", paired=False)
    source.try_batches(0, 8, CPU)
    assert next(source.batches(0, range(1), 8, CPU)).positives is None


def test_every_rank_gives_its_share() -> None:
    source = opened("Spirals")
    with pytest.raises(ValueError, match=r"shape \(4, 3\) in step 0, found .* \(8, 3\)"):
        source.try_batches(0, 8, Machine(torch.device("cpu"), ranks=Ranks(0, 2)))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("test raises", "expected held_out of .* found RuntimeError: no test; change the source"),
        ("few test rows", "expected 400 observations from held_out, found 399"),
        ("many test rows", "expected 400 observations from held_out, found more"),
    ],
)
def test_each_fault_of_the_scored_split_is_one_line(fault: str, words: str) -> None:
    source = opened("Faulty", f"fault={fault}")
    with pytest.raises(ValueError, match=words):
        list(source.held_out(0, 400, CPU))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("nan test latents", "expected finite numbers from latents, found NaN or infinity"),
        ("narrow test latents", rf"shape \(N, 2\), .* found float32 of shape \({N_TEST}, 1\)"),
    ],
)
def test_each_fault_of_the_latents_is_one_line(fault: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        opened("Faulty", f"fault={fault}").latents(0)


@pytest.mark.parametrize(
    ("name", "what", "value", "words"),
    [
        ("Misstated", "shape", "zero", "TypeError: 'int' object is not iterable"),
        ("Misstated", "shape", "empty", "shape: Tuple should have at least 1 item"),
        ("Misstated", "labels", "empty", "labels: Tuple should have at least 1 item"),
        ("Misstated", "labels", "twins", "labels should differ"),
        ("Misstated", "identity", "empty", "expected a text or None as identity, found ()"),
        ("Sized", "codes", "one", "codes should not be fewer than labels"),
        ("Sized", "rows", "zero", "expected a positive integer or None as rows, found 0"),
        ("Misstated", "size", "many", "a positive integer or None as size, found 'many'"),
        ("Sized", "circular", "empty", "expected a bool for each label as circular, found ()"),
    ],
)
def test_what_a_source_states_wrongly_is_one_line(
    name: str, what: str, value: str, words: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(words)) as raised:
        stated(opened(name, f"what={what}", f"value={value}"))
    assert str(raised.value).startswith("source ")


def stated(source: CheckedSource) -> tuple[Any, ...]:
    return source.size, source.rows, source.circular


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("nothing", (), "expected .*:nothing to make a benchmark.* found NoneType; return one"),
        ("Unfinished", (), "found TypeError: Can't instantiate abstract class Unfinished"),
        ("Prepared", (), "expected .*:Prepared without preprocess"),
        ("Spirals", ("turns=1.5",), "--source-option: expected an integer for turns, found '1.5'"),
        ("Spirals", ("turn=1",), "did you mean 'turns'"),
        (
            "Spirals",
            ("paired=False",),
            "expected one of turns, sigma, name, mirrored, found 'pair",
        ),
        ("Spirals", ("turns",), "expected name=value, found turns"),
        ("nothing", ("turns=1",), "expected none for the source .*, which takes no arguments"),
        ("Nowhere", (), "source: expected .*:Nowhere to be importable"),
    ],
)
def test_what_makes_no_source_is_refused(name: str, options: tuple[str, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        opened(name, *options)


def test_data_are_given_to_a_source_that_takes_them(tmp_path: Path) -> None:
    place = tmp_path / "held.txt"
    place.write_text("first")
    source = opened("Spirals", data=place)
    assert source.root == place
    place.write_text("second")
    assert opened("Spirals", data=place).settings.data != source.settings.data
    with pytest.raises(ValueError, match="--data: expected with a source that has an argument"):
        opened("Unstated", data=place)


def test_options_of_a_run_resolve_to_a_configuration_and_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    points = {"source": {"spirals": EntryPoint("spirals", PATH, "threedident.sources")}}
    monkeypatch.setattr(plugins, "declared", lambda kind: points.get(kind, {}))
    for name in (PATH, "spirals"):
        options = Options(source=name, source_option=("turns=2",), steps=3, batch_size=16)
        completed = complete(options)
        config = resolve(completed, open_source(completed))
        assert config.source.name == name
        assert (config.encoder, config.loss, config.output_space) == ("mlp", "l2", "box")
        held = complete(options_of(config))
        assert resolve(held, open_source(held)) == config


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"pairs": "x=keep"}, "--pairs: expected with --source nearest or mixing, found it with"),
        ({"conditional": "normal"}, "--conditional: expected with --source nearest or mixing"),
        ({"sigma": 0.1}, "--sigma: expected with --source"),
        ({"factors": 3}, "--factors: expected with --source"),
        ({"anchor": "row"}, "--anchor: expected with --source nearest"),
        ({"anchor_rows": 9}, "--anchor-rows: expected with --source mixing"),
        ({"resolution": 16}, "--resolution: expected with --source"),
        ({"score_on": "train"}, "--score-on: expected with --source"),
        ({"max_distance": 2}, "--max-distance: expected with --source kitti"),
        ({"protocol": "published"}, "--protocol: expected held-out with a source of your own"),
    ],
    ids=str,
)
def test_options_of_other_sources_are_refused(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=f"^{words}.*{PATH}.*leave it out$"):
        complete(Options(source=PATH, **asked))


def test_an_unknown_source_and_options_without_one_are_refused() -> None:
    with pytest.raises(ValueError, match="did you mean 'mixing'"):
        complete(Options(source="mixng"))
    with pytest.raises(ValueError, match=r"one of nearest, .* or an import path such as"):
        complete(Options(source="spirals"))
    with pytest.raises(ValueError, match=r"--source-option: .* --source package\.module:Name"):
        complete(Options(source="mixing", source_option=("turns=2",)))
