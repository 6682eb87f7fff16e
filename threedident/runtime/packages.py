"""Our packages ``render`` and ``benchmark``, found beside other modules of these names.

Both names are common. A ``benchmark.py`` or a folder ``render/`` beside a script, in the working
directory or on PYTHONPATH, is what Python would import instead. Processes of ours run this file
by its path, ``python -P packages.py MODULE``, so that no other module can take a package's place.
"""

from __future__ import annotations

import sys
from importlib import import_module
from os.path import dirname, join, realpath

TYPE_CHECKING = False  # as typing has it, whose import would find a typing.py that lies here
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from pathlib import Path
    from types import ModuleType
    from typing import Any, ClassVar

HOME = dirname(dirname(dirname(realpath(__file__))))
PACKAGES = ("render", "benchmark")


class ShadowFinder:
    """Warns where ``import benchmark`` or ``import render`` finds a module of somebody else.

    It leaves the import as it is: whoever has a module of that name gets it.
    """

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """None, after a warning where other finders find another module."""
        if name in PACKAGES:
            place = _place(_spec(name))
            if place is not None and not _is_ours(name, place):
                _warn(name, place)
        return None


def watch() -> None:
    """Put a :class:`ShadowFinder` before all finders, unless there is one."""
    if not any(isinstance(finder, ShadowFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, ShadowFinder())


def claim() -> None:
    """Let this process, and those that it spawns, import our packages by their names.

    The folder that holds them comes first in ``sys.path`` where other modules shadow them.

    Raises:
        ImportError: another module of that name is already imported.
    """
    for name in PACKAGES:
        _require_free(name)
    places = {name: _place(_spec(name)) for name in ("threedident", *PACKAGES)}
    if not all(place and _is_ours(name, place) for name, place in places.items()):
        sys.path.insert(0, HOME)


class Ours:
    """Within, the name of our package is ours; outside, a script's own module keeps it.

    A module that shadows our package is named in one warning, and stays what the script imports.

    Arguments:
        package: ``render`` or ``benchmark``.
    """

    _aside: ClassVar[dict[str, dict[str, ModuleType]]] = {}  # ours, while a name is another's

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
    """Take a package and its modules out of those that are imported."""
    names = [name for name in sys.modules if f"{name}.".startswith(f"{package}.")]
    return {name: sys.modules.pop(name) for name in names}


def call(place: str, *arguments: Any) -> Any:
    """Call what ``module:name`` of ours names, in a process that imported none of it.

    Pickles name this function in place of what they hold, so that processes of Ray and SLURM
    import our modules.
    """
    claim()
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)(*arguments)


def module_command(name: str) -> list[str]:
    """The start of a command that runs a module of ours, from a checkout or installed.

    Neither the working directory nor PYTHONPATH can put another module in its place: whoever
    unpacks a submission and stands in its folder must not run what lies there.
    """
    return [sys.executable, "-P", join(HOME, "threedident", "runtime", "packages.py"), name]


def stand_back() -> None:
    """Move the working directory, which ``python -m`` puts first in ``sys.path``, to its end.

    A ``statistics.py`` or a ``click.py`` that lies there is then not taken for the real one.
    """
    if not sys.flags.safe_path and realpath(sys.path[0]) != HOME:
        sys.path.append(sys.path.pop(0))


def _spec(name: str) -> ModuleSpec | None:
    """What an import of a top-level name would find, were it not imported yet."""
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
    """Refuse a name that another module has in this process."""
    if name not in sys.modules:
        return
    place = _place_of(name)
    if not _is_ours(name, place):
        raise ImportError(f"{_spell(name, place)}, already imported; rename that one")


def _place_of(name: str) -> str:
    """The file of an imported module; empty where it has none."""
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
    """Run the module that the command line names, as ``python -m`` would."""
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
