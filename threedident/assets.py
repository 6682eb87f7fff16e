"""Finds the data files of ``assets/``, from a checkout and from an installed wheel alike."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent
_PLACES = (_PACKAGE.parent / "assets", _PACKAGE / "_assets")


def asset_path(name: str) -> Path:
    """The path of the asset called ``name``.

    Raises:
        FileNotFoundError: there is no such asset.
    """
    for place in _PLACES:
        if (place / name).is_file():
            return place / name
    looked = " and ".join(str(place) for place in _PLACES)
    raise FileNotFoundError(f"asset {name!r} is in neither {looked}; reinstall threedident")
