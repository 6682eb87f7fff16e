"""Shared libraries that Blender's module loads, and the Debian packages that contain them.

``python -m render.libraries`` prints the missing packages on one line. It exits with status 1 if
there are any.
"""

from __future__ import annotations

import ctypes
import sys

PACKAGES = {
    "libX11.so.6": "libx11-6",
    "libXrender.so.1": "libxrender1",
    "libXfixes.so.3": "libxfixes3",
    "libXi.so.6": "libxi6",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libSM.so.6": "libsm6",
    "libICE.so.6": "libice6",
    "libGL.so.1": "libgl1",
}


def missing_packages() -> list[str]:
    """Debian packages of the libraries that cannot be loaded here; empty if not on Linux."""
    if sys.platform != "linux":
        return []
    return [package for library, package in PACKAGES.items() if not _loads(library)]


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    packages = missing_packages()
    if packages:
        print(" ".join(packages))
        sys.exit(1)
