"""Seasons. Each has a secret that is committed to before it begins and published when it ends.

The secret determines the latents of the fresh split and the key that signs rows. Its SHA-256 and
the public key are published in ``seasons.json`` when the season opens. So nobody can choose a
favourable split later, and every signature can be checked at once. When the season ends, the
secret is published. Then everybody can render the split and score all encoders again. Because
everybody could then also sign rows, the signatures of all rows of the season are published with
the secret, and only these are valid.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, model_validator

from benchmark.leaderboard.record import Date, Digest, Record, Signature, read_records, shown
from benchmark.leaderboard.submission.submission import EntryId
from benchmark.leaderboard.verification.secret import Secret
from threedident.runtime.errors import nearest
from threedident.runtime.files import write_bytes
from threedident.storage.folder import MOST_ROWS

_LEAST_ROWS, _MOST_SECRET = 64, 200
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9.-]{0,49}$")


class Season(Record):
    """One entry of ``seasons.json``.

    Arguments:
        name: name of the season, such as ``2027-spring``.
        opened: date on which its commitment was published.
        commitment: SHA-256 of the secret, in hexadecimal.
        public_key: public key of Ed25519 that verifies its signatures.
        rows: number of rows of each of its fresh splits.
        secret: the secret; None before the end of the season.
        signatures: signatures of its rows, by id; None before the end of the season.
    """

    name: Annotated[str, Field(pattern=_NAME)]
    opened: Date
    commitment: Digest
    public_key: Digest
    rows: Annotated[int, Field(ge=_LEAST_ROWS, le=MOST_ROWS)]
    secret: Annotated[str, Field(max_length=_MOST_SECRET)] | None = None
    signatures: dict[EntryId, Signature] | None = None

    @model_validator(mode="after")
    def _check_end(self) -> Season:
        if (self.secret is None) != (self.signatures is None):
            raise ValueError(
                "expected the secret of a season that has ended together with the signatures of "
                "its rows, found one without the other"
            )
        if self.secret is not None:
            secret = Secret(self.secret)
            if (secret.commitment, secret.public_key) != (self.commitment, self.public_key):
                raise ValueError(
                    f"expected the secret of season {self.name}, which has the published hash and "
                    "key, found another"
                )
        return self

    @property
    def ended(self) -> bool:
        """True if the secret is published."""
        return self.secret is not None


_SEASONS = TypeAdapter(tuple[Season, ...])


def read_seasons(path: Path) -> tuple[Season, ...]:
    """All seasons of a file, in order.

    Raises:
        ValueError: the file is damaged, a secret does not fit its commitment, or two seasons have
            the same name, commitment or key.
    """
    seasons = read_records(path, _SEASONS, "a list of seasons")
    for i, season in enumerate(seasons):
        there = _clash(seasons[:i], season.name, season.commitment, season.public_key)
        if there is not None:
            raise ValueError(
                f"{path}: expected a name and a secret of its own for each season, found those of "
                f"{there.name} twice; restore the file"
            )
    return seasons


def find_season(seasons: Sequence[Season], commitment: str) -> Season | None:
    """The season with a commitment; None if it was not published."""
    return next((season for season in seasons if season.commitment == commitment), None)


def require_new_season(seasons: Iterable[Season], name: str, commitment: str = "") -> None:
    """Check that the name of a season is valid, and that name and commitment are new.

    Raises:
        ValueError: the name is not valid, or a season already has the name or commitment.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"season: expected a name of letters, digits, points and hyphens, such as "
            f"2027-spring, found {shown(name)}; give another"
        )
    other = _clash(seasons, name, commitment, "")
    if other is not None:
        raise ValueError(
            f"season: expected a new name and secret, found season {other.name} with one of "
            "them; give others, or end that one with threedident leaderboard season reveal"
        )


def open_season(path: Path, name: str, secret: Secret, rows: int, date: datetime.date) -> Season:
    """Publish the commitment of a new season.

    Arguments:
        path: path of ``seasons.json``.
        name: name of the season.
        secret: secret of the season.
        rows: number of rows of its fresh splits.
        date: date of the opening.

    Raises:
        ValueError: a season already has the name or the secret.
    """
    seasons = read_seasons(path)
    require_new_season(seasons, name, secret.commitment)
    season = Season(
        name=name,
        opened=date,
        commitment=secret.commitment,
        public_key=secret.public_key,
        rows=rows,
    )
    _write(path, (*seasons, season))
    return season


def reveal_season(path: Path, name: str, secret: Secret, signatures: Mapping[str, str]) -> Season:
    """End a season: publish its secret and the signatures of its rows.

    Arguments:
        path: path of ``seasons.json``.
        name: name of the season.
        secret: secret of the season.
        signatures: signatures of all its rows, by id.

    Raises:
        ValueError: there is no season of this name, it has another secret, or it has ended.
    """
    seasons = read_seasons(path)
    season = _named(seasons, name, path)
    if season.ended:
        raise ValueError(f"season: expected an open season, found {name} ended")
    if secret.commitment != season.commitment:
        raise ValueError(
            f"--secret: expected the secret of season {name}, found another; give its file"
        )
    ends = {"secret": secret.text, "signatures": dict(sorted(signatures.items()))}
    revealed = Season.model_validate(season.model_dump() | ends)
    _write(path, [revealed if other is season else other for other in seasons])
    return revealed


def _named(seasons: Sequence[Season], name: str, path: Path) -> Season:
    """The season with a name.

    Raises:
        ValueError: there is no such season; the message names the most similar one.
    """
    for season in seasons:
        if season.name == name:
            return season
    near = nearest(name, (season.name for season in seasons))
    advice = "open it first" if near is None else f"did you mean {near!r}?"
    raise ValueError(f"season: expected one of {path}, found {shown(name)}; {advice}")


def _clash(seasons: Iterable[Season], name: str, commitment: str, key: str) -> Season | None:
    """The season that already has this name, commitment or key, or None."""
    for season in seasons:
        if season.name == name or commitment == season.commitment or key == season.public_key:
            return season
    return None


def _write(path: Path, seasons: Sequence[Season]) -> None:
    values = [season.model_dump(mode="json", exclude_none=True) for season in seasons]
    write_bytes(path, (json.dumps(values, indent=2) + "\n").encode())
