"""Seasons: one secret each, committed to before it begins and revealed when it ends.

From the secret follow the latents of the fresh split, and the key that signs rows. Its SHA-256
and the public key are published in ``seasons.json`` when the season opens: so the split was not
chosen to suit anybody, and every row can be checked at once. When the season ends the secret is
published, too, and everybody can draw the split and score all encoders again. Since everybody
could then sign as well, the signatures of all its rows are published with it, and no other counts.

References:
    Edwards-Curve Digital Signature Algorithm, RFC 8032, https://www.rfc-editor.org/rfc/rfc8032
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import Field, TypeAdapter, ValidationError

from benchmark.leaderboard.record import Digest, Record
from benchmark.leaderboard.texts import Text, explained
from threedident.choices import nearest
from threedident.storage import sha256, write_bytes

TRIAL = "trial"  # what a season is called whose commitment was not published
_SHORT = 16


class Season(Record):
    """One entry of ``seasons.json``.

    Arguments:
        name: such as ``2027-spring``.
        opened: when its commitment was published.
        commitment: SHA-256 of the secret, in hexadecimal.
        public_key: of Ed25519, which checks the season's signatures.
        rows: of its fresh splits, the same for all.
        secret: published when the season has ended.
        signatures: of its rows, by id, published with the secret.
    """

    name: Text
    opened: datetime.date
    commitment: Digest
    public_key: Digest
    rows: Annotated[int, Field(ge=64)]
    secret: str | None = None
    signatures: dict[str, str] | None = None

    @property
    def ended(self) -> bool:
        """Whether the secret is out."""
        return self.secret is not None


class Secret:
    """What a season's fresh split and signatures follow from.

    Arguments:
        text: the secret.

    Raises:
        ValueError: it is empty.
    """

    def __init__(self, text: str) -> None:
        if not text:
            raise ValueError("--seed: expected the season's secret, found an empty text; give it")
        self._text = text.encode()

    @property
    def guessable(self) -> bool:
        """Whether it is so short that its hash gives it away to those who try."""
        return len(self._text) < _SHORT

    @property
    def commitment(self) -> str:
        """Its SHA-256."""
        return sha256(self._text)

    @property
    def public_key(self) -> str:
        """What its signatures are checked with."""
        return self._key().public_key().public_bytes_raw().hex()

    def number(self, purpose: str) -> int:
        """A seed of 63 bits for one purpose, from which no other can be told."""
        return int(sha256(purpose.encode() + b"\n" + self._text)[:16], 16) >> 1

    def sign(self, content: bytes) -> str:
        """The signature of ``content`` in hexadecimal."""
        return self._key().sign(content).hex()

    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(
            bytes.fromhex(sha256(b"signature\n" + self._text))
        )


def is_signed(content: bytes, signature: str, public_key: str) -> bool:
    """Whether the holder of a key signed ``content``."""
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
        key.verify(bytes.fromhex(signature), content)
    except (InvalidSignature, ValueError):
        return False
    return True


_SEASONS = TypeAdapter(tuple[Season, ...])


def read_seasons(path: Path) -> tuple[Season, ...]:
    """All seasons of a file, in order.

    Raises:
        ValueError: the file is damaged, or a secret in it is not the one committed to.
    """
    try:
        seasons = _SEASONS.validate_json(path.read_bytes()) if path.is_file() else ()
    except ValidationError as error:
        raise ValueError(f"{path}: expected a list of seasons, but {explained(error)}") from None
    for season in seasons:
        if season.secret is not None and not _is_kept(season):
            raise ValueError(
                f"{path}: expected the secret of season {season.name} to have the published "
                "hash and key, found another; restore it"
            )
    return seasons


def find_season(seasons: Sequence[Season], commitment: str) -> Season | None:
    """The season of a commitment, or None where none was published."""
    return next((season for season in seasons if season.commitment == commitment), None)


def open_season(path: Path, name: str, secret: Secret, rows: int, date: datetime.date) -> Season:
    """Publish the commitment of a new season.

    Arguments:
        path: of ``seasons.json``.
        name: of the season.
        secret: of the season.
        rows: of its fresh splits.
        date: of the opening.

    Raises:
        ValueError: there is one of that name or secret.
    """
    seasons = read_seasons(path)
    if name == TRIAL:
        raise ValueError(
            f"season: expected a name, found {TRIAL}, as rows without a season are called; give "
            "another"
        )
    try:
        season = Season(
            name=name,
            opened=date,
            commitment=secret.commitment,
            public_key=secret.public_key,
            rows=rows,
        )
    except ValidationError as error:
        raise ValueError(f"season: {explained(error)}") from None
    for other in seasons:
        if other.name == name or other.commitment == season.commitment:
            raise ValueError(
                f"{path}: expected a new name and secret, found season {other.name} with one of "
                "them; give others, or --reveal to end it"
            )
    _write(path, (*seasons, season))
    return season


def reveal_season(path: Path, name: str, text: str, signatures: Mapping[str, str]) -> Season:
    """Publish the secret of a season that has ended, and which rows are its own.

    Arguments:
        path: of ``seasons.json``.
        name: of the season.
        text: the secret.
        signatures: of all its rows, by id.

    Raises:
        ValueError: there is none of that name, its secret is another, or it is out already.
    """
    seasons = read_seasons(path)
    for i, season in enumerate(seasons):
        if season.name == name:
            if season.ended:
                raise ValueError(f"season: expected one that goes on, found {name} ended")
            update = {"secret": text, "signatures": dict(sorted(signatures.items()))}
            revealed = season.model_copy(update=update)
            if not _is_kept(revealed):
                raise ValueError(f"--seed: expected the secret of season {name}, found another")
            _write(path, (*seasons[:i], revealed, *seasons[i + 1 :]))
            return revealed
    near = nearest(name, (season.name for season in seasons))
    advice = "open it first" if near is None else f"did you mean {near!r}?"
    raise ValueError(f"season: expected one of {path}, found {name!r}; {advice}")


def _is_kept(season: Season) -> bool:
    secret = Secret(season.secret or "")
    return (secret.commitment, secret.public_key) == (season.commitment, season.public_key)


def _write(path: Path, seasons: Sequence[Season]) -> None:
    values = [season.model_dump(mode="json", exclude_none=True) for season in seasons]
    write_bytes(path, (json.dumps(values, indent=2) + "\n").encode())
