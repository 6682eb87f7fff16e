from __future__ import annotations

import pytest

from threedident.runtime.errors import printable


@pytest.mark.parametrize(
    "text",
    ["\x1b[2J\x1b]0;title\x07", "a\r\nb\tc", "\u202e\u2066", "x" * 900_000, " " * 10**6, "\udcff"],
)
def test_whatever_is_quoted_is_one_short_printable_line(text: str) -> None:
    said = printable(text, 40)
    assert said.isprintable()
    assert len(said) <= 45


def test_what_is_plain_and_short_stays_as_it_is() -> None:
    assert printable("Öl for 2 €") == "Öl for 2 €"
    assert printable("x" * 40, 40) == "x" * 40
    assert printable("a" * 20 + "c" + "b" * 20, 40) == "a" * 20 + " ... " + "b" * 20
