"""Import of our packages ``render`` and ``benchmark`` when other modules have the same names.

Both names are common. If a ``benchmark.py`` or a folder ``render/`` lies beside a script, in the
working directory or on PYTHONPATH, Python imports it instead of ours. Our own processes therefore
run this file by its path, ``python -P packages.py MODULE``.
"""

from __future__ import annotations

import sys
from importlib import import_module
from os.path import dirname, join, realpath

TYPE_CHECKING = False  # not imported: "typing" could be a user's typing.py in this folder
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from pathlib import Path
    from types import ModuleType
    from typing import Any, ClassVar

HOME = dirname(dirname(dirname(realpath(__file__))))
PACKAGES = ("render", "benchmark")


class ShadowFinder:
    """Import finder that warns if ``import benchmark`` or ``render`` finds a foreign module.

    It does not change the import: the foreign module is imported.
    """

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """None, after a warning if the other finders find a foreign module."""
        if name in PACKAGES:
            place = _place(_spec(name))
            if place is not None and not _is_ours(name, place):
                _warn(name, place)
        return None


def watch() -> None:
    """Put a :class:`ShadowFinder` before all other finders, unless there is one already."""
    if not any(isinstance(finder, ShadowFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, ShadowFinder())


def claim() -> None:
    """Make sure that this process and its children import our packages by their names.

    If other modules shadow them, the folder that holds ours moves to the front of ``sys.path``.

    Raises:
        ImportError: another module with one of these names is already imported.
    """
    for name in PACKAGES:
        _require_free(name)
    places = {name: _place(_spec(name)) for name in ("threedident", *PACKAGES)}
    if not all(place and _is_ours(name, place) for name, place in places.items()):
        sys.path.insert(0, HOME)


class Ours:
    """Context in which a package name means our package, even if a script's module has the name.

    A module that shadows our package is named in one warning. Outside the context the script
    still imports that module.

    Arguments:
        package: ``render`` or ``benchmark``.
    """

    _aside: ClassVar[dict[str, dict[str, ModuleType]]] = {}  # our modules, outside the context

    def __init__(self, package: str) -> None:
        self._package = package

    def __enter__(self) -> None:
        package = self._package
        place = _place_of(package) if package in sys.modules else _place(_spec(package))
        self._shadowed = place is not None and not _is_ours(package, place)
        sys.path.insert(0, HOME)
        if self._shadowed:
            _warn(package, place, stacklevel=4)
            self._theirs = _take(package)
            sys.modules.update(self._aside.get(package, {}))

    def __exit__(self, *_: object) -> None:
        sys.path.remove(HOME)
        if self._shadowed:
            self._aside[self._package] = _take(self._package)
            sys.modules.update(self._theirs)


def _take(package: str) -> dict[str, ModuleType]:
    """Remove a package and its modules from the imported ones, and return them."""
    names = [name for name in sys.modules if f"{name}.".startswith(f"{package}.")]
    return {name: sys.modules.pop(name) for name in names}


def call(place: str, *arguments: Any) -> Any:
    """Call a function of ours, given as ``module:name``, in a process that has not imported it.

    Pickles refer to this function instead of the one they call, so that processes of Ray and
    SLURM import our modules and not others with the same names.
    """
    claim()
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)(*arguments)


def module_command(name: str) -> list[str]:
    """The first words of a command that runs one of our modules, from a checkout or installed.

    The working directory and PYTHONPATH cannot replace the module. This matters in the folder of
    an unpacked submission, whose files must not be run.
    """
    return [sys.executable, "-P", join(HOME, "threedident", "runtime", "packages.py"), name]


def stand_back() -> None:
    """Move the working directory from the front of ``sys.path``, set by ``python -m``, to its end.

    A ``statistics.py`` or ``click.py`` in that directory is then not imported instead of the real
    module.
    """
    if not sys.flags.safe_path and realpath(sys.path[0]) != HOME:
        sys.path.append(sys.path.pop(0))


def _spec(name: str) -> ModuleSpec | None:
    """The spec that a first import of a top-level name would find."""
    others = (finder for finder in sys.meta_path if not isinstance(finder, ShadowFinder))
    specs = (finder.find_spec(name, None) for finder in others if hasattr(finder, "find_spec"))
    return next((found for found in specs if found is not None), None)


def _place(found: ModuleSpec | None) -> str | None:
    """The file of a module, or the folder of a package without ``__init__.py``."""
    if found is None:
        return None
    return found.origin or next(iter(found.submodule_search_locations or ()), None)


def _is_ours(name: str, place: str) -> bool:
    return realpath(place) == join(HOME, name, "__init__.py")


def _require_free(name: str) -> None:
    """Raise ImportError if another module has this name in the process."""
    if name not in sys.modules:
        return
    place = _place_of(name)
    if not _is_ours(name, place):
        raise ImportError(f"{_spell(name, place)}, already imported; rename that one")


def _place_of(name: str) -> str:
    """The file of an imported module, empty if it has none."""
    there = sys.modules[name]
    return _place(getattr(there, "__spec__", None)) or getattr(there, "__file__", None) or ""


def _warn(name: str, place: str | None, stacklevel: int = 3) -> None:
    import warnings

    advice = "rename that one, or start Python elsewhere"
    words = f"{_spell(name, place)}, which shadows it; {advice}"
    warnings.warn(words, stacklevel=stacklevel)


def _spell(name: str, place: str | None) -> str:
    ours = join(HOME, name)
    return f"{name}: expected threedident's package {ours}, found {place or 'another module'}"


def _start() -> None:
    """Run the module named on the command line, as ``python -m`` does."""
    sys.path.insert(0, HOME)
    packages = import_module("threedident.runtime.packages")
    sys.path.remove(HOME)
    packages.claim()
    import runpy

    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def require_extra(asker: str, extra: str, *packages: str) -> None:
    """Make sure that the packages of an extra are installed.

    Arguments:
        asker: the option or command that needs them.
        extra: of this project, such as ``ray``.
        packages: their import names.

    Raises:
        ValueError: one of them is not installed.
    """
    from importlib.util import find_spec

    for package in packages:
        if find_spec(package) is None:
            raise ValueError(
                f"{asker}: expected the package {package}, found none; install it with pip "
                f"install 'threedident[{extra}]'"
            )


def asset_path(name: str) -> Path:
    """The path of a file of ``assets/``, in a checkout or an installed wheel.

    Raises:
        FileNotFoundError: there is no such asset.
    """
    from pathlib import Path

    places = [Path(HOME, "assets"), Path(HOME, "threedident", "_assets")]
    for place in places:
        if (place / name).is_file():
            return place / name
    looked = " and ".join(map(str, places))
    raise FileNotFoundError(f"asset {name!r} is in neither {looked}; reinstall threedident")


if __name__ == "__main__":
    _start()
