"""The zoo: encoders that come with the package give the scores on their cards."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.metrics.scores import Scores
from benchmark.zoo import cards as zoo
from benchmark.zoo.__main__ import MOST_BYTES, publish, scores_on
from tests.conftest import cli, done_at_once, refused_at_once, shared, succeeded
from threedident import ThreeDIdent, load_encoder

pytestmark = pytest.mark.slow

NAMES = sorted(zoo.cards())
AS_MEASURED = 0.005  # other processors render and sum a little differently
MACHINE = ("--device", "cpu", "--workers", 0)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The images on which the cards say that the encoders were scored."""
    [command] = {card.render for card in zoo.cards().values()}
    program, *line = shlex.split(command)
    assert program == "threedident"
    asked = line[: line.index("--out")]
    return shared(tmp_path_factory, "zoo", lambda out: succeeded(cli(*asked, "--out", out)))


@pytest.mark.parametrize("name", NAMES)
def test_encoders_give_the_scores_on_their_cards(name: str, images: Path, tmp_path: Path) -> None:
    card = Scores.from_json(zoo.read_card(f"zoo:{name}").scores)
    encoder = load_encoder(name)
    assert encoder.scores.r2 == card.r2
    found = scores_on(encoder, ThreeDIdent(images, "test"))
    assert found["r2_per_factor"] == pytest.approx(card.r2_per_factor, abs=2 * AS_MEASURED)
    assert found["mcc"] == pytest.approx(card.mcc, abs=AS_MEASURED)

    line = ("--encoder", f"zoo:{name}", "--steps", 0, "--data", images, "--out", tmp_path / "run")
    done_at_once("benchmark", *line, *MACHINE)
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert scores["r2"] == pytest.approx(found["r2"], abs=1e-4)
    assert scores["mcc"] == pytest.approx(found["mcc"], abs=1e-4)
    again = load_encoder(tmp_path / "run")
    sample = torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8)
    assert torch.equal(again(sample), encoder(sample))


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_small_plain_arrays_with_a_digest(name: str) -> None:
    path = zoo.weights_path(f"zoo:{name}")
    assert path.stat().st_size <= MOST_BYTES
    with np.load(path, allow_pickle=False) as arrays:
        kinds = {arrays[key].dtype.kind: arrays[key].dtype for key in arrays.files}
    assert kinds["f"] == np.float16
    encoder = load_encoder(name)
    assert f"origin: zoo:{name}" in repr(encoder)
    assert "test split: R2 " in repr(encoder)
    assert len(encoder.labels) == 10


def test_altered_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "altered.npz"
    content = bytearray(zoo.weights_path(f"zoo:{NAMES[0]}").read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    monkeypatch.setattr(zoo, "weights_path", lambda _: path)
    with pytest.raises(ValueError, match=f"{path}: expected weights with the SHA-256 of the card"):
        load_encoder(NAMES[0])


def test_what_does_not_fit_an_encoder_of_the_zoo_is_named(coloured: Path) -> None:
    name = NAMES[0]
    line = ("benchmark", "--encoder", f"zoo:{name}", "--data", coloured)
    for option, words in (
        ("--steps=5", f"--steps: expected 0 for zoo:{name}, which is trained, found 5"),
        ("--resolution=32", "--resolution: expected 64 for zoo"),
        ("--codes=12", "--codes: expected 10 for zoo"),
        ("--output-space=sphere", "--output-space: expected"),
        ("--features=3", "--features: expected none for zoo"),
        ("--source=kitti", "--encoder: expected a source of rendered images"),
    ):
        assert words in refused_at_once(*line, option)
    words = refused_at_once("benchmark", "--encoder", f"zoo:{name[:-1]}", "--data", coloured)
    assert f"did you mean 'zoo:{name}'" in words
    with pytest.raises(ValueError, match=f"nothing; .*one of {NAMES[0]}"):
        load_encoder("no-such-encoder")
    with pytest.raises(ValueError, match=r"seed: expected \d+, with which zoo:"):
        load_encoder(name, seed=77)


def test_publishing_a_run(images: Path, tmp_path: Path) -> None:
    run, place = tmp_path / "run", tmp_path / "zoo"
    shutil.copytree(zoo.weights_path(f"zoo:{NAMES[0]}").parent, place)
    line = ("--data", images, "--encoder", "conv", "--steps", 2, "--batch-size", 2, "--out", run)
    done_at_once("benchmark", *line, *MACHINE)
    with pytest.raises(SystemExit) as ended:
        publish([str(run), "new", "--data", str(images), "--zoo", str(place)])
    assert ended.value.code == 0
    cards = zoo.Cards.model_validate_json((place / "cards.json").read_text()).root
    assert sorted(cards) == sorted([*NAMES, "new"])
    assert {name: cards[name] for name in NAMES} == zoo.cards()
    weights = zoo.from_npz((place / "new.npz").read_bytes())
    trained = load_encoder(run).model.state_dict()
    assert weights.keys() == trained.keys()
    for key, value in weights.items():
        torch.testing.assert_close(value, trained[key], rtol=2**-10, atol=1e-7)
    wanted = json.loads((run / "scores.json").read_text())
    assert cards["new"].scores["mcc"] == pytest.approx(wanted["mcc"], abs=0.01)
    assert cards["new"].render == zoo.cards()[NAMES[0]].render


def test_what_cannot_be_published_is_named(coloured: Path, finished: Path, tmp_path: Path) -> None:
    for name, data, words in (
        ("My Net", coloured, "NAME: expected small letters, digits and dashes, found My Net"),
        ("net", coloured, "--data: expected a data set with a manifest, found none"),
    ):
        with pytest.raises(ValueError, match=words):
            publish.callback(finished, name, data, None, tmp_path)  # type: ignore[misc]
    assert not list(tmp_path.iterdir())


def test_weights_beyond_float16_are_refused() -> None:
    with pytest.raises(ValueError, match="scale: expected weights below 65504, found 70000"):
        zoo.to_npz({"scale": torch.tensor([1.0, 7e4])})
