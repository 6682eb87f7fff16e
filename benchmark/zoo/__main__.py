"""Publication of the encoder of a run in the zoo, which comes with the package.

``python -m benchmark.zoo RUN NAME --data DATA`` writes ``assets/zoo/NAME.npz``, scores these
float16 weights on the test split of DATA, and writes the card.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import click
import torch
from numpy.typing import NDArray

from benchmark.metrics.scores import score
from benchmark.runs.loaded import LoadedEncoder, load_encoder
from benchmark.settings import ImageSettings
from benchmark.zoo.cards import PREFIX, ZooCard, cards, from_npz, to_npz
from threedident.cli import run as main_of
from threedident.dataset.split import ThreeDIdent
from threedident.latents.factor_set import FactorSet
from threedident.runtime.errors import printable
from threedident.runtime.files import sha256, spell_bytes, write_bytes
from threedident.runtime.packages import HOME
from threedident.storage.manifest import Manifest

MOST_BYTES = 3_000_000  # of the weights of one encoder, which everyone who installs downloads
_ZOO = Path(HOME, "assets", "zoo")
_BATCH = 250


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("name")
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Data set to score.")
@click.option("--seed", type=int, default=None, help="Seed of the run [default: its first].")
@click.option("--zoo", type=click.Path(path_type=Path), default=_ZOO, help="Folder to write to.")
def publish(run: Path, name: str, data: Path, seed: int | None, zoo: Path) -> None:
    """Put the encoder of a finished run into the zoo."""
    if re.fullmatch("[a-z0-9][a-z0-9-]*", name) is None:
        raise ValueError(
            f"NAME: expected small letters, digits and dashes, found {printable(name)}; choose "
            "another"
        )
    encoder = load_encoder(run, seed)
    if not isinstance(encoder.config.source, ImageSettings):
        raise ValueError(
            f"{run}: expected a run on rendered images, found one on "
            f"{encoder.config.source.kind}; publish another"
        )
    content = to_npz(encoder.model.state_dict())
    if len(content) > MOST_BYTES:
        raise ValueError(
            f"{run}: expected weights of at most {spell_bytes(MOST_BYTES)}, found "
            f"{spell_bytes(len(content))}; publish a smaller encoder"
        )
    encoder.model.load_state_dict(from_npz(content))
    split = ThreeDIdent(data, "test", resolution=encoder.resolution)
    if split.manifest is None:
        raise ValueError(
            f"--data: expected a data set with a manifest, found none in {data}; render one"
        )
    card = ZooCard(
        config=encoder.config,
        seed=encoder.seed,
        render=_render(split.manifest),
        scores=scores_on(encoder, split),
        sha256=sha256(content),
    )
    written = {**cards(), name: card}
    write_bytes(zoo / f"{name}.npz", content)
    records = {key: written[key].model_dump(mode="json") for key in sorted(written)}
    write_bytes(zoo / "cards.json", (json.dumps(records, indent=1) + "\n").encode())
    click.echo(
        f"{PREFIX}{name}: R2 {card.scores['r2']:.3f}, MCC {card.scores['mcc']:.3f} on "
        f"{len(split)} test images, {spell_bytes(len(content))}"
    )


def scores_on(encoder: LoadedEncoder, split: ThreeDIdent) -> dict[str, Any]:
    """The scores of an encoder on all images of a split, as :class:`Scores` writes them."""
    settings = encoder.config.source
    assert isinstance(settings, ImageSettings)
    factors = FactorSet(settings.space, settings.factors)
    codes = codes_of(encoder, split)
    latents = factors.values(split.latents)
    return score(latents=latents, representations=codes, labels=factors.labels).to_json()


@torch.no_grad()
def codes_of(encoder: LoadedEncoder, split: ThreeDIdent) -> NDArray[Any]:
    """The codes of all images of a split, shape (N, n)."""
    starts = range(0, len(split), _BATCH)
    parts = [range(start, min(start + _BATCH, len(split))) for start in starts]
    return torch.cat([encoder(split.images(part)) for part in parts]).numpy()


def _render(manifest: Manifest) -> str:
    """The command that renders a test split with the default latents and materials."""
    found = {**manifest.origin.model_dump(), **manifest.rendering.model_dump()}
    usual = {"seed": 0, "space": "box", "fixed": {}, "hue_mode": "wrapped", "material": "rubber"}
    for setting, value in usual.items():
        if found[setting] != value:
            raise ValueError(
                f"--data: expected {setting} {value}, found {found[setting]}; render a data set "
                "without that option"
            )
    shape = f"--resolution {found['resolution']} --quality {found['quality']}"
    return f"threedident render --n 2 --n-test {manifest.n} {shape} --out data/zoo"


if __name__ == "__main__":
    main_of(publish, "python -m benchmark.zoo")
