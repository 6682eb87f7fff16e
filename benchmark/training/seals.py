"""The seal of a run's scores: a digest of them and of the configuration that they belong to.

It stands in ``scores.json`` itself, so that the file is written at once, seal and all. Scores of
runs that were made before there were seals have none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from benchmark.config import Config
from threedident.runtime.files import sha256

_SEAL = "sha256"


def seal(scores: Mapping[str, Any], config: Config) -> dict[str, Any]:
    """The scores of a run with their seal."""
    return {**scores, _SEAL: _digest(scores, config)}


def is_sealed(scores: Mapping[str, Any]) -> bool:
    """Whether scores have a seal."""
    return _SEAL in scores


def is_intact(sealed: Mapping[str, Any], config: Config) -> bool:
    """Whether scores and configuration are those that were sealed."""
    scores = {name: value for name, value in sealed.items() if name != _SEAL}
    return bool(sealed[_SEAL] == _digest(scores, config))


def digest_of(records: Any) -> str:
    """SHA-256 of numbers, texts, lists and dicts, the same after JSON and back."""
    return sha256(json.dumps(records, sort_keys=True).encode())


def _digest(scores: Mapping[str, Any], config: Config) -> str:
    # without what is at its default, so that a setting that is added later breaks no seal
    return digest_of([scores, config.model_dump(mode="json", exclude_defaults=True)])
