"""The denoiser's calls of its library, with one in place of it that notes them."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest

from render.blender import denoise
from render.blender.denoise import Denoiser


class Library:
    """A library in which every call succeeds, until ``code`` is an error."""

    def __init__(self) -> None:
        self.calls: dict[str, tuple[Any, ...]] = {}
        self.code = 0

    def __getattr__(self, name: str) -> Any:
        def function(*arguments: Any) -> int | None:
            self.calls[name] = arguments
            return self.code if name == "oidnGetDeviceError" else 1

        return function


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    found = Library()
    monkeypatch.setattr(denoise, "_load", lambda: found)
    return found


@pytest.mark.parametrize(
    ("device", "function"),
    [
        ("optix", "oidnNewCUDADevice"),
        ("cuda", "oidnNewCUDADevice"),
        ("hip", "oidnNewHIPDevice"),
    ],
)
def test_a_numbered_gpu_is_opened_on_its_default_stream(
    device: str, function: str, library: Library
) -> None:
    Denoiser(1, "HIGH", device, gpu=3)
    number, streams, count = library.calls[function]
    assert ctypes.cast(number, ctypes.POINTER(ctypes.c_int))[0] == 3
    assert count.value == 1
    stream = ctypes.cast(streams, ctypes.POINTER(ctypes.c_void_p))  # an array of one
    assert stream
    assert stream[0] is None
    assert "oidnNewDevice" not in library.calls


@pytest.mark.parametrize(("code", "kind"), [(4, MemoryError), (1, RuntimeError)])
def test_only_a_lack_of_memory_is_called_so(
    code: int, kind: type[Exception], library: Library
) -> None:
    work = Denoiser(1, "HIGH")
    library.code = code
    with pytest.raises(kind, match=r"^OpenImageDenoise: "):
        work(np.zeros((4, 4, 3), np.float32))


def test_a_gpu_that_fails_to_open_leaves_the_cpu(library: Library) -> None:
    library.code = 5
    Denoiser(2, "HIGH", "cuda", gpu=0)
    assert library.calls["oidnNewDevice"][0] == 1  # the CPU
    assert library.calls["oidnSetDeviceInt"][2] == 2
