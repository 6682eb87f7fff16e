"""The seal of the scores of a run: a digest of the scores and of the configuration.

The seal is an entry of ``scores.json``, so scores and seal are written together. Scores of early
runs have no seal.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from benchmark.config import Config
from threedident.runtime.files import sha256

_SEAL = "sha256"


def seal(scores: Mapping[str, Any], config: Config) -> dict[str, Any]:
    """The scores of a run, with the seal added."""
    return {**scores, _SEAL: _digest(scores, config)}


def is_sealed(scores: Mapping[str, Any]) -> bool:
    """True if the scores have a seal."""
    return _SEAL in scores


def is_intact(sealed: Mapping[str, Any], config: Config) -> bool:
    """True if neither scores nor configuration have changed since the seal was made."""
    scores = {name: value for name, value in sealed.items() if name != _SEAL}
    return bool(sealed[_SEAL] == _digest(scores, config))


def digest_of(records: Any) -> str:
    """SHA-256 of numbers, texts, lists and dicts. Writing and reading JSON does not change it."""
    return sha256(json.dumps(records, sort_keys=True).encode())


def _digest(scores: Mapping[str, Any], config: Config) -> str:
    # without default values, so that settings added later do not break existing seals
    return digest_of([scores, config.model_dump(mode="json", exclude_defaults=True)])
