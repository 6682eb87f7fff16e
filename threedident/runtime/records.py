"""Parsing of untrusted JSON: any fault in it raises ValueError with a short message."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from threedident.runtime.errors import explain, printable
from threedident.runtime.files import MOST_JSON, read_plain

_SAID = 300  # characters of what is wrong
Model = TypeVar("Model", bound=BaseModel)


class Frozen(BaseModel):
    """A record that does not change, without other fields than its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def parse_json(content: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: the text is not JSON, or is nested more deeply than Python can read.
    """
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("the text is nested too deeply") from None


def parse_model(model: type[Model], content: str | bytes) -> Model:
    """The record in a JSON text, as an instance of ``model``.

    Raises:
        ValueError: the text is not a valid record. The message names the first bad entry and the
            reason, in the form ``at n: why``.
    """
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise ValueError(printable(f"at {place}: {first['msg']}", _SAID)) from None
    except (ArithmeticError, RecursionError) as error:  # raised by validators of the model
        raise ValueError(f"at the file: {type(error).__name__}") from None


def read_model(model: type[Model], path: Path, expected: str, advice: str) -> Model | None:
    """The record in a JSON file, or None if the file does not exist.

    Arguments:
        model: type of the record.
        path: path of the file.
        expected: description of the record, for messages.
        advice: advice for messages, if the file holds something else.

    Raises:
        ValueError: the file cannot be read, or does not hold such a record.
    """
    try:
        return parse_model(model, read_plain(path, MOST_JSON))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ValueError(explain(error)) from None
    except ValueError as error:
        raise ValueError(f"{path}: expected {expected}, but {error}; {advice}") from None
